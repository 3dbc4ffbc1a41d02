/**
 * One side of a door. Messages sent in one turn of the event loop travel as one post: a post wakes a thread and that costs more than the
 * message. Checks what arrives before it is passed on, by tables that it is given. What carries the posts is hidden behind a Transport.
 */

import type { Check } from "../protocol/mod.ts";
import { isPlain, kindOf, shownWord } from "../protocol/check.ts";
import { DOOR_RATE, MessageMeter, type MessageRate } from "./message_rate.ts";
import type { Transport } from "./transport.ts";

/** What may arrive, and who is called when something else does. Without it a channel accepts everything, as in tests. */
export interface Inspection {
  /** By type of message. */
  readonly arriving: ReadonlyMap<string, Check<unknown>>;
  /** Answers that a question may get, by the type of the question; empty where this side asks none. */
  readonly replies: ReadonlyMap<string, readonly string[]>;
  /** How many messages may come; DOOR_RATE where it is left out. */
  readonly rate?: MessageRate;
  /** Called once for each transport: nothing more is taken from it. `fault` says what was wrong, without the content. */
  onfault(fault: string): void;
}

/** Messages in one post at most. */
export const MAX_POST_MESSAGES = 100_000;

export interface Channel<Out, In> {
  /** Queues `message` for this turn's post. `transfer` moves buffers instead of copying them. */
  send(message: Out, transfer?: Transferable[]): void;
  /** Called for each message; set once. */
  onmessage: (message: In) => void;
  /** Called when the peer was replaced: answers to earlier questions will not come. */
  onreset: () => void;
  /** False while nobody stands on the other side; absent where that is not known. */
  readonly connected?: boolean;
}

/** A channel whose transport may change: messages sent while there is none wait, up to `limit` and one post, then the oldest are dropped. */
export class DoorChannel<Out, In> implements Channel<Out, In> {
  onmessage: (message: In) => void = () => {};
  onreset: () => void = () => {};
  /** Called when the other side has ended and its transport says so; what it sent before has been handed on. */
  onclose: () => void = () => {};
  /** Gets each post before it leaves; null for none. */
  watch: ((batch: readonly unknown[]) => void) | null = null;
  #transport: Transport | null = null;
  #batch: Out[] = [];
  #transfer: Transferable[] = [];
  #scheduled = false;
  readonly #limit: number;
  readonly #inspection: Inspection | null;
  /** Of who is on the other side; null where everything is accepted. */
  #meter: MessageMeter | null = null;
  /** Something malformed has come: nothing more is taken from this transport. */
  #closed = false;
  /**
   * Questions without an answer yet, by number, and the types of message that may answer each. It stands beside the callers' maps of who waits
   * (`Caller`, the lookup client of smtp): those belong to whoever speaks here, some without a Caller, and would only drop an answer that nobody waits
   * for. The check belongs to the door, by its table alone, and closes the door before such an answer is handed on.
   */
  readonly #unanswered = new Map<number, readonly string[]>();

  constructor(inspection: Inspection | null = null, limit = MAX_POST_MESSAGES) {
    this.#inspection = inspection;
    this.#limit = Math.min(limit, MAX_POST_MESSAGES);
  }

  get connected(): boolean {
    return this.#transport !== null;
  }

  /** Speaks and listens over this transport from now on; one that was there before is closed. */
  attach(transport: Transport): void {
    this.detach();
    this.#transport = transport;
    this.#closed = false;
    if (this.#inspection !== null) this.#meter = new MessageMeter(this.#inspection.rate ?? DOOR_RATE);
    transport.receive({
      onpost: (post) => this.#take(transport, post),
      onfault: (fault) => this.#refuse(transport, fault),
      onclose: () => {
        if (this.#transport === transport) this.onclose();
      },
    });
    if (this.#batch.length > 0) this.#schedule();
  }

  /** Hands on the messages of one post up to the first that is malformed. */
  #take(transport: Transport, post: unknown): void {
    if (this.#inspection === null) {
      for (const message of post as In[]) this.onmessage(message);
      return;
    }
    if (!Array.isArray(post) || post.length > MAX_POST_MESSAGES) {
      const what = Array.isArray(post) ? `a list of ${post.length}` : kindOf(post);
      return this.#refuse(transport, `a post is ${what}, not a list of up to ${MAX_POST_MESSAGES} messages`);
    }
    // An empty post is work as well.
    const excess = this.#meter?.take(1 + post.length) ?? null;
    if (excess !== null) return this.#refuse(transport, excess);
    for (const message of post) {
      // What was handed on before may have closed the door.
      if (this.#transport !== transport || this.#closed) return;
      const fault = this.#faultOf(this.#inspection, message);
      if (fault !== null) return this.#refuse(transport, fault);
      this.onmessage(message as In);
    }
  }

  #faultOf({ arriving, replies }: Inspection, message: unknown): string | null {
    if (!isPlain(message)) return `a message is ${kindOf(message)}, not an object`;
    const type = message.type as string;
    const check = arriving.get(type);
    if (check === undefined) return `a message of the type ${shownWord(type)} may not come from there`;
    const fault = check(message);
    if (fault !== null) return `${type}: ${fault}`;
    if (replies.size === 0 || message.call === undefined) return null;
    const call = message.call as number;
    const wanted = this.#unanswered.get(call);
    if (wanted === undefined) return `${type} answers a question that was not asked`;
    if (!wanted.includes(type)) return `${type} is no answer to what was asked`;
    this.#unanswered.delete(call);
    return null;
  }

  /**
   * Has whoever is on the other side replaced, for something that the checks of the door cannot see: nothing more is taken from there until main
   * opens another door. What was sent this turn still leaves. `fault` says what was wrong, without the content.
   */
  refuse(fault: string): void {
    if (this.#transport === null) return;
    this.#flush();
    this.#refuse(this.#transport, fault);
  }

  /** Whoever sends such a thing is not to be listened to. The door stays closed until main opens another. */
  #refuse(transport: Transport, fault: string): void {
    if (this.#transport !== transport || this.#closed) return;
    this.#closed = true;
    transport.close();
    this.#inspection?.onfault(fault);
  }

  /** The peer has ended: what was asked of it is lost, what is sent from now on waits for the next one. */
  detach(): void {
    if (this.#transport === null) return;
    if (!this.#closed) this.#transport.close();
    this.#transport = null;
    this.#unanswered.clear();
    this.#batch = [];
    this.#transfer = [];
    this.onreset();
  }

  send(message: Out, transfer?: Transferable[]): void {
    if (this.#inspection !== null && this.#inspection.replies.size > 0) this.#note(this.#inspection, message);
    // What has waited for the peer may fill a post by itself.
    if (this.#transport !== null && this.#batch.length >= MAX_POST_MESSAGES) this.#flush();
    this.#batch.push(message);
    if (transfer !== undefined) this.#transfer.push(...transfer);
    if (this.#transport === null) {
      if (this.#batch.length > this.#limit) this.#batch.shift();
      return;
    }
    this.#schedule();
  }

  #note({ replies }: Inspection, message: Out): void {
    const { type, call } = message as { readonly type: string; readonly call?: number };
    const wanted = replies.get(type);
    if (wanted !== undefined && call !== undefined) this.#unanswered.set(call, wanted);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#transport === null || this.#batch.length === 0) return;
    const batch = this.#batch;
    const transfer = this.#transfer;
    this.#batch = [];
    this.#transfer = [];
    if (this.watch !== null) this.watch(batch);
    this.#transport.post(batch, transfer);
  }
}

/** The other isolate ended before it answered. */
export class PeerGone extends Error {
  constructor() {
    super("The isolate that was asked has ended");
  }
}

/** Messages that are questions or answers carry `call`; others do not. */
interface Message {
  readonly type: string;
  readonly call?: number;
}

/** The caller that waits for one answer. */
interface Waiting<Answer> {
  readonly answer: (message: Answer) => void;
  readonly lost: () => void;
}

/** The type of the answer with that name. */
type AnswerOf<Answer, Kind> = Extract<Answer, { readonly type: Kind }>;

/** Questions and answers over a channel, matched by `call`. */
export class Caller<Ask extends Message, Answer extends Message> {
  readonly #channel: Channel<Ask, Answer>;
  readonly #waiting = new Map<number, Waiting<Answer>>();
  #next = 1;
  /** Called with messages that answer nothing. */
  onmessage: (message: Answer) => void = () => {};
  /** Called when the peer was replaced, after all who waited were called with `lost`. */
  onreset: () => void = () => {};

  constructor(channel: Channel<Ask, Answer>) {
    this.#channel = channel;
    channel.onmessage = (message) => {
      const waiting = message.call === undefined ? undefined : this.#waiting.get(message.call);
      if (waiting === undefined) return this.onmessage(message);
      this.#waiting.delete(message.call!);
      waiting.answer(message);
    };
    channel.onreset = () => {
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const { lost } of waiting) lost();
      this.onreset();
    };
  }

  /** Sends a message that needs no answer. */
  send(message: Ask, transfer?: Transferable[]): void {
    this.#channel.send(message, transfer);
  }

  /**
   * Asks, and calls `answer` in the turn in which the answer arrives, or `lost` when the other side ends first. `Kind` is the type of the answer
   * that belongs to the question.
   */
  request<Kind extends Answer["type"]>(
    question: DistributiveOmit<Ask, "call">,
    answer: (message: AnswerOf<Answer, Kind>) => void,
    lost: () => void = () => {},
  ): void {
    const call = this.#next++;
    this.#waiting.set(call, { answer: answer as (message: Answer) => void, lost });
    this.#channel.send({ ...question, call } as unknown as Ask);
  }

  /** Asks and waits. Rejects with PeerGone when the other side ends first. `Kind` is the type of the answer that belongs to the question. */
  ask<Kind extends Answer["type"]>(question: DistributiveOmit<Ask, "call">): Promise<AnswerOf<Answer, Kind>> {
    return new Promise((resolve, reject) => {
      this.request<Kind>(question, resolve, () => reject(new PeerGone()));
    });
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
