/** A whole smtp service over memory: a wire that remembers, a lookup and a queue that answer as scripted, a clock that is moved by hand. */

import type { DmarcResult } from "../../src/mail_auth/dmarc_report/mod.ts";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { defaultLimits } from "../../src/config/limits.ts";
import { LISTEN_DEFAULTS } from "../../src/config/listen.ts";
import type { Event, Trace } from "../../src/events/mod.ts";
import type {
  AuthResult,
  Expansion,
  FilterToSession,
  FromLookup,
  Listener,
  Peer,
  QueueToSmtp,
  SessionToFilter,
  SmtpSettings,
  SmtpToQueue,
  ToLookup,
} from "../../src/protocol/mod.ts";
import type { Channel } from "../../src/isolate/mod.ts";
import type { AuthenticatorSource } from "../../src/smtp/message/authentication.ts";
import type { Connection } from "../../src/smtp/connection.ts";
import type { Wire } from "../../src/smtp/wire.ts";
import { checkProof, parseVerifier } from "../../src/sasl/mod.ts";
import { SmtpService } from "../../src/smtp/service.ts";
import { msgid } from "../ids.ts";

/** 2026-01-02T03:04:05Z */
export const EPOCH = Date.UTC(2026, 0, 2, 3, 4, 5);

const ENCODER = new TextEncoder();

/** Bytes of a text whose characters are all below 256. They share their buffer with nothing, so that it can be transferred. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const ascii = ENCODER.encode(text);
  if (ascii.length === text.length) return ascii;
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** A file of test/smtp/certificates. */
export function certificate(file: string): string {
  return Deno.readTextFileSync(new URL(`certificates/${file}`, import.meta.url));
}

export const PAIRS = {
  mx: { cert: certificate("mx.pem"), key: certificate("mx.key") },
  other: { cert: certificate("other.pem"), key: certificate("other.key") },
};

export function listener(changes: Partial<Listener> = {}): Listener {
  return {
    ...LISTEN_DEFAULTS,
    id: 0,
    address: "0.0.0.0",
    port: 25,
    local: false,
    socket: false,
    hostname: "mx.example.org",
    pki: ["mx", "other"],
    ...changes,
  };
}

export function settings(listeners: readonly Listener[], changes: Partial<SmtpSettings> = {}): SmtpSettings {
  return {
    shared: { serverName: "mx.example.org", version: "0", timeZone: "UTC", root: false },
    listeners,
    pki: PAIRS,
    ca: { authority: certificate("authority.pem") },
    ...defaultLimits("smtp"),
    maxMessageBytes: 36_700_160,
    bannerDelayMs: 0,
    trusted: [],
    idleTimeoutMs: 300_000,
    ...changes,
  };
}

/** A channel whose other side is a function; what it answers arrives in a later microtask, as over a port. */
export class FakeChannel<Out, In> implements Channel<Out, In> {
  onmessage: (message: In) => void = () => {};
  onreset: () => void = () => {};
  connected = true;
  readonly sent: Out[] = [];
  readonly #answer: (message: Out, channel: FakeChannel<Out, In>) => void;

  constructor(answer: (message: Out, channel: FakeChannel<Out, In>) => void) {
    this.#answer = answer;
  }

  send(message: Out, transfer?: Transferable[]): void {
    const posted = structuredClone(message, { transfer: transfer ?? [] }) as Out;
    this.sent.push(posted);
    queueMicrotask(() => this.#answer(posted, this));
  }
}

export class MemoryWire implements Wire {
  output = "";
  /** All that was ever written. */
  written = "";
  started = false;
  early = false;
  paused = false;
  handshakes = 0;
  closed = false;
  lingers = false;
  destroyed = false;
  /** False: the client does not read. */
  reads = true;
  start(): void {
    this.started = true;
  }
  write(text: string): boolean {
    this.output += text;
    this.written += text;
    return this.reads;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  secure(text: string): void {
    this.output += text;
    this.written += text;
    this.handshakes++;
  }
  end({ linger }: { readonly linger: boolean }): void {
    this.closed = true;
    this.lingers = linger;
  }
  destroy(): void {
    this.destroyed = this.closed = true;
  }
  /** What was written since the last call. */
  take(): string {
    const { output } = this;
    this.output = "";
    return output;
  }
}

/** What the queue has of one message. */
export interface Stored {
  readonly text: string;
  readonly commit: Extract<SmtpToQueue, { type: "commit" }>;
}

export interface WorldOptions {
  readonly listener?: Partial<Listener>;
  readonly settings?: Partial<SmtpSettings>;
  readonly peer?: Partial<Peer>;
  /** Where a recipient goes; null: lookup does not answer. */
  readonly expand?: (question: Extract<ToLookup, { type: "expand" }>) => Expansion | null;
  /** What the queue says to a commit; null: nothing. */
  readonly commit?: (commit: Extract<SmtpToQueue, { type: "commit" }>) => QueueToSmtp | null;
  /** False: credit is given by hand. */
  readonly credit?: boolean;
  readonly ids?: number;
  /** What the filter isolate is sent. */
  readonly filter?: (message: SessionToFilter, channel: FakeChannel<SessionToFilter, FilterToSession>) => void;
  /** Whose turn it is next: at once, in a microtask, unless set otherwise. */
  readonly soon?: (run: () => void) => void;
  /** Whether a key is in a table that filters look at. */
  readonly test?: (question: Extract<ToLookup, { type: "test" }>) => boolean;
  readonly traces?: readonly Trace[];
  readonly authenticators?: readonly AuthenticatorSource[];
}

export function delivered(question: { readonly rcpt: { readonly local: string; readonly domain: string } }): Expansion {
  const user = question.rcpt.local;
  const target = { agent: "mda", action: "inbox", dest: question.rcpt, user, subAddress: "", exec: "" } as const;
  return { ok: true, targets: [target], internal: [false] };
}

/** What `domain` says of a recipient in the golden dialogues: names say what happens to them. */
export function byName(question: Extract<ToLookup, { type: "expand" }>): Expansion | null {
  switch (question.rcpt.local) {
    case "nobody":
      return { ok: false, code: 550, text: "5.1.1 User unknown: <nobody@example.org>" };
    case "later":
      return { ok: false, code: 451, text: "4.3.0 Temporary failure: <later@example.org>" };
    case "broken":
      return { ok: false, code: 421, text: "4.3.0 Temporary Error" };
    case "silent":
      return null;
    case "nowhere":
      return { ok: true, targets: [], internal: [] };
    default:
      return delivered(question);
  }
}

/** RFC 7677 §3: user "user", password "pencil". */
const VERIFIER = parseVerifier(
  "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
)!;
/** What the server is called at its addresses; the second name is none. */
const OWN_NAMES: Record<string, string> = { "192.0.2.25": "in.example.org", "[2001:db8::25]": "no name" };

/** Only carol's password is right; "later" stands for a table that does not answer. */
function byPassword({ user, password }: Extract<ToLookup, { type: "authenticate" }>): AuthResult {
  if (password === "later") return "tempfail";
  return user === "carol" && password === "sesame" ? "ok" : "permfail";
}

type Refusal = Extract<Event, { type: "smtp-failed-command" | "smtp-bad-input" }>;

export class World {
  now = EPOCH;
  readonly events: Event[] = [];
  /** Those that report a refusal, by session: a world may have thousands of sessions. */
  readonly refusals = new Map<string, Refusal[]>();
  readonly lookup: FakeChannel<ToLookup, FromLookup>;
  readonly queue: FakeChannel<SmtpToQueue, QueueToSmtp>;
  readonly filter: FakeChannel<SessionToFilter, FilterToSession>;
  readonly service: SmtpService;
  /** Messages that were committed, in order. */
  readonly stored: Stored[] = [];
  readonly aborted: string[] = [];
  /** How often the queue was asked for more ids. */
  idsWanted = 0;
  readonly dmarcResults: DmarcResult[] = [];
  ended = 0;
  /** As lookup does: when logins from the client's address have failed. */
  #failures: number[] = [];
  readonly #chunks = new Map<string, string>();
  readonly #timers = new Set<{ readonly every: number; next: number; run(): void }>();
  readonly #peer: Peer;

  #blocked(client: string | null): boolean {
    return client !== null && this.#failures.filter((at) => this.now - at < 600_000).length >= 20;
  }

  #counted(client: string | null, login: () => AuthResult): AuthResult | "blocked" {
    if (this.#blocked(client)) return "blocked";
    const result = login();
    if (result === "permfail") this.#failures.push(this.now);
    return result;
  }

  constructor(options: WorldOptions = {}) {
    this.#peer = { address: "192.0.2.7", port: 4321, uid: null, ...options.peer };
    const expand = options.expand ?? byName;
    this.lookup = new FakeChannel((message, channel) => {
      if (message.type === "client-name") {
        channel.onmessage({
          type: "client-name",
          call: message.call,
          hostname: "client.example.net",
          confirmed: "pass",
        });
      } else if (message.type === "expand") {
        const result = expand(message);
        if (result !== null) channel.onmessage({ type: "expanded", call: message.call, result });
      } else if (message.type === "authenticate" && message.password !== "silent") {
        const result = this.#counted(message.client, () => byPassword(message));
        channel.onmessage({ type: "authenticated", call: message.call, result });
      } else if (message.type === "mechanisms") {
        channel.onmessage({ type: "mechanisms", call: message.call, scram: message.table === "scram" });
      } else if (message.type === "challenge" && message.user !== "silent") {
        const { salt, iterations } = VERIFIER;
        const challenge = this.#blocked(message.client)
          ? "blocked"
          : message.user === "later"
          ? null
          : { salt, iterations };
        channel.onmessage({ type: "challenge", call: message.call, challenge });
      } else if (message.type === "prove") {
        const { ok, signature } = checkProof(VERIFIER, message.message, message.proof);
        const result = this.#counted(message.client, () => ok && message.user === "user" ? "ok" : "permfail");
        channel.onmessage({ type: "proved", call: message.call, result, signature: result === "ok" ? signature : "" });
      } else if (message.type === "may-send" && message.sender?.local !== "silent") {
        const { call, user, sender } = message;
        const result = sender?.local === user ? "ok" : sender?.local === "later" ? "tempfail" : "permfail";
        channel.onmessage({ type: "may-send", call, result });
      } else if (message.type === "test") {
        const found = options.test?.(message);
        if (found !== undefined) channel.onmessage({ type: "tested", call: message.call, found });
      } else if (message.type === "listener-name") {
        const { call, address } = message;
        channel.onmessage({ type: "listener-name", call, name: OWN_NAMES[address] ?? null });
      }
    });
    this.queue = new FakeChannel((message, channel) => this.#stored(message, channel, options));
    this.filter = new FakeChannel((message, channel) => options.filter?.(message, channel));
    this.service = new SmtpService({
      settings: settings([listener(options.listener)], options.settings),
      lookup: this.lookup,
      queue: this.queue,
      filter: this.filter,
      emit: (event) => this.#report(event),
      observer: { traces: (trace) => options.traces?.includes(trace) ?? false, verbose: false },
      ...(options.authenticators === undefined ? {} : { authenticators: options.authenticators }),
      random: () => 0.5,
      nonce: () => "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
      clock: {
        now: () => this.now,
        steady: () => this.now,
        every: (ms, run) => this.#every(ms, run),
        soon: options.soon ?? queueMicrotask,
      },
      ended: () => this.ended++,
    });
    this.giveIds(options.ids ?? 100);
  }

  #report(event: Event): void {
    this.events.push(event);
    if (event.type !== "smtp-failed-command" && event.type !== "smtp-bad-input") return;
    const before = this.refusals.get(event.session);
    if (before === undefined) this.refusals.set(event.session, [event]);
    else before.push(event);
  }

  giveIds(count: number, first = 1): void {
    const ids = Array.from(
      { length: count },
      (_, index) => msgid((count - index + first - 1).toString(16).padStart(8, "0")),
    );
    this.queue.onmessage({ type: "ids", ids });
  }

  #stored(
    message: SmtpToQueue,
    channel: FakeChannel<SmtpToQueue, QueueToSmtp>,
    { commit, credit }: WorldOptions,
  ): void {
    if (message.type === "ids-wanted") {
      this.idsWanted++;
      return;
    }
    if (message.type === "dmarc-result") return void this.dmarcResults.push(message.result);
    const before = this.#chunks.get(message.message) ?? "";
    if (message.type === "chunk") {
      this.#chunks.set(message.message, before + textOf(message.bytes));
      if (credit !== false) channel.onmessage({ type: "credit", message: message.message });
    } else if (message.type === "commit") {
      this.#chunks.delete(message.message);
      const answer = commit === undefined
        ? { type: "committed", message: message.message, number: 1 } as const
        : commit(message);
      const front = message.front === undefined ? "" : textOf(message.front);
      if (answer?.type === "committed") {
        this.stored.push({ text: front + before + textOf(message.tail), commit: message });
      }
      if (answer !== null) channel.onmessage(answer);
    } else {
      this.#chunks.delete(message.message);
      this.aborted.push(message.message);
    }
  }

  #every(ms: number, run: () => void): () => void {
    const timer = { every: ms, next: this.now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves the clock. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ next }) => next <= until).sort((a, b) => a.next - b.next)[0];
      if (due === undefined) break;
      this.now = due.next;
      due.next += due.every;
      due.run();
      await settle();
    }
    this.now = until;
    await settle();
  }

  async connect(): Promise<Client> {
    const wire = new MemoryWire();
    const client = new Client(this, wire, this.service.connect(0, this.#peer, wire));
    await settle();
    return client;
  }
}

export class Client {
  readonly world: World;
  readonly wire: MemoryWire;
  readonly connection: Connection;
  #gone = false;

  constructor(world: World, wire: MemoryWire, connection: Connection) {
    this.world = world;
    this.wire = wire;
    this.connection = connection;
  }

  /** Sends bytes (characters below 256) and returns what the server said to them. */
  async say(text: string): Promise<string> {
    const bytes = bytesOf(text);
    this.connection.data(bytes);
    // The next read goes into the same buffer: nothing may have been kept.
    bytes.fill(0xff);
    await settle();
    return this.wire.take();
  }

  /** As the kernel does when the client closes. Each 4xx and 5xx of the session must be in the log by then: smtpd(8) promises it. */
  leave(reason = "disconnect"): void {
    if (this.#gone) return;
    this.#gone = true;
    this.world.service.closed(this.connection, reason);
    const said = this.wire.written.split("\r\n").filter((line) => /^[45][0-9]{2} /.test(line));
    assert.deepEqual(this.refusals.map(({ reply }) => reply), said, "the log has each refusal, and no other");
  }

  /** What the log has of refusals of this session. */
  get refusals(): readonly Refusal[] {
    return this.world.refusals.get(this.connection.facts.session) ?? [];
  }
}

/** Lets everything that waits in microtasks happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve();
}
