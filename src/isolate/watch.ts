/** Trace lines about what leaves an isolate through its doors: `imsg` has one for each message, `mproc` for each post. Sees types, no content. */

import { logTrace, type Observer } from "../events/mod.ts";
import type { DoorName, Role } from "../protocol/mod.ts";
import { sidesOf } from "../protocol/door.ts";
import { numberedName } from "../protocol/roles.ts";

/** The sending isolate, and the door. */
export interface DoorSide {
  readonly role: Role;
  readonly index: number;
  readonly name: DoorName;
  /** Index of the isolate on the other side, where there may be several. */
  readonly peer: number;
}

/**
 * What a channel's `watch` is to be under the traces that are enabled now; null for none of these. Doors of events have none,
 * nor have those to main, which takes lines of the log: their lines would cause others for ever.
 */
export function watchDoor(observer: Observer, side: DoorSide): ((batch: readonly unknown[]) => void) | null {
  const messages = observer.traces("imsg"), posts = observer.traces("mproc");
  if ((!messages && !posts) || isUnwatched(side.name)) return null;
  const way = `${numberedName(side.role, side.index)} -> ${numberedName(otherSide(side), side.peer)}`;
  return (batch) => {
    if (posts) {
      logTrace(observer, "mproc", `${way}: ${batch.length} message${batch.length === 1 ? "" : "s"} in one post`);
    }
    if (!messages) return;
    for (const message of batch) logTrace(observer, "imsg", `${way}: ${(message as { readonly type: string }).type}`);
  };
}

function isUnwatched(name: DoorName): boolean {
  const { answerer } = sidesOf(name);
  return answerer === "control" || answerer === "main";
}

function otherSide({ role, name }: DoorSide): Role {
  const { asker, answerer } = sidesOf(name);
  return asker === role ? answerer as Role : asker;
}
