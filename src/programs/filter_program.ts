/**
 * One filter program from its start to its end, which is the end of the daemon: what is sent to it waits in a bounded queue, its output is
 * parsed. Independent of sessions; see filter_sessions.ts.
 */

import type { FilterProgram, FilterRegistration } from "../protocol/mod.ts";
import {
  FilterDialogue,
  filterGreeting,
  type FilterIntroduction,
  type FilterOutput,
  MAX_FILTER_LINE_OCTETS,
} from "./filter_protocol.ts";
import type { FlowingProcess, ProcessOptions, StartFlowing } from "./child_process.ts";
import type { Clock } from "../clock.ts";

/** A program that was started says `register|ready` within this time. */
export const READY_MS = 30_000;
/** Bytes that wait for a program: above the first nothing new is begun until they are below the second. */
export const HOLD_ABOVE = 1024 * 1024, HOLD_BELOW = 128 * 1024;
/**
 * With so many it is given up. Sessions cannot get there, however many they are: those of one isolate have little more than 1 MB of lines on
 * the way, and events only until they are held back.
 */
export const MAX_QUEUED_OCTETS = 256 * 1024 * 1024;
/** It takes something in this time, or it is given up. */
export const STUCK_MS = 300_000;

export interface ProcessorSurroundings {
  readonly start: StartFlowing;
  readonly clock: Pick<Clock, "now" | "after">;
  readonly path: string;
  readonly introduction: Omit<FilterIntroduction, "subsystems">;
  readonly log: (level: "info" | "warn", text: string) => void;
}

export interface ProcessorHooks {
  /** A line that is no registration. */
  onoutput(output: Exclude<FilterOutput, { type: "nothing" | "ready" | "broken" }>): void;
  /** Too much waits for it. */
  onhold(): void;
  /** It keeps up again. */
  onrelease(): void;
  /** `bytes` of what was sent have been taken by it, in order. */
  onwritten(bytes: number): void;
  /** It is gone, or of no use any more; called once. */
  onlost(reason: string): void;
}

export class Processor {
  readonly program: FilterProgram;
  readonly #around: ProcessorSurroundings;
  readonly #hooks: ProcessorHooks;
  readonly #dialogue = new FilterDialogue();
  #process: FlowingProcess | null = null;
  #registration: FilterRegistration | null = null;
  #batch: Uint8Array<ArrayBuffer>[] = [];
  #queued = 0;
  #holding = false;
  #lost = false;
  #stopping = false;
  #cancelLimit = () => {};
  #takenAt = 0;
  #onopen: { resolve: (registration: FilterRegistration) => void; reject: (error: Error) => void } | null = null;
  #onstopped = () => {};
  #running = false;

  constructor(program: FilterProgram, around: ProcessorSurroundings, hooks: ProcessorHooks) {
    this.program = program;
    this.#around = around;
    this.#hooks = hooks;
  }

  /** Starts it. Resolves when it is ready, rejects when it ends before that. */
  open(): Promise<FilterRegistration> {
    return new Promise((resolve, reject) => {
      this.#onopen = { resolve, reject };
      const { start, clock, path, introduction, log } = this.#around;
      const { program, args, identity, name, subsystems } = this.program;
      const options: ProcessOptions = {
        program,
        args,
        identity,
        path,
        lineLimit: MAX_FILTER_LINE_OCTETS,
        binary: true,
      };
      this.#running = true;
      this.#process = start(options, {
        online: (line) => this.#receive(line),
        onstderr: (line) => log("info", `${name}: ${line}`),
        onend: (reason) => this.#ended(reason),
        onwritten: (bytes) => this.#written(bytes),
      });
      this.#cancelLimit = clock.after(READY_MS, () => this.lose("it does not say that it is ready"));
      this.send(new TextEncoder().encode(filterGreeting({ ...introduction, subsystems })));
    });
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Bytes that wait for it. */
  get queued(): number {
    return this.#queued;
  }

  /** Too much waits for it. */
  get holding(): boolean {
    return this.#holding;
  }

  /** What was sent in one turn is written at once. */
  send(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#lost) return;
    if (this.#queued === 0) this.#watch();
    this.#queued += bytes.length;
    if (this.#queued > MAX_QUEUED_OCTETS) return this.lose("it does not read what it is told");
    if (this.#queued > HOLD_ABOVE && !this.#holding) {
      this.#holding = true;
      this.#hooks.onhold();
    }
    if (this.#batch.push(bytes) === 1) queueMicrotask(() => this.#flush());
  }

  /** Stops reading its output. */
  hold(): void {
    this.#process?.hold();
  }

  /** Goes on reading its output. */
  release(): void {
    this.#process?.release();
  }

  /** Gives it up. */
  lose(reason: string): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#cancelLimit();
    this.#process?.end(reason);
    if (this.#stopping) return;
    const open = this.#onopen;
    this.#onopen = null;
    if (open === null) return this.#hooks.onlost(reason);
    open.reject(new Error(`filter program "${this.program.name}" (${this.program.program}) failed: ${reason}`));
  }

  /** Ends it permanently. Resolves when it has ended. */
  stop(): Promise<void> {
    this.#stopping = true;
    return new Promise((resolve) => {
      if (!this.#running) return resolve();
      this.#onstopped = resolve;
      this.lose("the daemon stops");
    });
  }

  #receive(line: string): void {
    if (this.#lost) return;
    const output = this.#dialogue.receive(line);
    switch (output.type) {
      case "nothing":
        return;
      case "broken":
        return this.lose(`it breaks the protocol: ${output.reason}`);
      case "ready":
        this.#cancelLimit();
        this.#registration = { process: this.program.process, ...output.registration };
        this.#onopen?.resolve(this.#registration);
        this.#onopen = null;
        return;
      case "result":
      case "line":
      case "report":
        return this.#hooks.onoutput(output);
    }
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    if (this.#lost || batch.length === 0) return;
    if (batch.length === 1) return this.#process?.send(batch[0]!);
    const whole = new Uint8Array(batch.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const bytes of batch) {
      whole.set(bytes, at);
      at += bytes.length;
    }
    this.#process?.send(whole);
  }

  #written(bytes: number): void {
    this.#queued -= bytes;
    this.#takenAt = this.#around.clock.now();
    if (this.#holding && this.#queued < HOLD_BELOW) {
      this.#holding = false;
      this.#hooks.onrelease();
    }
    this.#hooks.onwritten(bytes);
  }

  /** One timer at a time, from when something begins to wait. */
  #watch(): void {
    const { clock } = this.#around;
    this.#takenAt = clock.now();
    if (this.#registration === null) return;
    this.#cancelLimit();
    this.#cancelLimit = clock.after(STUCK_MS, () => this.#look());
  }

  #look(): void {
    const { clock } = this.#around;
    if (this.#queued === 0) return;
    const left = this.#takenAt + STUCK_MS - clock.now();
    if (left <= 0) return this.lose(`it has read nothing for ${STUCK_MS / 1000} seconds`);
    this.#cancelLimit = clock.after(left, () => this.#look());
  }

  #ended(reason: string): void {
    this.#running = false;
    this.lose(reason);
    this.#onstopped();
  }
}
