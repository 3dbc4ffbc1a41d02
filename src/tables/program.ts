/** A table that a program answers for: every question is put to the program, which does its own matching. Starts no program. */

import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { tableKey } from "../config/tablefile.ts";
import { logTrace, type Observer } from "../events/mod.ts";
import type { TableAnswer, TableRequest } from "../protocol/mod.ts";
import { LookupError } from "./error.ts";
import type { Resumable } from "./resumable.ts";
import { resultText, type Service, type UpdatableTable, type ValueService } from "./table.ts";

/** Puts a request to the program of a table. Never rejects. */
export type AskProgram = (table: string, request: TableRequest, isolate?: number) => Promise<TableAnswer>;

export class ProgramTable implements UpdatableTable {
  readonly name: string;
  readonly #resumable: Resumable;
  readonly #ask: AskProgram;
  readonly #observer: Observer;

  constructor(name: string, resumable: Resumable, ask: AskProgram, observer: Observer) {
    this.name = name;
    this.#resumable = resumable;
    this.#ask = ask;
    this.#observer = observer;
  }

  check(service: Service, key: string): boolean | LookupError {
    const answer = this.#need({ op: "check", service, key: tableKey(key) });
    return answer.result === "error" ? this.#error(answer.reason) : answer.result === "found";
  }

  lookup(key: string, service: ValueService = "string"): string | null | LookupError {
    return this.#valueOf(this.#need({ op: "lookup", service, key: tableKey(key) }));
  }

  fetch(service: "relayhost" | "source" = "relayhost"): string | null | LookupError {
    return this.#valueOf(this.#need({ op: "fetch", service }));
  }

  /** Has the program read again what it answers from. Null on success, else why not. */
  async update(): Promise<string | null> {
    const answer = await this.#ask(this.name, { op: "update" });
    return answer.result === "error" ? answer.reason : null;
  }

  /**
   * Does the program know this user by this password? Null when it has no service `auth`. The user is in lower case as in other questions, the
   * password is as it was given: OpenSMTPD folds both. Nothing of it is kept.
   */
  async authenticate(user: string, password: string): Promise<boolean | null | LookupError> {
    // The program parts the two at the first colon.
    if (user.includes(":") || /[\r\n\0]/.test(user + password)) return false;
    const answer = await this.#ask(this.name, { op: "check", service: "auth", key: `${tableKey(user)}:${password}` });
    const unserved = answer.result === "error" && answer.unserved === true;
    if (this.#observer.traces("tables") && !unserved) {
      const text = answer.result === "error" ? `error: ${answer.reason}` : answer.result;
      logTrace(this.#observer, "tables", `${this.name}: check auth "${user}" -> ${text}`);
    }
    if (answer.result === "error") return unserved ? null : this.#error(answer.reason);
    return answer.result === "found";
  }

  #valueOf(answer: TableAnswer): string | null | LookupError {
    if (answer.result === "error") return this.#error(answer.reason);
    return answer.result === "found" ? answer.value : null;
  }

  #error(reason: string): LookupError {
    return new LookupError(`Table "${this.name}": ${reason}`);
  }

  /** One evaluation asks the same thing once. */
  #need(request: Exclude<TableRequest, { op: "update" }>): TableAnswer {
    const key = request.op === "fetch" ? "" : request.key;
    if (key.length > LANGUAGE_LIMITS.tableKey) {
      return { result: "error", reason: "The key is longer than a key may be" };
    }
    return this.#resumable.need(`table\0${this.name}\0${request.op}\0${request.service}\0${key}`, async () => {
      const answer = await this.#ask(this.name, request);
      if (this.#observer.traces("tables")) {
        const result = answer.result === "error" ? this.#error(answer.reason) : answer.result === "found";
        const question = `${request.op} ${request.service}${request.op === "fetch" ? "" : ` "${key}"`}`;
        logTrace(this.#observer, "tables", `${this.name}: ${question} -> ${resultText(result)}`);
      }
      return answer;
    });
  }
}
