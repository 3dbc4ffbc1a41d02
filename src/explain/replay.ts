/** Replays recorded letters against a configuration: what would become of them now, and whether that is what was expected. */

import { systemReason } from "../events/mod.ts";
import type { Config } from "../config/mod.ts";
import type { Settings } from "../protocol/mod.ts";
import type { Machine } from "../lookup/lookup_engine.ts";
import { type RecipientResult, resultsFor } from "./explain.ts";
import { isExpected, type Letter, parseLetter } from "./expectation.ts";
import { Front, type FrontPorts } from "./front.ts";
import { ANY_PASSWORD, envelopeOf, namerOf } from "./order.ts";
import { replayedDns } from "./recorded_dns.ts";

/** Letters of one folder, and octets of one, at most. */
export const MAX_LETTERS = 100_000, MAX_LETTER_OCTETS = 64 * 2 ** 20;

/** How a replay ended. */
export interface Replayed {
  readonly asExpected: number;
  readonly changed: number;
  readonly unreadable: number;
}

export interface ReplayDeps {
  readonly config: Config;
  readonly settings: Settings;
  readonly machine: Machine;
  /** Gets a line for each letter that has changed, or cannot be read. */
  say(line: string): void;
}

/** Replays each `*.eml` of a folder, in the order of their names. Throws an Error that says why the folder cannot be read, or holds too many. */
export async function replayFolder(folder: string, deps: ReplayDeps): Promise<Replayed> {
  const names: string[] = [];
  for (const { name } of Deno.readDirSync(folder)) if (name.endsWith(".eml")) names.push(name);
  if (names.length > MAX_LETTERS) throw new Error(`it has more than ${MAX_LETTERS} files`);
  const replay = new Replay(deps);
  let asExpected = 0, changed = 0, unreadable = 0;
  try {
    for (const name of names.sort()) {
      const path = `${folder.replace(/\/+$/, "")}/${name}`;
      const lines = await replay.one(path);
      if (typeof lines === "string") {
        unreadable++;
        deps.say(`${path}: ${lines}`);
      } else if (lines.length > 0) {
        changed++;
        for (const line of lines) deps.say(`${path}: ${line}`);
      } else asExpected++;
    }
  } finally {
    await replay.close();
  }
  return { asExpected, changed, unreadable };
}

class Replay {
  readonly #deps: ReplayDeps;
  readonly #front: Front;
  /** The letter that is replayed now. */
  #letter: Letter | null = null;
  #missing: string[] = [];

  constructor(deps: ReplayDeps) {
    this.#deps = deps;
    const asked = { hostname: "<unknown>", confirmed: "temporary" } as const;
    const ports: FrontPorts = {
      machine: deps.machine,
      namer: {
        reverse: (address) =>
          namerOf(
            this.#letter!.order,
            { reverse: () => Promise.resolve(asked) },
            () => this.#missing.push("ptr " + address),
          )
            .reverse(address),
      },
      dns: {
        txt: (name) => this.#dns.txt(name),
        addresses: (name, family) => this.#dns.addresses(name, family),
        mx: (name) => this.#dns.mx(name),
        names: (address) => this.#dns.names(address),
      },
      now: () => this.#letter === null || this.#letter.at === 0 ? Date.now() : this.#letter.at,
      anyPassword: ANY_PASSWORD,
    };
    this.#front = new Front(withoutDelay(deps.settings), ports);
  }

  get #dns() {
    return replayedDns(this.#letter!.dns, this.#missing);
  }

  async close(): Promise<void> {
    await this.#front.close();
  }

  /** Returns a line for each recipient that has changed; a text says why the letter cannot be read. */
  async one(path: string): Promise<readonly string[] | string> {
    const read = readLetter(path);
    if (typeof read === "string") return read;
    this.#letter = read;
    this.#missing = [];
    const envelope = envelopeOf(read.order, this.#deps.settings.smtp);
    if (typeof envelope === "string") return read.expected.map((one) => changedLine(one, envelope, null));
    const { config } = this.#deps;
    const results = await resultsFor(envelope, read.message, { front: this.#front, config });
    const lines = results.flatMap((result, index) => {
      const wanted = read.expected[index]!;
      return isExpected(wanted, result) ? [] : [changedLine(wanted, result.text, result.where)];
    });
    const missing = [...new Set(this.#missing)];
    if (lines.length > 0 && missing.length > 0) {
      lines.push(
        `the DNS is asked what the file has no answer for (record it again): ${missing.slice(0, 5).join(", ")}`,
      );
    }
    return lines;
  }
}

function changedLine(
  { recipient, result }: Letter["expected"][number],
  is: string,
  where: RecipientResult["where"],
): string {
  const place = where === null ? "" : `; ${where.file}:${where.line}`;
  return `${recipient}: was ${result ?? "anything"}, is ${is}${place}`;
}

/** Nobody waits for a banner here. */
export function withoutDelay(settings: Settings): Settings {
  return { ...settings, smtp: { ...settings.smtp, bannerDelayMs: 0 } };
}

/** A text says why it cannot be read. What is no file is not opened: a pipe would be waited for. */
function readLetter(path: string): Letter | string {
  try {
    const { isFile, size } = Deno.statSync(path);
    if (!isFile) return "it is no file";
    if (size > MAX_LETTER_OCTETS) return `it is larger than ${MAX_LETTER_OCTETS} octets`;
    return parseLetter(Deno.readFileSync(path));
  } catch (error) {
    return `it cannot be read: ${systemReason(error)}`;
  }
}
