/**
 * The protocol of `table-NAME` programs, version 0.1 (table(5)): what is sent to one, and what its lines mean. Pure: uses no process and no
 * clock. One request is on its way at a time.
 */

import type { TableAnswer, TableRequest, TableService } from "../protocol/mod.ts";
import { TABLE_SERVICES } from "../protocol/table_programs.ts";

const PROTOCOL = "0.1";
/** Longest answer, in bytes. */
export const MAX_ANSWER_OCTETS = 65_536;

/** What a line of the program means. `broken`: its output is not used from now on. */
export type TableOutput =
  | { readonly type: "nothing" }
  | { readonly type: "registered" }
  | { readonly type: "answer"; readonly answer: TableAnswer }
  | { readonly type: "broken"; readonly reason: string };

type State =
  | { readonly at: "registering" }
  | { readonly at: "idle" }
  | { readonly at: "waiting"; readonly id: string; readonly op: TableRequest["op"] };

const NOTHING: TableOutput = { type: "nothing" };

function broken(reason: string): TableOutput {
  return { type: "broken", reason };
}

export class TableDialogue {
  readonly #table: string;
  readonly #services = new Set<TableService>();
  #state: State = { at: "registering" };

  constructor(table: string) {
    this.#table = table;
  }

  /** The first lines to the program. `version` is the product's. */
  greeting(version: string): string {
    return `config|smtpd-version|${version}\nconfig|protocol|${PROTOCOL}\nconfig|tablename|${this.#table}\nconfig|ready\n`;
  }

  /** Did the program register the service of this request? */
  serves(request: TableRequest): boolean {
    return request.op === "update" || this.#services.has(request.service);
  }

  /** Why a request cannot be put to this program; null when it can. */
  refusal(request: TableRequest): string | null {
    if (request.op === "update") return null;
    if (!this.serves(request)) return `The program does not serve "${request.service}"`;
    // A line end would let the client that chose the key send lines to the program.
    if (request.op !== "fetch" && /[\r\n\0]/.test(request.key)) return "The key holds a line end";
    return null;
  }

  /** The line of a request. `id`: 8 hex digits that cannot be guessed; `nowMs`: milliseconds since the epoch. */
  ask(request: TableRequest, id: string, nowMs: number): string {
    if (this.#state.at !== "idle") throw new Error("A table program is asked before it is free");
    this.#state = { at: "waiting", id, op: request.op };
    const time = `${Math.floor(nowMs / 1000)}.${String(Math.floor(nowMs % 1000) * 1000).padStart(6, "0")}`;
    const head = `table|${PROTOCOL}|${time}|${this.#table}|${request.op}`;
    if (request.op === "update") return `${head}|${id}\n`;
    return request.op === "fetch"
      ? `${head}|${request.service}|${id}\n`
      : `${head}|${request.service}|${id}|${request.key}\n`;
  }

  /** One line of the program, without its LF. */
  receive(line: string): TableOutput {
    switch (this.#state.at) {
      case "registering":
        return this.#register(line);
      case "idle":
        return broken("it speaks without being asked");
      case "waiting": {
        const { op, id } = this.#state;
        this.#state = { at: "idle" };
        return readResult(line, op, id);
      }
    }
  }

  #register(line: string): TableOutput {
    const [word, service = ""] = line.split("|", 2) as [string, string?];
    if (word !== "register" || line !== `register|${service}`) return broken("a line that is no registration");
    if (service === "ready") {
      if (this.#services.size === 0) return broken("it registers no service");
      this.#state = { at: "idle" };
      return { type: "registered" };
    }
    const known = TABLE_SERVICES.find((name) => name === service);
    if (known === undefined) return broken("it registers a service that does not exist");
    this.#services.add(known);
    return NOTHING;
  }
}

function readResult(line: string, op: TableRequest["op"], id: string): TableOutput {
  const head = `${op}-result|`;
  if (!line.startsWith(head)) return broken(`an answer that is no ${op}-result`);
  const rest = line.slice(head.length);
  if (!rest.startsWith(`${id}|`)) return broken("an answer to another question");
  const answer = readAnswer(rest.slice(id.length + 1), op);
  return answer === null ? broken("a malformed answer") : { type: "answer", answer };
}

/** What follows the id; null when it is malformed. */
function readAnswer(text: string, op: TableRequest["op"]): TableAnswer | null {
  const bar = text.indexOf("|");
  const word = bar < 0 ? text : text.slice(0, bar);
  const value = bar < 0 ? null : text.slice(bar + 1);
  if (word === "error") return { result: "error", reason: value || "The program answers with an error" };
  if (op === "update") return text === "ok" ? { result: "ok" } : null;
  if (text === "not-found") return { result: "not-found" };
  if (word !== "found") return null;
  if (op === "check") return value === null ? { result: "found", value: "" } : null;
  if (value === null || value === "") return null;
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0b-\x1f\x7f\ufffd]/.test(value)) {
    return { result: "error", reason: "The value holds control characters or is not UTF-8" };
  }
  return { result: "found", value };
}
