/** `smtpctl export FOLDER`: writes the queue of the running daemon as `MSGID.eml` and `EVPID.envelope` files. The queue keeps what it has. */

import { safeLine } from "../../events/mod.ts";
import { askControl } from "../../control/mod.ts";
import { systemClock } from "../../clock.ts";
import { Progress } from "../progress.ts";
import { EXPORT_ID } from "./foreign_queue.ts";
import type { Terminal } from "../terminal.ts";

const PARTIAL = ".partial";

/** Answers the exit status. Throws when the folder is not empty, or the daemon is not there. */
export async function exportQueue(socket: string, folder: string, terminal: Terminal): Promise<number> {
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!Deno.readDirSync(folder)[Symbol.iterator]().next().done) {
    throw new Error(`${folder} is not empty: an export wants a folder of its own`);
  }
  Deno.writeTextFileSync(`${folder}/${EXPORT_ID}`, `${crypto.randomUUID()}\n`, { createNew: true, mode: 0o600 });
  const writer = new Writer(folder);
  using progress = new Progress({ label: "export", unit: "envelopes", clock: systemClock, terminal });
  for await (const answer of askControl(socket, { do: "export" })) {
    if ("bytes" in answer) writer.bytes(Uint8Array.fromBase64(answer.bytes));
    else if ("message" in answer) writer.message(answer.message, answer);
    else if ("envelope" in answer) {
      writer.envelope(answer.envelope, answer.text);
      progress.add();
    } else if ("total" in answer) progress.total = answer.total;
    else if ("line" in answer) progress.err(`smtpctl: ${safeLine(answer.line)}\n`);
    else if ("ok" in answer) {
      writer.finish();
      progress.end();
      if (!answer.ok) throw new Error(answer.error);
      terminal.out(`${answer.count} envelope${answer.count === 1 ? "" : "s"} exported\n`);
    }
  }
  return 0;
}

/** A message is there when its `.eml` is: that comes last. */
class Writer {
  readonly #folder: string;
  #body: Deno.FsFile | null = null;
  #message: string | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  bytes(bytes: Uint8Array): void {
    if (this.#message !== null) this.finish();
    this.#body ??= this.#create(PARTIAL);
    for (let at = 0; at < bytes.length;) at += this.#body.writeSync(bytes.subarray(at));
  }

  message(id: string, { whole }: { readonly whole: boolean }): void {
    if (this.#message !== null) this.finish();
    this.#body ??= this.#create(PARTIAL);
    if (whole) this.#message = id;
    else this.finish();
  }

  envelope(id: string, text: string): void {
    Deno.writeTextFileSync(`${this.#folder}/${id}.envelope`, text, { createNew: true, mode: 0o600 });
  }

  finish(): void {
    this.#body?.close();
    this.#body = null;
    if (this.#message !== null) {
      Deno.renameSync(`${this.#folder}/${PARTIAL}`, `${this.#folder}/${this.#message}.eml`);
    } else if (exists(`${this.#folder}/${PARTIAL}`)) Deno.removeSync(`${this.#folder}/${PARTIAL}`);
    this.#message = null;
  }

  #create(name: string): Deno.FsFile {
    // Never through a link that another user has put there.
    return Deno.openSync(`${this.#folder}/${name}`, { createNew: true, write: true, mode: 0o600 });
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
