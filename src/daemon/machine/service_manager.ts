/**
 * What the daemon says to the service manager that started it, in the words of sd_notify(3): that it serves, reads its configuration again or ends,
 * one line on how it is, and, as often as the manager wants to know, that it works.
 */

import type { Clock } from "../../clock.ts";
import type { Environment } from "../../config/mod.ts";
import { safeLine } from "../../events/mod.ts";

/** Signs of life per time that the manager waits for one. */
const SIGNS_PER_INTERVAL = 3;
/** Without a watchdog the line on how the daemon is is looked at so often. */
const LOOK_MS = 10_000;
/** The shortest time between two looks, whatever the manager wants. */
const SHORTEST_LOOK_MS = 100;

/** What the service manager is told through. */
export interface ManagerSocket {
  /** Sends a datagram to the unix socket at `path`; false when it did not go. */
  notify(path: string, message: string): boolean;
  /** Returns µs of the clock that the kernel calls monotonic; null when it cannot be read. */
  monotonicMicroseconds(): bigint | null;
}

/** How the daemon is, when the manager is about to be told. */
export interface DaemonHealth {
  /** One line for `systemctl status`. */
  readonly status: string;
  /** Why no sign of life is to be given, so that the manager ends the daemon and starts it again; null when it works. */
  readonly stalled: string | null;
}

export interface ServiceManagerDeps {
  readonly socket: ManagerSocket;
  readonly clock: Pick<Clock, "every">;
  readonly warn: (text: string) => void;
  /** Process id of this process. */
  readonly pid: number;
}

export class ServiceManager {
  readonly #path: string;
  readonly #deps: ServiceManagerDeps;
  /** How long the manager waits for a sign of life, in ms; null when it does not. */
  readonly #limitMs: number | null;
  #status = "";
  #warnedOf: string | null = null;

  /** Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` of the environment. Without the first nothing is ever sent. */
  constructor(env: Environment, deps: ServiceManagerDeps) {
    this.#deps = deps;
    this.#path = env.get("NOTIFY_SOCKET") ?? "";
    this.#limitMs = watchdogLimit(env, deps.pid);
  }

  /** The daemon serves, for the first time or with another configuration. */
  ready(status: string): void {
    this.#status = status;
    this.#send([`READY=1`, `STATUS=${status}`]);
  }

  /** The daemon reads its configuration again; `ready` follows, also when it goes on with the old one. */
  reloading(): void {
    const now = this.#path === "" ? null : this.#deps.socket.monotonicMicroseconds();
    this.#send(["RELOADING=1", ...now === null ? [] : [`MONOTONIC_USEC=${now}`], "STATUS=reading the configuration"]);
  }

  /** The daemon ends. */
  stopping(): void {
    this.#send(["STOPPING=1", "STATUS=ending"]);
  }

  /**
   * From now on says how the daemon is when that has changed, and gives signs of life as long as it is not stalled, where the manager waits for them.
   * Returns what ends that.
   */
  watch(health: () => DaemonHealth): () => void {
    if (this.#path === "") return () => {};
    const everyMs = this.#limitMs === null ? LOOK_MS : Math.max(this.#limitMs / SIGNS_PER_INTERVAL, SHORTEST_LOOK_MS);
    return this.#deps.clock.every(everyMs, () => this.#look(health()));
  }

  #look({ status, stalled }: DaemonHealth): void {
    const lines: string[] = [];
    if (this.#limitMs !== null && stalled === null) lines.push("WATCHDOG=1");
    if (stalled !== null && stalled !== this.#warnedOf && this.#limitMs !== null) {
      this.#deps.warn(`warn: the service manager is to start this daemon again: ${stalled}`);
    }
    this.#warnedOf = stalled;
    if (status !== this.#status) lines.push(`STATUS=${status}`);
    this.#status = status;
    if (lines.length > 0) this.#send(lines);
  }

  #send(lines: readonly string[]): void {
    if (this.#path === "") return;
    if (this.#deps.socket.notify(this.#path, lines.map(safeLine).join("\n"))) return;
    this.#deps.warn(`warn: the service manager does not hear ${lines[0]}`);
  }
}

/** How long the manager waits for a sign of life of the process `pid`, in ms. Null when it does not wait, or means another process. */
function watchdogLimit(env: Environment, pid: number): number | null {
  const limit = env.get("WATCHDOG_USEC") ?? "";
  const meant = env.get("WATCHDOG_PID") ?? "";
  if (!/^\d{1,15}$/.test(limit) || Number(limit) === 0 || (meant !== "" && meant !== String(pid))) return null;
  return Number(limit) / 1000;
}
