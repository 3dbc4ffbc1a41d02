/** Those who listen to events (server-sent events): how many, for how long, and what they get. One look at the daemon serves all of them. */

import type { Clock } from "../../clock.ts";
import type { JsonRecord } from "../../control/mod.ts";
import type { AdminOutcome, AdminSource } from "../source.ts";
import { Problem } from "./problem.ts";

/** Streams of one client, and of all: the rest of the connections is for requests. */
const MAX_CLIENT_STREAMS = 4, MAX_STREAMS = 12;
/** Time between two looks, in ms. */
const OVERVIEW_MS = 2_000;
/** A stream ends after so long, and the browser begins another: one whose client is gone without a word is not kept for ever. */
const MAX_STREAM_MS = 10 * 60_000;
/** What a client has not read, in characters: with so much, what comes is left out; for so many looks, and the stream ends. */
const MAX_WAITING_CHARS = 65_536, MAX_LATE_LOOKS = 15;
/** Outcomes in one look: of more, the number is told. */
const MAX_OUTCOMES = 20;
/** How long a browser waits before it comes again. */
const RETRY_MS = 2_000;

const STREAM_HEADERS = { "Content-Type": "text/event-stream; charset=utf-8" };

interface Listener {
  readonly client: string;
  readonly since: number;
  readonly controller: ReadableStreamDefaultController<string>;
  isGood(): Promise<boolean>;
  late: number;
}

export class EventStreams {
  readonly #source: AdminSource;
  readonly #clock: Pick<Clock, "steady" | "every">;
  readonly #overview: (rates: JsonRecord | null) => Promise<unknown>;
  readonly #listeners = new Set<Listener>();
  #watched: ReturnType<AdminSource["watch"]> | null = null;
  #stopLooking = () => {};
  #looking = false;
  #outcomes: AdminOutcome[] = [];
  #leftOut = 0;

  /** `overview` makes what `GET overview` answers. */
  constructor(
    source: AdminSource,
    clock: Pick<Clock, "steady" | "every">,
    overview: (rates: JsonRecord | null) => Promise<unknown>,
  ) {
    this.#source = source;
    this.#clock = clock;
    this.#overview = overview;
  }

  /** How many are open. */
  get size(): number {
    return this.#listeners.size;
  }

  /** What HEAD is answered: no stream begins that nobody would read. */
  head(): Response {
    return new Response(null, { headers: STREAM_HEADERS });
  }

  /** Begins a stream for a client. `isGood`: its login has not ended. Throws a Problem where there are too many. */
  open(client: string, isGood: () => Promise<boolean>): Response {
    const own = [...this.#listeners].filter((one) => one.client === client).length;
    if (own >= MAX_CLIENT_STREAMS || this.#listeners.size >= MAX_STREAMS) {
      throw new Problem(
        "too-many-streams",
        `Close other windows of the admin page, or ask GET /api/v1/overview now and then: ${MAX_CLIENT_STREAMS} streams of one client are served, ${MAX_STREAMS} in all.`,
        { headers: { "Retry-After": "30" } },
      );
    }
    let listener: Listener | null = null;
    const stream = new ReadableStream<string>({
      start: (controller) => {
        listener = { client, since: this.#clock.steady(), controller, isGood, late: 0 };
        this.#listeners.add(listener);
        controller.enqueue(`retry: ${RETRY_MS}\n\n`);
      },
      cancel: () => void (listener !== null && this.#forget(listener)),
    }, { highWaterMark: MAX_WAITING_CHARS, size: (text) => text!.length });
    this.#begin();
    return new Response(stream.pipeThrough(new TextEncoderStream()), { headers: STREAM_HEADERS });
  }

  /** Ends all of them. */
  close(): void {
    for (const listener of [...this.#listeners]) this.#end(listener, "closed");
  }

  #begin(): void {
    if (this.#watched === null) {
      this.#watched = this.#source.watch((outcome) => {
        if (this.#outcomes.length < MAX_OUTCOMES) this.#outcomes.push(outcome);
        else this.#leftOut++;
      });
      this.#stopLooking = this.#clock.every(OVERVIEW_MS, () => void this.#look());
    }
    // The first look is not waited for.
    void this.#look();
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#watched === null) return;
    this.#looking = true;
    try {
      const overview = await this.#overview(this.#watched.rates()).catch(() => null);
      const texts = [
        ...overview === null ? [] : [eventText("overview", overview)],
        ...this.#outcomes.map((outcome) => eventText("message", outcome)),
        ...this.#leftOut > 0 ? [eventText("more", { count: this.#leftOut })] : [],
      ];
      this.#outcomes = [];
      this.#leftOut = 0;
      for (const listener of [...this.#listeners]) await this.#send(listener, texts.join("") || ":\n\n");
    } finally {
      this.#looking = false;
    }
  }

  async #send(listener: Listener, text: string): Promise<void> {
    if (this.#clock.steady() - listener.since > MAX_STREAM_MS) return this.#end(listener, "time");
    if (!await listener.isGood().catch(() => false)) return this.#end(listener, "logged out");
    if (!this.#listeners.has(listener)) return;
    if ((listener.controller.desiredSize ?? 0) > 0) {
      listener.late = 0;
      listener.controller.enqueue(text);
    } else if (++listener.late > MAX_LATE_LOOKS) this.#end(listener, "late");
  }

  #end(listener: Listener, reason: string): void {
    if (!this.#listeners.has(listener)) return;
    this.#forget(listener);
    try {
      listener.controller.enqueue(eventText("bye", { reason }));
      listener.controller.close();
    } catch {
      // Its client went away meanwhile.
    }
  }

  #forget(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#stopLooking();
    this.#watched?.end();
    this.#watched = null;
    this.#outcomes = [];
    this.#leftOut = 0;
  }
}

/** One event; JSON has no ends of lines in it. */
function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
