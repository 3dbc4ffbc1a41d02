/** What a session has said and not sent yet: replies that belong together go in one write. Knows no session and no socket; see connection.ts. */

import { logTrace, type Observer } from "../events/mod.ts";

export class ReplyBuffer {
  #text = "";
  readonly #session: string;
  readonly #observer: Observer;

  /** `session`: its name in traces. */
  constructor(session: string, observer: Observer) {
    this.#session = session;
    this.#observer = observer;
  }

  /** Characters that wait. */
  get length(): number {
    return this.#text.length;
  }

  /** Whole reply lines. */
  add(text: string): void {
    this.#text += text;
    if (!this.#observer.traces("smtp")) return;
    for (const line of text.trimEnd().split("\r\n")) logTrace(this.#observer, "smtp", `${this.#session}: >>> ${line}`);
  }

  /** All that waits, to be written now. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    if (text !== "" && this.#observer.traces("io")) {
      logTrace(this.#observer, "io", `${this.#session}: wrote ${text.length} bytes`);
    }
    return text;
  }
}
