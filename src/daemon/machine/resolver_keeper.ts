/**
 * resolv.conf(5) and hosts(5) while the daemon runs: looked at now and then, and read again when they have changed. A daemon that starts before
 * the network is there finds its name servers so. Independent of isolates.
 */

import type { ResolverSettings } from "../../protocol/mod.ts";
import type { Every } from "../certificates.ts";

/** Time between two looks at the files, in ms: one stat(2) each. */
const LOOK_MS = 5_000;

export interface ResolverHooks {
  /** Reads the files. A file that is missing is empty. */
  readonly read: () => ResolverSettings;
  /** Others hold from now on. */
  readonly onchange: (settings: ResolverSettings) => void;
  readonly log: (level: "info" | "warn", text: string) => void;
}

export class ResolverKeeper {
  readonly #files: readonly string[];
  readonly #hooks: ResolverHooks;
  #stamp: string;
  #settings: ResolverSettings;

  /** Reads `files` for the first time. */
  constructor(files: readonly string[], hooks: ResolverHooks) {
    this.#files = files;
    this.#hooks = hooks;
    // The stamp is taken first: a file that changes while it is read is read again.
    this.#stamp = stampOf(files);
    this.#settings = hooks.read();
  }

  /** What holds now. */
  get settings(): ResolverSettings {
    return this.#settings;
  }

  /** Looks at the files now and then until the returned function is called. */
  watch(every: Every): () => void {
    return every(LOOK_MS, () => this.look());
  }

  /** Reads what has changed on disk; a change that means nothing else changes nothing. */
  look(): void {
    const stamp = stampOf(this.#files);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    const old = this.#settings, settings = this.#hooks.read();
    if (JSON.stringify(settings) === JSON.stringify(old)) return;
    this.#settings = settings;
    const servers = settings.servers.map(({ address, port }) => port === 53 ? address : `${address} port ${port}`);
    this.#hooks.log("info", `info: ${this.#files.join(" or ")} has changed; name servers: ${servers.join(", ")}`);
    this.#hooks.onchange(settings);
  }
}

/** Changes with the content of the files, wherever their links lead. */
function stampOf(files: readonly string[]): string {
  return files.map((path) => {
    try {
      const { dev, ino, size, mtime, ctime } = Deno.statSync(path);
      return [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");
    } catch {
      return "missing";
    }
  }).join("\n");
}
