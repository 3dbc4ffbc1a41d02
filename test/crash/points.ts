/**
 * Places where a daemon can be stopped dead: an isolate that comes to the chosen one says so on standard error and goes no further, until the
 * harness has killed the process. Only the entry files of this folder know of them; the real ones have none.
 */

/** The places, before and after each step that makes something durable. */
export const POINTS = {
  queue: ["commit-before", "commit-after"],
  mailbox: ["sync-before", "sync-after", "rename-before", "rename-after"],
} as const;

/** What an isolate says when it stands still. */
export const HALTED = "crash point reached";

/** A function to call at every place; it stands still at the one that `entry`'s query names: `?point=commit-after&count=17`. */
export function pointsOf(entry: string): (place: string) => void {
  const { searchParams } = new URL(entry);
  const point = searchParams.get("point");
  let count = Number(searchParams.get("count") ?? 0);
  return (place) => {
    if (place !== point || --count !== 0) return;
    console.error(`${HALTED}: ${place}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
}
