/** The message that a writer is given, and the delivery isolates' client of the queue. */

import type { Channel } from "../isolate/mod.ts";
import type { AgentToQueue, QueueToAgent } from "../protocol/mod.ts";
import { QueueClient, type StoredBody } from "../queue_client/mod.ts";
import { DeliveryError, EX } from "./methods/sysexits.ts";

/** What a writer is given: the lines of this delivery and then the stored body. */
export interface Delivered {
  /** `Return-Path` and `Delivered-To`, encoded. */
  readonly trace: Uint8Array;
  readonly body: StoredBody;
}

/** Returns a client whose bodies reject with a DeliveryError that is temporary when a chunk cannot be read. */
export function queueClient(channel: Channel<AgentToQueue, QueueToAgent>): QueueClient {
  return new QueueClient(channel, (text) => new DeliveryError(EX.TEMPFAIL, text));
}
