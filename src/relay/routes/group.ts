/** Which exchangers of a destination are run by the same people, as far as their names say. Pure. */

import type { Exchanger } from "./mx.ts";

/**
 * Takes the exchangers of a destination and the host that has just answered, and returns those that share its fate: the host itself, at all of its
 * addresses, and the hosts whose names end in the same two labels (three below a short second-level domain such as co.uk), so that a backup of another
 * provider goes on.
 */
export function groupOf(
  exchangers: readonly Exchanger[],
  { host, address }: Pick<Exchanger, "host" | "address">,
): Exchanger[] {
  const owner = ownerOf(host);
  return exchangers.filter((one) =>
    one.address === address || one.host === host || (owner !== null && ownerOf(one.host) === owner)
  );
}

/** The end of a name that tells who runs the host; null for an address, and for a name that is too short to tell. */
function ownerOf(host: string): string | null {
  const labels = host.toLowerCase().replace(/\.$/, "").split(".");
  if (labels.length < 3 || /^\[|:|^[0-9.]+$/.test(host)) return null;
  const [second, top] = labels.slice(-2) as [string, string];
  const short = top.length === 2 && second.length <= 3;
  if (short && labels.length < 4) return null;
  return labels.slice(short ? -3 : -2).join(".");
}
