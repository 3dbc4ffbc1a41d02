/** `smtpctl dkim generate`: makes the keys of a domain, and says what to publish and what to write in smtpd.conf. Asks no daemon. */

import { dkimFolder } from "../../config/paths.ts";
import type { Environment } from "../../config/mod.ts";
import {
  ed25519Selector,
  type KeyAlgorithm,
  keyFileName,
  makeKey,
  readKeyFile,
  recordName,
  zoneLine,
} from "../../dkim_keys/mod.ts";
import { asciiDomain } from "../../envelope/mod.ts";
import { safeLine, systemReason } from "../../events/mod.ts";
import { normalName } from "../../net/mod.ts";
import { type Clock, systemClock } from "../../clock.ts";
import type { Terminal } from "../terminal.ts";

/** Keys are for their owner alone. */
const KEY_MODE = 0o600;

export interface GenerateOrder {
  readonly domain: string;
  /** Null for one that is named after the year. */
  readonly selector: string | null;
}

interface MadeKey {
  readonly selector: string;
  readonly file: string;
  readonly text: string;
  readonly record: string;
}

/** Writes the keys and prints what is to be done with them. Returns the exit status. */
export async function generateMain(
  { domain, selector }: GenerateOrder,
  env: Environment,
  terminal: Terminal,
  clock: Pick<Clock, "now"> = systemClock,
): Promise<number> {
  const year = new Date(clock.now()).getUTCFullYear();
  const name = nameOf(domain), first = nameOf(selector ?? `s${year}`);
  if (name === null) return complain(terminal, `"${domain}" is no domain name`);
  if (first === null || first.includes("_") || nameOf(recordName(name, ed25519Selector(first))) === null) {
    return complain(terminal, `"${selector}" is no selector: it has letters, digits and "-"`);
  }
  const folder = dkimFolder(env);
  const places = ([["rsa-sha256", first], ["ed25519-sha256", ed25519Selector(first)]] as const)
    .map(([algorithm, selector]) => ({ algorithm, selector, file: `${folder}/${keyFileName(name, selector)}` }));
  const taken = places.find(({ file }) => exists(file));
  if (taken !== undefined) {
    return complain(terminal, `${taken.file} is there already: name another selector, as in ${name} ${first}b`);
  }
  const made = await Promise.all(places.map(make));
  try {
    for (const { file, text } of made) Deno.writeTextFileSync(file, text, { createNew: true, mode: KEY_MODE });
  } catch (error) {
    return complain(terminal, `cannot write into ${folder}: ${systemReason(error)}`);
  }
  terminal.out([
    `The keys are in ${made.map(({ file }) => file).join(" and ")}.`,
    "",
    `Publish these records in the zone of ${name}:`,
    "",
    ...made.map(({ selector, record }) => zoneLine(recordName(name, selector), record)),
    "",
    'When they are there, write these lines in smtpd.conf, and "dkim" behind "relay" in the actions that are to sign:',
    "",
    ...made.map(({ selector, file }) => `dkim "${name}" selector "${selector}" key "${file}"`),
    "",
  ].join("\n"));
  return 0;
}

/** Makes an RSA key and an Ed25519 key (RFC 8463) for `selector` and the one that stands beside it. Writes nothing. */
export async function makeKeyPair(selector: string): Promise<readonly Omit<MadeKey, "file">[]> {
  return await Promise.all([
    make({ algorithm: "rsa-sha256", selector, file: "" }),
    make({ algorithm: "ed25519-sha256", selector: ed25519Selector(selector), file: "" }),
  ]);
}

async function make(
  { algorithm, selector, file }: {
    readonly algorithm: KeyAlgorithm;
    readonly selector: string;
    readonly file: string;
  },
): Promise<MadeKey> {
  const text = await makeKey(algorithm);
  const read = readKeyFile(text);
  if (!read.ok) throw new Error(`A key that was just made cannot be used: ${read.fault}`);
  return { selector, file, text, record: read.record };
}

/** In lower-case A-labels; null for what is no name. */
function nameOf(text: string): string | null {
  const ascii = asciiDomain(text);
  return ascii === null ? null : normalName(ascii);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

function complain(terminal: Terminal, text: string): number {
  terminal.err(`smtpctl: ${safeLine(text)}\n`);
  return 1;
}
