/**
 * What stands between a session and its filters: holds the session while a phase goes through the chain, reports to the programs what happens, and
 * lets a message flow through them. One per session, and only where the listener has filters. Decides nothing itself; see phases.ts. It is long because it follows
 * a session through all its steps.
 */

import { type EnvelopeId, formatMailbox, type MessageId } from "../../envelope/mod.ts";
import type { FilterNote, Observer } from "../../events/mod.ts";
import type { FilterDecision, FilterEvent, FilterPhaseName } from "../../protocol/mod.ts";
import { parsePath, writtenPath } from "../session/address.ts";
import type { Command } from "../session/command.ts";
import { isHopeless } from "../message/data.ts";
import {
  completionOf,
  forgedFor,
  IncomingMessage,
  type MessageDeps,
  type MessagePolicy,
  type Receiver,
} from "../message/incoming.ts";
import { maybeSecret, step } from "../session/session.ts";
import {
  type Accepted,
  type ClientIdentity,
  connectedBy,
  type ConnectionFacts,
  type Effect,
  type Input,
  type Session,
} from "../session/state.ts";
import type { ChainDecision, View } from "./chain.ts";
import { CommitPhase } from "./commit_phase.ts";
import type { Filtered } from "./filter_client.ts";
import { FilterNotes } from "./filter_notes.ts";
import { ADDED_LIMIT_OCTETS, FilteredMessage } from "./message.ts";
import { type ListenerFilters, PHASE_OF, Phases, REWRITABLE } from "./phases.ts";
import { type KnownTransaction, reportsOf, rollback, senderKey, type SentCommand } from "./reports.ts";

/** What drives the session, as its filters see it. Connection is one. */
export interface Host {
  readonly session: Session;
  /** Bytes behind the command that is being dealt with have arrived. */
  readonly more: boolean;
  apply(input: Input): void;
  /** Goes on with what waits, soon. `progress`: something was done for this session. */
  wake(how: { readonly progress: boolean }): void;
  /** A message id, or null when there is none; `resume` is called when there may be one. */
  takeId(): MessageId | null;
}

const NOTHING_SENT: SentCommand = { verb: "", address: "" };
const ANSWERS: ReadonlySet<Input["on"]> = new Set([
  "command",
  "expanded",
  "sender-judged",
  "filtered",
  "received",
  "refused",
]);

/** A transaction that filters know of. */
interface Transaction extends KnownTransaction {
  readonly ids: EnvelopeId[];
  /** A message was begun with its id. */
  begun: boolean;
  /** Filters know its id. */
  announced: boolean;
  junk: boolean;
}

export class SessionFilters implements Filtered {
  readonly id: string;
  #facts: ConnectionFacts;
  readonly #filters: ListenerFilters;
  readonly #deps: MessageDeps & Observer;
  readonly #host: Host;
  /** Processes of the chain. */
  readonly #processes: readonly string[];
  /** `ip:port` or `unix:path` of the client. */
  readonly #source: string;
  #rdns = "<unknown>";
  #confirmed: View["confirmed"] = "error";
  readonly #phases: Phases;
  /** What waits for the programs to be ready, or for a message id. */
  #pending: (() => void) | null = null;
  #sent: SentCommand = NOTHING_SENT;
  #junk = false;
  #transaction: Transaction | null = null;
  #receiver: Receiver | null = null;
  readonly #commit: CommitPhase;
  /** The same, where it goes through filters line by line. */
  #message: FilteredMessage | null = null;
  #over = false;
  /** For the history; filled where it records. */
  readonly notes = new FilterNotes();
  /** Filters know of the session. */
  #announced = false;

  constructor(
    facts: ConnectionFacts,
    filters: ListenerFilters,
    deps: MessageDeps & Observer,
    source: string,
    host: Host,
  ) {
    this.id = facts.session;
    this.#facts = facts;
    this.#filters = filters;
    this.#deps = deps;
    this.#source = source;
    this.#host = host;
    this.#phases = new Phases(filters, this, deps, {
      report: (event, params) => this.#event(event, params),
      progress: () => host.wake({ progress: true }),
      ...(facts.history === undefined ? {} : { noted: (note: FilterNote) => this.notes.add(note) }),
    });
    this.#commit = new CommitPhase({
      report: (event, params) => this.#event(event, params),
      ask: (mailAuth, done) =>
        this.#phases.begin({ phase: "commit", param: "", view: { ...this.#view("commit", "", ""), mailAuth } }, done),
      progress: () => host.wake({ progress: true }),
    });
    this.#processes = [
      ...new Set(filters.steps.flatMap((step) => step.kind === "process" ? [step.process] : [])),
    ];
  }

  /** The server has another name here. */
  renamed(facts: ConnectionFacts): void {
    this.#facts = facts;
  }

  /** The session goes on only when this is false: each command waits for the one before. */
  get frozen(): boolean {
    return this.#phases.running || this.#commit.checking || this.#pending !== null ||
      this.#filters.client.holds(this) ||
      (this.#host.session.transaction?.pending.length ?? 0) > 0;
  }

  /** A filter, or lookup for a built-in one, owes an answer. */
  get waiting(): boolean {
    return this.#phases.running || this.#commit.checking || this.#pending !== null || this.#message?.complete === true;
  }

  /** Lookup owes an answer. */
  get waitsForLookup(): boolean {
    return this.#phases.waitsForLookup;
  }

  /** The id that is kept for the message of the transaction; null outside of one. */
  get message(): MessageId | null {
    return this.#transaction?.message ?? null;
  }

  // ── what happens to the session ──

  /** The client is there, and its name is known. */
  connected(identity: ClientIdentity): void {
    const { client } = this.#filters;
    client.enter(this);
    if (client.lost) return this.lost();
    if (this.#processes.length > 0 && client.registered === null) {
      this.#pending = () => this.connected(identity);
      return;
    }
    const { rdns, confirmed } = identity;
    this.#rdns = rdns;
    this.#confirmed = confirmed;
    this.#announced = true;
    // The protocol has no word of its own for what is not known now.
    const confirmation = confirmed === "temporary" ? "error" : confirmed;
    this.#event("link-connect", `${rdns}|${confirmation}|${this.#source}|${this.#filters.destination}`);
    this.#ask("connect", `${rdns}|${this.#facts.address}`, (decision) => {
      if (decision.kind === "refuse") {
        this.#host.apply({ on: "turned-away", rdns, ...decision, ...this.notes.refusing });
      } else {
        if (decision.kind === "junk") this.#junk = true;
        this.#host.apply(connectedBy(identity));
      }
    });
  }

  /** A command came whose turn it is. */
  command(command: Command): void {
    const { session } = this.#host;
    const secret = session.phase === "auth";
    this.#event("protocol-client", maybeSecret(session, command) ? "********" : command.line);
    const path = command.verb === "MAIL" || command.verb === "RCPT";
    const address = path ? writtenPath(command.argument) ?? command.argument.split(" ", 1)[0]! : "";
    this.#sent = { verb: secret ? "" : command.verb, address };
    const phase = secret ? undefined : PHASE_OF[command.verb];
    const run = (now: Command) => this.#host.apply({ on: "command", command: now, more: this.#host.more });
    if (phase === undefined || this.#fails(command)) return run(command);
    const key = path ? keyOf(command.argument, this.#facts.hostname) : "";
    this.#ask(phase, path ? address : command.argument, (decision) => {
      switch (decision.kind) {
        case "refuse":
          return this.#host.apply({ ...decision, on: "filtered", line: command.line, ...this.notes.refusing });
        case "rewrite":
          return this.#begin(REWRITABLE.has(phase) ? { ...command, argument: decision.value.trim() } : command, run);
        case "junk":
          if (this.#transaction === null) this.#junk = true;
          else this.#transaction.junk = true;
          return this.#begin(command, run);
        case "proceed":
          return this.#begin(command, run);
      }
    }, key);
  }

  /** True when the session refuses the command anyway: filters see none that is wrong here. */
  #fails(command: Command): boolean {
    const { effects } = step(this.#facts, this.#host.session, { on: "command", command, more: this.#host.more });
    return effects.some((effect) => effect.do === "reply" && /^[45]/.test(effect.text));
  }

  /** MAIL needs a message id, which is part of what filters are sent. */
  #begin(command: Command, run: (command: Command) => void): void {
    if (command.verb !== "MAIL" || this.#fails(command)) return run(command);
    const message = this.#host.takeId();
    if (message === null) {
      this.#pending = () => this.#begin(command, run);
      return;
    }
    const ids: EnvelopeId[] = [];
    const name = ({ expansion }: Accepted) => {
      const own = expansion.targets.map(() => this.#deps.newEnvelopeId(message));
      ids.push(...own);
      return own;
    };
    this.#transaction = { message, ids, name, begun: false, announced: false, junk: false };
    run(command);
  }

  /** To be called after each step, before its effects. */
  stepped(input: Input, before: Session, after: Session, effects: readonly Effect[]): void {
    if (!this.#announced || this.#over) return;
    const sent = ANSWERS.has(input.on) ? this.#sent : NOTHING_SENT;
    const { hostname } = this.#facts;
    const { reports, over } = reportsOf(hostname, input, before, after, effects, sent, this.#transaction);
    for (const [event, params] of reports) this.#event(event, params);
    if (this.#transaction !== null) this.#transaction.announced ||= reports.some(([event]) => event === "tx-begin");
    // A MAIL that was begun may still be refused, at once or when lookup has answered.
    const waits = after.transaction !== null || after.phase === "sender";
    if (over || !waits) this.#end();
  }

  /** 354 was sent: returns what takes the message. Call when the session is in its data phase. */
  receiver(policy: MessagePolicy): Receiver | null {
    const transaction = this.#transaction;
    if (transaction === null) return null;
    transaction.begun = true;
    const { message, ids } = transaction;
    const { session } = this.#host;
    const { queue, now, date, newToken, newEnvelopeId, reconsider } = this.#deps;
    const deps: MessageDeps = {
      queue,
      now: () => now(),
      date: (at) => date(at),
      newToken: () => newToken(),
      newEnvelopeId: (id) => ids.shift() ?? newEnvelopeId(id),
      ...(reconsider === undefined ? {} : { reconsider }),
    };
    const processes = this.#processes.filter((process) =>
      this.#filters.client.registered?.get(process)?.phases.includes("data-line")
    );
    const authentication = this.#deps.authentication?.(message, session, this.#facts) ?? null;
    this.#commit.begin(authentication);
    const front = this.#junk || transaction.junk ? "X-Spam: Yes\n" : "";
    if (processes.length === 0) {
      const beginning = { front, bare: false, authentication };
      return this.#receiver = new IncomingMessage(message, session, this.#facts, policy, deps, beginning);
    }
    const { maxMessageBytes } = this.#facts;
    const facts = { ...this.#facts, maxMessageBytes: maxMessageBytes + ADDED_LIMIT_OCTETS };
    const inner = new IncomingMessage(message, session, facts, policy, deps, { front, bare: true, authentication });
    const start = {
      front: new TextEncoder().encode(inner.front),
      completion: completionOf(session, facts, policy, deps),
      isForged: forgedFor(facts),
      authentication,
    };
    const { client } = this.#filters;
    this.#message = new FilteredMessage(inner, processes, maxMessageBytes, start, client, this, () => newToken());
    return this.#receiver = this.#message;
  }

  /** The message is whole, or cannot be taken. */
  received(decision: Input): void {
    if (decision.on !== "received" || !isHopeless(decision.fault)) this.#event("protocol-client", ".");
    if (decision.on !== "received" || decision.fault !== null) return this.#host.apply(decision);
    this.#commit.decide(this.#transaction!.message, ({ kind, ...rest }, mailAuth) => {
      // The queue may have given the message up meanwhile.
      if (kind !== "refuse") return this.#host.apply(this.#receiver?.outcome() ?? decision);
      const { text, close } = rest as Extract<ChainDecision, { kind: "refuse" }>;
      const known = mailAuth === null ? {} : { mailAuth };
      this.#host.apply({ on: "filtered", line: "DATA", text, close, ...known, ...this.notes.refusing });
    });
  }

  /** The session is over. */
  ended(): void {
    if (this.#over) return;
    this.#over = true;
    this.#phases.stop();
    this.#pending = null;
    if (this.#transaction !== null) {
      for (const [event, params] of rollback(this.#transaction.message)) this.#event(event, params);
      this.#end();
    }
    if (this.#announced) this.#event("link-disconnect", "");
    this.#filters.client.leave(this);
  }

  /** The transaction is over; unless a message came of it, its id is given back, or if filters know it, not used again. */
  #end(): void {
    const transaction = this.#transaction;
    const { queue } = this.#deps;
    if (transaction !== null && !transaction.begun) {
      if (transaction.announced) queue.drop(transaction.message);
      else queue.giveBack(transaction.message);
    }
    this.#transaction = null;
    this.#receiver = null;
    this.#message = null;
    this.notes.endTransaction();
    this.#commit.end();
  }

  // ── a phase goes through the chain ──

  /** `key`: of the address in MAIL and RCPT, as tables have it. */
  #ask(
    phase: Exclude<FilterPhaseName, "data-line">,
    param: string,
    done: (decision: ChainDecision) => void,
    key = "",
  ): void {
    this.#phases.begin({ phase, param, view: this.#view(phase, param, key) }, done);
  }

  #view(phase: FilterPhaseName, param: string, key: string): View {
    const { session } = this.#host;
    return {
      rdns: this.#rdns,
      confirmed: this.#confirmed,
      address: this.#facts.address,
      helo: phase === "helo" || phase === "ehlo" ? param : session.origin?.helo ?? "",
      username: session.username,
      sender: phase === "mail-from" ? key : senderKey(session),
      rcpt: phase === "rcpt-to" ? key : "",
      mailAuth: null,
    };
  }

  #event(event: FilterEvent, params: string): void {
    if (this.#announced && this.#processes.length > 0) this.#filters.client.event(this, this.#processes, event, params);
  }

  // ── Filtered of filter_client.ts ──

  answered(token: string, decision: FilterDecision): void {
    this.#phases.answered(token, decision);
  }

  lines(process: string, token: string, bytes: Uint8Array<ArrayBuffer>): void {
    const heldUp = this.#heldUp;
    if (this.#message === null) this.#filters.client.used(process, bytes.length);
    else this.#message.lines(process, token, bytes);
    this.#host.wake({ progress: heldUp });
  }

  taken(process: string, weight: number): void {
    const heldUp = this.#heldUp;
    this.#message?.taken(process, weight);
    this.#host.wake({ progress: heldUp });
  }

  /** The client waits for the filters of its message: only then is what they do its progress. */
  get #heldUp(): boolean {
    return this.#message?.ready() === false;
  }

  reported(name: string, message: string): void {
    this.#event("filter-report", `proc|${name}|${message}`);
  }

  /** What was missing may be there now. */
  resume(): void {
    const pending = this.#pending;
    this.#pending = null;
    if (!this.#over) pending?.();
    this.#host.wake({ progress: false });
  }

  lost(): void {
    if (!this.#over) this.#host.apply({ on: "peer-gone" });
    this.#host.wake({ progress: false });
  }
}

/** The one form that the address of a path has in tables, however it was quoted, routed or spelled; "" for the null path. */
function keyOf(argument: string, hostname: string): string {
  const path = parsePath(argument, hostname);
  return path.ok && path.path !== null ? formatMailbox(path.path) : "";
}
