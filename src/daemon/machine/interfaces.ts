/** What `listen on` may name beside an address or a host: an interface, or a group of them as on OpenBSD. Binds nothing. */

import { networkInterfaces } from "node:os";

/** An address of this machine. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** What the system says of its network. */
export interface Network {
  readonly interfaces: ReturnType<typeof networkInterfaces>;
  /** Interfaces that a default route goes out by. */
  readonly egress: () => Promise<ReadonlySet<string>>;
}

/** This machine's. */
export const ourNetwork = (): Network => ({ interfaces: networkInterfaces(), egress: egressInterfaces });

/**
 * For the end of messages about an address or an interface that is not there: `; interfaces: lo (127.0.0.1, ::1), eth0 (192.0.2.1)`. Empty
 * when the machine has none.
 */
export function interfaceList(interfaces: Network["interfaces"] = networkInterfaces()): string {
  const all = Object.entries(interfaces).map(([name, addresses = []]) =>
    `${name} (${addresses.map(({ address }) => address).join(", ")})`
  );
  return all.length === 0 ? "" : `; interfaces: ${all.join(", ")}`;
}

/**
 * The addresses of the interface `name`, or of those of a group: `all`, or `egress`, where the default routes point. `lo0`, as loopback is
 * called on BSD, is the first loopback interface where there is none of that name. Null when it is neither.
 */
export async function interfaceAddresses(name: string, network: Network): Promise<Address[] | null> {
  const { interfaces } = network;
  const own = interfaces[name];
  const members = own !== undefined ? [name] : await group(name, network);
  return members?.flatMap((member) => bindable(interfaces[member] ?? [])) ?? null;
}

async function group(name: string, { interfaces, egress }: Network): Promise<string[] | null> {
  const names = Object.keys(interfaces);
  if (name === "all") return names;
  if (name === "egress") {
    const members = await egress();
    return names.filter((member) => members.has(member));
  }
  if (name !== "lo0") return null;
  const loopback = names.find((member) => interfaces[member]!.some(({ internal }) => internal));
  return loopback === undefined ? null : [loopback];
}

/** All but link-local addresses: the runtime cannot bind an address that needs a zone. */
function bindable(infos: NonNullable<Network["interfaces"][string]>): Address[] {
  const global = infos.filter(({ family, scopeid }) => family === "IPv4" || !scopeid);
  return global.map(({ address, family }) => ({ address, family: family === "IPv6" ? 6 : 4 }));
}

/** The runtime opens nothing under /proc without every permission: cat(1) reads it. */
async function egressInterfaces(): Promise<ReadonlySet<string>> {
  const read = async (path: string) => {
    const { stdout } = await new Deno.Command("/bin/cat", { args: [path], stdin: "null", stderr: "null" }).output();
    return new TextDecoder().decode(stdout);
  };
  try {
    return defaultRoutes(await read("/proc/net/route"), await read("/proc/net/ipv6_route"));
  } catch {
    // No such program: no route is known, and the answer is that there is no address.
    return new Set();
  }
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
