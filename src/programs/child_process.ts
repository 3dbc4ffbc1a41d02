/** One program that runs: lines to it and from it, its end. Independent of the protocol. The only file here that starts anything. */

import { LineCutter } from "./lines.ts";
import { type Clock, systemClock } from "../clock.ts";

export interface ProcessOptions {
  /** Absolute path: started as it is, through no shell. */
  readonly program: string;
  readonly args: readonly string[];
  /** The user that it runs as; null for the daemon's own user. */
  readonly identity: { readonly uid: number; readonly gid: number } | null;
  /** PATH of the program. */
  readonly path: string;
  /** Longest line of its output, in bytes; a longer one ends it. */
  readonly lineLimit: number;
  /** Its lines are not text: each octet of them is passed as the character with its number. */
  readonly binary?: boolean;
}

export interface ProcessHooks {
  online(line: string): void;
  onstderr(line: string): void;
  /** Called once, when it has ended. */
  onend(reason: string): void;
  /** It has taken so many bytes that were written to it. */
  onwritten?(bytes: number): void;
}

/** A program as its master sees it. */
export interface RunningProcess {
  /** Writes to its standard input. */
  write(text: string): void;
  /** Ends it; `onend` gets this reason, and no line is passed any more. */
  end(reason: string): void;
}

export type StartProcess = (options: ProcessOptions, hooks: ProcessHooks) => RunningProcess;

/** A program through which much flows. */
export interface FlowingProcess extends RunningProcess {
  /** Null when it could not be started. */
  readonly pid: number | null;
  /** Writes to its standard input; `onwritten` is called when it has taken them. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  /** Stops reading its output. */
  hold(): void;
  /** Goes on reading. */
  release(): void;
}

export type StartFlowing = (options: ProcessOptions, hooks: ProcessHooks) => FlowingProcess;

/** Longest line of standard error that is logged; the rest is cut off. */
const MAX_STDERR_LINE_OCTETS = 1024;
/** A program that was sent SIGTERM has so long before SIGKILL. */
const KILL_AFTER_MS = 2_000;
/** It has ended but something that it started holds its pipes: so long is waited for its last output. */
const GRACE_MS = 500;

/** Starts a program. One that cannot be started ends at once, with the reason. */
export const startProcess = (
  options: ProcessOptions,
  hooks: ProcessHooks,
  clock: Pick<Clock, "after"> = systemClock,
): FlowingProcess => {
  try {
    return new ChildProcess(options, hooks, clock);
  } catch (error) {
    queueMicrotask(() => hooks.onend(`it cannot be started: ${error instanceof Error ? error.message : error}`));
    return { pid: null, write: () => {}, send: () => {}, hold: () => {}, release: () => {}, end: () => {} };
  }
};

class ChildProcess implements FlowingProcess {
  readonly #hooks: ProcessHooks;
  readonly #clock: Pick<Clock, "after">;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #reason: string | null = null;
  /** Not null: its output is not read until this is called. */
  #release: (() => void) | null = null;
  #released: Promise<void> | null = null;

  constructor(options: ProcessOptions, hooks: ProcessHooks, clock: Pick<Clock, "after">) {
    const { program, args, identity, path, lineLimit, binary } = options;
    this.#hooks = hooks;
    this.#clock = clock;
    this.#child = new Deno.Command(program, {
      args: [...args],
      cwd: "/",
      clearEnv: true,
      env: { PATH: path },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // A session of its own: signals of a terminal are not for it.
      detached: true,
      ...(identity ?? {}),
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    void this.#watch(new LineCutter(lineLimit, binary ? "binary" : "utf-8"));
  }

  get pid(): number {
    return this.#child.pid;
  }

  write(text: string): void {
    this.send(new TextEncoder().encode(text));
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    // A program that does not read has ended or will be late; either is noticed elsewhere.
    this.#writer.write(bytes).then(() => this.#hooks.onwritten?.(bytes.length), () => {});
  }

  hold(): void {
    this.#released ??= new Promise((resolve) => this.#release = resolve);
  }

  release(): void {
    this.#release?.();
    this.#release = null;
    this.#released = null;
  }

  end(reason: string): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#writer.abort().catch(() => {});
    this.#signal("SIGTERM");
    const cancelKill = this.#clock.after(KILL_AFTER_MS, () => this.#signal("SIGKILL"));
    this.#child.status.finally(cancelKill);
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  async #watch(cutter: LineCutter): Promise<void> {
    const output = this.#readOutput(cutter);
    const errors = this.#readErrors();
    const { code, signal } = await this.#child.status;
    // Its last output may be a moment behind its end.
    let cancelGrace = () => {};
    await Promise.race([
      Promise.all([output.ended, errors.ended]),
      new Promise<void>((resolve) => cancelGrace = this.#clock.after(GRACE_MS, resolve)),
    ]);
    cancelGrace();
    const reason = this.#reason ?? (signal === null ? `it exited with status ${code}` : `it died of ${signal}`);
    this.#reason = reason;
    for (const { cancel } of [output, errors]) cancel();
    this.#writer.abort().catch(() => {});
    this.#hooks.onend(reason);
  }

  #readOutput(cutter: LineCutter): Reading {
    return readAll(
      this.#child.stdout,
      (bytes) => {
        for (const { text, cut } of cutter.push(bytes)) {
          if (cut) return this.end("a line that is too long");
          if (this.#reason === null) this.#hooks.online(text);
        }
        if (cutter.overflows) this.end("a line that is too long");
      },
      () => this.#reason ?? this.#closed(),
      () => this.#released,
    );
  }

  /** It may be about to exit, which says more. */
  #closed(): void {
    const cancelEnd = this.#clock.after(GRACE_MS, () => this.end("it closed its output"));
    this.#child.status.finally(cancelEnd);
  }

  #readErrors(): Reading {
    const cutter = new LineCutter(MAX_STDERR_LINE_OCTETS);
    const pass = (text: string) => text === "" ? undefined : this.#hooks.onstderr(text);
    return readAll(this.#child.stderr, (bytes) => {
      for (const { text } of cutter.push(bytes)) pass(text);
    }, () => pass(cutter.finish() ?? ""));
  }
}

interface Reading {
  readonly ended: Promise<void>;
  cancel(): void;
}

function readAll(
  stream: ReadableStream<Uint8Array>,
  receive: (bytes: Uint8Array) => void,
  done: () => void,
  waitFor: () => Promise<void> | null = () => null,
): Reading {
  const reader = stream.getReader();
  const read = async () => {
    for (;;) {
      const closed = waitFor();
      if (closed !== null) await closed;
      const { done: over, value } = await reader.read();
      if (over) return done();
      receive(value);
    }
  };
  return { ended: read().catch(() => {}), cancel: () => void reader.cancel().catch(() => {}) };
}
