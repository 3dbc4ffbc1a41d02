/**
 * `smtpctl import FOLDER` and `smtpctl discover FOLDER`: copies messages into the spool's folder `import`, from where the queue takes them in,
 * each whole or not at all; when no daemon runs, the next one does at its start. The source is left as it is, and what was taken from it before is
 * left out.
 */

import { actAsRoot } from "../../delivery/mod.ts";
import { askControl, MAX_DISCOVER_MESSAGES, NotRunning } from "../../control/mod.ts";
import { type EnvelopeId, type MessageId, newMessageId } from "../../envelope/mod.ts";
import type { ForeignMessage } from "./foreign_queue.ts";
import { importKey, ImportRecord } from "./import_record.ts";
import { systemClock } from "../../clock.ts";
import { Progress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";

interface Places {
  readonly socket: string;
  readonly spool: string;
}

/** Answers the exit status: 0 when everything is taken in, now or, without `again`, by an earlier import of the same. */
export async function importMessages(
  messages: readonly ForeignMessage[],
  places: Places,
  { again, label }: { readonly again: boolean; readonly label: string },
  terminal: Terminal,
): Promise<number> {
  const { MAX_ENVELOPE_BYTES, NotAnEnvelope, parseEnvelope } = await import("../../queue/mod.ts");
  const check = (id: EnvelopeId, text: string) => {
    if (text.length > MAX_ENVELOPE_BYTES) throw new NotAnEnvelope(`Envelope ${id}: It is too large`);
    try {
      parseEnvelope(id, text);
    } catch (error) {
      throw new Error(`Envelope ${id}: ${(error as Error).message}`);
    }
  };
  using staging = new Staging(places.spool, { again });
  using progress = new Progress({ label, total: messages.length, unit: "messages", clock: systemClock, terminal });
  const totals = { imported: 0, waiting: 0, problems: 0, known: 0 };
  const complain = (id: string, text: string) => {
    totals.problems++;
    progress.err(`smtpctl: message ${id} is not imported: ${text}\n`);
  };
  for (let at = 0; at < messages.length; at += MAX_DISCOVER_MESSAGES) {
    const staged: Staged[] = [];
    for (const message of messages.slice(at, at + MAX_DISCOVER_MESSAGES)) {
      try {
        const one = await staging.stage(message, check);
        if (one === null) totals.known++;
        else staged.push(one);
      } catch (error) {
        complain(message.id, (error as Error).message);
      }
      progress.add();
    }
    staging.record.sync();
    await discover(staged, places, staging, totals, complain);
  }
  progress.end();
  if (totals.known > 0) {
    const one = totals.known === 1;
    terminal.err(
      `smtpctl: ${totals.known} message${one ? " was" : "s were"} imported from there before and ${
        one ? "is" : "are"
      } left out: --again takes ${one ? "it" : "them"} once more\n`,
    );
  }
  if (totals.waiting > 0) {
    const one = totals.waiting === 1;
    terminal.out(
      `${totals.waiting} envelope${one ? " waits" : "s wait"} in ${staging.folder} until smtpd starts\n`,
    );
  } else terminal.out(`${totals.imported} envelope${totals.imported === 1 ? "" : "s"} imported\n`);
  return totals.problems === 0 ? 0 : 1;
}

/** Has the daemon take in what is there; what it refuses is removed again. */
async function discover(
  staged: readonly Staged[],
  { socket }: Places,
  staging: Staging,
  totals: { imported: number; waiting: number },
  complain: (id: string, text: string) => void,
): Promise<void> {
  if (staged.length === 0) return;
  try {
    for await (const answer of askControl(socket, { do: "discover", messages: staged.map(({ name }) => name) })) {
      if ("line" in answer) {
        const [, name, text] = /^(\w+): (.*)$/.exec(answer.line) ?? [];
        const refused = staged.find((each) => each.name === name);
        if (refused === undefined) continue;
        staging.remove(refused);
        complain(refused.id, text!);
      } else if ("ok" in answer) {
        if (!answer.ok) throw new Error(answer.error);
        totals.imported += answer.count ?? 0;
      }
    }
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    totals.waiting += staged.reduce((sum, { envelopes }) => sum + envelopes, 0);
  }
}

interface Staged {
  /** Of the source. */
  readonly id: string;
  /** Of the folder; another one when that name was taken. */
  readonly name: MessageId;
  readonly envelopes: number;
  /** In the record of what was imported. */
  readonly key: string;
}

function makeSpool(spool: string): void {
  try {
    Deno.statSync(spool);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    Deno.mkdirSync(spool, { recursive: true, mode: 0o711 });
    Deno.chmodSync(spool, 0o711);
  }
}

/**
 * The folder `import` of the spool. All that is done in it is done with the rights of the spool's owner, who may be another user than root: links that they
 * may have left there lead root nowhere.
 */
class Staging {
  readonly folder: string;
  readonly record: ImportRecord;
  readonly #again: boolean;
  readonly #asOwner: <T>(work: () => T) => T;

  constructor(spool: string, { again }: { readonly again: boolean }) {
    const folder = this.folder = `${spool}/import`;
    this.#again = again;
    // A spool that the daemon has not made yet is made as it would: users reach the folder for mail that waits.
    makeSpool(spool);
    this.#asOwner = actingAs(spool);
    this.record = this.#asOwner(() => {
      Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (!Deno.lstatSync(folder).isDirectory) throw new Error(`${folder} is not a folder`);
      return new ImportRecord(`${spool}/imported`);
    });
  }

  [Symbol.dispose](): void {
    this.record.close();
  }

  /** Copies one message; it appears whole. Null when it was imported before. Throws when it cannot be read, or `check` finds a fault. */
  async stage(message: ForeignMessage, check: (id: EnvelopeId, text: string) => void): Promise<Staged | null> {
    if (message.envelopes.length === 0) throw new Error("It has no envelope");
    const partial = `${this.folder}/.${message.id}.${crypto.randomUUID()}`;
    this.#asOwner(() => Deno.mkdirSync(partial, { mode: 0o700 }));
    try {
      for (const id of message.envelopes) {
        const text = await message.text(id);
        check(id, text);
        const path = `${partial}/${id}`;
        this.#asOwner(() => Deno.writeTextFileSync(path, text, { createNew: true, mode: 0o600 }));
      }
      const create = () => Deno.openSync(`${partial}/message`, { createNew: true, write: true, mode: 0o600 });
      await message.copyBody(() => this.#asOwner(create));
      return this.#asOwner(() => this.#publish(message, partial));
    } catch (error) {
      this.#asOwner(() => Deno.removeSync(partial, { recursive: true }));
      throw error;
    }
  }

  /** Gives the folder that is complete its name. */
  #publish({ source, id, envelopes }: ForeignMessage, partial: string): Staged | null {
    const key = importKey(source, id, `${partial}/message`);
    if (!this.#again && this.record.has(key)) {
      Deno.removeSync(partial, { recursive: true });
      return null;
    }
    const name = this.#freeName(id);
    // Envelopes are looked for under the message's own id.
    if (name !== id) this.#rename(partial, envelopes, name);
    Deno.renameSync(partial, `${this.folder}/${name}`);
    this.record.add(key);
    return { id, name, envelopes: envelopes.length, key };
  }

  remove({ name, key }: Staged): void {
    this.record.remove(key);
    this.#asOwner(() => Deno.removeSync(`${this.folder}/${name}`, { recursive: true }));
  }

  #freeName(id: MessageId): MessageId {
    const names = new Set([...Deno.readDirSync(this.folder)].map(({ name }) => name));
    for (let name = id;; name = newMessageId()) {
      if (!names.has(name) && !names.has(`${name}.importing`)) return name;
    }
  }

  #rename(partial: string, envelopes: readonly string[], name: string): void {
    for (const id of envelopes) Deno.renameSync(`${partial}/${id}`, `${partial}/${name}${id.slice(8)}`);
  }
}

/** What runs synchronous work with the rights of the spool's owner, whom root is not always. */
function actingAs(spool: string): <T>(work: () => T) => T {
  const { uid, gid } = Deno.statSync(spool);
  if (Deno.uid() !== 0 || uid === null || uid === 0) return (work) => work();
  const actAs = actAsRoot();
  return (work) => actAs({ uid, gid: gid ?? uid }, work);
}
