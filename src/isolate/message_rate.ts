/**
 * How many messages may come from one sender in a time. What a sender may have under way is bounded by credit where the messages are large; this bounds those
 * that need no answer and cost the receiver work all the same: events, pongs, ends of sessions, accusations. The numbers are far above what an honest
 * isolate says that is as busy as its core allows, also when strangers make it speak.
 */

import { type Clock, systemClock } from "../clock.ts";

/** A bound of messages: so many per second, and so many at once after a time of less. */
export interface MessageRate {
  readonly perSecond: number;
  /** Also what a receiver that stood still finds waiting. */
  readonly burst: number;
}

/** Of one sender at a door, and of a process at its link. */
export const DOOR_RATE: MessageRate = { perSecond: 100_000, burst: 500_000 };
/** Of an isolate at its door to main, which has others to serve. */
export const MAIN_RATE: MessageRate = { perSecond: 20_000, burst: 200_000 };
/** Of an isolate to its supervisor: pongs, accusations, the end. */
export const LIFECYCLE_RATE: MessageRate = { perSecond: 100, burst: 1_000 };

/** Counts what one sender sends. It reads the clock once per burst, not per message, so that an allowance may be up to two bursts. */
export class MessageMeter {
  readonly #rate: MessageRate;
  readonly #clock: Pick<Clock, "steady">;
  #left: number;
  /** When `#left` was reckoned. */
  #since: number;

  constructor(rate: MessageRate, clock: Pick<Clock, "steady"> = systemClock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#left = rate.burst;
    this.#since = clock.steady();
  }

  /** Counts `messages` that have come. Returns null, or what is wrong when they are too many. */
  take(messages: number): string | null {
    this.#left -= messages;
    return this.#left >= 0 ? null : this.#reckon();
  }

  #reckon(): string | null {
    const { perSecond, burst } = this.#rate, now = this.#clock.steady();
    this.#left += Math.min(burst, (now - this.#since) * perSecond / 1000);
    this.#since = now;
    return this.#left >= 0 ? null : `more than ${perSecond} messages per second come from there`;
  }
}
