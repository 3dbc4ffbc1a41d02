/**
 * Commands: `action … mda`, pipes of aliases. One `/bin/sh -c` as the user, in a session of its own, with a made-up environment, the message
 * on its standard input. OpenSMTPD runs `mda` commands through two shells; here it is one, so that quotes mean what they say.
 */

import { constants } from "node:os";
import { systemReason } from "../../events/mod.ts";
import type { Clock } from "../../clock.ts";
import type { Identity } from "../identity.ts";
import { LastLine } from "./last_line.ts";
import type { Delivered } from "../delivered.ts";
import { DELIVERED, type DeliveryEnd, EX, exited, interrupted, quoted } from "./sysexits.ts";

export const SHELL = "/bin/sh";
/**
 * Enters the folder and becomes the command. A home that is not there, or not for us, is no reason to keep the mail; one on a server that is
 * dead holds up this process, and not the isolate, which waits until it has started.
 */
const ENTER_AND_RUN = `cd -- "$1" 2>/dev/null; unset OLDPWD; exec ${SHELL} -c "$2"`;
/** A command may run so long. */
const RUN_LIMIT_MS = 300_000;
/** After SIGTERM a command has so long before SIGKILL. */
const KILL_AFTER_MS = 5_000;
/** A command has ended but something that it started holds its pipes: so long is waited for them. */
const GRACE_MS = 500;

export interface CommandTarget {
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where it starts; `/` if it cannot. */
  readonly directory: string;
}

export interface CommandOptions {
  /** As root commands run as the user; without root as ourselves. */
  readonly root: boolean;
  readonly clock: Clock;
}

/** What became of the command, and how it was hurried. */
type Ending = { readonly status: Deno.CommandStatus; readonly reason: string | null; readonly complete: boolean };

export class CommandRunner {
  readonly #options: CommandOptions;
  readonly #running = new Set<RunningCommand>();

  constructor(options: CommandOptions) {
    this.#options = options;
  }

  /** Runs it to its end. */
  async deliver(who: Identity, target: CommandTarget, message: Delivered): Promise<DeliveryEnd> {
    let running: RunningCommand;
    try {
      running = new RunningCommand(this.#options, who, target);
    } catch (error) {
      return exited(EX.OSERR, systemReason(error));
    }
    this.#running.add(running);
    try {
      return judge(await running.run(message), running.lastLine());
    } finally {
      this.#running.delete(running);
    }
  }

  /** Ends what still runs; their deliveries end with `reason` and are tried again. */
  stop(reason: string): void {
    for (const running of this.#running) running.end(reason);
  }
}

/**
 * Maps an exit status (sysexits(3)) and the last line of output to a delivery outcome: 71, 75 and signals are temporary failures, other codes than 0
 * permanent ones. Never throws.
 */
export function judge({ status, reason, complete }: Ending, lastLine: Uint8Array): DeliveryEnd {
  if (reason !== null) return interrupted(reason);
  if (status.signal !== null) return interrupted(`terminated; signal ${signalNumber(status.signal)}`);
  if (status.code !== 0) return exited(status.code, lastLine.length === 0 ? "exited abnormally" : quoted(lastLine));
  return complete ? DELIVERED : interrupted("mda exited prematurely");
}

function signalNumber(name: Deno.Signal): number {
  return constants.signals[name as keyof typeof constants.signals] ?? 0;
}

class RunningCommand {
  readonly #options: CommandOptions;
  readonly #who: Identity;
  readonly #child: Deno.ChildProcess;
  readonly #last = new LastLine();
  #reason: string | null = null;
  #cancelKill = () => {};

  constructor(options: CommandOptions, who: Identity, target: CommandTarget) {
    this.#options = options;
    this.#who = who;
    this.#child = this.#spawn(target);
  }

  #spawn({ command, environment, directory }: CommandTarget): Deno.ChildProcess {
    return new Deno.Command(SHELL, {
      args: ["-c", ENTER_AND_RUN, SHELL, directory, command],
      cwd: "/",
      clearEnv: true,
      env: { ...environment },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // A session, and so a process group, of its own: all of it can be ended.
      detached: true,
      ...this.#identity(),
    }).spawn();
  }

  /** The runtime drops all supplementary groups when it changes the uid. */
  #identity(): { uid?: number; gid?: number } {
    return this.#options.root ? { uid: this.#who.uid, gid: this.#who.gid } : {};
  }

  lastLine(): Uint8Array {
    return this.#last.bytes();
  }

  async run(message: Delivered): Promise<Ending> {
    const { clock } = this.#options;
    const cancelLimit = clock.after(RUN_LIMIT_MS, () => this.end("terminated; timeout"));
    const outputs = [this.#listen(this.#child.stdout), this.#listen(this.#child.stderr)];
    let complete = false;
    const feeding = this.#feed(message).then((all) => complete = all);
    const status = await this.#child.status;
    cancelLimit();
    this.#cancelKill();
    // What it started may not have got the signal, or may ignore it.
    if (this.#reason !== null) this.#signalGroup("KILL");
    // The last line of output, and whether it read all, may be a moment behind its end.
    const settled = Promise.all([feeding, ...outputs.map(({ ended }) => ended)]);
    let cancelGrace = () => {};
    await Promise.race([settled, new Promise<void>((resolve) => cancelGrace = clock.after(GRACE_MS, resolve))]);
    cancelGrace();
    for (const { cancel } of outputs) cancel();
    return { status, reason: this.#reason, complete };
  }

  /** Asks it to end, and a little later makes it end. The first reason counts. */
  end(reason: string): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#signalGroup("TERM");
    this.#cancelKill = this.#options.clock.after(KILL_AFTER_MS, () => this.#signalGroup("KILL"));
  }

  /** Through a shell of the same user: the runtime lets us signal our child, but no process group. */
  #signalGroup(signal: "TERM" | "KILL"): void {
    try {
      this.#child.kill(`SIG${signal}`);
    } catch {
      // It has ended already; others of its group may not have.
    }
    const kill = new Deno.Command(SHELL, {
      args: ["-c", `kill -${signal} -${this.#child.pid}`],
      clearEnv: true,
      cwd: "/",
      stdin: "null",
      stdout: "null",
      stderr: "null",
      ...this.#identity(),
    });
    // Without a process to spare there is nothing more to be done.
    kill.output().catch(() => {});
  }

  /** Writes the message as fast as it is read. False when the command stopped reading before the end. */
  async #feed({ trace, body }: Delivered): Promise<boolean> {
    const writer = this.#child.stdin.getWriter();
    try {
      const start = new Uint8Array(trace.length + body.first.length);
      start.set(trace);
      start.set(body.first, trace.length);
      await writer.write(start);
      for (let index = 1; index < body.chunks; index++) {
        let chunk: Uint8Array;
        try {
          chunk = await body.chunk(index);
        } catch (error) {
          this.end(systemReason(error));
          throw error;
        }
        await writer.write(chunk as Uint8Array<ArrayBuffer>);
      }
      await writer.close();
      return true;
    } catch {
      // The command closed its end (its exit status decides), or the body cannot be read (the reason is set).
      await writer.abort().catch(() => {});
      return false;
    }
  }

  #listen(stream: ReadableStream<Uint8Array>): { ended: Promise<void>; cancel: () => void } {
    const reader = stream.getReader();
    const read = async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        this.#last.push(value);
      }
    };
    return { ended: read().catch(() => {}), cancel: () => void reader.cancel().catch(() => {}) };
  }
}
