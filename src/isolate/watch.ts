/** Trace lines about what leaves an isolate through its doors: `imsg` tells of each message, `mproc` of each post. Sees types, no content. */

import { logTrace, type Observer } from "../events/mod.ts";
import { type DoorName, FILE_ROLES, type Role } from "../protocol/mod.ts";

/** Who speaks, and at which door. */
export interface DoorSide {
  readonly role: Role;
  readonly index: number;
  readonly name: DoorName;
  /** Index of the isolate on the other side, where there may be several. */
  readonly peer: number;
}

/**
 * What a channel's `watch` is to be under the traces that are wanted now; null for none of these. Doors of events have none: their lines
 * would tell of themselves for ever.
 */
export function watchDoor(observer: Observer, doorway: DoorSide): ((batch: readonly unknown[]) => void) | null {
  const messages = observer.traces("imsg"), posts = observer.traces("mproc");
  if ((!messages && !posts) || isEventDoor(doorway.name)) return null;
  const way = `${nameOf(doorway.role, doorway.index)} -> ${nameOf(otherSide(doorway), doorway.peer)}`;
  return (batch) => {
    if (posts) {
      logTrace(observer, "mproc", `${way}: ${batch.length} message${batch.length === 1 ? "" : "s"} in one post`);
    }
    if (!messages) return;
    for (const message of batch) logTrace(observer, "imsg", `${way}: ${(message as { readonly type: string }).type}`);
  };
}

function isEventDoor(name: DoorName): boolean {
  return name.endsWith("-control");
}

function otherSide({ role, name }: DoorSide): Role {
  const [from, to] = name.split("-") as [Role, Role];
  return from === role ? to : from;
}

/** Of some there may be several. */
function nameOf(role: Role, index: number): string {
  return role === "smtp" || (FILE_ROLES as readonly Role[]).includes(role) ? `${role}-${index}` : role;
}
