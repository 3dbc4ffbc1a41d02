/**
 * The keys of DKIM while the daemon runs: loaded from their files, looked at now and then, and changed for others when the DNS has the records of
 * these. What cannot be used is reported, and what was loaded before stays in use. Independent of isolates.
 */

import { dirname } from "node:path";
import type { Config, DkimLine } from "../config/mod.ts";
import {
  beginRotation,
  finishRotation,
  type Published,
  publishedAs,
  recordName,
  replacedKeys,
  zoneLine,
} from "../dkim_keys/mod.ts";
import { systemReason } from "../events/mod.ts";
import type { DkimKeyState } from "../protocol/mod.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";
import { type Every, stampOf } from "./certificates.ts";
import { Fatal, gatherNow } from "./fatal.ts";
import {
  type DomainKeys,
  domainsOf,
  filesOf,
  loadDomain,
  type LoadedKey,
  makeKeys,
  namedOf,
  textOf,
  writeRotation,
} from "./signing_key_files.ts";

/** Time between two looks at the files, and at the records that are waited for, in milliseconds. */
const LOOK_MS = 60_000, RECORDS_MS = 300_000;

/** What is answered to smtpctl: lines to print, and why its exit status is not 0. */
export interface DkimReport {
  readonly lines: readonly string[];
  /** Of a check. */
  readonly keys?: readonly DkimKeyState[];
  readonly error: string | null;
}

export interface SigningKeysHooks {
  /** Others sign from now on. */
  readonly onchange: (keys: readonly LoadedKey[]) => void;
  readonly log: (level: "info" | "warn", text: string) => void;
  /** Asks for TXT records. Never rejects. */
  readonly txt: (name: string) => Promise<DnsAnswer<string>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A domain with its lines in smtpd.conf. */
interface Watched {
  readonly lines: readonly DkimLine[];
  keys: DomainKeys;
  /** Changes with its files. Empty for those that were named by what was loaded: they may have changed since, and are loaded once more. */
  stamp: string;
  /** Keys are being made that are to replace these. */
  making: boolean;
}

type Used = Pick<Config, "dkim" | "queue" | "actions">;

export class SigningKeys {
  readonly #config: Used;
  readonly #hooks: SigningKeysHooks;
  readonly #domains: Watched[];
  #asking = false;

  /** Loads all. Throws Fatal. */
  constructor(config: Used, hooks: SigningKeysHooks) {
    this.#config = config;
    this.#hooks = hooks;
    this.#domains = gatherNow(
      domainsOf(config).map((lines) => () => ({ keys: loadDomain(lines), lines, stamp: "", making: false })),
    );
  }

  /** Those that sign. */
  get keys(): readonly LoadedKey[] {
    return this.#domains.flatMap(({ keys }) => keys.signing);
  }

  /** Looks at the files and at the records now and then until the returned function is called. */
  watch(every: Every): () => void {
    this.#say();
    void this.#askRecords();
    const stops = [every(LOOK_MS, () => this.look()), every(RECORDS_MS, () => void this.#askRecords())];
    return () => stops.forEach((stop) => stop());
  }

  /** Loads what has changed on disk since it was last tried. */
  look(): void {
    this.#renew(this.#domains.filter(({ keys, stamp }) => stampOf(filesOf(keys)) !== stamp));
  }

  /** Loads everything, and asks for the records that are waited for. Null on success, else what could not be loaded. */
  reload(): string | null {
    const faults = this.#renew(this.#domains);
    void this.#askRecords();
    return faults.length === 0 ? null : faults.join("; ");
  }

  /** Each domain stands by itself: one whose keys are broken keeps no other from being renewed. */
  #renew(domains: readonly Watched[]): string[] {
    const faults: string[] = [];
    let changed = false;
    for (const one of domains) {
      const before = one.keys;
      one.stamp = stampOf(filesOf(before));
      try {
        one.keys = loadDomain(one.lines);
      } catch (error) {
        if (!(error instanceof Fatal)) throw error;
        faults.push(error.message);
        this.#hooks.log("warn", `warn: dkim: the keys of ${before.domain} stay as they were: ${error.message}`);
        continue;
      }
      if (filesOf(one.keys).join() !== filesOf(before).join()) one.stamp = "";
      if (textOf(one.keys) === textOf(before)) continue;
      changed = true;
      const selectors = one.keys.signing.map(({ selector }) => selector).join(", ");
      this.#hooks.log("info", `info: dkim: the keys of ${before.domain} were loaded again: ${selectors}`);
    }
    if (changed) this.#hooks.onchange(this.keys);
    return faults;
  }

  /** Says at the start which keys of smtpd.conf others stand for. */
  #say(): void {
    for (const { keys: { domain, signing, rotationFile }, lines } of this.#domains) {
      const named = lines.map(({ selector }) => selector);
      const others = signing.map(({ selector }) => selector).filter((selector) => !named.includes(selector));
      if (others.length === 0) continue;
      this.#hooks.log(
        "info",
        `info: dkim: ${domain} is signed with ${others.join(", ")} as of ${rotationFile}: write these in smtpd.conf`,
      );
    }
  }

  /** Lets the keys sign whose records have come. */
  async #askRecords(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      for (const one of this.#domains) {
        const { waiting } = one.keys, asked = textOf(one.keys);
        if (waiting.length === 0) continue;
        const published = await this.#published(waiting);
        // The files may have changed meanwhile.
        if (published.every((state) => state === "ok") && textOf(one.keys) === asked) this.#change(one);
      }
    } finally {
      this.#asking = false;
    }
  }

  #published(keys: readonly LoadedKey[]): Promise<readonly Published[]> {
    return Promise.all(
      keys.map(async ({ domain, selector, record }) =>
        publishedAs(await this.#hooks.txt(recordName(domain, selector)), record)
      ),
    );
  }

  #change(one: Watched): void {
    const { domain, rotationFile, rotation, signing, waiting } = one.keys;
    const now = this.#hooks.now();
    try {
      writeRotation(rotationFile, domain, finishRotation(one.lines.map(namedOf), rotation, now));
    } catch (error) {
      const reason = systemReason(error);
      return this.#hooks.log(
        "warn",
        `warn: dkim: ${domain} stays signed as it was: cannot write ${rotationFile}: ${reason}`,
      );
    }
    this.#hooks.log(
      "info",
      `info: dkim: the DNS has the records of ${names(waiting)}, which sign for ${domain} from now on; ` +
        `keep those of ${names(signing)} until ${day(now + this.#lifeMs)}`,
    );
    this.#renew([one]);
  }

  /** The longest time that mail may be on its way. */
  get #lifeMs(): number {
    const { queue, actions } = this.#config;
    return 1000 * Math.max(queue.ttlSeconds, ...Object.values(actions).map(({ ttlSeconds }) => ttlSeconds ?? 0));
  }

  /** Compares the DNS with the keys: a line for each, with what to do. */
  async check(): Promise<DkimReport> {
    const found: DkimKeyState[] = [];
    for (const { keys } of this.#domains) {
      for (const [key, state] of await this.#withStates(keys.signing)) {
        const text = `${title(key)}: ${state}${adviceFor(key, state)}`;
        found.push({ ...keyOf(key), use: "signs", state, ok: state === "ok", text });
      }
      for (const [key, state] of await this.#withStates(keys.waiting)) {
        const next = state === "ok"
          ? "signs as soon as smtpd looks again: smtpctl update dkim"
          : "waits for its record";
        const text = `${title(key)}: ${state}, ${next}${adviceFor(key, state)}`;
        found.push({ ...keyOf(key), use: "waits", state, ok: false, text });
      }
      for (const { selector, until } of replacedKeys(keys.rotation, this.#lifeMs)) {
        const name = recordName(keys.domain, selector);
        const answer = await this.#hooks.txt(name);
        const over = until <= this.#hooks.now();
        if (over && answer.kind !== "records") continue;
        const early = !over && answer.kind === "none";
        const state = early ? "missing" : "ok";
        const text = `${keys.domain} ${selector}: ${state}, replaced, ` +
          (over
            ? `retired since ${
              day(until)
            }: remove the TXT record ${name}, the file of the key, and its line in smtpd.conf`
            : `mail that it has signed may be on its way: keep the TXT record ${name} until ${day(until)}`);
        found.push({ domain: keys.domain, selector, use: "replaced", state, ok: !early, text });
      }
    }
    if (found.length === 0) return refusal("smtpd.conf has no dkim line");
    const wrong = found.filter(({ ok }) => !ok).length;
    const error = wrong === 0 ? null : `${wrong} of ${found.length} records are not as they should be`;
    return { lines: found.map(({ text }) => text), keys: found, error };
  }

  async #withStates(keys: readonly LoadedKey[]): Promise<(readonly [LoadedKey, Published])[]> {
    const states = await this.#published(keys);
    return keys.map((key, index) => [key, states[index]!] as const);
  }

  /** Makes keys that are to replace those of a domain, and says what is to be published. They sign when the DNS has their records. */
  async rotate(domain: string): Promise<DkimReport> {
    const one = this.#domains.find(({ keys }) => keys.domain === domain);
    if (one === undefined) {
      const known = this.#domains.map(({ keys }) => keys.domain).join(", ");
      return refusal(`smtpd.conf has no dkim line for ${domain}${known === "" ? "" : `, it has some for ${known}`}`);
    }
    const { waiting, rotationFile } = one.keys;
    if (waiting.length > 0) {
      return refusal(
        `${names(waiting)} of ${domain} wait for their records already: "smtpctl dkim check" shows these; ` +
          `to give the keys up, remove ${rotationFile} and call "smtpctl update dkim"`,
      );
    }
    if (one.making) return refusal(`keys of ${domain} are being made already: "smtpctl dkim check" shows them soon`);
    one.making = true;
    try {
      return await this.#make(one);
    } finally {
      one.making = false;
    }
  }

  async #make(one: Watched): Promise<DkimReport> {
    const { domain, rotationFile, signing } = one.keys;
    const folder = dirname(rotationFile);
    const algorithms = new Set(signing.map(({ algorithm }) => algorithm));
    try {
      const made = await makeKeys({ domain, folder, algorithms, year: yearOf(this.#hooks.now()), known: one.keys });
      const named = one.lines.map(namedOf);
      writeRotation(rotationFile, domain, beginRotation(named, one.keys.rotation, made, this.#hooks.now()));
    } catch (error) {
      return refusal(`cannot write into ${folder}: ${systemReason(error)}`);
    }
    const faults = this.#renew([one]);
    if (faults.length > 0) {
      const next = 'mend this, then "smtpctl dkim check" shows the records of the new keys';
      return refusal(`${rotationFile} was written, and cannot be loaded: ${faults.join("; ")}: ${next}`);
    }
    const { waiting: made } = one.keys;
    this.#hooks.log("info", `info: dkim: ${names(made)} of ${domain} wait for their records in the DNS`);
    return {
      lines: [
        "Publish these records:",
        "",
        ...made.map(({ selector, record }) => zoneLine(recordName(domain, selector), record)),
        "",
        `${domain} is signed with ${names(signing)} until the DNS has them, and with the new keys from then on.`,
        `smtpd looks every ${
          RECORDS_MS / 60_000
        } minutes, and after "smtpctl update dkim". Leave the other records where they are:`,
        '"smtpctl dkim check" tells when they can go.',
      ],
      error: null,
    };
  }
}

function refusal(error: string): DkimReport {
  return { lines: [], error };
}

function keyOf({ domain, selector }: LoadedKey): Pick<DkimKeyState, "domain" | "selector"> {
  return { domain, selector };
}

function title({ domain, selector, algorithm }: LoadedKey): string {
  return `${domain} ${selector} ${algorithm}`;
}

/** What to do about a record that is not as it should be. */
function adviceFor({ domain, selector, record }: LoadedKey, state: Published): string {
  const name = recordName(domain, selector);
  switch (state) {
    case "ok":
      return "";
    case "missing":
      return `: publish ${zoneLine(name, record)}`;
    case "differs":
      return `: the record holds another key, or does not let it sign mail: replace it by ${zoneLine(name, record)}`;
    case "several":
      return `: there are several TXT records, of which receivers take any: leave only ${zoneLine(name, record)}`;
    case "unknown":
      return `: the DNS does not answer for ${name} now`;
  }
}

function names(keys: readonly { readonly selector: string }[]): string {
  return keys.map(({ selector }) => selector).join(" and ");
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function yearOf(at: number): string {
  return day(at).slice(0, 4);
}
