/**
 * What is explained is what happens: the explanation of generated configurations and messages is compared with the isolates in one process. By default
 * some; `VAULTPOST_TEST_EXPLAIN=10000` tries so many, `VAULTPOST_TEST_EXPLAIN=4711:1` one from that seed on. A failure is made smaller before it is told.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Deliverable, type EnvelopeContent } from "../../src/envelope/mod.ts";
import type { Config } from "../../src/config/mod.ts";
import type { Settings } from "../../src/protocol/mod.ts";
import { type Envelope } from "../../src/explain/client.ts";
import { explain, type RecipientResult } from "../../src/explain/explain.ts";
import { Front } from "../../src/explain/front.ts";
import { goalOf } from "../../src/explain/goals.ts";
import { ANY_PASSWORD } from "../../src/explain/order.ts";
import { FixtureDns } from "../mail_auth/fixture_dns.ts";
import { parse } from "../config/helper.ts";
import { type Case, FILES, generate, NAMES, PASSWORD, smaller, ZONES } from "./generate.ts";
import { RealThing } from "./real_thing.ts";
import { AT, machineOf, settingsOf } from "./support.ts";

/** How many of the suite, and how long they may take together, in milliseconds. */
const USUAL_CASES = 1000, LIMIT_MS = 5000;
/** Tries to make a failed case smaller. */
const MAX_SHRINK_TRIES = 2000;

const namer = {
  reverse: (address: string) => {
    const [hostname, confirmed] = NAMES[address] ?? ["<unknown>", "error"];
    return Promise.resolve({ hostname, confirmed });
  },
};

/** The same case both ways; null for a configuration that is refused. */
interface Both {
  readonly explained: Outcome;
  readonly real: Outcome;
  readonly results: readonly RecipientResult[];
  /** Lines of the rules that have matched in the real thing. */
  readonly matched: ReadonlySet<string>;
}

/** What the client was told, what the queue has, and what delivery and relay would be told to do. */
interface Outcome {
  readonly replies: readonly string[];
  readonly envelopes: readonly object[];
  readonly text: string;
  readonly goals: readonly string[];
}

async function both(one: Case): Promise<Both | null> {
  const parsed = parse(one.lines.join("\n") + "\n", { files: FILES });
  if (!parsed.ok) return null;
  const { config } = parsed;
  let settings: Settings;
  try {
    settings = await settingsOf(config);
  } catch {
    return null;
  }
  const listener = settings.smtp.listeners[one.listener];
  if (listener === undefined) return null;
  const peer = listener.socket
    ? { address: "local", port: 0, uid: null }
    : { address: one.peer, port: 4321, uid: null, local: listener.address };
  const envelope: Envelope = {
    listener: one.listener,
    peer,
    helo: one.helo,
    tls: one.tls,
    login: one.login === null ? null : { user: one.login, password: ANY_PASSWORD },
    sender: one.sender,
    recipients: one.recipients,
  };
  const message = Buffer.from(one.message.join("\n") + "\n");
  const { explained, results } = await explainedOutcome(one, envelope, message, { config, settings });
  return { explained, results, ...await realOutcome(one, envelope, message, { config, settings }) };
}

interface Given {
  readonly config: Config;
  readonly settings: Settings;
}

function frontFor(one: Case, settings: Settings): Front {
  return new Front(settings, {
    machine: machineOf({ forwards: one.forwards, files: FILES }),
    namer,
    dns: new FixtureDns(ZONES),
    now: () => AT,
    anyPassword: ANY_PASSWORD,
  });
}

async function explainedOutcome(
  one: Case,
  envelope: Envelope,
  message: Uint8Array,
  { config, settings }: Given,
): Promise<Pick<Both, "explained" | "results">> {
  const front = frontFor(one, settings);
  const { results, dialogue: { exchanges, taken } } = await explain(envelope, message, {
    config,
    front,
    programs: false,
  });
  const explained = {
    replies: exchanges.flatMap(({ reply }) => reply === null ? [] : reply.join("\n")),
    envelopes: taken?.envelopes.map(shownEnvelope) ?? [],
    text: taken === null ? "" : shownText(Buffer.from(taken.text).toString("latin1")),
    goals: [] as string[],
  };
  if (taken !== null) {
    const accepted = results.filter(({ text }) => !/^[45]\d\d /.test(text) && !text.startsWith("the connection"));
    explained.goals = [...new Set(accepted.flatMap(({ text }) => text.split("; ")))].sort();
  }
  return { explained, results };
}

async function realOutcome(
  one: Case,
  envelope: Envelope,
  message: Uint8Array,
  { config, settings }: Given,
): Promise<Pick<Both, "real" | "matched">> {
  const real = new RealThing(settings, {
    machine: machineOf({ forwards: one.forwards, files: FILES }),
    dns: new FixtureDns(ZONES),
    namer,
    now: () => AT,
  });
  const client = real.connect(envelope.listener, envelope.peer, one.piece);
  const replies = (await dialogue(client, one, message)).map((reply) => reply.replaceAll("\r\n", "\n"));
  client.leave();
  const stored = real.stored[0];
  const lookups = frontFor(one, settings).lookups;
  const goals = new Set<string>();
  for (const content of stored?.envelopes ?? []) {
    goals.add(await goalOf(deliverableOf(content), { actions: config.actions, lookups, rcpt: content.rcpt }));
  }
  const outcome: Outcome = {
    replies,
    envelopes: stored?.envelopes.map(shownEnvelope) ?? [],
    text: stored === undefined ? "" : shownText(stored.text),
    goals: [...goals].sort(),
  };
  return { real: outcome, matched: real.matched };
}

/** What a client says that wants to send: recipients all at once, and the message behind 354. */
async function dialogue(
  client: ReturnType<RealThing["connect"]>,
  one: Case,
  message: Buffer | Uint8Array,
): Promise<string[]> {
  const all: string[] = [];
  const isGood = () => /^[23]/.test(all.at(-1) ?? "");
  const say = async (octets: string | Uint8Array, replies = 1) => {
    if (client.closed) return false;
    all.push(...await client.say(octets, replies));
    return isGood();
  };
  all.push(...await client.take(1));
  if (!isGood()) return all;
  if (!await say(`EHLO ${one.helo}\r\n`)) return all;
  if (one.tls && !client.secured) {
    if (!await say("STARTTLS\r\n")) return all;
    if (!await say(`EHLO ${one.helo}\r\n`)) return all;
  }
  if (one.login !== null) {
    const password = one.login === "alice" ? PASSWORD : "wrong";
    if (!await say(`AUTH PLAIN ${Buffer.from(`\0${one.login}\0${password}`).toString("base64")}\r\n`)) return all;
  }
  const utf8 = /[^\0-\x7f]/.test([one.sender, ...one.recipients].join("")) ? " SMTPUTF8" : "";
  if (!await say(`MAIL FROM:<${one.sender}>${utf8}\r\n`)) return all;
  const before = all.length;
  await say(one.recipients.map((rcpt) => `RCPT TO:<${rcpt}>\r\n`).join(""), one.recipients.length);
  if (!all.slice(before).some((reply) => reply.startsWith("2")) || client.closed) return all;
  if (await say("DATA\r\n") && all.at(-1)!.startsWith("354")) {
    const text = Buffer.from(message).toString("latin1").replace(/(?<!\r)\n/g, "\r\n").replace(/(^|\n)\./g, "$1..");
    await say(Buffer.from(`${text}.\r\n`, "latin1"));
  }
  await say("QUIT\r\n");
  return all;
}

/** Ids are drawn by chance. */
function shownEnvelope(
  { id: _, mac: _mac, oncePer: _per, ...rest }: EnvelopeContent & { readonly oncePer?: unknown },
): object {
  return JSON.parse(
    JSON.stringify({ ...rest, subAddress: rest.subAddress || null, exec: rest.exec || null, user: rest.user ?? null }),
  ) as object;
}

/** So are those of messages that come without one. */
function shownText(text: string): string {
  return text.replace(/^Message-ID: <[0-9a-f]{16}@/gm, "Message-ID: <*@");
}

function deliverableOf(content: EnvelopeContent): Deliverable {
  const { agent, action, dest, user = "", subAddress = "", exec = "" } = content;
  return agent === "mta" ? { agent, action, dest } : { agent: "mda", action, dest, user, subAddress, exec };
}

/** Throws an AssertionError where what is explained is not what happens. */
function compare(one: Case, { explained, real, results, matched }: Both): void {
  assert.deepEqual(explained, real);
  assert.equal(results.length, one.recipients.length);
  for (const { text, where } of results) {
    if (/^[45]\d\d /.test(text) || text.startsWith("the connection")) continue;
    assert.ok(
      where !== null && matched.has(`${where.file}:${where.line}`),
      `${text}: no rule of ${where?.line} has matched`,
    );
  }
}

/** Null where both are the same, or the configuration is refused. */
async function difference(one: Case): Promise<string | null> {
  const outcome = await both(one);
  if (outcome === null) return null;
  try {
    compare(one, outcome);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

async function shrink(one: Case): Promise<Case> {
  let tries = 0;
  for (;;) {
    let found: Case | null = null;
    for (const next of smaller(one)) {
      if (++tries > MAX_SHRINK_TRIES) return one;
      if (await difference(next) === null) continue;
      found = next;
      break;
    }
    if (found === null) return one;
    one = found;
  }
}

/** What was met: a test in which all is refused shows nothing. */
interface Tally {
  refusedConfigs: number;
  stored: number;
  envelopes: number;
  readonly codes: Map<string, number>;
}

async function tryAll(
  first: number,
  count: number,
  limitMs: number,
): Promise<{ readonly tried: number; readonly tally: Tally }> {
  const tally: Tally = { refusedConfigs: 0, stored: 0, envelopes: 0, codes: new Map() };
  const start = performance.now();
  let tried = 0;
  for (; tried < count && performance.now() - start < limitMs; tried++) {
    const one = generate(first + tried), outcome = await both(one);
    if (outcome === null) {
      tally.refusedConfigs++;
      continue;
    }
    const { real } = outcome;
    try {
      compare(one, outcome);
    } catch {
      const small = await shrink(one);
      assert.fail(`seed ${first + tried}:\n${JSON.stringify(small, null, 1)}\n${await difference(small)}`);
    }
    if (real.envelopes.length > 0) tally.stored++;
    tally.envelopes += real.envelopes.length;
    for (const reply of real.replies) {
      const code = reply.slice(-3) === "" ? "" : reply.slice(0, 3);
      tally.codes.set(code, (tally.codes.get(code) ?? 0) + 1);
    }
  }
  return { tried, tally };
}

Deno.test("what is explained of generated configurations and messages is what happens", async () => {
  const [number = `${USUAL_CASES}`, seed] = (Deno.env.get("VAULTPOST_TEST_EXPLAIN") ?? `${USUAL_CASES}`).split(":")
    .reverse();
  const asked = Deno.env.get("VAULTPOST_TEST_EXPLAIN") !== undefined;
  const { tried, tally } = await tryAll(Number(seed ?? 1), Number(number), asked ? Infinity : LIMIT_MS);
  if (asked) {
    console.log(
      `${tried} tried, ${tally.refusedConfigs} configurations refused, ${tally.stored} messages stored, ${tally.envelopes} envelopes`,
    );
    console.log([...tally.codes].sort().map(([code, times]) => `${code}: ${times}`).join(", "));
  }
  if (tried >= 100) {
    assert.ok(tally.refusedConfigs < tried / 4, `${tally.refusedConfigs} of ${tried} configurations are refused`);
    assert.ok(tally.stored > tried / 10, `${tally.stored} of ${tried} messages are stored`);
  }
});

Deno.test("the same seed makes the same case, and a case is made smaller part by part", () => {
  assert.deepEqual(generate(7), generate(7));
  assert.notDeepEqual(generate(7), generate(8));
  const one = generate(7);
  const size = (some: Case) => JSON.stringify(some).length;
  for (const next of smaller(one)) {
    assert.ok(size(next) < size(one) || next.login === null || !next.tls || next.piece === 5000);
  }
});
