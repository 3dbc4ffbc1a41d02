/** How an isolate that delivers ends: what it has begun is finished or cut off, and the queue has its outcomes. */

import type { Clock } from "../clock.ts";
import type { QueueClient } from "../queue_client/mod.ts";

/** How long deliveries may go on after the daemon was asked to stop, in ms. */
const STOP_GRACE_MS = 2_000;
/** The same when the isolate is to be replaced, and the daemon goes on. */
const REPLACE_GRACE_MS = 50_000;

export interface Finish {
  readonly clock: Clock;
  readonly replaced: boolean;
  /** Resolves when all deliveries have ended. */
  readonly ended: Promise<unknown>;
  /** Ends those that still run; their mail is tried again. */
  readonly cut: () => void;
  readonly queue: Pick<QueueClient, "arrived">;
}

/** Resolves when the isolate may be ended. Never rejects. */
export async function finish({ clock, replaced, ended, cut, queue }: Finish): Promise<void> {
  const cancelCut = clock.after(replaced ? REPLACE_GRACE_MS : STOP_GRACE_MS, cut);
  await ended;
  cancelCut();
  await queue.arrived(clock);
}
