/**
 * Drives one session: bytes from the wire become lines and message data, the session's effects become replies, questions to lookup and
 * messages for the queue. Waits for nothing: every answer comes in by a method. Knows no sockets; see wire.ts. Long, because the order in
 * which all that happens to a session is dealt with is one thing to read.
 */

import { logTrace, type Observer } from "../events/mod.ts";
import type { MessageId } from "../envelope/mod.ts";
import type { AuthResult, Confirmed, Expansion } from "../protocol/mod.ts";
import type { Command } from "./session/command.ts";
import type { ExpandQuestion, SenderQuestion } from "./lookup_client.ts";
import { IncomingMessage, type MessageDeps, type MessagePolicy, type Receiver } from "./message/incoming.ts";
import type { Host, SessionFilters } from "./filter/session_filters.ts";
import { CommandLines, joined } from "./lines.ts";
import { ProgressTimer } from "./progress_timer.ts";
import { ReplyBuffer } from "./reply_buffer.ts";
import { maybeSecret, step, takes } from "./session/session.ts";
import {
  type Chunk,
  type ConnectionFacts,
  type Effect,
  type Input,
  type LoginAnswer,
  nameless,
  newSession,
  type ScramQuestion,
  type Session,
} from "./session/state.ts";
import type { Wire } from "./wire.ts";

/** What all connections of an isolate share. */
export interface ConnectionDeps extends MessageDeps, Observer {
  /** Milliseconds of a clock that nobody sets. */
  steady(): number;
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
  yield(connection: Connection, wasted: boolean): void;
  /** Others wait for their turn. */
  crowded(): boolean;
  /** Runs a small job that may come from many at once; in order, a little later when it does. */
  admit(job: () => void): void;
}

/** Characters of replies that are collected before they are written. */
const REPLY_BATCH = 4096;
/** Commands of one client that are dealt with before others have their turn. */
const TURN_COMMANDS = 64;
/** How long a connection that was closed may go on sending, in milliseconds. */
const LINGER_MS = 10_000;
/** Octets that are read and thrown away meanwhile. */
const LINGER_OCTETS = 1024 * 1024;
/** A read of as many octets says that there is more where it came from: others have their turn first. */
const LARGE_READ = 32 * 1024;
/** And as many octets of commands wait for their turn where others have one: a burst of them is not for one round of the event loop. */
const MANY_COMMANDS = 1024;

const NO_INPUT = new Uint8Array(0);

export class Connection implements Host {
  facts: ConnectionFacts;
  session: Session = newSession();
  readonly #progress: ProgressTimer;
  readonly #deps: ConnectionDeps;
  #policy: MessagePolicy;
  #wire: Wire | null;
  #input: Uint8Array = NO_INPUT;
  #position = 0;
  readonly #lines = new CommandLines();
  /** A command that must wait for the answers to earlier ones. */
  #held: Command | null = null;
  readonly #replies: ReplyBuffer;
  #blocked = false;
  #paused = false;
  #resting = false;
  /** Octets that came after the end. */
  #wasted = 0;
  /** The client has said that it will send no more. */
  #inputEnded = false;
  #incoming: Receiver | null = null;
  /** Octets of the chunk that are still to come. */
  #chunkLeft = 0;
  /** What stands before the session where the listener has filters. */
  readonly #filters: SessionFilters | null;
  #closedAt: number | null = null;
  #reported = false;
  #verified = false;

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
    this.#progress = new ProgressTimer(deps.steady());
    this.#replies = new ReplyBuffer(facts.session, deps);
    this.#filters = filters === null ? null : filters(this);
  }

  /** What this server is called by who has connected to this address; before `begin`. */
  rename(hostname: string): void {
    this.facts = { ...this.facts, hostname };
    this.#policy = { ...this.#policy, domain: new TextEncoder().encode(hostname) };
    this.#filters?.renamed(this.facts);
  }

  /** The client's name is known: the session begins. `scram`: everybody may log in by SCRAM. */
  begin(rdns: string, scram = false, confirmed: Confirmed = "error"): void {
    if (this.session.phase === "closed") return;
    if (this.#filters !== null) this.#filters.connected(rdns, scram, confirmed);
    else this.apply({ on: "connected", rdns, scram, ...nameless(rdns, confirmed) });
    this.run();
  }

  /** The client has sent something already, though the session has not begun. */
  get early(): boolean {
    return this.#wire?.early === true;
  }

  /** Turned away: nobody speaks before the banner. */
  tooEarly(rdns: string): void {
    this.apply({ on: "early", rdns });
    // What is said still is thrown away: unread, it would make the kernel throw our word away.
    this.#wire?.start();
    this.run();
  }

  // ── Host of filter/gate.ts ──

  get more(): boolean {
    return this.#position < this.#input.length;
  }

  apply(input: Input): void {
    const greeting = this.session.phase === "greeting";
    this.#apply(input);
    if (greeting && this.session.phase === "command") this.#wire?.start();
  }

  wake(progress: boolean): void {
    if (progress) this.#progress.progress(this.#deps.steady());
    this.#deps.later(this);
  }

  takeId(): MessageId | null {
    return this.#deps.queue.take(this, this);
  }

  /** Bytes from the client. They belong to the caller again when this returns. */
  data(bytes: Uint8Array): void {
    if (this.#receiving) this.#progress.data(this.#deps.steady(), bytes.length);
    if (this.#deps.traces("io")) logTrace(this.#deps, "io", `${this.facts.session}: read ${bytes.length} bytes`);
    const large = bytes.length >= LARGE_READ;
    if (this.session.phase === "closed") return this.#waste(bytes.length, large);
    const waits = (large || !this.#receiving && bytes.length >= MANY_COMMANDS) && this.#deps.crowded();
    if (large || waits) this.#rest();
    if (this.#position === this.#input.length) this.#input = bytes;
    else this.#input = joined(this.#input.subarray(this.#position), bytes);
    this.#position = 0;
    if (waits) this.#regulate();
    else this.run();
    // What had to wait is kept as a copy.
    if (this.#input === bytes) {
      this.#input = new Uint8Array(bytes.subarray(this.#position));
      this.#position = 0;
    }
  }

  #waste(octets: number, large: boolean): void {
    this.#wasted += octets;
    if (this.#wasted > LINGER_OCTETS) return this.#wire?.destroy();
    if (!large) return;
    this.#rest();
    this.#regulate();
  }

  /** Nothing more is read until the others had their turn. */
  #rest(): void {
    this.#resting = true;
    const refused = this.#incoming?.refused === true || (this.session.chunk?.refusal ?? null) !== null;
    this.#deps.yield(this, refused || this.session.phase === "closed");
  }

  /** It is this session's turn again. */
  turn(): void {
    this.#resting = false;
    this.run();
  }

  /** The client reads again. */
  drained(): void {
    this.#progress.progress(this.#deps.steady());
    this.#blocked = false;
    this.run();
  }

  /** The client sends no more; it may still read. */
  ended(): void {
    this.#deps.admit(() => {
      this.#inputEnded = true;
      this.run();
    });
  }

  /** The connection is gone. */
  gone(reason: string): void {
    this.#filters?.ended();
    // A client that left before it was greeted has no line in the log.
    if (this.session.phase === "greeting") this.#reported = true;
    if (this.session.phase !== "closed") {
      this.#discard();
      this.session = { ...this.session, phase: "closed", transaction: null };
    }
    this.#reportEnd(reason);
    this.#input = NO_INPUT;
    this.#position = 0;
    this.#wire = null;
  }

  /** `fingerprint`: of the client's certificate; `binding`: of ours, see endPointBinding(). */
  secured(ciphers: string, verified: boolean, fingerprint: string | null, binding: string | null = null): void {
    this.#verified = verified;
    this.#apply({ on: "secured", ciphers, binding });
    if (fingerprint !== null) {
      const result = verified ? "verified" : "unchecked";
      this.#deps.emit({ type: "smtp-cert-check", session: this.facts.session, result, fingerprint });
    }
    this.run();
  }

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

  stop(now: boolean): void {
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
    return this.#receiving || this.session.phase === "queue" || this.#incoming !== null ||
      this.#filters?.holdsId === true;
  }

  get #receiving(): boolean {
    return this.session.phase === "data" || this.session.phase === "chunk";
  }

  /** To be called now and then: ends a session that has got nowhere for `limitMs`. */
  tick(now: number, limitMs: number): void {
    if (this.session.phase === "closed") {
      this.#closedAt ??= now;
      if (now - this.#closedAt >= LINGER_MS) this.#wire?.destroy();
      return;
    }
    const handshake = this.session.phase === "handshake";
    if (this.#progress.overdue(now, limitMs, handshake)) {
      // A filter that does not answer is no fault of the client's.
      this.#apply(this.#filters?.waiting ? { on: "peer-gone" } : { on: "idle" });
      this.run();
      if (handshake) this.#wire?.destroy();
    }
  }

  // ── Submitter and Waiter of intake.ts ──

  get tellsIds(): boolean {
    return this.#filters !== null;
  }

  credited(): void {
    this.#progress.progress(this.#deps.steady());
    this.#incoming?.credited();
    this.#deps.later(this);
  }

  committed(): void {
    const incoming = this.#incoming;
    // A queue that answers before it was asked is not believed.
    if (incoming === null || this.session.phase !== "queue") return;
    this.#incoming = null;
    const from = this.session.transaction?.sender ?? null;
    const { session } = this.facts;
    this.#apply({ on: "committed", message: incoming.message, bytes: incoming.bytes });
    for (const { id, to } of incoming.named) {
      this.#deps.emit({ type: "smtp-envelope", session, envelope: id, from, to });
    }
    this.#deps.later(this);
  }

  refused(code: number, text: string): void {
    // Told at the end of the data, or of the chunk that comes next.
    if (this.session.phase !== "queue") this.#incoming?.refuse(code, text);
    else {
      this.#incoming = null;
      this.#apply({ on: "refused", code, text });
    }
    this.#deps.later(this);
  }

  idsArrived(): void {
    this.#filters?.resume();
    this.#deps.later(this);
  }

  // ── input ──

  /** Goes on with whatever can be done now, then writes the replies and holds the client back or lets it go on. */
  run(): void {
    if (this.#wire === null) return;
    for (let turns = TURN_COMMANDS; !this.#blocked && this.#advance();) {
      if (this.#replies.length >= REPLY_BATCH) this.#flush();
      if (--turns > 0) continue;
      this.#rest();
      break;
    }
    if (this.session.phase === "closed") {
      this.#input = NO_INPUT;
      this.#position = 0;
      this.#held = null;
    }
    this.#flush();
    this.#regulate();
  }

  /** One command or one piece of data. False: something has to happen first. */
  #advance(): boolean {
    if (this.#filters?.frozen) return false;
    if (this.session.phase === "data") return this.#receive();
    if (this.session.phase === "chunk") return this.#receiveChunk(this.session.chunk!);
    if (this.session.phase !== "command" && this.session.phase !== "auth") return false;
    const command = this.#held ?? this.#nextCommand();
    if (command === null) return false;
    if (!takes(this.facts, this.session, command)) {
      this.#held = command;
      return false;
    }
    this.#held = null;
    if (this.#deps.traces("smtp")) {
      // What follows a 334 is a secret.
      const line = maybeSecret(this.session, command) ? "********" : command.line;
      logTrace(this.#deps, "smtp", `${this.facts.session}: <<< ${line}`);
    }
    if (this.#filters === null) this.#apply({ on: "command", command, more: this.more });
    else this.#filters.command(command);
    return true;
  }

  /** The next whole command, null when it is not there yet or its line ended the session. */
  #nextCommand(): Command | null {
    const next = this.#lines.next(this.#input, this.#position);
    this.#position = this.#lines.position;
    if (typeof next !== "string") return next;
    this.#apply({ on: "bad-input", reply: next });
    return null;
  }

  /** Message data. False: no input, no id, or no credit. */
  #receive(): boolean {
    const from = this.#position;
    if (from === this.#input.length) return this.#settle();
    this.#incoming ??= this.#beginMessage();
    if (this.#incoming === null) return false;
    this.#position = this.#incoming.push(this.#input, from);
    return this.#settle() || this.#position > from;
  }

  /** True when it is clear what becomes of the message. Filters may have the last line after the client has said it. */
  #settle(): boolean {
    const outcome = this.#incoming?.outcome() ?? null;
    if (outcome === null) return false;
    if (this.#filters === null) this.#apply(outcome);
    else this.#filters.received(outcome);
    return true;
  }

  /** Octets of a chunk, RFC 3030 §2; a command follows them. False: as above. */
  #receiveChunk({ last, refusal }: Chunk): boolean {
    const from = this.#position;
    const end = Math.min(this.#input.length, from + this.#chunkLeft);
    if (refusal === null) {
      if (this.#chunkLeft > 0 && from === end) return false;
      this.#incoming ??= this.#beginMessage();
      if (this.#incoming === null) return false;
    }
    this.#position = refusal !== null || from === end ? end : this.#incoming!.push(this.#input, from, end);
    this.#chunkLeft -= this.#position - from;
    if (this.#chunkLeft > 0 && !this.#incoming?.hopeless) return this.#position > from;
    this.#apply(refusal !== null ? { on: "chunk-read", fault: null } : this.#incoming!.chunkOutcome(last));
    return true;
  }

  #beginMessage(): Receiver | null {
    if (this.#filters !== null) return this.#filters.receiver(this.#verified, this.#policy);
    const id = this.#deps.queue.take(this, this);
    if (id === null) return null;
    return new IncomingMessage(id, this.session, this.#verified, this.facts, this.#policy, this.#deps);
  }

  // ── effects ──

  #apply(input: Input): void {
    const { session, effects } = step(this.facts, this.session, input);
    const before = this.session;
    this.session = session;
    this.#progress.progress(this.#deps.steady());
    this.#filters?.stepped(input, before, session, effects);
    for (const effect of effects) this.#perform(effect, before);
  }

  #perform(effect: Effect, before: Session): void {
    switch (effect.do) {
      case "reply":
        return this.#replies.add(effect.text);
      case "emit":
        return this.#deps.emit(effect.event);
      case "expand":
        return this.#deps.expand(this, effect.slot, {
          origin: this.session.origin!,
          tls: this.session.ciphers !== null,
          sender: effect.sender,
          rcpt: effect.rcpt,
        });
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
        this.#chunkLeft = effect.octets;
        return;
      case "commit":
        return this.#incoming?.commit(this.session);
      case "discard":
        return this.#discard(before);
      case "secure":
        return this.#wire?.secure(this.#replies.take());
      case "close":
        this.#discard(before);
        this.#flush();
        this.#reportEnd(effect.reason);
        // Who has said QUIT or has ended its input sends no more.
        this.#wire?.end(!effect.clientClosed && !this.#inputEnded);
        return;
    }
  }

  /** Lets go of the message on its way. */
  #discard(before: Session = this.session): void {
    this.#deps.queue.stopWaiting(this);
    this.#incoming?.discard(before.phase === "queue");
    this.#incoming = null;
  }

  #reportEnd(reason: string): void {
    this.#filters?.ended();
    if (this.#reported) return;
    this.#reported = true;
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

  // ── output ──

  #flush(): void {
    if (this.#replies.length === 0 || this.#wire === null) return;
    if (!this.#wire.write(this.#replies.take())) this.#blocked = true;
  }

  /** Holds the client back while there is input that cannot be dealt with; ends the session of one that has left. */
  #regulate(): void {
    const wire = this.#wire;
    // The buffer of the last read must not live as long as an idle session.
    if (this.#position === this.#input.length) {
      this.#input = NO_INPUT;
      this.#position = 0;
    }
    if (wire === null) return;
    const full = this.#resting || this.#position < this.#input.length || this.#held !== null ||
      (this.#receiving && this.#incoming?.ready() === false);
    if (full !== this.#paused) {
      this.#paused = full;
      if (full) wire.pause();
      else wire.resume();
    }
    const { phase } = this.session;
    if (!this.#inputEnded || full || this.#blocked || phase === "closed" || phase === "queue") return;
    if (this.waitsForLookup || this.#filters?.waiting) return;
    this.#discard();
    this.session = { ...this.session, phase: "closed", transaction: null };
    this.#reportEnd("disconnect");
    wire.end(false);
  }
}
