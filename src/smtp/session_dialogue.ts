/** What client and server of a session have said, handed to the history when it went wrong. Secrets of AUTH are masked before they are kept. */

import { Dialogue, type EmitEvent, type SmtpEvent } from "../events/mod.ts";

/** Parts that one session hands over before its end; the lines of further refusals wait for that. */
const MAX_PARTS = 4;
/** Entries behind a refusal after which it is handed over: what stands before it must not be pushed out. */
const ENTRIES_BEHIND = 24;

export class SessionDialogue {
  readonly #session: string;
  readonly #emit: EmitEvent;
  readonly #dialogue: Dialogue;
  #wrong = false;
  #behind = 0;
  #parts = 0;

  /** `now`: milliseconds of a clock that nobody sets, as everywhere here. */
  constructor(session: string, emit: EmitEvent, now: number) {
    this.#session = session;
    this.#emit = emit;
    this.#dialogue = new Dialogue(now);
  }

  /** A command line as the log may have it. */
  command(line: string, now: number): void {
    this.#add("client", line, now);
  }

  /** Whole reply lines. What stands behind a 334 (RFC 4954 §4) may be part of a proof. */
  reply(text: string, now: number): void {
    const challenge = text.startsWith("334 ");
    this.#add("server", challenge ? text.length > "334 \r\n".length ? "334 ********" : "334" : text, now);
  }

  #add(from: "client" | "server", text: string, now: number): void {
    this.#dialogue.add(now, from, text);
    if (this.#wrong && ++this.#behind >= ENTRIES_BEHIND && this.#parts < MAX_PARTS) this.#handOver();
  }

  /** Looks at what happened to the session: a refusal is a reason to hand its lines over. */
  happened({ type }: SmtpEvent): void {
    if (type !== "smtp-failed-command" && type !== "smtp-bad-input") return;
    this.#wrong = true;
    this.#behind = 0;
  }

  /** The session is over. `failed`: the connection broke, or TLS did not come about. */
  end({ failed }: { readonly failed: boolean }): void {
    if ((this.#wrong || failed) && this.#dialogue.size > 0) this.#handOver();
  }

  #handOver(): void {
    this.#wrong = false;
    this.#parts++;
    this.#emit({ type: "dialogue", session: this.#session, side: "in", ...this.#dialogue.take() });
  }
}
