/** The isolate of the history at its door: takes events in, writes them once per second, answers what is asked about them. It may do nothing else. */

import type { Channel, Isolate } from "../isolate/mod.ts";
import type { FromHistory, ToHistory } from "../protocol/mod.ts";
import { systemClock } from "../clock.ts";
import { systemReason } from "../events/mod.ts";
import { Assembler } from "./assembler.ts";
import { find, story } from "./search.ts";
import { receivedLine } from "./received_line.ts";
import { HistoryStore } from "./store.ts";

/** What has come is written after so long, or when it is so many messages. */
const WRITE_MS = 750, MAX_WAITING_MESSAGES = 2_000;
/** The log has a line in so long about events that are malformed. */
const FAULT_MS = 60_000;
/** Old segments are looked for so often. */
const TEND_MS = 10_000;

/** Runs the history isolate. It becomes ready whatever its disk says: mail does not wait for it. */
export function serveHistory(isolate: Isolate<"history">): void {
  const service = new HistoryService(isolate);
  isolate.serve("control-history", (channel) => {
    channel.onmessage = (message) => service.receive(channel, message);
  });
  isolate.onreload = () => service.configure();
  isolate.onstop = () => service.close();
}

type Door = Channel<FromHistory, ToHistory>;

class HistoryService {
  readonly #isolate: Isolate<"history">;
  readonly #store: HistoryStore;
  readonly #assembler: Assembler;
  readonly #stopTending: () => void;
  #cancelWrite: (() => void) | null = null;
  #faultAt = -Infinity;
  /** Of the events that were left out, those that control knows of. */
  #reportedLeftOut = 0;

  constructor(isolate: Isolate<"history">) {
    this.#isolate = isolate;
    this.#store = new HistoryStore({
      ...boundsOf(isolate),
      folder: isolate.settings.folder,
      now: () => systemClock.now(),
      log: (level, text) => isolate.emit({ type: "log", level, text }),
    });
    this.#assembler = new Assembler((owner, lines) => this.#store.add(owner, lines));
    this.#stopTending = systemClock.every(TEND_MS, () => this.#tend());
    this.#gauge();
  }

  configure(): void {
    this.#store.configure(boundsOf(this.#isolate));
    this.#tend();
  }

  #tend(): void {
    this.#store.tend();
    this.#gauge();
  }

  #gauge(): void {
    const { messages, bytes } = this.#store.state;
    this.#isolate.emit({ type: "gauge", key: "history.message", to: messages });
    this.#isolate.emit({ type: "gauge", key: "history.size", to: bytes });
  }

  receive(door: Door, message: ToHistory): void {
    const { call } = message;
    if (message.type === "record") {
      this.#record(message.events);
      // With those that could not be written since the last answer.
      const leftOut = this.#store.leftOut - this.#reportedLeftOut;
      this.#reportedLeftOut = this.#store.leftOut;
      return door.send({ type: "recorded", call, leftOut });
    }
    // Whoever asks finds what has come before.
    this.#write();
    switch (message.type) {
      case "find":
        return door.send({ type: "found", call, ...find(this.#store, message, systemClock.steady) });
      case "story":
        return door.send({ type: "story", call, ...this.#story(message.id, { dialogues: false }) });
      case "dialogue":
        return door.send({ type: "dialogue", call, ...this.#story(message.id, { dialogues: true }) });
      case "history-state":
        return door.send({ type: "history-state", call, state: this.#store.state });
    }
    message satisfies never;
  }

  #story(id: string, { dialogues }: { readonly dialogues: boolean }) {
    const session = id.toLowerCase().replace(/-\d+$/, "");
    const open = this.#assembler.open(session).map(({ text }) => text);
    return story(this.#store, id, { dialogues, open });
  }

  #record(events: string): void {
    for (const text of events.split("\n")) {
      const line = receivedLine(text);
      if (typeof line === "string") {
        this.#fault(line);
        continue;
      }
      try {
        this.#assembler.take(line);
      } catch (error) {
        this.#fault(systemReason(error));
      }
    }
    if (this.#store.waiting >= MAX_WAITING_MESSAGES) this.#write();
    else if (this.#store.waiting > 0) this.#cancelWrite ??= systemClock.after(WRITE_MS, () => this.#write());
  }

  /** One line of the log in a while: who sends such a thing sends more. */
  #fault(reason: string): void {
    this.#store.leftOut++;
    if (systemClock.steady() - this.#faultAt < FAULT_MS) return;
    this.#faultAt = systemClock.steady();
    this.#isolate.emit({ type: "log", level: "warn", text: `warn: history: an event is not recorded: ${reason}` });
  }

  #write(): void {
    this.#cancelWrite?.();
    this.#cancelWrite = null;
    this.#store.flush();
  }

  close(): void {
    this.#stopTending();
    this.#cancelWrite?.();
    this.#store.close();
  }
}

/** An isolate that is about to end for want of a policy keeps what it has. */
function boundsOf({ settings: { policy, reserve } }: Isolate<"history">) {
  return { policy: policy ?? { keepMs: Infinity, maxBytes: Infinity }, reserve };
}
