/** Which local address mail goes out from: the next of the action's that it was not sent from in vain. */

import type { RelaySource } from "../../protocol/mod.ts";

/** So often a table that gives one local address at a time is asked for another one than those that failed. */
const SOURCE_ATTEMPTS = 10;

/** Resolves to the first local address that is none of `avoid`, by what `ask` brings; null where none is left. Rejects as `ask` does. */
export async function nextSource(
  ask: () => Promise<readonly RelaySource[]>,
  avoid: readonly string[],
): Promise<RelaySource | null> {
  const known = new Set(avoid);
  for (let attempt = 0; attempt < SOURCE_ATTEMPTS; attempt++) {
    const sources = await ask();
    const source = sources.find(({ address }) => !known.has(address));
    if (source !== undefined) return source;
    // Tables that programs answer for give one address at a time.
    if (sources.length !== 1) return null;
  }
  return null;
}
