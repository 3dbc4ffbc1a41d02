/**
 * The reply buffer of a session: replies that were decided and not sent yet. Those that belong together (RFC 2920 §3.2) go in one write.
 * Independent of session and socket; see connection.ts.
 */

import { logTrace, type Observer } from "../events/mod.ts";

export class ReplyBuffer {
  #text = "";
  #blocked = false;
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

  /** True while the client does not read its replies: the session does nothing more for it. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Adds whole reply lines. */
  add(text: string): void {
    this.#text += text;
    if (!this.#observer.traces("smtp")) return;
    for (const line of text.trimEnd().split("\r\n")) logTrace(this.#observer, "smtp", `${this.#session}: >>> ${line}`);
  }

  /** Returns all that waits, to be written now. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    if (text !== "" && this.#observer.traces("io")) {
      logTrace(this.#observer, "io", `${this.#session}: wrote ${text.length} bytes`);
    }
    return text;
  }

  /** Writes all that waits. `write` returns false when the client does not read; the buffer is blocked then. */
  flush(write: (text: string) => boolean): void {
    if (this.#text !== "" && !write(this.take())) this.#blocked = true;
  }

  /** The client reads again. */
  drained(): void {
    this.#blocked = false;
  }
}
