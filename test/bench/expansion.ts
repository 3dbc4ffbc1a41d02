/** How long an alias with many recipients keeps the lookup isolate from answering others: the real isolate, asked by two at once. */

import { join } from "node:path";
import type { FromLookup, LookupSettings, ToLookup } from "../../src/protocol/mod.ts";
import { lookupFiles } from "../../src/lookup/mod.ts";
import { msgid } from "../ids.ts";
import { CLIENT, forAny, fromAny, local, mailbox, relay, rule } from "../rules/support.ts";

export interface ExpansionCost {
  readonly answerMs: number;
  /** Questions of somebody else that were answered meanwhile. */
  readonly others: number;
  readonly worstMs: number;
}

/** The middle one of several counts. */
const ROUNDS = 5;

function settingsOf(folder: string, path: string): LookupSettings {
  const includes = [`:include:${folder}/list`];
  return {
    shared: { serverName: "mail.example.org", version: "0", timeZone: "UTC", root: false },
    tables: {},
    tableFiles: { al: { name: "al", backend: "file", kind: "map", path, files: [path], includes } },
    programTables: [],
    authTables: [],
    saltKey: new Uint8Array(32),
    senderTables: [],
    hostnameTables: [],
    rules: [rule(), rule({ from: fromAny, for: forAny, action: "out" })],
    actions: { a: local("a", { alias: "al" }), out: relay("out") },
    subAddressDelimiter: "+",
    localAddresses: ["127.0.0.1"],
    envelopeMacKey: new Uint8Array(32),
    commandUser: "_smtpd",
    resolver: { servers: [], timeoutMs: 100, attempts: 1, hosts: [] },
  };
}

/** `local` recipients are addresses of this machine, each with an alias of its own. */
export async function measureExpansion(
  folder: string,
  kind: "relayed" | "local",
  recipients: number,
): Promise<ExpansionCost> {
  const each = (line: (index: number) => string) =>
    Array.from({ length: recipients }, (_, index) => line(index)).join("");
  const path = join(folder, `aliases-${kind}`);
  await Deno.writeTextFile(
    join(folder, "list"),
    each((i) => `u${i}@${kind === "local" ? "localhost" : "example.net"}\n`),
  );
  await Deno.writeTextFile(
    path,
    `team: :include:${folder}/list\nsmall: bob@example.net\n${each((i) => `u${i}: x@example.net\n`)}`,
  );
  const settings = settingsOf(folder, path);
  const read = lookupFiles(settings);
  const worker = new Worker(new URL("../../workers/lookup.ts", import.meta.url), {
    type: "module",
    deno: { permissions: { read, env: false, net: false, run: false, write: false, ffi: false, sys: false } },
  });
  const other = new Worker(new URL("./asker.ts", import.meta.url), { type: "module" });
  try {
    const ready = new Promise<void>((resolve) => {
      worker.onmessage = ({ data }) => data.type === "ready" && resolve();
    });
    worker.postMessage({ type: "start", role: "lookup", index: 0, settings, verbose: false, traces: [] });
    await ready;
    const door = (peer: number) => {
      const { port1, port2 } = new MessageChannel();
      worker.postMessage({ type: "door", name: "smtp-lookup", peer, life: 1, port: port2 }, [port2]);
      return port1;
    };
    const port = door(0), otherPort = door(1);
    other.postMessage({ port: otherPort, question: question("small") }, [otherPort]);
    const costs: ExpansionCost[] = [];
    for (let round = 0; round < ROUNDS; round++) costs.push(await measureOnce(port, other, recipients));
    port.close();
    return costs.sort((one, next) => one.worstMs - next.worstMs)[ROUNDS >> 1]!;
  } finally {
    worker.terminate();
    other.terminate();
  }
}

function question(user: string): Extract<ToLookup, { type: "expand" }> {
  const rcpt = mailbox(`${user}@localhost`);
  return { type: "expand", call: 1, message: msgid("00000001"), origin: CLIENT, tls: false, sender: null, rcpt };
}

async function measureOnce(port: MessagePort, other: Worker, recipients: number): Promise<ExpansionCost> {
  const nextReport = () =>
    new Promise<{ others: number; worstMs: number }>((resolve) => other.onmessage = ({ data }) => resolve(data));
  const going = nextReport();
  other.postMessage("go");
  await going;
  const started = performance.now();
  const answer = await new Promise<FromLookup>((resolve) => {
    port.onmessage = ({ data }) => resolve(data[0]);
    port.postMessage([question("team")]);
  });
  const answerMs = performance.now() - started;
  if (answer.type !== "expanded" || !answer.result.ok || answer.result.targets.length !== recipients) {
    throw new Error(`The expansion failed: ${JSON.stringify(answer).slice(0, 200)}`);
  }
  const done = nextReport();
  other.postMessage("stop");
  return { answerMs, ...await done };
}
