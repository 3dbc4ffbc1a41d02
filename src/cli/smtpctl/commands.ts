/** The commands of smtpctl(8) as a table: words on the left, the request to the daemon on the right. */

import { asciiDomain, parseEnvelopeId, parseMessageId } from "../../envelope/mod.ts";
import type { ControlRequest, Subsystem } from "../../control/mod.ts";
import type { GenerateOrder } from "./dkim.ts";
import { CHECK_OPTIONS, type CheckOrder, checkOrderOf } from "./check_options.ts";
import { EXPLAIN_OPERANDS, EXPLAIN_OPTIONS, type ExplainOrder, explainOrderOf } from "./explain_options.ts";
import { orderOf, SETUP_OPTIONS, type SetupOrder } from "./setup/answers.ts";
import type { EncryptOrder } from "./encrypt.ts";
import type { Trace } from "../../events/mod.ts";
import type { Target } from "../../protocol/mod.ts";
import {
  FIND_OPTIONS,
  FIND_WORDS,
  type FindCommand,
  findOrderOf,
  STORY_ID,
  STORY_OPTIONS,
  type StoryCommand,
  storyOrderOf,
} from "./history/order.ts";
import { TOP_OPTIONS, topOrder } from "./top/order.ts";
import type { GivenOptions } from "./command_options.ts";
import type { Command, CommandOption } from "./words.ts";

export type ParsedCommand =
  | {
    readonly request: ControlRequest;
    /** It prints lines of its own instead of "command succeeded". */
    readonly shows: boolean;
    /** What was done to the envelopes that the answer counts. */
    readonly done?: string;
  }
  /** Move messages between the queue and a folder. */
  | {
    readonly transfer: "export" | "import" | "discover";
    readonly folder: string;
    readonly key: string | null;
    /** Also what was imported before. */
    readonly again: boolean;
  }
  /** Copies the queue, the configuration and the keys into a folder. */
  | { readonly backup: string }
  /** Puts back what `backup` has copied; over files that differ, with `force`. */
  | { readonly restore: string; readonly force: boolean }
  | { readonly encrypt: EncryptOrder }
  /** A file of reports, or `-`. */
  | { readonly dmarcRead: string }
  | { readonly dkimGenerate: GenerateOrder }
  | { readonly setup: SetupOrder }
  | { readonly check: CheckOrder }
  | { readonly adminToken: AdminTokenOrder }
  | { readonly explain: ExplainOrder }
  | { readonly find: FindCommand }
  | { readonly story: StoryCommand }
  | { readonly top: ReturnType<typeof topOrder> };

/** What `admin token` may be told. */
const ADMIN_TOKEN_OPTIONS: readonly CommandOption[] = [
  { name: "--read", about: "The token may read only." },
  {
    name: "--write",
    about: "The token may read, and change what the page and smtpctl can; so it is without an option.",
  },
  {
    name: "--name",
    value: "name",
    about: "What it is called in lists and in the log; without it token-1, token-2 ...",
  },
  {
    name: "--expires",
    value: "time",
    about: "After this time it is good no more: 12h, 30d. Without it, it is until it is revoked.",
  },
  { name: "--json", about: "Prints one JSON document instead of the token." },
];

export interface AdminTokenOrder {
  readonly read: boolean;
  readonly write: boolean;
  readonly name: string | null;
  /** As it was given. */
  readonly expires: string | null;
  readonly json: boolean;
}

/** Reads what was given, without checking it. */
function adminTokenOrderOf(given: GivenOptions): AdminTokenOrder {
  return {
    read: given.has("--read"),
    write: given.has("--write"),
    name: given.get("--name")?.[0] ?? null,
    expires: given.get("--expires")?.[0] ?? null,
    json: given.has("--json"),
  };
}

const show = (request: ControlRequest): ParsedCommand => ({ request, shows: true });
const act = (request: ControlRequest): ParsedCommand => ({ request, shows: false });

/** `VERB <evpid>`, `VERB <msgid>`, `VERB all`, `VERB domain <domain>`: the four ways to say which envelopes. */
function onEnvelopes(
  words: string,
  verb: "schedule" | "remove" | "pause-envelope" | "resume-envelope",
  done: string,
  about: string,
): Command<ParsedCommand>[] {
  const ask = (target: Target): ParsedCommand => ({ request: { do: verb, target }, shows: false, done });
  return [
    { pattern: `${words} <evpid>`, about, make: (id) => ask({ envelope: parseEnvelopeId(id!)! }) },
    { pattern: `${words} <msgid>`, about, make: (id) => ask({ message: parseMessageId(id!)! }) },
    { pattern: `${words} all`, about, make: () => ask("all") },
    { pattern: `${words} domain <domain>`, about, make: (domain) => ask({ domain: queuedDomain(domain!) }) },
  ];
}

/** As the queue keeps it: in lower-case A-labels. */
function queuedDomain(domain: string): string {
  return (asciiDomain(domain) ?? domain).toLowerCase();
}

function onSubsystems(verb: "pause" | "resume", about: string): Command<ParsedCommand>[] {
  return (["mda", "mta", "smtp"] as const).map((what: Subsystem) => ({
    pattern: `${verb} ${what}`,
    about,
    make: () => act({ do: verb, what }),
  }));
}

const discover = (request: ControlRequest): ParsedCommand => ({ request, shows: false, done: "discovered" });
const encrypt = (scheme: EncryptOrder["scheme"], password: string | null): ParsedCommand => ({
  encrypt: { scheme, password },
});

const message = (id: string): ParsedCommand => show({ do: "show-message", message: parseMessageId(id.slice(0, 8))! });

const transfer =
  (what: "export" | "import" | "discover", { again }: { readonly again: boolean }): Command<ParsedCommand>["make"] =>
  (folder, key) => ({
    transfer: what,
    folder: folder!,
    key: key ?? null,
    again,
  });
const AGAIN = " --again";

/** Sentences that several forms share. */
const DISCOVER = "Takes in what was laid into the folder import of the spool.";
const SPOOL = "Takes the messages of a spool of OpenSMTPD into the queue, each once but for --again.";
const IMPORT = "Takes in what export wrote, each message once but for --again.";
const RESTORE = "Puts back what backup has copied, where there is no queue; --force overwrites files that differ.";
const HASH = "Prints a hash of a password, or of each line of standard input; -- ends options.";
const SCRAM = "Prints a SCRAM verifier of a password, or of each line of standard input.";
const BODY = "Prints a message as it is stored.";
const QUEUE = "Lists the envelopes in the queue, or those of one message.";
const GENERATE = "Makes keys of DKIM for a domain, and prints the records and the lines of smtpd.conf for them.";

/**
 * The commands of smtpctl(8), in the order of its list. A new smtpctl command is a row here, its request in src/control/parse.ts and its
 * answer in src/control/requests.ts: CONTRIBUTING.md, "A smtpctl command".
 */
export const COMMANDS: readonly Command<ParsedCommand>[] = [
  {
    pattern: "admin revoke <str>",
    about: "Makes a token of the admin page useless at once; its sessions end.",
    make: (name) => act({ do: "admin-revoke", name: name! }),
  },
  {
    pattern: "admin token",
    about: "Makes a token for the admin page and its API, and prints it once.",
    make: () => ({ adminToken: adminTokenOrderOf(new Map()) }),
    options: ADMIN_TOKEN_OPTIONS,
    makeOf: (given) => ({ adminToken: adminTokenOrderOf(given) }),
  },
  {
    pattern: "admin tokens",
    about:
      "Lists the tokens of the admin page: scope, when they were made, when they expire, when they were used last.",
    make: () => show({ do: "admin-tokens" }),
  },
  {
    pattern: "backup <folder>",
    about: "Copies the queue, the configuration and the keys into an empty folder, while mail flows.",
    make: (folder) => ({ backup: folder! }),
  },
  {
    pattern: "check",
    about:
      "Checks DNS, certificates, queue, disks and files, a line per finding; exits with 0, 1 (warnings) or 2 (errors).",
    make: () => ({ check: checkOrderOf(new Map()) }),
    options: CHECK_OPTIONS,
    makeOf: (given) => ({ check: checkOrderOf(given) }),
  },
  {
    pattern: "discover <evpid>",
    about: DISCOVER,
    make: (id) => discover({ do: "discover", envelope: parseEnvelopeId(id!)! }),
  },
  {
    pattern: "discover <msgid>",
    about: DISCOVER,
    make: (id) => discover({ do: "discover", messages: [parseMessageId(id!)!] }),
  },
  ...[false, true].flatMap((again): Command<ParsedCommand>[] => [
    { pattern: `discover${again ? AGAIN : ""} <folder>`, about: SPOOL, make: transfer("discover", { again }) },
    {
      pattern: `discover${again ? AGAIN : ""} <folder> <keyfile>`,
      about: SPOOL,
      make: transfer("discover", { again }),
    },
  ]),
  {
    pattern: "dkim check",
    about:
      "Compares the records in the DNS with the keys of DKIM, one line per key; exits with 1 if something is wrong.",
    make: () => show({ do: "dkim-check" }),
  },
  {
    pattern: "dkim generate <domain>",
    about: GENERATE,
    make: (domain) => ({ dkimGenerate: { domain: domain!, selector: null } }),
  },
  {
    pattern: "dkim generate <domain> <str>",
    about: GENERATE,
    make: (domain, selector) => ({ dkimGenerate: { domain: domain!, selector: selector! } }),
  },
  {
    pattern: "dkim rotate <domain>",
    about: "Makes other keys for a domain, which sign when the DNS has their records.",
    make: (domain) => show({ do: "dkim-rotate", domain: queuedDomain(domain!) }),
  },
  {
    pattern: "dmarc read <file>",
    about: "Sums up what others report of mail in our name, one line per source; - is standard input.",
    make: (file) => ({ dmarcRead: file! }),
  },
  { pattern: "encrypt", about: HASH, make: () => encrypt("crypt", null) },
  { pattern: "encrypt <str>", about: HASH, make: (password) => encrypt("crypt", password!) },
  { pattern: "encrypt --scram", about: SCRAM, make: () => encrypt("scram", null) },
  { pattern: "encrypt --scram <str>", about: SCRAM, make: (password) => encrypt("scram", password!) },
  {
    pattern: "explain",
    about: "Tells what would happen to a message, with the lines of the configuration; nothing is sent or stored.",
    make: () => ({ explain: explainOrderOf(new Map()) }),
    options: EXPLAIN_OPTIONS,
    operands: EXPLAIN_OPERANDS,
    makeOf: (given, operands) => ({ explain: explainOrderOf(given, operands) }),
  },
  {
    pattern: "export <folder>",
    about: "Writes the queue into a folder of files, and keeps it.",
    make: transfer("export", { again: false }),
  },
  {
    pattern: "find",
    about: "Finds messages of the history by any word, or by the options, the newest first; exits with 1 for none.",
    make: () => ({ find: findOrderOf(new Map(), []) }),
    options: FIND_OPTIONS,
    operands: FIND_WORDS,
    makeOf: (given, words) => ({ find: findOrderOf(given, words) }),
  },
  { pattern: "import <folder>", about: IMPORT, make: transfer("import", { again: false }) },
  { pattern: `import${AGAIN} <folder>`, about: IMPORT, make: transfer("import", { again: true }) },
  {
    pattern: "log brief",
    about: "Ends debug logging and all tracing.",
    make: () => act({ do: "log", verbose: false }),
  },
  { pattern: "log verbose", about: "Starts debug logging.", make: () => act({ do: "log", verbose: true }) },
  {
    pattern: "monitor",
    about: "Prints a line of counters every second until it is interrupted.",
    make: () => show({ do: "monitor" }),
  },
  ...onEnvelopes("pause envelope", "pause-envelope", "paused", "Suspends delivery of envelopes."),
  ...onSubsystems("pause", "Stops local deliveries, relaying, or accepting of sessions."),
  ...onEnvelopes("remove", "remove", "removed", "Removes envelopes from the queue; nobody is told."),
  { pattern: "restore <folder>", about: RESTORE, make: (folder) => ({ restore: folder!, force: false }) },
  { pattern: "restore --force <folder>", about: RESTORE, make: (folder) => ({ restore: folder!, force: true }) },
  ...onEnvelopes("resume envelope", "resume-envelope", "resumed", "Ends the suspension of envelopes."),
  ...onSubsystems("resume", "Ends a pause of deliveries, relaying, or sessions."),
  {
    pattern: "resume route <routeid>",
    about: "Enables a route that was disabled after errors; 0 is all of them.",
    make: (id) => act({ do: "resume-route", route: Number(id) }),
  },
  ...onEnvelopes("schedule", "schedule", "scheduled", "Makes envelopes due at once."),
  {
    pattern: "setup",
    about: "Makes this machine a mail host: asks, writes the configuration and keys, prints the records, sends a mail.",
    make: () => ({ setup: orderOf(new Map()) }),
    options: SETUP_OPTIONS,
    makeOf: (given) => ({ setup: orderOf(given) }),
  },
  {
    pattern: "show certificates",
    about: "Lists the certificates in use: where each is from, when it ends, whether obtaining the next one fails.",
    make: () => show({ do: "show-certificates" }),
  },
  {
    pattern: "show damaged",
    about: "Lists what could not be read in the spool and is set aside.",
    make: () => show({ do: "show-damaged" }),
  },
  {
    pattern: "show envelope <evpid>",
    about: "Prints what is known of an envelope.",
    make: (id) => show({ do: "show-envelope", envelope: parseEnvelopeId(id!)! }),
  },
  {
    pattern: "show hosts",
    about: "Lists the hosts that mail is relayed to.",
    make: () => show({ do: "show-relay", what: "hosts" }),
  },
  {
    pattern: "show hoststats",
    about: "Lists the last answer of each domain that mail is relayed to.",
    make: () => show({ do: "show-relay", what: "hoststats" }),
  },
  { pattern: "show message <msgid>", about: BODY, make: (id) => message(id!) },
  { pattern: "show message <evpid>", about: BODY, make: (id) => message(id!) },
  { pattern: "show queue", about: QUEUE, make: () => show({ do: "show-queue", message: null }) },
  {
    pattern: "show queue <msgid>",
    about: QUEUE,
    make: (id) => show({ do: "show-queue", message: parseMessageId(id!)! }),
  },
  {
    pattern: "show relays",
    about: "Lists the relays that mail waits for, with their connectors.",
    make: () => show({ do: "show-relay", what: "relays" }),
  },
  {
    pattern: "show routes",
    about: "Lists the routes to hosts, with their numbers and penalties.",
    make: () => show({ do: "show-relay", what: "routes" }),
  },
  { pattern: "show stats", about: "Prints all counters.", make: () => show({ do: "show-stats" }) },
  {
    pattern: "show status",
    about: "Tells what is paused, what is wrong with the spool, and which walls stand.",
    make: () => show({ do: "show-status" }),
  },
  {
    pattern: "reload",
    about: "Has smtpd read its configuration again; what is wrong with it is printed, and changes nothing.",
    make: () => act({ do: "reload" }),
  },
  { pattern: "stop", about: "Ends the daemon in good order.", make: () => act({ do: "stop" }) },
  {
    pattern: "story",
    about:
      "Tells what became of a message and why, by its id, that of an envelope or a session, a ref, or its Message-ID.",
    make: () => ({ story: storyOrderOf(new Map(), []) }),
    options: STORY_OPTIONS,
    operands: STORY_ID,
    makeOf: (given, words) => ({ story: storyOrderOf(given, words) }),
  },
  {
    pattern: "top",
    about: "Shows what goes on: rates, sessions, the queue by destination, the slowest hosts.",
    make: () => ({ top: topOrder(new Map()) }),
    options: TOP_OPTIONS,
    makeOf: (given) => ({ top: topOrder(given) }),
  },
  {
    pattern: "trace <str>",
    about: "Starts the trace lines of a subsystem, or of all, in the log.",
    make: (what) => act({ do: "trace", what: what as Trace }),
  },
  {
    pattern: "untrace <str>",
    about: "Ends the trace lines of a subsystem, or of all.",
    make: (what) => act({ do: "untrace", what: what as Trace }),
  },
  {
    pattern: "update dkim",
    about: "Loads the keys of DKIM again at once.",
    make: () => act({ do: "update-dkim" }),
  },
  { pattern: "update pki", about: "Loads certificates and keys again at once.", make: () => act({ do: "update-pki" }) },
  {
    pattern: "update table <str>",
    about: "Reads the file of a table again.",
    make: (table) => act({ do: "update-table", table: table! }),
  },
];
