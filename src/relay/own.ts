/** Whether a mail exchanger is this host: by its name, or by an address that this host has or answers at (RFC 5321 §5.1). */

import { networkInterfaces } from "node:os";
import { normalAddress, normalName } from "../dns/mod.ts";
import type { OwnSettings } from "../isolate/mod.ts";

export interface OwnHost {
  /** True for a name that this host receives mail under, in lower case. */
  name(name: string): boolean;
  /** True for an address at which mail for this port would come to this host. */
  address(address: string, port: number): boolean;
}

/** Own for any host: none of them is the way to another one. */
const UNSPECIFIED = ["0.0.0.0", "::"];
const LOOPBACK = ["127.0.0.1", "::1"];
/** Addresses of interfaces come and go; they are read at most so often, in ms. */
const READ_MS = 1_000;

/**
 * Own names are those of the settings and `localhost`; own addresses are those of all interfaces at the time, `127.0.0.1`, `::1`, `0.0.0.0`
 * and `::`. Any other address, such as the rest of 127.0.0.0/8, is own where a listener answers there at the same port, by its address or
 * because it listens on all addresses.
 */
export function ownHost(
  { names, listeners }: OwnSettings,
  now: () => number,
  interfaces: () => readonly string[] = interfaceAddresses,
): OwnHost {
  const own = new Set(["localhost", ...names.flatMap((name) => normalName(name) ?? [])]);
  const places = new Set(listeners.map(({ address, port }) => `${normalAddress(address)} ${port}`));
  const always = new Set([...UNSPECIFIED, ...LOOPBACK]);
  let addresses = new Set<string>(), readAt = -Infinity;
  return {
    name: (name) => own.has(name),
    address: (text, port) => {
      const address = normalAddress(text);
      if (address === null) return false;
      if (always.has(address) || places.has(`${address} ${port}`)) return true;
      if (now() >= readAt + READ_MS) {
        addresses = new Set(interfaces().flatMap((one) => normalAddress(one) ?? []));
        readAt = now();
      }
      return addresses.has(address) ||
        (address.startsWith("127.") && UNSPECIFIED.some((wildcard) => places.has(`${wildcard} ${port}`)));
    },
  };
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flat().map((one) => one!.address.replace(/%.*/, ""));
}
