/**
 * Sessions and the filter programs that they talk to: brings events and questions to the programs and answers to the sessions, and checks that
 * a program answers its question and nothing else. Decides nothing about mail; that is done where the sessions are.
 */

import { type Channel } from "../isolate/mod.ts";
import type {
  FilterEvent,
  FilterPhaseName,
  FilterProgram,
  FilterRegistration,
  FilterSubsystem,
  FilterToSession,
  SessionToFilter,
} from "../protocol/mod.ts";
import { FILTER_WINDOW, weightOf } from "../protocol/filters.ts";
import { eventLine, type FilterOutput, requestHead, requestLine } from "./filter_protocol.ts";
import { binaryBytes } from "./lines.ts";
import { MAX_QUEUED_OCTETS, Processor, type ProcessorSurroundings } from "./filter_program.ts";
import { isValidMessage } from "./validate_message.ts";

type Door = Channel<FilterToSession, SessionToFilter>;
/** Has the isolate at a door replaced. */
type Refuse = (fault: string) => void;
type Spoken = Exclude<FilterOutput, { type: "nothing" | "ready" | "broken" }>;

/** What a session waits for from one process. */
interface PendingQuestion {
  readonly token: string;
  readonly phase: FilterPhaseName;
}

interface Known {
  readonly door: Door;
  /** By process; null where there is no open question. */
  readonly question: Map<string, PendingQuestion | null>;
}

/** Lines of messages on their way into a program, in the order in which they were sent. */
interface Mark {
  /** Counts all bytes ever sent to the program. */
  readonly until: number;
  readonly door: Door;
  readonly session: string;
  readonly weight: number;
}

/** A program with what is on its way in and out. */
interface ProgramState {
  readonly processor: Processor;
  readonly events: ReadonlyMap<string, number>;
  sent: number;
  written: number;
  readonly marks: Mark[];
  /** Octets of lines that sessions have not used yet. */
  unused: number;
  held: boolean;
  /** Octets that each isolate has sent since all was taken. */
  readonly ahead: Map<Door, number>;
  /** Lines of this turn, for each session. */
  readonly lines: Map<string, { token: string; texts: string[] }>;
}

/** Output of a program that sessions have not used: above, it is not read. */
const UNUSED_LIMIT = 8 * FILTER_WINDOW;
/** Sessions that are known at one time; the smtp isolates have far fewer. */
const MAX_SESSIONS = 1_000_000;
/** Questions of sessions that are gone whose answers are remembered to be due; the oldest are forgotten. */
const MAX_LATE_ANSWERS = 100_000;
/** An isolate that has sent so much while so much waits does not keep to what it is told: it goes, not the program, which may be slow. */
const MAX_AHEAD_OCTETS = MAX_QUEUED_OCTETS / 4, FULL_OCTETS = MAX_QUEUED_OCTETS / 2;
const encoder = new TextEncoder();

export class FilterRouter {
  readonly #programs = new Map<string, ProgramState>();
  readonly #sessions = new Map<string, Known>();
  readonly #doors = new Map<Door, Refuse>();
  /** Processes and sessions, where the answer to a session that is gone is still to come: in a session of that name it would be another's. */
  readonly #late = new Set<string>();
  readonly #onlost: (reason: string) => void;
  #registrations: readonly FilterRegistration[] | null = null;
  #holding = 0;
  #lost = false;

  /** `onlost` is called once: no mail may pass from then on. */
  constructor(programs: readonly FilterProgram[], around: ProcessorSurroundings, onlost: (reason: string) => void) {
    this.#onlost = onlost;
    for (const program of programs) {
      const { process, name } = program;
      const processor = new Processor(program, around, {
        onoutput: (output) => this.#receive(process, output),
        onhold: () => this.#setHolding(this.#holding + 1),
        onrelease: () => this.#setHolding(this.#holding - 1),
        onwritten: (bytes) => this.#written(process, bytes),
        onlost: (reason) => this.#lose(name, reason),
      });
      const state = {
        processor,
        events: new Map(),
        sent: 0,
        written: 0,
        marks: [],
        unused: 0,
        held: false,
        ahead: new Map(),
      };
      this.#programs.set(process, { ...state, lines: new Map() });
    }
  }

  /** Starts all programs. Rejects when one does not get ready. */
  async open(): Promise<void> {
    const states = [...this.#programs.values()];
    const registrations = await Promise.all(states.map(({ processor }) => processor.open()));
    for (const { process, events } of registrations) this.#count(process, events);
    this.#registrations = registrations;
    for (const door of this.#doors.keys()) door.send({ type: "registered", registrations });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#programs.values()].map(({ processor }) => processor.stop()));
  }

  /** Ends the other programs: no session uses them any more. */
  keep(processes: readonly string[]): void {
    for (const [process, { processor }] of this.#programs) {
      if (processes.includes(process)) continue;
      this.#programs.delete(process);
      if (processor.holding) this.#setHolding(this.#holding - 1);
      void processor.stop();
    }
  }

  /** An isolate with sessions, or one that took its place. `refuse` has it replaced: a program must not fall for what an isolate says. */
  addDoor(door: Door, refuse: Refuse): void {
    this.#doors.set(door, refuse);
    door.onmessage = (message) => this.#take(door, message);
    door.onreset = () => this.#forget(door);
    if (this.#registrations !== null) door.send({ type: "registered", registrations: this.#registrations });
    if (this.#holding > 0) door.send({ type: "hold", on: true });
    if (this.#lost) door.send({ type: "lost" });
  }

  #count(process: string, events: FilterRegistration["events"]): void {
    const counts = this.#programs.get(process)!.events as Map<string, number>;
    for (const subsystem of ["smtp-in", "smtp-out"] as const) {
      for (const event of events[subsystem]) {
        const key = `${subsystem} ${event}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
  }

  #forget(door: Door): void {
    this.#doors.delete(door);
    for (const [session, known] of this.#sessions) if (known.door === door) this.#end(session, known);
    // What it had been sent will not be reported as used any more.
    for (const state of this.#programs.values()) {
      this.#used(state, state.unused);
      state.ahead.delete(door);
    }
  }

  #take(door: Door, message: SessionToFilter): void {
    if (this.#lost || !isValidMessage(message)) return;
    switch (message.type) {
      case "event":
        return this.#event(door, message);
      case "request":
        return this.#request(door, message);
      case "lines":
        return this.#linesIn(door, message);
      case "taken": {
        const state = this.#programs.get(message.process);
        if (state !== undefined) this.#used(state, message.bytes);
        return;
      }
      case "gone":
        return this.#gone(door, message.session);
    }
  }

  #gone(door: Door, session: string): void {
    const known = this.#sessions.get(session);
    if (known?.door === door) this.#end(session, known);
  }

  #end(session: string, { question }: Known): void {
    this.#sessions.delete(session);
    for (const [process, pending] of question) {
      if (pending === null) continue;
      if (this.#late.size >= MAX_LATE_ANSWERS) this.#late.delete(this.#late.values().next().value!);
      this.#late.add(lateKey(process, session));
    }
  }

  #event(door: Door, message: Extract<SessionToFilter, { type: "event" }>): void {
    const { session, processes, subsystem, event, params, at } = message;
    let line: Uint8Array<ArrayBuffer> | null = null;
    for (const process of processes) {
      const state = this.#programs.get(process);
      if (state === undefined || this.#know(door, session, process) === null) continue;
      for (let count = this.#eventCount(state, subsystem, event); count > 0; count--) {
        line ??= encoder.encode(eventLine(at, subsystem, event, session, params));
        this.#send(door, state, line);
      }
    }
  }

  #eventCount(state: ProgramState, subsystem: FilterSubsystem, event: FilterEvent): number {
    return state.events.get(`${subsystem} ${event}`) ?? 0;
  }

  #request(door: Door, message: Extract<SessionToFilter, { type: "request" }>): void {
    const { session, process, phase, token, param, at } = message;
    const state = this.#programs.get(process);
    if (state === undefined || !this.#ask(door, session, process, { token, phase })) return;
    this.#send(door, state, encoder.encode(requestLine(at, phase, session, token, param)));
  }

  /** Each line with the words before it that the protocol requires. */
  #linesIn(door: Door, message: Extract<SessionToFilter, { type: "lines" }>): void {
    const { session, process, token, bytes, at } = message;
    const state = this.#programs.get(process);
    if (state === undefined || !this.#ask(door, session, process, { token, phase: "data-line" })) return;
    this.#send(door, state, withHead(bytes, requestHead(at, "data-line", session, token)));
    state.marks.push({ until: state.sent, door, session, weight: weightOf(bytes) });
  }

  #know(door: Door, session: string, process: string): Known | null {
    let known = this.#sessions.get(session);
    if (known === undefined) {
      if (this.#sessions.size >= MAX_SESSIONS) return null;
      this.#sessions.set(session, known = { door, question: new Map() });
    }
    if (known.door !== door) return null;
    if (!known.question.has(process)) known.question.set(process, null);
    return known;
  }

  #ask(door: Door, session: string, process: string, question: PendingQuestion): boolean {
    const known = this.#know(door, session, process);
    if (known === null) return false;
    const pending = known.question.get(process) ?? null;
    const goesOn = pending?.token === question.token && pending.phase === "data-line" && question.phase === "data-line";
    // The program answers each: the answer to the first would look like a fault of it.
    if ((pending !== null && !goesOn) || this.#late.has(lateKey(process, session))) {
      this.#doors.get(door)?.(`${question.phase}: a session asks again before it has its answer`);
      return false;
    }
    known.question.set(process, question);
    return true;
  }

  #send(door: Door, state: ProgramState, bytes: Uint8Array<ArrayBuffer>): void {
    const { queued } = state.processor;
    if (queued === 0) state.ahead.clear();
    const ahead = (state.ahead.get(door) ?? 0) + bytes.length;
    if (queued > FULL_OCTETS && ahead > MAX_AHEAD_OCTETS) {
      return this.#doors.get(door)?.("it sends a program more than it may while that does not keep up");
    }
    state.ahead.set(door, ahead);
    state.sent += bytes.length;
    state.processor.send(bytes);
  }

  #written(process: string, bytes: number): void {
    const state = this.#programs.get(process);
    if (state === undefined) return;
    state.written += bytes;
    while (state.marks.length > 0 && state.marks[0]!.until <= state.written) {
      const { door, session, weight } = state.marks.shift()!;
      // The isolate counts what all its sessions have sent, gone ones too.
      if (this.#doors.has(door)) door.send({ type: "taken", session, process, bytes: weight });
    }
  }

  // ── output of programs ──

  #receive(process: string, output: Spoken): void {
    const state = this.#programs.get(process);
    if (state === undefined) return;
    const known = this.#sessions.get(output.session);
    // The session may have gone while the program thought about it.
    if (output.type !== "report" && this.#late.has(lateKey(process, output.session))) {
      // Of lines the last is the end of the answer.
      if (output.type === "result" || output.line === ".") this.#late.delete(lateKey(process, output.session));
      return;
    }
    if (known === undefined || !known.question.has(process)) return;
    if (output.type === "report") {
      const { name } = state.processor.program;
      return known.door.send({ type: "reported", session: output.session, name, message: output.message });
    }
    const question = known.question.get(process) ?? null;
    const fault = faultOf(output, question);
    if (fault !== null) return state.processor.lose(`it breaks the protocol: ${fault}`);
    if (output.type === "line") return this.#lineOut(state, known, process, output);
    known.question.set(process, null);
    const { session, token, decision } = output;
    known.door.send({ type: "answer", session, token, decision });
  }

  #lineOut(
    state: ProgramState,
    known: Known,
    process: string,
    { session, token, line }: Extract<Spoken, { type: "line" }>,
  ) {
    if (line === ".") known.question.set(process, null);
    let waiting = state.lines.get(session);
    if (waiting === undefined) {
      if (state.lines.size === 0) queueMicrotask(() => this.#flush(state, process));
      state.lines.set(session, waiting = { token, texts: [] });
    }
    waiting.texts.push(line, "\n");
  }

  #flush(state: ProgramState, process: string): void {
    for (const [session, { token, texts }] of state.lines) {
      const known = this.#sessions.get(session);
      if (known === undefined) continue;
      const bytes = binaryBytes(texts.join(""));
      state.unused += bytes.length;
      known.door.send({ type: "lines", session, process, token, bytes }, [bytes.buffer]);
    }
    state.lines.clear();
    if (state.unused > UNUSED_LIMIT && !state.held) {
      state.held = true;
      state.processor.hold();
    }
  }

  #used(state: ProgramState, bytes: number): void {
    state.unused = Math.max(0, state.unused - bytes);
    if (!state.held || state.unused > UNUSED_LIMIT / 2) return;
    state.held = false;
    state.processor.release();
  }

  /** Sessions are held while at least one program does not keep up. */
  #setHolding(programs: number): void {
    const before = this.#holding > 0, on = programs > 0;
    this.#holding = programs;
    if (on === before) return;
    for (const door of this.#doors.keys()) door.send({ type: "hold", on });
  }

  #lose(name: string, reason: string): void {
    if (this.#lost) return;
    this.#lost = true;
    for (const door of this.#doors.keys()) door.send({ type: "lost" });
    this.#onlost(`lost processor: ${name}: ${reason}`);
  }
}

function lateKey(process: string, session: string): string {
  return `${session} ${process}`;
}

/** Why an answer does not belong to the question; null when it does. */
function faultOf(output: Exclude<Spoken, { type: "report" }>, question: PendingQuestion | null): string | null {
  if (question === null || question.token !== output.token) return "an answer with an unknown token";
  const lines = question.phase === "data-line";
  if (output.type === "line") return lines ? null : "filter-dataline outside of the phase data-line";
  if (lines) return "filter-result in the phase data-line";
  return question.phase === "commit" && output.decision.kind === "junk" ? '"junk" in the phase commit' : null;
}

const LF = 0x0a;

/** `head` before each line of `bytes`, which ends with LF. */
function withHead(bytes: Uint8Array, head: string): Uint8Array<ArrayBuffer> {
  const prefix = encoder.encode(head);
  let count = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) count++;
  const whole = new Uint8Array(bytes.length + count * prefix.length);
  let to = 0, from = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
    whole.set(prefix, to);
    whole.set(bytes.subarray(from, at + 1), to += prefix.length);
    to += at + 1 - from;
    from = at + 1;
  }
  return whole;
}
