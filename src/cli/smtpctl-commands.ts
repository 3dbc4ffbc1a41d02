/** The commands of smtpctl(8) as a table: words on the left, what the daemon is asked on the right. */

import { asciiDomain } from "../envelope/mod.ts";
import type { ControlRequest, Subsystem } from "../control/mod.ts";
import type { EncryptOrder } from "./encrypt.ts";
import type { Trace } from "../events/mod.ts";
import type { Target } from "../isolate/mod.ts";
import type { Command } from "./words.ts";

export type Asked =
  | {
    readonly request: ControlRequest;
    /** It prints lines of its own instead of "command succeeded". */
    readonly shows: boolean;
    /** What was done to the envelopes that the answer counts. */
    readonly done?: string;
  }
  /** Move messages between the queue and a folder. */
  | { readonly transfer: "export" | "import" | "discover"; readonly folder: string; readonly key: string | null }
  | { readonly encrypt: EncryptOrder };

const show = (request: ControlRequest): Asked => ({ request, shows: true });
const act = (request: ControlRequest): Asked => ({ request, shows: false });

/** `VERB <evpid>`, `VERB <msgid>`, `VERB all`, `VERB domain <domain>`: the four ways to say which envelopes. */
function onEnvelopes(
  words: string,
  verb: "schedule" | "remove" | "pause-envelope" | "resume-envelope",
  done: string,
): Command<Asked>[] {
  const ask = (target: Target): Asked => ({ request: { do: verb, target }, shows: false, done });
  return [
    { pattern: `${words} <evpid>`, make: (id) => ask({ envelope: id!.toLowerCase() }) },
    { pattern: `${words} <msgid>`, make: (id) => ask({ message: id!.toLowerCase() }) },
    { pattern: `${words} all`, make: () => ask("all") },
    { pattern: `${words} domain <domain>`, make: (domain) => ask({ domain: queuedDomain(domain!) }) },
  ];
}

/** As the queue keeps it: in lower-case A-labels. */
function queuedDomain(domain: string): string {
  return (asciiDomain(domain) ?? domain).toLowerCase();
}

function onSubsystems(verb: "pause" | "resume"): Command<Asked>[] {
  return (["mda", "mta", "smtp"] as const).map((what: Subsystem) => ({
    pattern: `${verb} ${what}`,
    make: () => act({ do: verb, what }),
  }));
}

const discover = (request: ControlRequest): Asked => ({ request, shows: false, done: "discovered" });
const encrypt = (scheme: EncryptOrder["scheme"], password: string | null): Asked => ({
  encrypt: { scheme, password },
});

const message = (id: string): Asked => show({ do: "show-message", message: id.slice(0, 8).toLowerCase() });

export const COMMANDS: readonly Command<Asked>[] = [
  { pattern: "discover <evpid>", make: (id) => discover({ do: "discover", envelope: id!.toLowerCase() }) },
  { pattern: "discover <msgid>", make: (id) => discover({ do: "discover", messages: [id!.toLowerCase()] }) },
  { pattern: "discover <folder>", make: (folder) => ({ transfer: "discover", folder: folder!, key: null }) },
  {
    pattern: "discover <folder> <keyfile>",
    make: (folder, key) => ({ transfer: "discover", folder: folder!, key: key! }),
  },
  { pattern: "encrypt", make: () => encrypt("crypt", null) },
  { pattern: "encrypt <str>", make: (password) => encrypt("crypt", password!) },
  { pattern: "encrypt --scram", make: () => encrypt("scram", null) },
  { pattern: "encrypt --scram <str>", make: (password) => encrypt("scram", password!) },
  { pattern: "export <folder>", make: (folder) => ({ transfer: "export", folder: folder!, key: null }) },
  { pattern: "import <folder>", make: (folder) => ({ transfer: "import", folder: folder!, key: null }) },
  { pattern: "log brief", make: () => act({ do: "log", verbose: false }) },
  { pattern: "log verbose", make: () => act({ do: "log", verbose: true }) },
  { pattern: "monitor", make: () => show({ do: "monitor" }) },
  ...onEnvelopes("pause envelope", "pause-envelope", "paused"),
  ...onSubsystems("pause"),
  ...onEnvelopes("remove", "remove", "removed"),
  ...onEnvelopes("resume envelope", "resume-envelope", "resumed"),
  ...onSubsystems("resume"),
  { pattern: "resume route <routeid>", make: (id) => act({ do: "resume-route", route: Number(id) }) },
  ...onEnvelopes("schedule", "schedule", "scheduled"),
  { pattern: "show damaged", make: () => show({ do: "show-damaged" }) },
  { pattern: "show envelope <evpid>", make: (id) => show({ do: "show-envelope", envelope: id!.toLowerCase() }) },
  { pattern: "show hosts", make: () => show({ do: "show-relay", what: "hosts" }) },
  { pattern: "show hoststats", make: () => show({ do: "show-relay", what: "hoststats" }) },
  { pattern: "show message <msgid>", make: (id) => message(id!) },
  { pattern: "show message <evpid>", make: (id) => message(id!) },
  { pattern: "show queue", make: () => show({ do: "show-queue", message: null }) },
  { pattern: "show queue <msgid>", make: (id) => show({ do: "show-queue", message: id!.toLowerCase() }) },
  { pattern: "show relays", make: () => show({ do: "show-relay", what: "relays" }) },
  { pattern: "show routes", make: () => show({ do: "show-relay", what: "routes" }) },
  { pattern: "show stats", make: () => show({ do: "show-stats" }) },
  { pattern: "show status", make: () => show({ do: "show-status" }) },
  { pattern: "stop", make: () => act({ do: "stop" }) },
  { pattern: "trace <str>", make: (what) => act({ do: "trace", what: what as Trace }) },
  { pattern: "untrace <str>", make: (what) => act({ do: "untrace", what: what as Trace }) },
  { pattern: "update pki", make: () => act({ do: "update-pki" }) },
  { pattern: "update table <str>", make: (table) => act({ do: "update-table", table: table! }) },
];
