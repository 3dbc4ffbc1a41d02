/**
 * A `table-NAME` program and its restarts: requests wait for their turn, each has its time, and a program that ends, breaks the protocol
 * or falls silent is replaced. The requests that wait then are answered with an error, so mail waits and nothing is refused.
 */

import type { TableAnswer, TableRequest } from "../protocol/mod.ts";
import type { TableProgram } from "../config/mod.ts";
import { MAX_ANSWER_OCTETS, TableDialogue } from "./table_protocol.ts";
import type { ProcessOptions, RunningProcess, StartProcess } from "./child_process.ts";
import type { Clock } from "../clock.ts";

/** Requests that wait for one program; more are errors at once. */
export const MAX_WAITING_REQUESTS = 1000;
/** A request is answered within this time, its waiting included, or it is an error. */
export const REQUEST_MS = 30_000;
/** A program that was started registers within this time. */
export const REGISTER_MS = 30_000;
/** Pauses before a program is started again; a minute of life makes them short again. */
const RESTART_MIN_MS = 100, RESTART_MAX_MS = 30_000, QUIET_MS = 60_000;

/** What a test replaces. */
export interface Surroundings {
  readonly start: StartProcess;
  readonly clock: Pick<Clock, "now" | "after">;
  /** 8 hex digits, unpredictable. */
  readonly id: () => string;
  readonly log: (level: "info" | "warn", text: string) => void;
  readonly version: string;
  readonly identity: ProcessOptions["identity"];
  readonly path: string;
}

interface Waiting {
  readonly request: TableRequest;
  readonly answer: (answer: TableAnswer) => void;
  readonly cancelLimit: () => void;
}

interface Life {
  readonly dialogue: TableDialogue;
  readonly process: RunningProcess;
  readonly since: number;
  registered: boolean;
  cancelLimit: () => void;
}

export class TableKeeper {
  readonly #program: TableProgram;
  readonly #around: Surroundings;
  /** In their order; the first is the one that was sent when `#sent`. */
  readonly #waiting: Waiting[] = [];
  #sent = false;
  #life: Life | null = null;
  #failures = 0;
  #stopped = false;
  #onstopped = () => {};
  /** Processes that have not ended yet: one that runs, or is being ended. */
  #running = 0;
  #cancelRestart = () => {};
  #onopen: { resolve: () => void; reject: (error: Error) => void } | null = null;

  constructor(program: TableProgram, around: Surroundings) {
    this.#program = program;
    this.#around = around;
  }

  /** Starts the program. Resolves when it has registered, rejects when its first life ends before that. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onopen = { resolve, reject };
      this.#start();
    });
  }

  /** Never rejects. */
  ask(request: TableRequest): Promise<TableAnswer> {
    if (this.#life === null) return Promise.resolve(failure("The program does not run"));
    if (this.#waiting.length >= MAX_WAITING_REQUESTS) return Promise.resolve(failure("Too many requests wait"));
    return new Promise((answer) => {
      const cancelLimit = this.#around.clock.after(REQUEST_MS, () => this.#late(waiting));
      const waiting: Waiting = { request, answer, cancelLimit };
      this.#waiting.push(waiting);
      this.#next();
    });
  }

  /** Ends the program permanently. Resolves when it has ended. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRestart();
    this.#end("the daemon stops");
    return new Promise((resolve) => {
      if (this.#running === 0) return resolve();
      this.#onstopped = resolve;
    });
  }

  #start(): void {
    const { start, clock, version, identity, path } = this.#around;
    const { name, program, argument } = this.#program;
    const dialogue = new TableDialogue(name);
    const options = {
      program,
      args: argument === null ? [] : [argument],
      identity,
      path,
      lineLimit: MAX_ANSWER_OCTETS,
    };
    this.#running++;
    const process = start(options, {
      online: (line) => this.#life === life && this.#receive(life, line),
      onstderr: (line) => this.#around.log("info", `${name}: ${line}`),
      onend: (reason) => this.#ended(life, reason),
    });
    const life: Life = { dialogue, process, since: clock.now(), registered: false, cancelLimit: () => {} };
    this.#life = life;
    life.cancelLimit = clock.after(REGISTER_MS, () => this.#end("it does not register"));
    process.write(dialogue.greeting(version));
  }

  #receive(life: Life, line: string): void {
    const output = life.dialogue.receive(line);
    switch (output.type) {
      case "nothing":
        return;
      case "broken":
        return this.#end(output.reason);
      case "registered":
        life.registered = true;
        life.cancelLimit();
        if (this.#onopen === null) this.#log("info", "runs again");
        this.#onopen?.resolve();
        this.#onopen = null;
        return this.#next();
      case "answer": {
        const { answer, cancelLimit } = this.#waiting.shift()!;
        this.#sent = false;
        cancelLimit();
        answer(output.answer);
        return this.#next();
      }
    }
  }

  /** Asks what waits first, when the program is free. */
  #next(): void {
    const life = this.#life;
    if (this.#sent || life === null || !life.registered) return;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const refusal = life.dialogue.refusal(first.request);
      if (refusal === null) {
        this.#sent = true;
        return life.process.write(life.dialogue.ask(first.request, this.#around.id(), this.#around.clock.now()));
      }
      this.#waiting.shift();
      first.cancelLimit();
      const unserved = life.dialogue.serves(first.request) ? {} : { unserved: true as const };
      first.answer({ result: "error", reason: refusal, ...unserved });
    }
  }

  /** An answer that comes later would be taken for that to the next question: a program that is late is ended. */
  #late(waiting: Waiting): void {
    if (this.#sent && this.#waiting[0] === waiting) return this.#end("it does not answer");
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    waiting.answer(failure("The program is too busy"));
  }

  /** No more output of this life is read; `#ended` follows when the process is gone. */
  #end(reason: string): void {
    const life = this.#life;
    if (life === null) return;
    this.#life = null;
    life.cancelLimit();
    this.#failAll(`The program was ended: ${reason}`);
    life.process.end(reason);
  }

  #ended(life: Life, reason: string): void {
    if (this.#life === life) {
      this.#life = null;
      life.cancelLimit();
      this.#failAll(`The program ended: ${reason}`);
    }
    this.#running--;
    if (this.#stopped) return this.#onstopped();
    if (this.#onopen !== null) {
      this.#onopen.reject(new Error(`table "${this.#program.name}": ${this.#program.program} failed: ${reason}`));
      return;
    }
    const { clock } = this.#around;
    if (clock.now() - life.since > QUIET_MS) this.#failures = 0;
    const delayMs = Math.min(RESTART_MIN_MS * 2 ** this.#failures, RESTART_MAX_MS);
    this.#failures++;
    this.#log("warn", `ended and starts again in ${delayMs} ms: ${reason}`);
    this.#cancelRestart = clock.after(delayMs, () => this.#start());
  }

  #failAll(reason: string): void {
    this.#sent = false;
    for (const { answer, cancelLimit } of this.#waiting.splice(0)) {
      cancelLimit();
      answer(failure(reason));
    }
  }

  #log(level: "info" | "warn", text: string): void {
    this.#around.log(level, `${level}: program of table "${this.#program.name}" ${text}`);
  }
}

function failure(reason: string): TableAnswer {
  return { result: "error", reason };
}
