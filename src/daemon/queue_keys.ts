/** The keys of `queue encryption`, from smtpd.conf, a file, the terminal or standard input. They go to the queue isolate and nowhere else. */

import type { Config, KeySource } from "../config/mod.ts";
import { queueKeyFault } from "../smtpd_conf/mod.ts";
import type { QueueKeys } from "../protocol/mod.ts";
import { Fatal } from "./fatal.ts";
import { readGuarded } from "./files.ts";

/** More than a key and its end of line is not one. */
const MAX_INPUT_OCTETS = 256;

/** The keys; null when nothing is encrypted. `input` is the line that `readQueueInput` got. Throws Fatal. */
export function loadQueueKeys({ queue }: Config, input: string | null): QueueKeys | null {
  const { encryption, oldKeys } = queue;
  if (encryption === null && oldKeys.length === 0) return null;
  return {
    current: encryption === null ? null : keyOf(encryption, input),
    old: oldKeys.map((source) => keyOf(source, null)),
  };
}

/** Those keys that can be checked without a prompt. Throws Fatal. */
export function checkQueueKeys({ queue }: Config): void {
  for (const source of [queue.encryption, ...queue.oldKeys]) {
    if (source !== null && source.kind !== "input") keyOf(source, null);
  }
}

/** The line with the key, when the configuration has it read from the terminal or standard input; null when it does not. */
export async function readQueueInput({ queue }: Config): Promise<string | null> {
  if (queue.encryption?.kind !== "input") return null;
  const terminal = queue.encryption.prompt && Deno.stdin.isTerminal();
  if (!terminal) return await readLine();
  // Before the question: what is typed at once is not shown either.
  Deno.stdin.setRaw(true, { cbreak: true });
  try {
    await Deno.stderr.write(new TextEncoder().encode("queue key: "));
    return edited(await readLine());
  } finally {
    Deno.stdin.setRaw(false);
    await Deno.stderr.write(new TextEncoder().encode("\n"));
  }
}

async function readLine(): Promise<string> {
  const buffer = new Uint8Array(MAX_INPUT_OCTETS);
  let length = 0;
  while (length < buffer.length && !buffer.subarray(0, length).some(endsLine)) {
    const count = await Deno.stdin.read(buffer.subarray(length));
    if (count === null) break;
    length += count;
  }
  return new TextDecoder().decode(buffer.subarray(0, length));
}

/** A terminal in raw mode sends CR, or EOT for the end of input. */
function endsLine(byte: number): boolean {
  return byte === 0x0a || byte === 0x0d || byte === 0x04;
}

/** What is left of a line when its corrections are done: the terminal does not do it. */
function edited(line: string): string {
  let text = "";
  for (const character of line) {
    if (endsLine(character.charCodeAt(0))) break;
    // Backspace and delete take a character back, ^U all.
    if (character === "\b" || character === "\x7f") text = text.slice(0, -1);
    else if (character === "\x15") text = "";
    else text += character;
  }
  return text;
}

function keyOf(source: KeySource, input: string | null): Uint8Array<ArrayBuffer> {
  const [text, where] = source.kind === "text"
    ? [source.text, "smtpd.conf"]
    : source.kind === "file"
    ? [readGuarded(source.path, "queue key"), source.path]
    : [input ?? "", "standard input"];
  const key = firstLine(text);
  if (key === "") throw new Fatal(`queue encryption: no key was given in ${where}`);
  const fault = queueKeyFault(key);
  if (fault !== null) throw new Fatal(`queue encryption: ${where}: ${fault}`);
  return new TextEncoder().encode(key);
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!.replace(/\r$/, "");
}
