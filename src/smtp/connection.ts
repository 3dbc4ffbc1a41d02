/**
 * Drives one session: bytes from the wire become lines and message data, the session's effects become replies, questions to lookup and
 * messages for the queue. Waits for nothing: every answer comes in by a method. Uses no sockets; see wire.ts. Long, because the order in
 * which all that happens to a session is dealt with is one thing to read: what the client may send is throttled in `#regulate`, and the
 * line that decides 250 for a message is in `committed`, which the queue has called once the message is on stable storage.
 */

import { logTrace, type Observer } from "../events/mod.ts";
import type { MessageId } from "../envelope/mod.ts";
import type { AuthResult, Expansion } from "../protocol/mod.ts";
import type { ExpandQuestion, SenderQuestion } from "./lookup_client.ts";
import { ClientInput } from "./client_input.ts";
import { ConnectionStage } from "./connection_stage.ts";
import {
  IncomingMessage,
  type MessageDeps,
  type MessagePolicy,
  type Receiver,
  type Refuse,
} from "./message/incoming.ts";
import { messageDetail } from "./message/recorded.ts";
import { Reception } from "./message/reception.ts";
import type { Host, SessionFilters } from "./filter/session_filters.ts";
import { isChecked } from "./mail_check.ts";
import { ProgressTimer } from "./progress_timer.ts";
import { ReplyBuffer } from "./reply_buffer.ts";
import { ReplyTimes } from "./reply_times.ts";
import { SessionDialogue } from "./session_dialogue.ts";
import { maybeSecret, step, takes } from "./session/session.ts";
import {
  type ClientIdentity,
  connectedBy,
  type ConnectionFacts,
  type Effect,
  type Input,
  type LoginAnswer,
  newSession,
  type ScramQuestion,
  type Session,
} from "./session/state.ts";
import type { SecuredTls, Wire } from "./wire.ts";

/** What all connections of an isolate share. */
export interface ConnectionDeps extends MessageDeps, Observer {
  /** Milliseconds of a clock that nobody sets. */
  steady(): number;
  /** Counts how long a client has waited for a reply, in ms; absent where nobody wants to know. */
  readonly replied?: (afterMs: number) => void;
  /** Asks lookup; the answer comes to `expanded`. */
  expand(connection: Connection, slot: number, question: ExpandQuestion): void;
  /** Has a password verified; the answer comes to `loginAnswered`, a failure after a while. */
  authenticate(connection: Connection, user: string, password: string | null): void;
  /** Asks lookup for a step of SCRAM; the answer comes to `loginAnswered`, a failure after a while. */
  scram(connection: Connection, question: ScramQuestion): void;
  /** Asks lookup; the answer comes to `senderJudged`. */
  judgeSender(connection: Connection, question: SenderQuestion): void;
  /** Calls `run` at the end of this turn of the event loop. */
  later(connection: Connection): void;
  /** Calls `turn` when others had theirs; a little later when what the client sends is thrown away. */
  yield(connection: Connection, how: { readonly wasted: boolean }): void;
  /** Others wait for their turn. */
  crowded(): boolean;
  /** Runs a small job that may come from many at once; in order, a little later when it does. */
  admit(job: () => void): void;
}

/** Characters of replies that the reply buffer collects before they are written. */
const REPLY_BATCH = 4096;
/** For a recipient, when there has been no queue for too long. */
const QUEUE_MISSED: Expansion = { ok: false, code: 451, text: "4.3.0 Temporary Error" };
/** Commands of one client that are dealt with before others have their turn. */
const TURN_COMMANDS = 64;
/** A read of as many octets shows that there is more where it came from: others have their turn first. */
const LARGE_READ_OCTETS = 32 * 1024;
/** And as many octets of commands wait for their turn where others have one: a burst of them is not for one round of the event loop. */
const MANY_COMMANDS_OCTETS = 1024;

/**
 * Whether the client's octets are read: not while the session is `held` by something that must happen first, nor while it is `resting`,
 * because others have their turn. Only `Connection.#setReading` changes it.
 */
type Reading = "on" | "held" | "resting";

export class Connection implements Host {
  facts: ConnectionFacts;
  session: Session = newSession();
  readonly #deps: ConnectionDeps;
  #policy: MessagePolicy;
  readonly #wire: Wire;
  /** What stands before the session where the listener has filters. */
  readonly #filters: SessionFilters | null;
  readonly #input = new ClientInput();
  readonly #replies: ReplyBuffer;
  readonly #reception: Reception;
  readonly #times: ReplyTimes | null;
  readonly #progress: ProgressTimer;
  readonly #stage = new ConnectionStage();
  /** When the last step of the session was made, by the steady clock. */
  #stepAt: number;
  /** Null where the history does not record. */
  readonly #dialogue: SessionDialogue | null;
  #reading: Reading = "on";
  /** The id of the message that the transaction will make: what lookup decides about its recipients holds for that message alone. */
  #message: MessageId | null = null;
  /** Recipients that wait for an id. */
  #unasked: Extract<Effect, { do: "expand" }>[] = [];

  constructor(
    facts: ConnectionFacts,
    policy: MessagePolicy,
    deps: ConnectionDeps,
    wire: Wire,
    filters: ((host: Host) => SessionFilters) | null = null,
  ) {
    this.facts = facts;
    this.#wire = wire;
    this.#policy = policy;
    this.#deps = deps;
    this.#stepAt = deps.steady();
    this.#progress = new ProgressTimer(this.#stepAt);
    this.#replies = new ReplyBuffer(facts.session, deps);
    this.#times = deps.replied === undefined ? null : new ReplyTimes(deps.steady, deps.replied);
    this.#reception = new Reception(() => this.#beginMessage());
    this.#dialogue = facts.history === undefined ? null : new SessionDialogue(facts.session, deps.emit, this.#stepAt);
    this.#filters = filters === null ? null : filters(this);
  }

  // ── the greeting, see greeting.ts ──

  /** The name of this server for clients of this local address; before `begin`. */
  rename(hostname: string): void {
    this.facts = { ...this.facts, hostname };
    this.#policy = { ...this.#policy, domain: new TextEncoder().encode(hostname) };
    this.#filters?.renamed(this.facts);
  }

  /** The client is known: the session begins. */
  begin(client: ClientIdentity): void {
    if (this.session.phase === "closed") return;
    if (this.#filters !== null) this.#filters.connected(client);
    else this.apply(connectedBy(client));
    this.run();
  }

  /** The client has sent something already, though the session has not begun. */
  get early(): boolean {
    return this.#stage.at !== "gone" && this.#wire.early;
  }

  /** The client has sent something before the banner: it is turned away. */
  tooEarly(rdns: string): void {
    this.apply({ on: "early", rdns });
    // What is sent still is thrown away: unread, it would make the kernel throw our reply away.
    if (this.#stage.at !== "gone") this.#wire.start();
    this.run();
  }

  // ── Host of filter/session_filters.ts ──

  get more(): boolean {
    return !this.#input.empty;
  }

  apply(input: Input): void {
    const greeting = this.session.phase === "greeting";
    this.#apply(input);
    if (greeting && this.session.phase === "command") this.#wire.start();
  }

  wake({ progress }: { readonly progress: boolean }): void {
    if (progress) this.#progress.progress(this.#deps.steady());
    this.#deps.later(this);
  }

  takeId(): MessageId | null {
    return this.#deps.queue.take(this, this);
  }

  // ── Listener of wire.ts ──

  /** Bytes from the client. They belong to the caller again when this returns. */
  data(bytes: Uint8Array): void {
    if (this.#receiving) this.#progress.data(bytes, this.#deps.steady());
    if (this.#deps.traces("io")) logTrace(this.#deps, "io", `${this.facts.session}: read ${bytes.length} bytes`);
    const large = bytes.length >= LARGE_READ_OCTETS;
    if (this.session.phase === "closed") return this.#waste(bytes.length);
    const many = large || !this.#receiving && bytes.length >= MANY_COMMANDS_OCTETS;
    const waits = many && this.#deps.crowded();
    if (large || waits) this.#rest();
    this.#input.add(bytes);
    if (waits) this.#regulate();
    else this.run();
    this.#input.keep(bytes);
  }

  #waste(octets: number): void {
    if (this.#stage.waste(octets)) return this.#wire.destroy();
    if (octets < LARGE_READ_OCTETS) return;
    this.#rest();
    this.#regulate();
  }

  /** The client reads again. */
  drained(): void {
    this.#progress.progress(this.#deps.steady());
    this.#replies.drained();
    this.run();
  }

  /** The client sends no more; it may still read. */
  ended(): void {
    this.#deps.admit(() => {
      this.#stage.enter("half-closed");
      this.run();
    });
  }

  /** The connection is gone. */
  gone(reason: string): void {
    this.#filters?.ended();
    // A client that left before it was greeted has no line in the log.
    const seen = this.session.phase !== "greeting";
    if (this.session.phase !== "closed") this.#endSession();
    if (this.#stage.enter("gone") && seen) this.#logEnd(reason);
    this.#input.clear();
  }

  secured({ ciphers, verified, fingerprint, binding }: SecuredTls): void {
    this.#apply({ on: "secured", ciphers, verified, binding });
    if (fingerprint !== null) {
      const result = verified ? "verified" : "unchecked";
      this.#deps.emit({ type: "smtp-cert-check", session: this.facts.session, result, fingerprint });
    }
    this.run();
  }

  // ── answers of other isolates ──

  expanded(slot: number, result: Expansion): void {
    this.#apply({ on: "expanded", slot, result });
    this.#deps.later(this);
  }

  loginAnswered(answer: LoginAnswer): void {
    this.#apply(answer);
    this.#deps.later(this);
  }

  senderJudged(result: AuthResult): void {
    this.#apply({ on: "sender-judged", result });
    this.#deps.later(this);
  }

  /** An isolate that this session may wait for was replaced. */
  peerGone(): void {
    this.#apply({ on: "peer-gone" });
    this.#deps.later(this);
  }

  /** The isolate stops. `now`: the transaction is not waited for. */
  stop({ now }: { readonly now: boolean }): void {
    this.#apply({ on: "stop", now });
    this.#deps.later(this);
  }

  /** True while lookup owes an answer. */
  get waitsForLookup(): boolean {
    const { phase, transaction } = this.session;
    return phase === "verify" || phase === "sender" || (transaction?.pending.length ?? 0) > 0 ||
      this.#filters?.waitsForLookup === true;
  }

  /** True from 354 or the first chunk until the message is stored or refused. */
  get waitsForQueue(): boolean {
    return this.#receiving || this.session.phase === "queue" || this.#reception.active || this.#message !== null ||
      (this.#filters?.message ?? null) !== null;
  }

  get #receiving(): boolean {
    return this.session.phase === "data" || this.session.phase === "chunk";
  }

  /** To be called now and then: ends a session that has got nowhere for `limitMs`. */
  tick(now: number, { limitMs }: { readonly limitMs: number }): void {
    if (this.#stage.at === "lingering") {
      if (this.#stage.overdue(now)) this.#wire.destroy();
      return;
    }
    const handshake = this.session.phase === "handshake";
    if (!this.#progress.overdue(now, { limitMs, handshake })) return;
    // A filter that does not answer is no fault of the client's.
    this.#apply(this.#filters?.waiting ? { on: "peer-gone" } : { on: "idle" });
    this.run();
    if (handshake) this.#wire.destroy();
  }

  // ── Submitter and Waiter of queue_client.ts ──

  get reportsIds(): boolean {
    return this.#filters !== null;
  }

  credited(): void {
    this.#progress.progress(this.#deps.steady());
    this.#reception.credited();
    this.#deps.later(this);
  }

  /** The message is on stable storage. Only here does the session get to its 250 for a message. */
  committed(): void {
    // An answer of the queue that comes before the question is ignored.
    if (!this.#reception.committed || this.session.phase !== "queue") return;
    const stored = this.#reception.finish()!;
    const from = this.session.transaction?.sender ?? null;
    const { session } = this.facts;
    const { message, bytes, mailAuth, accepted } = stored;
    const detail = accepted === null
      ? {}
      : { detail: messageDetail(accepted, { durableAt: this.#deps.now(), filters: this.#filters?.notes.all ?? [] }) };
    this.#apply({ on: "committed", message, bytes, ...(mailAuth === null ? {} : { mailAuth }), ...detail });
    for (const { id, to } of stored.named) {
      this.#deps.emit({ type: "smtp-envelope", session, envelope: id, from, to });
    }
    this.#deps.later(this);
  }

  refused(code: number, text: string): void {
    if (this.session.phase !== "queue") this.#reception.refuse(code, text);
    else this.#refuse({ code, text, mailAuth: this.#reception.mailAuth });
    this.#deps.later(this);
  }

  /** The message that was read will not be stored. */
  #refuse({ code, text, mailAuth }: Parameters<Refuse>[0]): void {
    this.#reception.discard();
    this.#apply({ on: "refused", code, text, ...(mailAuth === null ? {} : { mailAuth }) });
  }

  idsArrived(): void {
    for (const recipient of this.#unasked.splice(0)) this.#expand(recipient);
    this.#filters?.resume();
    this.#deps.later(this);
  }

  /** RFC 5321 §4.2.3: the recipients that nobody can be asked about are put off. Where it is the filters that wait, the session ends. */
  queueMissed(): void {
    const put = this.#unasked.splice(0);
    for (const { slot } of put) this.#apply({ on: "expanded", slot, result: QUEUE_MISSED });
    if (put.length === 0) this.#apply({ on: "peer-gone" });
    this.#deps.later(this);
  }

  // ── input ──

  /** Goes on with whatever can be done now, then writes the replies and holds the client back or lets it go on. */
  run(): void {
    if (this.#stage.at === "gone") return;
    for (let turns = TURN_COMMANDS; !this.#replies.blocked && this.#advance();) {
      if (this.#replies.length >= REPLY_BATCH) this.#flush();
      if (--turns > 0) continue;
      this.#rest();
      break;
    }
    if (this.session.phase === "closed") this.#input.clear();
    this.#flush();
    this.#regulate();
  }

  /** What is read of its message is hashed. */
  get costly(): boolean {
    return this.#receiving && this.#reception.authenticated;
  }

  /** It is this session's turn again. */
  turn(): void {
    if (this.#reading === "resting") this.#setReading("held");
    this.run();
  }

  /** One command or one piece of data. False: something has to happen first. */
  #advance(): boolean {
    if (this.#filters?.frozen) return false;
    if (this.#receiving) return this.#receive();
    if (this.session.phase !== "command" && this.session.phase !== "auth") return false;
    const command = this.#input.command();
    if (command === null) return false;
    if (typeof command === "string") {
      this.#apply({ on: "bad-input", reply: command });
      return false;
    }
    const now = takes(this.facts, this.session, command);
    this.#input.waiting = now ? null : command;
    if (!now) return false;
    this.#times?.asked();
    if (this.#dialogue !== null || this.#deps.traces("smtp")) {
      // What follows a 334 is a secret.
      const line = maybeSecret(this.session, command) ? "********" : command.line;
      this.#dialogue?.command(line, this.#deps.steady());
      if (this.#deps.traces("smtp")) logTrace(this.#deps, "smtp", `${this.facts.session}: <<< ${line}`);
    }
    if (this.#filters === null) this.#apply({ on: "command", command, more: this.more });
    else this.#filters.command(command);
    return true;
  }

  /** A piece of the message. Filters may have the last line after the client has sent it. */
  #receive(): boolean {
    const { chunk } = this.session;
    const progress = chunk === null ? this.#reception.data(this.#input) : this.#reception.chunk(this.#input, chunk);
    if (typeof progress === "boolean") return progress;
    this.#times?.ended({ chunk: chunk !== null });
    if (chunk === null && this.#filters !== null) this.#filters.received(progress);
    else this.#apply(progress);
    return true;
  }

  #beginMessage(): Receiver | null {
    if (this.#filters !== null) return this.#filters.receiver(this.#policy);
    const id = this.#messageId();
    if (id === null) return null;
    this.#message = null;
    const authentication = this.#deps.authentication?.(id, this.session, this.facts) ?? null;
    const beginning = { front: "", bare: false, authentication };
    return new IncomingMessage(id, this.session, this.facts, this.#policy, this.#deps, beginning);
  }

  /** The id of the transaction's message; null when there is none yet, and `idsArrived` is called later. */
  #messageId(): MessageId | null {
    if (this.#filters !== null) return this.#filters.message;
    return this.#message ??= this.#deps.queue.take(this, this);
  }

  #expand(recipient: Extract<Effect, { do: "expand" }>): void {
    const message = this.#messageId();
    if (message === null) return void this.#unasked.push(recipient);
    const { slot, sender, rcpt } = recipient;
    const tls = this.session.ciphers !== null;
    const checked = this.#deps.reconsider !== undefined && isChecked(this.session, this.facts);
    const mailAuth = checked ? { mailAuth: "unknown" } as const : {};
    const explain = this.facts.history === undefined ? {} : { explain: true };
    this.#deps.expand(this, slot, {
      message,
      origin: this.session.origin!,
      tls,
      sender,
      rcpt,
      ...mailAuth,
      ...explain,
    });
  }

  /** The transaction is over, and no message came of it. */
  #letGo(): void {
    this.#unasked = [];
    if (this.#message !== null) this.#deps.queue.giveBack(this.#message);
    this.#message = null;
  }

  // ── effects ──

  #apply(input: Input): void {
    const { session, effects } = step(this.facts, this.session, input);
    const before = this.session;
    this.session = session;
    this.#stepAt = this.#deps.steady();
    this.#progress.progress(this.#stepAt);
    this.#filters?.stepped(input, before, session, effects);
    for (const effect of effects) this.#perform(effect);
    if (this.session.transaction === null) this.#letGo();
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case "reply":
        this.#times?.replied();
        this.#dialogue?.reply(effect.text, this.#stepAt);
        return this.#replies.add(effect.text);
      case "emit":
        this.#dialogue?.happened(effect.event);
        return this.#deps.emit(effect.event);
      case "expand":
        return this.#expand(effect);
      case "authenticate":
        return this.#deps.authenticate(this, effect.user, effect.password);
      case "challenge":
      case "prove":
        return this.#deps.scram(this, effect);
      case "judge-sender":
        return this.#deps.judgeSender(this, effect);
      case "receive":
        return;
      case "chunk":
        return this.#reception.expectChunk(effect.octets);
      case "commit":
        return this.#reception.commit(this.session, (refusal) => {
          this.#refuse(refusal);
          this.#deps.later(this);
        });
      case "discard":
        return this.#discard();
      case "secure":
        return this.#wire.secure(this.#replies.take());
      case "close":
        return this.#close(effect);
    }
    effect satisfies never;
  }

  /** The session has ended itself. */
  #close({ reason, clientClosed = false }: Extract<Effect, { do: "close" }>): void {
    this.#discard();
    this.#flush();
    // A client that has sent QUIT or has ended its input sends no more.
    const sends = !clientClosed && this.#stage.at === "open";
    this.#linger(reason, { sends });
  }

  /** Lets go of the message on its way. */
  #discard(): void {
    this.#deps.queue.stopWaiting(this);
    this.#reception.discard();
  }

  /** The client has left a session that goes on. */
  #endSession(): void {
    this.#discard();
    this.session = { ...this.session, phase: "closed", transaction: null };
    this.#letGo();
  }

  /** The session is over: closes the connection when the replies are written. `sends`: the client may be sending still. */
  #linger(reason: string, { sends }: { readonly sends: boolean }): void {
    this.#filters?.ended();
    if (this.#stage.enter("lingering")) this.#logEnd(reason);
    this.#wire.end({ linger: sends });
  }

  #logEnd(reason: string): void {
    this.#dialogue?.end({ failed: reason === "timeout" || reason.startsWith("io-error") });
    this.#deps.emit({
      type: "smtp-disconnected",
      session: this.facts.session,
      reason,
      ...(reason.startsWith("io-error") ? { address: this.facts.address } : {}),
      tls: this.session.ciphers !== null,
      smtps: this.facts.tls === "smtps",
      local: this.facts.socket,
    });
  }

  // ── output, and the throttle of the input ──

  #flush(): void {
    if (this.#stage.at !== "gone") this.#replies.flush((text) => this.#wire.write(text));
  }

  #setReading(reading: Reading): void {
    const before = this.#reading;
    this.#reading = reading;
    if (before === "on" && reading !== "on") this.#wire.pause();
    if (before !== "on" && reading === "on") this.#wire.resume();
  }

  /** Nothing more is read until the others had their turn. */
  #rest(): void {
    this.#setReading("resting");
    const refused = this.#reception.refused || (this.session.chunk?.refusal ?? null) !== null;
    this.#deps.yield(this, { wasted: refused || this.session.phase === "closed" });
  }

  /** Throttles the client while there is input that cannot be dealt with; ends the session of one that has left. */
  #regulate(): void {
    this.#input.trim();
    if (this.#stage.at === "gone") return;
    const held = this.#input.blocked || this.#receiving && !this.#reception.ready;
    if (this.#reading !== "resting") this.#setReading(held ? "held" : "on");
    const { phase } = this.session;
    if (this.#stage.at !== "half-closed" || this.#reading !== "on" || this.#replies.blocked || phase === "queue") {
      return;
    }
    if (this.waitsForLookup || this.#filters?.waiting) return;
    this.#endSession();
    this.#linger("disconnect", { sends: false });
  }
}
