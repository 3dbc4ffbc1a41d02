/**
 * How long look-ups in the history take: `scripts/bench history [--messages N] [--distinct N] [--folder FOLDER] [--keep] [--drop-caches]`. Makes a store of N messages with the store's own
 * code, 10,000,000 without the option, and looks in it for each key: with the files opened anew, and warm. `--drop-caches`, as root, drops the system's caches before the former, those of
 * all else on the machine too.
 * With `--distinct` it makes so many, and copies their segments until there are as many as there should be: that takes a part of the time, and a look-up finds
 * each message in every copy.
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { Assembler, find, HistoryStore, story } from "../../src/history/mod.ts";
import type { HistoryQuery } from "../../src/protocol/mod.ts";
import { eventsOf, type MadeMessage, madeMessage } from "./history_events.ts";

/** Octets that one message takes, as measured. */
const MESSAGE_BYTES = 400;
/** Look-ups of each kind. */
const COLD = 20, WARM = 200;
/** Messages that are written together, as within half a second of a busy host. */
const BATCH = 1_000;
const MAX_MESSAGES = 100_000_000;

const usage =
  "usage: scripts/bench history [--messages NUMBER] [--distinct NUMBER] [--folder FOLDER] [--keep] [--drop-caches]";
function fail(text: string): never {
  console.error(text);
  Deno.exit(1);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: {
        ...{ messages: { type: "string" }, distinct: { type: "string" }, folder: { type: "string" } },
        ...{ keep: { type: "boolean" }, "drop-caches": { type: "boolean" } },
      },
    });
    const messages = Number(values.messages ?? 10_000_000), distinct = Number(values.distinct ?? messages);
    if (!Number.isSafeInteger(distinct) || distinct < 1_000 || distinct > messages) {
      fail("--distinct takes a number from 1000 to that of the messages");
    }
    if (!Number.isSafeInteger(messages) || messages < 1_000 || messages > MAX_MESSAGES) {
      fail(`--messages takes a number from 1000 to ${MAX_MESSAGES}`);
    }
    return {
      messages,
      distinct,
      folder: values.folder ?? "/tmp",
      keep: values.keep === true,
      drops: values["drop-caches"] === true,
    };
  } catch (error) {
    fail(`${(error as Error).message}\n${usage}`);
  }
}

const { messages, distinct: count, folder: parent, keep, drops } = readOptions();
const folder = await Deno.makeTempDir({ dir: parent, prefix: "vaultpost-history-" });
const path = join(folder, "history");
const now = Date.now();
const BOUNDS = { policy: { keepMs: Infinity, maxBytes: Infinity }, reserve: { share: null, bytes: 0 } };
const openStore = () =>
  new HistoryStore({ ...BOUNDS, folder: path, now: Date.now, log: (_level, text) => console.error(text) });
const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(2)} GiB`;

function make(): void {
  console.log(`${messages} messages are made in ${folder}: some ${gib(messages * MESSAGE_BYTES)} of disk are needed`);
  const store = openStore();
  const assembler = new Assembler((owner, lines) => store.add(owner, lines));
  const began = performance.now();
  let made = 0, shown = began;
  for (let at = 0; at < count; at++) {
    const before = performance.now();
    const lines = eventsOf(madeMessage(at, count, now));
    made += performance.now() - before;
    for (const line of lines) assembler.take(line);
    if (at % BATCH === BATCH - 1) store.flush();
    if (performance.now() - shown < 30_000) continue;
    shown = performance.now();
    console.log(`${at + 1} messages after ${Math.round((shown - began) / 1000)} s, ${gib(store.bytes)}`);
  }
  store.flush();
  const seconds = (performance.now() - began - made) / 1000;
  store.tend();
  const { bytes, segments } = store.state;
  store.close();
  console.log(
    `written in ${seconds.toFixed(0)} s: ${(seconds * 1e6 / count).toFixed(1)} us per message, ` +
      `${Math.round(bytes / count)} octets per message, ${gib(bytes)} in ${segments} segments`,
  );
}

/** Copies segments under numbers of their own until there are enough messages. */
function copy(): void {
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => name.endsWith(".db")).sort();
  let next = names.length;
  for (let copies = Math.round(messages / count) - 1; copies > 0; copies--) {
    for (const name of names) {
      Deno.copyFileSync(join(path, name), join(path, `${String(++next).padStart(8, "0")}.db`));
    }
  }
  const store = openStore();
  const { messages: all, bytes, segments } = store.state;
  store.close();
  console.log(`${all} messages in ${segments} segments of ${gib(bytes)}, ${count} of them distinct`);
}

/** Look-ups by the keys of smtpctl find. What is looked for is mostly in one message; some senders have thousands. */
const KEYS: Readonly<Record<string, (made: MadeMessage) => Partial<HistoryQuery> | { readonly story: string }>> = {
  "sender": ({ from }) => ({ from }),
  "recipient": ({ to }) => ({ to }),
  "domain": ({ domain }) => ({ domain }),
  "Message-ID": ({ messageId, refused, from }) => refused ? { from } : { messageId },
  "id of a message": ({ id, refused, session }) => ({ id: refused ? session : id }),
  "id of an envelope": ({ envelope, refused, session }) => ({ id: refused ? session : envelope }),
  "peer": ({ peer }) => ({ peer }),
  "login": ({ login, peer }) => login === "" ? { peer } : { login },
  "reply, a word of its own": ({ reply }) => ({ reply }),
  "reply, a phrase": () => ({ reply: "invalid recipient" }),
  "time": ({ at }) => ({ since: at - 1000, until: at + 1000 }),
  "outcome": ({ refused }) => ({ outcome: refused ? "refused" : "relayed" }),
  "sender and recipient": ({ from, to }) => ({ from, to }),
  "any key (a word)": ({ to }) => ({ words: [to] }),
  "nothing that is there": ({ id }) => ({ from: `nobody-${id}@nowhere.example` }),
  "a wildcard for a name": ({ domain, login }) => login === "" ? { from: `*@${domain}` } : { to: `*@${domain}` },
  "a wildcard for all (bounded)": ({ id }) => ({ to: `*${id}*` }),
  "story": ({ id, refused, session }) => ({ story: refused ? session : id }),
};

async function dropCaches(): Promise<boolean> {
  try {
    await new Deno.Command("sync").output();
    await Deno.writeTextFile("/proc/sys/vm/drop_caches", "3\n");
    return true;
  } catch {
    return false;
  }
}

function ask(store: HistoryStore, key: string, sample: number): number {
  // Spread over all that there is.
  const number = Math.floor(((sample * 0.6180339887) % 1) * count);
  const query = KEYS[key]!(madeMessage(number, count, now));
  const began = performance.now();
  if ("story" in query) {
    const { events } = story(store, query.story, { dialogues: false });
    if (events.length === 0) fail(`${key}: message ${number} is not found`);
  } else {
    // What takes more than one search is taken together, but for what is bounded by design.
    let before: string | null = "", count = 0;
    while (before !== null && count === 0) {
      const asked = { query: { words: [], ...query }, limit: 50, before };
      const { messages, next } = find(store, asked, () => performance.now());
      count = messages.length;
      before = /bounded/.test(key) ? null : next;
    }
    if (count === 0 && !/nothing|bounded/.test(key)) fail(`${key}: message ${number} is not found`);
  }
  return performance.now() - began;
}

function row(name: string, times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const part = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(1);
  return `${name.padEnd(38)} ${part(0.5).padStart(8)} ${part(0.95).padStart(8)} ${part(1).padStart(8)}`;
}

try {
  make();
  if (count < messages) copy();
  console.log(`\n${"ms".padEnd(38)} ${"p50".padStart(8)} ${"p95".padStart(8)} ${"max".padStart(8)}`);
  let slowest = 0;
  for (const key of Object.keys(KEYS)) {
    const cold: number[] = [];
    let dropped = true;
    for (let sample = 0; sample < COLD; sample++) {
      dropped = drops && await dropCaches();
      const store = openStore();
      cold.push(ask(store, key, sample));
      store.close();
    }
    const store = openStore();
    ask(store, key, 0);
    const warm = Array.from({ length: WARM }, (_, sample) => ask(store, key, COLD + sample));
    store.close();
    console.log(row(`${key}, ${dropped ? "cold" : "opened anew"}`, cold));
    console.log(row(`${key}, warm`, warm));
    slowest = Math.max(slowest, ...cold, ...warm);
  }
  console.log(`the slowest of all took ${slowest.toFixed(0)} ms`);
} finally {
  if (keep) console.log(`the store stays in ${folder}`);
  else await Deno.remove(folder, { recursive: true });
}
