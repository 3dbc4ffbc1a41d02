/**
 * What is explained about relaying is what the relay does: thousands of generated actions, envelopes, zones and hosts, each through the relay itself
 * with hosts that are scripted, and through `planRoute`. EXPLAIN_CASES has other numbers of cases than the suite.
 */

import assert from "node:assert/strict";
import { DEFAULT_RELAY_LIMITS } from "../../src/config/defaults.ts";
import type { RelayAction, RelayLimits } from "../../src/config/mod.ts";
import { type EnvelopeContent, type Handling, NO_DSN } from "../../src/envelope/mod.ts";
import { planRoute, type RoutePlan } from "../../src/explain/route_plan.ts";
import { sentTo } from "../../src/explain/route.ts";
import type { RelaySource } from "../../src/protocol/mod.ts";
import { relayedSender } from "../../src/relay/routes/sender.ts";
import { helloName, type Target } from "../../src/relay/routes/target.ts";
import { bodyOf, isEightBit, parseCapabilities, wireOctets } from "../../src/smtp_client/mod.ts";
import { seeded } from "../crash/random.ts";
import { FakeClock } from "../fake_clock.ts";
import { evpid } from "../ids.ts";
import { ACTION, names, NOT_OWN, relayWorld, type WorldOptions } from "../relay/world.ts";
import { type Script, scriptedHosts, type Seen } from "./scripted_hosts.ts";

const CASES = Number(Deno.env.get("EXPLAIN_CASES") ?? 1000);
const FIRST_SEED = 20_260_000;
const SRS = { key: "secret", backupKey: null, ttlDays: 4 };
const NOW = Date.UTC(2026, 0, 1);

/** Draws for one case. */
class Dice {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  is(share: number): boolean {
    return this.random() < share;
  }

  one<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  some<T>(list: readonly T[], share: number): T[] {
    return list.filter(() => this.is(share));
  }
}

const NAMES = ["a.test", "b.test", "c.test", "d.test", "me.test", "fail.test", "nowhere.test"];
const ADDRESSES = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::2", "2001:db8::3"];
const DOMAINS = ["x.test", "y.test", "[192.0.2.4]", "[IPv6:2001:db8::2]", "[nonsense]"];
const URLS = [
  ...["smtp://a.test", "smtp://b.test:2525", "smtp+tls://c.test", "smtps://d.test", "smtp+notls://a.test"],
  ...["smtps://label@a.test", "smtp+tls://other@b.test:587", "lmtp://c.test:24", "smtp://[192.0.2.1]"],
  ...["smtp+tls://[2001:db8::1]", "gopher://a.test", "smtp://x.test", "d.test", "smtp://192.0.2.9"],
];

interface Case {
  readonly action: RelayAction;
  readonly options: Pick<WorldOptions, "mx" | "addresses">;
  readonly own: ReadonlySet<string>;
  readonly urls: readonly string[];
  readonly sources: readonly RelaySource[];
  readonly limits: RelayLimits;
  readonly domainLimits: Readonly<Record<string, RelayLimits>>;
  readonly scripts: ReadonlyMap<string, Script>;
  readonly envelope: EnvelopeContent;
  readonly body: string;
  readonly drawn: number;
}

function caseOf(seed: number): Case {
  const dice = new Dice(seed);
  const mx: Record<string, [number, string][] | "nxdomain" | "nodata" | "temporary" | "invalid"> = {};
  for (const domain of ["x.test", "y.test"]) {
    mx[domain] = dice.is(0.15) ? dice.one(["nxdomain", "nodata", "temporary", "invalid"] as const) : mxRecords(dice);
  }
  const addresses: Record<string, string[]> = {};
  for (const name of ["a.test", "b.test", "c.test", "d.test", "x.test"]) {
    if (dice.is(0.9)) addresses[name] = byFamily(dice.some(ADDRESSES, 0.35));
  }
  const scripts = new Map(ADDRESSES.filter(() => dice.is(0.6)).map((address) => [address, scriptOf(dice)]));
  const action = actionOf(dice);
  const limits = limitsOf(dice);
  const domainLimits: Record<string, RelayLimits> = dice.is(0.3)
    ? { [dice.one(["x.test", "a.test"])]: limitsOf(dice) }
    : {};
  return {
    ...{ action, options: { mx, addresses }, own: new Set(dice.some(["me.test", "192.0.2.3", "c.test"], 0.25)) },
    urls: action.host !== null || action.domain !== null ? urlsOf(dice, action) : [],
    sources: action.src === null
      ? []
      : dice.some(["198.51.100.1", "198.51.100.2", "2001:db8:1::1"], 0.6).map((address) => ({
        address,
        helo: dice.is(0.5) ? null : "source.test",
      })),
    ...{ limits, domainLimits, scripts, envelope: envelopeOf(dice) },
    body: dice.is(0.5) ? "Subject: x\n\nbody\n" : "Subject: x\n\nbödy\n",
    drawn: Math.floor(dice.random() * 2 ** 31),
  };
}

/** As a resolver has them. */
function byFamily(addresses: readonly string[]): string[] {
  return [...addresses].sort((one, other) => Number(one.includes(":")) - Number(other.includes(":")));
}

function mxRecords(dice: Dice): [number, string][] {
  if (dice.is(0.06)) return [[0, ""]];
  const records = dice.some(NAMES, 0.4).map((name): [number, string] => [dice.one([10, 10, 20, 30]), name]);
  if (records.length === 0) records.push([10, "a.test"]);
  if (dice.is(0.1)) records.push([40, "localhost"]);
  return records.sort(([one], [other]) => one - other);
}

function scriptOf(dice: Dice): Script {
  const all = ["PIPELINING", "8BITMIME", "SMTPUTF8", "REQUIRETLS", "DSN", "AUTH PLAIN", "SIZE 1000000", "SIZE 10"];
  return {
    up: dice.is(0.5),
    tls: dice.one(["none", "offered", "offered", "broken"]),
    verified: dice.is(0.6),
    keywords: dice.some(all, 0.6),
  };
}

function actionOf(dice: Dice): RelayAction {
  const way = dice.one(["mx", "mx", "host", "domain"] as const);
  return {
    ...{ ...ACTION, name: "out" },
    host: way === "host" ? "hosts" : null,
    domain: way === "domain" ? "hosts" : null,
    tls: dice.one([null, null, "verify", "no-verify"] as const),
    auth: dice.is(0.7) ? "secrets" : null,
    src: dice.is(0.3) ? "sources" : null,
    helo: dice.is(0.3) ? "helo.test" : null,
    mailFrom: dice.one([null, null, "@m.test", "user", "who@m.test"]),
    srs: dice.is(0.4),
    backup: way === "mx" && dice.is(0.15) ? { mx: dice.one([null, "b.test", "B.test"]) } : null,
  };
}

function urlsOf(dice: Dice, { host }: RelayAction): string[] {
  const some = dice.some(URLS, host === null ? 0.1 : 0.2);
  return host === null ? some.slice(0, 1) : some;
}

function limitsOf(dice: Dice): RelayLimits {
  return {
    ...DEFAULT_RELAY_LIMITS,
    family: dice.one([null, null, null, 4, 6] as const),
    ...dice.is(0.15) ? { connDelayRelay: dice.one([1, 4, 20]) } : {},
    ...dice.is(0.1) ? { connDelayDomain: dice.one([1, 7]) } : {},
  };
}

function envelopeOf(dice: Dice): EnvelopeContent {
  const rcpt = { local: dice.one(["r", "R", "ü"]), domain: dice.one(["x.test", "X.test", "fwd.test"]) };
  const handling: Handling = {
    ...dice.is(0.1) ? { requireTls: true as const } : {},
    ...dice.is(0.2) ? { smtpUtf8: true as const } : {},
    ...dice.is(0.1) ? { utf8Header: true as const } : {},
  };
  return {
    id: evpid("0000000100000001"),
    sender: dice.is(0.15) ? null : { local: dice.one(["s", "SRS0=abcd=ZZ=o.test=u", "ß"]), domain: "o.test" },
    rcpt,
    dest: { local: dice.one(["r", "d", "ü"]), domain: dice.one(DOMAINS) },
    origin: {
      ...{ address: "local", hostname: "localhost", helo: "localhost", smtpname: "me", tag: "", username: "" },
      authenticated: true,
    },
    dsn: NO_DSN,
    ...{ action: "out", agent: "mta", internal: false, createdAt: 0 },
    ...Object.keys(handling).length === 0 ? {} : { handling },
  };
}

/** A list of which each question begins one further. */
function inTurn<T>(list: readonly T[]): () => T[] {
  let turn = 0;
  return () => {
    const start = turn++;
    return list.map((_, at) => list[(start + at) % list.length]!);
  };
}

const CREDENTIALS = (_action: string, label: string) =>
  label === "label" ? { user: "u", password: "p" } : "label" as const;

function ownOf({ own }: Case) {
  return { ...NOT_OWN, name: (name: string) => own.has(name), address: (address: string) => own.has(address) };
}

async function planOf(one: Case): Promise<RoutePlan> {
  const sources = inTurn(one.sources);
  return await planRoute(one.envelope, {
    settings: {
      shared: { serverName: "relay.example.org", version: "1", timeZone: "UTC", root: false },
      actions: { out: one.action },
      ...{ limits: one.limits, domainLimits: one.domainLimits },
    },
    lookups: {
      smarthosts: () => [...one.urls],
      sources: () => sources(),
      relayCredentials: CREDENTIALS,
    },
    ...{ names: names(one.options), own: ownOf(one), random: seeded(one.drawn), mxPort: 25 },
  });
}

interface Done {
  readonly seen: readonly Seen[];
  readonly outcome: string;
}

/** Lets the relay do it, second by second as far as it waits. */
async function doneBy(one: Case): Promise<Done> {
  const clock = new FakeClock(NOW);
  const hosts = scriptedHosts(one.scripts, clock.steady);
  const { rcpt, dest, sender, handling } = one.envelope;
  const world = relayWorld({
    ...one.options,
    actions: { out: one.action },
    ...{ limits: one.limits, domainLimits: one.domainLimits, srs: SRS },
    smarthost: () => one.urls[0] ?? null,
    otherSmarthosts: one.urls.slice(1),
    ...{ sources: inTurn(one.sources), credentials: CREDENTIALS },
    tools: { clock, connect: hosts.connect, own: ownOf(one), random: seeded(one.drawn) },
  });
  const [id] = world.send({
    rcpts: [`${dest.local}@${dest.domain}`],
    original: `${rcpt.local}@${rcpt.domain}`,
    sender: sender === null ? null : `${sender.local}@${sender.domain}`,
    body: one.body,
    ...handling === undefined ? {} : { handling },
  });
  for (let second = 0; second < 5000 && !world.outcomes.has(id!); second++) {
    for (let turn = 0; turn < 400 && !world.outcomes.has(id!); turn++) await Promise.resolve();
    if (!world.outcomes.has(id!)) clock.advance(1000);
  }
  const outcome = world.outcomes.get(id!);
  assert.ok(outcome !== undefined, "the relay comes to an end");
  void world.stop();
  for (let turn = 0; turn < 40; turn++) await Promise.resolve();
  return { seen: hosts.seen, outcome: `${outcome.result} ${outcome.text}` };
}

/** What one host must have seen of a connection, by what was explained; null for one that is ready for mail behind it. */
interface Expected {
  readonly connection: object;
  readonly ready: boolean;
}

function expectedOf(target: Target, tried: { host: string; address: string }, script: Script | undefined): Expected[] {
  const base = { address: tried.address, port: target.port, source: target.source?.address ?? null, lmtp: target.lmtp };
  if (script?.up !== true) return [{ connection: { ...base, tls: null, hello: null, login: false }, ready: false }];
  const hello = `${target.lmtp ? "LHLO" : "EHLO"} ${helloName(target, "relay.example.org")}`;
  const works = script.tls === "offered" && (!target.verify || script.verified);
  const tls = { name: tried.host, verify: target.verify, implicit: target.tls === "implicit" };
  const login = target.label !== "";
  const clear = { connection: { ...base, tls: null, hello, login: false }, ready: true };
  switch (target.tls) {
    case "never":
      return [clear];
    case "implicit":
      return [{ connection: { ...base, tls, hello: works ? hello : null, login: login && works }, ready: works }];
    case "mandatory":
      if (script.tls === "none") return [{ ...clear, ready: false }];
      return [{ connection: { ...base, tls, hello, login: login && works }, ready: works }];
    case "opportunistic":
      if (script.tls === "none") return [clear];
      if (works) return [{ connection: { ...base, tls, hello, login: false }, ready: true }];
      return [{ connection: { ...base, tls, hello, login: false }, ready: false }, clear];
  }
}

function shownOf({ address, port, source, lmtp, tls, lines, at }: Seen): object {
  const hello = lines.find((line) => /^[EL]HLO /.test(line)) ?? null;
  // Who does not offer AUTH is not asked.
  const login = lines.some((line) => line.startsWith("AUTH "));
  return { address, port, source, lmtp, tls, hello, login, at: at - NOW };
}

/** Compares what was explained with what was done; returns what kind of end it had. */
async function compare(one: Case): Promise<string> {
  const plan = await planOf(one);
  const { seen, outcome } = await doneBy(one);
  const { requireTls = false } = one.envelope.handling ?? {};
  if (plan.end !== null) {
    assert.deepEqual(seen, [], "nothing is tried");
    assert.equal(outcome, `${plan.end.result} ${plan.end.reason.text}`);
    return "no host";
  }
  const wanted: object[] = [];
  let ready: { target: Target; address: string; tls: boolean } | null = null;
  for (const { target, tries } of plan.legs) {
    for (const { exchanger, afterMs } of tries) {
      const script = one.scripts.get(exchanger.address);
      const expected = expectedOf(target, exchanger, script);
      wanted.push(...expected.map(({ connection }) => ({ ...connection, at: afterMs })));
      const last = expected.at(-1)!;
      const loginFails = target.label !== "" && !script?.keywords.includes("AUTH PLAIN");
      if (!last.ready || loginFails) continue;
      ready = { target, address: exchanger.address, tls: (last.connection as { tls: unknown }).tls !== null };
      break;
    }
    if (ready !== null) break;
  }
  const made = seen.slice(0, wanted.length).map(shownOf);
  for (const [at, connection] of wanted.entries()) {
    const { address } = connection as { address: string };
    const login = (connection as { login: boolean }).login && one.scripts.get(address)!.keywords.includes("AUTH PLAIN");
    assert.deepEqual(made[at], { ...connection, login }, `connection ${at + 1}`);
  }
  if (ready === null) {
    assert.equal(seen.length, wanted.length, "no more than was explained");
    assert.match(outcome, /^tempfail /);
    return "nobody takes it";
  }
  return mailCompared(one, seen.slice(wanted.length - 1), { ...ready, requireTls }, outcome);
}

function mailCompared(
  one: Case,
  [first, ...others]: readonly Seen[],
  { address, tls, requireTls }: { readonly address: string; readonly tls: boolean; readonly requireTls: boolean },
  outcome: string,
): string {
  const { keywords, verified } = one.scripts.get(address)!;
  const capabilities = parseCapabilities({ code: 250, text: "", lines: ["peer.test", ...keywords] });
  const sender = relayedSender(one.envelope, one.action, SRS, NOW);
  const octets = new TextEncoder().encode(one.body);
  const wire = { octets: WIRE_OCTETS.get(one.body)!, eightBit: isEightBit(octets) };
  const sent = sentTo(one.envelope, sender, wire, { capabilities, tls: tls ? { verified } : null });
  const mail = first!.lines.find((line) => line.startsWith("MAIL ")) ?? null;
  if ("mail" in sent) {
    assert.equal(mail, sent.mail);
    assert.equal(others.length, 0, "no more than was explained");
    assert.equal(outcome, "ok 250 2.0.0 taken");
    return "sent";
  }
  assert.equal(mail, null, "what must not be sent is not");
  if (requireTls && sent.refusal.enhanced === "5.7.30") {
    // The hosts behind it may do.
    for (const { tls, lines } of others) assert.ok(tls !== null || !lines.some((line) => line.startsWith("MAIL ")));
    return "REQUIRETLS";
  }
  assert.equal(others.length, 0, "no more than was explained");
  assert.equal(outcome, `permfail ${sent.refusal.text}`);
  return "refused here";
}

const WIRE_OCTETS = new Map<string, number>();

Deno.test(`what is explained about relaying is what is done, in ${CASES} generated cases`, async () => {
  for (const body of ["Subject: x\n\nbody\n", "Subject: x\n\nbödy\n"]) {
    WIRE_OCTETS.set(body, await wireOctets(bodyOf(new TextEncoder().encode(body))));
  }
  const ends = new Map<string, number>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed++) {
    const one = caseOf(seed);
    try {
      const end = await compare(one);
      ends.set(end, (ends.get(end) ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}\n${Deno.inspect(one, { depth: 6 })}`, {
        cause: error,
      });
    }
  }
  for (const end of ["no host", "nobody takes it", "sent", "REQUIRETLS", "refused here"]) {
    assert.ok((ends.get(end) ?? 0) > CASES / 200, `${end}: ${ends.get(end)}`);
  }
});
