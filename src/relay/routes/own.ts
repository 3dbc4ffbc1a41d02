/** Whether a mail exchanger is this host: by its name, or by an address that this host has or answers at (RFC 5321 §5.1). */

import { networkInterfaces } from "node:os";
import { BoundedMap } from "../../bounded_map.ts";
import { normalAddress, normalName } from "../../net/mod.ts";
import type { OwnSettings } from "../../protocol/mod.ts";

export interface OwnHost {
  /** True for a name that this host receives mail under, in lower case. */
  name(name: string): boolean;
  /** True for an address at which mail for this port would come to this host. */
  address(address: string, port: number): boolean;
  /** True for a name that no other host answers EHLO with: one that does is this host, behind a translated address. */
  greets(name: string): boolean;
  /** Remembers for an hour that this address leads here, though no interface has it. */
  learn(address: string): void;
}

/** Own for any host: none of them is the way to another one. */
const UNSPECIFIED = ["0.0.0.0", "::"];
const LOOPBACK = ["127.0.0.1", "::1"];
/** Addresses of interfaces come and go; they are read at most so often, in ms. */
const READ_MS = 1_000;
/** Learnt addresses: how long each is remembered, and how many at most. */
const LEARNT_MS = 3_600_000, MAX_LEARNT_ADDRESSES = 1_000;

/**
 * Returns a test for names and addresses of this host. Own names are those of the settings and `localhost`; own addresses are those of all interfaces at the time, `127.0.0.1`, `::1`, `0.0.0.0`
 * and `::`. Any other address, such as the rest of 127.0.0.0/8, is own where a listener answers there at the same port, by its address or
 * because it listens on all addresses. What a session has learnt to lead here is own for an hour.
 */
export function ownHost(
  settings: OwnSettings,
  now: () => number,
  interfaces: () => readonly string[] = interfaceAddresses,
): OwnHost & { configure(settings: OwnSettings): void } {
  let own: ReadonlySet<string>, places: ReadonlySet<string>;
  const configure = ({ names, listeners }: OwnSettings) => {
    own = new Set(["localhost", ...names.flatMap((name) => normalName(name) ?? [])]);
    places = new Set(listeners.map(({ address, port }) => `${normalAddress(address)} ${port}`));
  };
  configure(settings);
  const always = new Set([...UNSPECIFIED, ...LOOPBACK]);
  const learnt = new BoundedMap<string, number>(MAX_LEARNT_ADDRESSES);
  let addresses = new Set<string>(), readAt = -Infinity;
  return {
    configure,
    name: (name) => own.has(name),
    // Many hosts without a configured name are called localhost.
    greets: (name) => own.has(name) && name.includes(".") && !name.startsWith("localhost"),
    learn: (text) => {
      const address = normalAddress(text);
      if (address === null) return;
      learnt.set(address, now() + LEARNT_MS);
    },
    address: (text, port) => {
      const address = normalAddress(text);
      if (address === null) return false;
      if ((learnt.get(address) ?? -Infinity) > now()) return true;
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
