/** What was said in a session of ours, handed to the history when it went wrong. Keeps texts as they are there already; secrets are masked before they come here. */

import type { Clock } from "../clock.ts";
import type { MessageId } from "../envelope/mod.ts";
import { Dialogue, type Observer } from "../events/mod.ts";
import type { DialogueRecorder } from "./connection.ts";
import type { Reply } from "./reply.ts";

/** Dialogues that one session hands over at most. */
const MAX_PARTS = 10;

export class ClientDialogue implements DialogueRecorder {
  readonly #session: string;
  readonly #observer: Observer;
  readonly #clock: Pick<Clock, "steady">;
  readonly #dialogue: Dialogue;
  /** Entries of the way to the first transaction. */
  #opening = 0;
  #parts = 0;

  constructor(session: string, observer: Observer, clock: Pick<Clock, "steady">) {
    this.#session = session;
    this.#observer = observer;
    this.#clock = clock;
    this.#dialogue = new Dialogue(clock.steady());
  }

  /** Returns one where the history records. */
  static where(session: string, observer: Observer, clock: Pick<Clock, "steady">): ClientDialogue | null {
    return observer.recording === true ? new ClientDialogue(session, observer, clock) : null;
  }

  sent(lines: string): void {
    this.#dialogue.add(this.#clock.steady(), "client", lines);
  }

  answered({ code, lines }: Reply): void {
    this.#dialogue.add(this.#clock.steady(), "server", { code, lines });
  }

  /** The session is ready for mail. */
  opened(): void {
    this.#opening = this.#dialogue.size;
  }

  /** A transaction went well: what was said in it is nobody's business. */
  wentWell(): void {
    this.#dialogue.forgetBehind(this.#opening);
  }

  /** Something went wrong: in the transaction of this message, or before there was one. */
  wentWrong(message?: MessageId): void {
    if (this.#dialogue.size === 0 || this.#parts++ >= MAX_PARTS) return;
    const named = message === undefined ? {} : { message };
    this.#observer.emit({ type: "dialogue", session: this.#session, side: "out", ...named, ...this.#dialogue.take() });
    this.#opening = 0;
  }
}
