/**
 * Certificates, keys and CA files while the daemon runs: looked at now and then, and loaded anew when they have changed. What cannot be used is
 * reported, and what was loaded before stays in use. Independent of isolates.
 */

import type { Config, SourceLine } from "../config/mod.ts";
import type { Certificates, KeyPair } from "../protocol/mod.ts";
import { Fatal } from "./fatal.ts";
import { authoritiesOf, loadAuthority, loadPki } from "./files.ts";

/** Time between two looks at the files, in milliseconds. */
const LOOK_MS = 60_000;
/** Calls `run` every `ms` milliseconds until the returned function is called. */
export type Every = (ms: number, run: () => void) => () => void;

export interface KeeperHooks {
  /** Others are in use from now on. */
  readonly onchange: (certificates: Certificates) => void;
  readonly log: (level: "info" | "warn", text: string) => void;
}

/** What a name of the config stands for. */
interface Item {
  /** As in `pki "mx.example.org"`. */
  readonly what: string;
  readonly files: readonly string[];
  /** Loads it and answers whether it is another than before. Throws Fatal. */
  readonly load: () => boolean;
  stamp: string;
}

export class CertificateKeeper {
  readonly #hooks: KeeperHooks;
  readonly #items: Item[] = [];
  readonly #pki: Record<string, KeyPair> = {};
  readonly #ca: Record<string, string> = {};

  /** Loads all. Throws Fatal. */
  constructor(config: Pick<Config, "pki" | "ca" | "declared" | "listen">, hooks: KeeperHooks) {
    this.#hooks = hooks;
    for (const [name, files] of Object.entries(config.pki)) {
      this.#add(
        `pki "${name}"`,
        [...new Set([files.certFile, files.keyFile])],
        () => this.#loadPair(name, files, config.declared[`pki ${name}`]),
      );
    }
    for (const { name, file, at } of authoritiesOf(config)) {
      this.#add(`ca "${name}"`, [file], () => this.#loadAuthority(name, file, at));
    }
  }

  /** What is in use. */
  get certificates(): Certificates {
    return { pki: { ...this.#pki }, ca: { ...this.#ca } };
  }

  /** Looks at the files now and then until the returned function is called. */
  watch(every: Every): () => void {
    return every(LOOK_MS, () => this.look());
  }

  /** Loads what has changed on disk since it was last tried. */
  look(): void {
    this.#renew(this.#items.filter((item) => stampOf(item.files) !== item.stamp));
  }

  /** Loads everything. Null on success, else what could not be loaded. */
  reload(): string | null {
    const faults = this.#renew(this.#items);
    return faults.length === 0 ? null : faults.join("; ");
  }

  #add(what: string, files: readonly string[], load: () => boolean): void {
    // The stamp is taken first: a file that changes while it is read is read again.
    const stamp = stampOf(files);
    load();
    this.#items.push({ what, files, load, stamp });
  }

  /** Each stands by itself: one that is broken keeps no other from being renewed. */
  #renew(items: readonly Item[]): string[] {
    const faults: string[] = [];
    let changed = false;
    for (const item of items) {
      item.stamp = stampOf(item.files);
      try {
        if (!item.load()) continue;
        changed = true;
        this.#hooks.log("info", `info: ${item.what} was loaded again from ${item.files.join(" and ")}`);
      } catch (error) {
        if (!(error instanceof Fatal)) throw error;
        faults.push(error.message);
        this.#hooks.log("warn", `warn: ${item.what} stays as it was: ${error.message}`);
      }
    }
    if (changed) this.#hooks.onchange(this.certificates);
    return faults;
  }

  #loadPair(name: string, files: Config["pki"][string], at?: SourceLine): boolean {
    const old = this.#pki[name];
    const { pair, temporary } = loadPki(files, at);
    // What was there before is better than one that nobody vouches for.
    if (temporary && old !== undefined) return false;
    if (temporary) {
      this.#hooks.log(
        "info",
        `info: pki "${name}": until a certificate is obtained, clients are shown one that nobody vouches for`,
      );
    }
    this.#pki[name] = pair;
    return pair.cert !== old?.cert || pair.key !== old.key;
  }

  #loadAuthority(name: string, file: string, at?: SourceLine): boolean {
    const text = loadAuthority(file, at), old = this.#ca[name];
    this.#ca[name] = text;
    return text !== old;
  }
}

/** Changes with the content, owner or mode of the files, wherever their links lead. */
export function stampOf(files: readonly string[]): string {
  return files.map((path) => {
    try {
      const { dev, ino, size, mtime, ctime, mode, uid } = Deno.statSync(path);
      return [dev, ino, size, mtime?.getTime(), ctime?.getTime(), mode, uid].join(" ");
    } catch {
      return "missing";
    }
  }).join("\n");
}
