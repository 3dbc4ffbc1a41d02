/** What `listen on` may name beside an address or a host: an interface, or a group of them as on OpenBSD. Binds nothing. */

import { networkInterfaces } from "node:os";

/** An address of this machine, with the zone that it needs to be bound. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** What the system says of its network. */
export interface Network {
  readonly interfaces: ReturnType<typeof networkInterfaces>;
  /** Interfaces that a default route goes out by. */
  readonly egress: () => ReadonlySet<string>;
}

/** This machine's. */
export const ourNetwork = (): Network => ({ interfaces: networkInterfaces(), egress: egressInterfaces });

/**
 * The addresses of the interface `name`, or of those of a group: `all`, or `egress`, where the default routes point. `lo0`, as loopback is
 * called on BSD, is the first loopback interface where there is none of that name. Null when it is neither.
 */
export function interfaceAddresses(name: string, network: Network): Address[] | null {
  const { interfaces } = network;
  const own = interfaces[name];
  if (own !== undefined) return own.map((info) => bindable(name, info));
  const members = group(name, network);
  if (members === null) return null;
  return members.flatMap((member) => (interfaces[member] ?? []).map((info) => bindable(member, info)));
}

function group(name: string, { interfaces, egress }: Network): string[] | null {
  const names = Object.keys(interfaces);
  if (name === "all") return names;
  if (name === "egress") return names.filter((member) => egress().has(member));
  if (name !== "lo0") return null;
  const loopback = names.find((member) => interfaces[member]!.some(({ internal }) => internal));
  return loopback === undefined ? null : [loopback];
}

/** A link-local address only binds with its zone. */
function bindable(
  name: string,
  { address, family, scopeid }: NonNullable<ReturnType<typeof networkInterfaces>[string]>[number],
): Address {
  const six = family === "IPv6";
  return { address: six && scopeid !== 0 ? `${address}%${name}` : address, family: six ? 6 : 4 };
}

function egressInterfaces(): ReadonlySet<string> {
  const read = (path: string) => {
    try {
      return Deno.readTextFileSync(path);
    } catch {
      // Without the file there are no routes of that family, or the system is none that has it.
      return "";
    }
  };
  return defaultRoutes(read("/proc/net/route"), read("/proc/net/ipv6_route"));
}

/** Interfaces of the default routes in the kernel's tables of IPv4 and of IPv6 routes (proc(5)). */
export function defaultRoutes(four: string, six: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of four.split("\n")) {
    const [device, destination, , , , , , mask] = line.split(/\s+/);
    if (destination === "00000000" && mask === "00000000") found.add(device!);
  }
  for (const line of six.split("\n")) {
    const fields = line.trim().split(/\s+/);
    // The kernel's own route for what cannot be reached is one of the loopback.
    if (/^0{32}$/.test(fields[0]!) && fields[1] === "00" && fields.at(-1) !== "lo") found.add(fields.at(-1)!);
  }
  return found;
}
