/** Runs the hook of dns-01: a program of the administrator that adds a record to the DNS or takes it away. One at a time, for a bounded time. */

import { type Clock, sleep } from "../../clock.ts";
import { systemReason } from "../../events/mod.ts";

export interface HookRun {
  /** Absolute path: started as it is, through no shell. */
  readonly program: string;
  readonly args: readonly string[];
  /** The user that it runs as; null for the daemon's own user. */
  readonly identity: { readonly uid: number; readonly gid: number } | null;
  /** PATH of the program. */
  readonly path: string;
}

/** It may wait until the servers of the zone have the record. */
export const HOOK_MS = 300_000;
/** After SIGTERM. */
const KILL_AFTER_MS = 5_000;
/** For the rest of its words, when it has ended. */
const WORDS_MS = 1_000;
/** Of its standard error, for the log. */
const MAX_ERROR_OCTETS = 4096;

export class Hooks {
  readonly #clock: Pick<Clock, "after">;
  #running: Deno.ChildProcess | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(clock: Pick<Clock, "after">) {
    this.#clock = clock;
  }

  /** Runs one when those before it have ended. Returns why it failed, or null. */
  run(hook: HookRun): Promise<string | null> {
    const result = this.#last.then(() => this.#run(hook));
    this.#last = result;
    return result;
  }

  /** Ends the one that runs. */
  end(): void {
    this.#signal("SIGTERM");
  }

  /** For the program and what it has started: they are a process group of their own. */
  #signal(signal: Deno.Signal): void {
    if (this.#running === null) return;
    try {
      Deno.kill(-this.#running.pid, signal);
    } catch {
      // It has ended already.
    }
  }

  async #run({ program, args, identity, path }: HookRun): Promise<string | null> {
    const what = `the hook ${program} ${args[0]}`;
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, {
        args: [...args],
        cwd: "/",
        clearEnv: true,
        env: { PATH: path },
        stdin: "null",
        stdout: "null",
        stderr: "piped",
        // A session of its own: signals of a terminal are not for it.
        detached: true,
        ...identity ?? {},
      }).spawn();
    } catch (error) {
      return `${what} cannot be started: ${systemReason(error)}`;
    }
    this.#running = child;
    let late = false;
    let cancelKill = () => {};
    const cancel = this.#clock.after(HOOK_MS, () => {
      late = true;
      this.#signal("SIGTERM");
      cancelKill = this.#clock.after(KILL_AFTER_MS, () => this.#signal("SIGKILL"));
    });
    const words = new FirstOctets(child.stderr);
    const { code, signal } = await child.status;
    cancel();
    cancelKill();
    this.#running = null;
    if (code === 0 && signal === null) return null;
    const end = late
      ? `took longer than ${HOOK_MS / 1000} s`
      : signal === null
      ? `ended with status ${code}`
      : `was ended by ${signal}`;
    // What it has started may hold its standard error open.
    await Promise.race([words.read, sleep(WORDS_MS, this.#clock)]);
    const line = words.text.trim().split("\n").at(-1)!;
    return `${what} ${end}${line === "" ? "" : `: ${line}`}`;
  }
}

/** The first octets of a stream as text. The rest is read as well, and dropped: who writes it is not to fail for that. */
class FirstOctets {
  #text = "";
  /** Resolves at the end of the stream. */
  readonly read: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.read = this.#read(stream);
  }

  get text(): string {
    return this.#text.slice(0, MAX_ERROR_OCTETS);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const bytes of stream) {
        if (this.#text.length < MAX_ERROR_OCTETS) this.#text += decoder.decode(bytes, { stream: true });
      }
    } catch {
      // What there is has to do.
    }
  }
}
