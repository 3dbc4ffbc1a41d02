/**
 * The isolates that a message meets until it is queued, put together in this process: the service of smtp, lookup with its rules and tables, the signer, and
 * a queue that keeps nothing. What is decided here is decided by their code, from the settings that the daemon would cut for them.
 */

import { type Mailbox, type MessageId, messageIdOf, type MessageNumber } from "../envelope/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import { Answerer, type ClientNamer } from "../lookup/answerer.ts";
import { Authoriser } from "../lookup/authorise.ts";
import type { Configured } from "../lookup/configurations.ts";
import { Logins } from "../lookup/logins.ts";
import { Lookups, type Machine } from "../lookup/lookup_engine.ts";
import { LookupError } from "../tables/mod.ts";
import { readStored } from "../sasl/mod.ts";
import type { Dns } from "../mail_auth/dns.ts";
import type {
  FilterToSession,
  FromLookup,
  FromSigner,
  LookupSettings,
  Peer,
  QueueToSmtp,
  SessionToFilter,
  Settings,
  SmtpToQueue,
  ToLookup,
  ToSigner,
} from "../protocol/mod.ts";
import { Signatures } from "../signer/signatures.ts";
import { SignerClient } from "../signer_client/mod.ts";
import { SmtpService } from "../smtp/service.ts";
import { signingBy } from "../smtp/signing.ts";
import { type Clock, soon, systemClock } from "../clock.ts";
import { MemoryQueue, type TakenMessage } from "./memory_queue.ts";
import { memoryDoor } from "./memory_door.ts";
import { type Note, Notes } from "./notes.ts";
import { NOT_ASKED } from "./programs.ts";
import { MadeUpWire } from "./wire.ts";

/** What the parts reach outside of this process by. */
export interface FrontPorts {
  /** Files of tables, accounts, and main for `.forward` files. */
  readonly machine: Machine;
  /** Names of clients. */
  readonly namer: ClientNamer;
  /** For the checks of mail. */
  readonly dns: Dns;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Where others tell what they decide, if there are such. */
  readonly notes?: Notes;
  /** The filter isolate, where programs are asked; without it they let all pass. */
  readonly filter?: Channel<SessionToFilter, FilterToSession>;
  /**
   * A password that is right for everybody who may log in: whoever explains a login does not know the real one. Absent: passwords are compared, by what
   * `login` answers.
   */
  readonly anyPassword?: string;
  readonly login?: Logins;
}

/** Names of clients, and failures of theirs, are remembered for less. */
const FORGOTTEN_MS = 3_600_000;

/** Where a session begins. */
export interface ClientPlace {
  /** Index of the listener in the settings. */
  readonly listener: number;
  readonly peer: Peer;
}

export class Front {
  readonly settings: Settings;
  readonly lookups: Lookups;
  readonly #notes: Notes;
  readonly #queue: MemoryQueue;
  readonly #service: SmtpService;
  #messages = 0;
  /** So much the steady clock is ahead: what sessions remember of clients is forgotten before the next one. */
  #aheadMs = 0;

  /** Throws when the settings cannot be used, as the isolates would. */
  constructor(settings: Settings, ports: FrontPorts) {
    this.settings = settings;
    this.#notes = ports.notes ?? new Notes();
    const { observer } = this.#notes;
    const clock: Clock = {
      ...systemClock,
      now: () => ports.now(),
      steady: () => systemClock.steady() + this.#aheadMs,
    };
    const warn = (text: string) => observer.emit({ type: "log", level: "warn", text });
    this.lookups = new Lookups(
      settings.lookup,
      { askProgram: NOT_ASKED, ...ports.machine },
      warn,
      observer,
      clock,
    );
    const queue = memoryDoor<SmtpToQueue, QueueToSmtp>();
    this.#queue = new MemoryQueue(queue.answering, {
      macKey: settings.queue.envelopeMacKey,
      newId: () => this.#newId(),
    });
    this.#service = new SmtpService({
      // Who explains is told what the history would be.
      settings: { ...settings.smtp, shared: { ...settings.smtp.shared, recording: true } },
      lookup: this.#lookupDoor(settings.lookup, ports, warn),
      queue: queue.asking,
      filter: ports.filter ?? passingFilter(settings),
      emit: observer.emit,
      observer,
      authenticators: [signingBy({
        keys: () => settings.smtp.signing ?? [],
        client: new SignerClient(signerDoor(settings), systemClock),
        now: () => ports.now(),
        emit: observer.emit,
        decidesLater: settings.smtp.rulesSeeMailAuth === true,
      })],
      random: () => 0,
      clock: { ...clock, soon },
      ownTls: true,
      checked: (checked) => this.#notes.add({ kind: "checked", checked }),
      ended: () => {},
    });
  }

  /** Begins a session. */
  connect({ listener, peer }: ClientPlace): MadeUpWire {
    this.#aheadMs += FORGOTTEN_MS;
    const wire = new MadeUpWire({ verified: this.settings.smtp.listeners[listener]!.verify !== false });
    wire.connection = this.#service.connect(listener, peer, wire);
    return wire;
  }

  /** The client has left. */
  left(wire: MadeUpWire): void {
    this.#service.closed(wire.connection, "disconnect");
  }

  /** Returns what was told since the last call. */
  notes(): { readonly notes: readonly Note[]; readonly omitted: number } {
    return this.#notes.take();
  }

  /** Returns the messages that the queue has taken since the last call. */
  taken(): readonly TakenMessage[] {
    const { taken } = this.#queue;
    this.#queue.taken = [];
    return taken;
  }

  /** Lets go of all that would keep the process alive. */
  async close(): Promise<void> {
    await this.#service.stop();
  }

  /** Ids are counted, so that the same question has the same answer. */
  #newId(): MessageId {
    return messageIdOf(++this.#messages as MessageNumber);
  }

  #lookupDoor(
    settings: LookupSettings,
    ports: FrontPorts,
    warn: (text: string) => void,
  ): Channel<ToLookup, FromLookup> {
    const asked = new Map<number, Mailbox>();
    const { asking, answering } = memoryDoor<ToLookup, FromLookup>((answer) => {
      const rcpt = asked.get(answer.call);
      asked.delete(answer.call);
      if (answer.type === "expanded" && rcpt !== undefined) {
        this.#notes.add({ kind: "expanded", rcpt, result: answer.result });
      }
    });
    const { lookups } = this;
    const logins = ports.login ??
      new Logins({ settings, ask: () => memoryDoor().asking as never }, lookups, null, warn);
    const configured: Configured = { settings, lookups, logins, authoriser: new Authoriser(settings) };
    const around = { ...this.#notes.observer, settings };
    const answerer = new Answerer(around, { of: () => configured, current: configured }, ports, warn);
    const by = { trusted: false, own: false, sessions: true };
    answering.onmessage = (question) => {
      if (question.type === "expand") {
        asked.set(question.call, question.rcpt);
        return answerer.answer(answering, { ...question, explain: true }, by);
      }
      if (question.type !== "authenticate" || ports.anyPassword === undefined) {
        return answerer.answer(answering, question, by);
      }
      void this.#mayLogIn(question, ports).then((result) => {
        answering.send({ type: "authenticated", call: question.call, result });
      });
    };
    return asking;
  }

  /** Would the right password let this user in? */
  async #mayLogIn(
    { table, user, password }: Extract<ToLookup, { type: "authenticate" }>,
    { anyPassword, machine }: FrontPorts,
  ): Promise<"ok" | "permfail" | "tempfail"> {
    if (password !== anyPassword) return "permfail";
    const known = table === null
      ? machine.accounts.find(user) ?? await machine.main?.account(user) ?? null
      : await this.lookups.passwordOf(table, user);
    if (known instanceof LookupError) return "tempfail";
    if (known === null) return "permfail";
    if (typeof known !== "string") return "ok";
    const stored = readStored(known);
    if (stored.kind === "locked") return "permfail";
    // No password is right for what cannot be compared.
    return stored.kind === "unknown" || stored.hash === null ? "tempfail" : "ok";
  }
}

/** The door to programs that are not asked: they are there, and have registered for nothing. */
function passingFilter({ smtp }: Settings): Channel<SessionToFilter, FilterToSession> {
  const { asking, answering } = memoryDoor<SessionToFilter, FilterToSession>();
  const steps = Object.values(smtp.filters ?? {}).flat();
  const processes = new Set(steps.flatMap((step) => step.kind === "process" ? [step.process] : []));
  answering.send({
    type: "registered",
    registrations: [...processes].map((process) => ({
      process,
      phases: [],
      events: { "smtp-in": [], "smtp-out": [] },
    })),
  });
  return asking;
}

/** The signer at its door, with the keys that could be read. */
function signerDoor({ signer }: Settings): Channel<ToSigner, FromSigner> {
  const { asking, answering } = memoryDoor<ToSigner, FromSigner>();
  const signatures = new Signatures(signer, { now: systemClock.steady, libcrypto: null });
  answering.onmessage = (question) => {
    const result = signatures.sign(question);
    const { call } = question;
    if (result.ok) return answering.send({ type: "signed", call, signature: result.signature });
    // Nobody here forges a grant.
    const refusal = result.refusal === "forged" ? "key" : result.refusal;
    answering.send({ type: "signed", call, signature: null, refusal });
  };
  return asking;
}
