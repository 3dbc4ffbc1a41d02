/** A store of the history in a folder of its own, with a clock that tests set, and events as isolates report them. */

import { join } from "node:path";
import type { Event } from "../../src/events/mod.ts";
import { Assembler, find, HistoryStore, type Line, type StoreDeps, story } from "../../src/history/mod.ts";
import type { FoundMessage, HistoryQuery } from "../../src/protocol/mod.ts";

export const DAY_MS = 86_400_000;

/** The line of an event. */
export function lineOf(at: number, event: object, isolate = "smtp-0"): Line {
  const recorded = { at, isolate, event: event as Event };
  return { text: JSON.stringify(recorded), recorded };
}

export class TestHistory {
  readonly folder: string;
  readonly log: string[] = [];
  now = Date.UTC(2030, 0, 1);
  store!: HistoryStore;
  #assembler!: Assembler;
  readonly #deps: Partial<StoreDeps>;

  constructor(folder: string, deps: Partial<StoreDeps> = {}) {
    this.folder = join(folder, "history");
    this.#deps = deps;
    this.open();
  }

  open(deps: Partial<StoreDeps> = {}): void {
    this.store = new HistoryStore({
      folder: this.folder,
      policy: { keepMs: 30 * DAY_MS, maxBytes: 1024 ** 3 },
      reserve: { share: null, bytes: 0 },
      now: () => this.now,
      log: (_level, text) => this.log.push(text),
      ...this.#deps,
      ...deps,
    });
    this.#assembler = new Assembler((owner, lines) => this.store.add(owner, lines));
  }

  /** Reports events of one isolate, and has them written. */
  report(...events: readonly object[]): void {
    for (const event of events) this.#assembler.take(lineOf(this.now, event));
    this.store.flush();
  }

  find(query: Partial<HistoryQuery> & { words?: readonly string[] }, limit = 50): readonly FoundMessage[] {
    return find(this.store, { query: { words: [], ...query }, limit, before: "" }, () => 0).messages;
  }

  ids(query: Partial<HistoryQuery>): string[] {
    return this.find(query).map(({ id }) => id);
  }

  /** Types of the events of a story. */
  story(id: string, dialogues = false): string[] {
    return story(this.store, id, { dialogues }).events.map(({ event }) => event.type);
  }

  files(): string[] {
    return [...Deno.readDirSync(this.folder)].map(({ name }) => name).filter((name) => !/-(wal|shm)$/.test(name))
      .sort();
  }
}

/** Calls `body` with a folder that is gone afterwards. */
export async function withHistory(
  body: (history: TestHistory) => Promise<void> | void,
  deps: Partial<StoreDeps> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const history = new TestHistory(folder, deps);
  try {
    await body(history);
  } finally {
    history.store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const box = (text: string) => ({ local: text.split("@")[0]!, domain: text.split("@")[1]! });
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/** Events of messages by their number: what a client said until it was accepted, and its attempts. */
export const made = {
  id: (number: number) => hex(number, 8),
  envelope: (number: number, index = 1) => hex(number, 8) + hex(index, 8),
  session: (number: number) => hex(number, 16),

  connected(number: number, address = "192.0.2.1"): object {
    const session = made.session(number);
    return { type: "smtp-connected", session, address, host: "mail.example.net", family: "inet4", smtps: false };
  },

  accepted(number: number, { from = "Bob@Example.net", to = ["alice@example.org"], user = "" } = {}): object {
    const envelopes = to.map((one, index) => {
      return { id: made.envelope(number, index + 1), rcpt: box(one), dest: box(one), agent: "mta", action: "a" };
    });
    return {
      ...{ type: "smtp-message", session: made.session(number), message: made.id(number), bytes: 100, proto: "ESMTP" },
      rcpts: to.length,
      detail: {
        origin: { address: "192.0.2.1", username: user },
        sender: from === "" ? null : box(from),
        messageId: `<M${number}@mail.example.net>`,
        envelopes,
        suppressed: [],
      },
    };
  },

  attempt(number: number, outcome: string, stat: string, { index = 1, to = "alice@example.org" } = {}): object {
    return {
      ...{ type: "delivery", agent: "mta", session: hex(number + 0xf0000, 16), envelope: made.envelope(number, index) },
      ...{ from: box("Bob@Example.net"), to: box(to), rcpt: box(to), delayMs: 1, outcome, stat },
      ...outcome === "ok" ? {} : { replyClass: outcome === "tempfail" ? "greylisted" : "no-such-user" },
    };
  },

  refused(number: number, to: string, reply = "550 5.1.1 Invalid recipient"): object {
    const session = made.session(number);
    return { type: "smtp-failed-command", session, command: `RCPT TO:<${to}>`, reply, address: "192.0.2.9" };
  },

  disconnected(number: number, reason = "quit"): object {
    return {
      ...{ type: "smtp-disconnected", session: made.session(number) },
      ...{ reason, tls: false, smtps: false, local: false },
    };
  },
};
