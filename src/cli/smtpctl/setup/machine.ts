/** What smtpctl setup finds out about this machine: addresses and their names, who listens on port 25, which mail server is installed, accounts. */

import { once } from "node:events";
import { connectSocket } from "../../../sockets/mod.ts";
import type { Dns, DnsAnswer } from "../../../mail_auth/dns.ts";
import { isPublicAddress } from "../../../net/mod.ts";
import { systemReason } from "../../../events/mod.ts";
import { systemClock } from "../../../clock.ts";
import type { ReaderAccount } from "./answers.ts";

/** A name server, a greeting or a connection that takes longer is as good as none, in milliseconds. */
const GREETING_MS = 2_000, CONNECT_MS = 5_000, NAMES_MS = 5_000;
/** Characters of a greeting that are shown. */
const MAX_SHOWN_CHARS = 200;
const SMTP_PORT = 25;

/** Packages of mail servers, by a file that each has. */
const MAIL_SERVERS: readonly (readonly [file: string, name: string, service: string])[] = [
  ["/usr/sbin/postfix", "Postfix", "postfix"],
  ["/usr/sbin/exim4", "Exim", "exim4"],
  ["/usr/sbin/exim", "Exim", "exim"],
  ["/usr/libexec/sendmail/sendmail", "sendmail", "sendmail"],
  ["/usr/lib/sm.bin/sendmail", "sendmail", "sendmail"],
  ["/usr/lib/opensmtpd/opensmtpd", "OpenSMTPD", "opensmtpd"],
  ["/usr/libexec/opensmtpd", "OpenSMTPD", "smtpd"],
  ["/usr/bin/stalwart", "Stalwart", "stalwart"],
  ["/usr/sbin/nullmailer-send", "nullmailer", "nullmailer"],
  ["/usr/sbin/ssmtp", "ssmtp", "ssmtp"],
  ["/usr/bin/dma", "dma", "dma"],
  ["/usr/sbin/dma", "dma", "dma"],
];

/** A mail server that is installed: its name, and the name of its service. */
export interface InstalledServer {
  readonly name: string;
  readonly service: string;
}

/** Who answers at port 25 of this machine: nobody, or with which greeting. */
export type PortTwentyFive = { readonly taken: false } | { readonly taken: true; readonly greeting: string };

export interface MachineFacts {
  /** Those of the interfaces that others can reach. */
  readonly publicAddresses: readonly string[];
  /** Of the interfaces, without loopback. */
  readonly privateAddresses: readonly string[];
  readonly ipv6: boolean;
  readonly port25: PortTwentyFive;
  readonly servers: readonly InstalledServer[];
}

export interface Interfaces {
  readonly address: string;
}

/** Sorts the addresses of the interfaces. */
export function addressesOf(
  interfaces: readonly Interfaces[],
): Pick<MachineFacts, "publicAddresses" | "privateAddresses" | "ipv6"> {
  const all = [...new Set(interfaces.map(({ address }) => address))];
  const loopback = (address: string) => address.startsWith("127.") || address === "::1";
  return {
    publicAddresses: all.filter(isPublicAddress),
    privateAddresses: all.filter((one) => !isPublicAddress(one) && !loopback(one) && !/^fe[89ab]/i.test(one)),
    ipv6: all.some((address) => address.includes(":")),
  };
}

/** Looks for mail servers by their files. */
export function installedServers(exists: (path: string) => boolean): readonly InstalledServer[] {
  const found = MAIL_SERVERS.filter(([file]) => exists(file)).map(([, name, service]) => ({ name, service }));
  return found.filter(({ name }, index) => found.findIndex((one) => one.name === name) === index);
}

/** Asks port 25 of this machine for its greeting. */
export async function greetingAt(host: string, port: number = SMTP_PORT): Promise<PortTwentyFive> {
  const socket = connectSocket({ host, port });
  const cancelLimit = systemClock.after(GREETING_MS, () => socket.destroy(new Error("late")));
  let connected = false;
  try {
    const failed = once(socket, "error").then(([error]) => Promise.reject(error));
    failed.catch(() => {});
    await Promise.race([once(socket, "connect"), failed]);
    connected = true;
    const data = await Promise.race([
      once(socket, "data").then(([bytes]) => new TextDecoder().decode(bytes as Uint8Array)),
      once(socket, "close").then(() => ""),
    ]);
    return { taken: true, greeting: data.split("\r\n", 1)[0]!.slice(0, MAX_SHOWN_CHARS) };
  } catch {
    // Who connects and hears nothing has reached a slow server.
    return connected ? { taken: true, greeting: "" } : { taken: false };
  } finally {
    cancelLimit();
    socket.destroy();
  }
}

/** What the DNS says of the host that is set up. */
export interface NameFacts {
  /** The addresses that the host's name has now. */
  readonly ofHost: DnsAnswer<string>;
  /** The names of each address. */
  readonly ptr: readonly { readonly address: string; readonly names: DnsAnswer<string> }[];
  readonly mx: DnsAnswer<string>;
}

/** Asks the DNS for the host, its addresses, and the exchangers of the domain. Bounded: what takes too long is `temporary`. */
export async function askNames(
  dns: Pick<Dns, "addresses" | "names" | "mx">,
  { domain, hostname, addresses }: {
    readonly domain: string;
    readonly hostname: string;
    readonly addresses: readonly string[];
  },
): Promise<NameFacts> {
  const [four, six, mx, ...names] = await Promise.all([
    inTime(dns.addresses(hostname, 4)),
    inTime(dns.addresses(hostname, 6)),
    inTime(dns.mx(domain)),
    ...addresses.map((address) => inTime(dns.names(address))),
  ]);
  const found = [four, six].flatMap((answer) => answer.kind === "records" ? answer.records : []);
  return {
    ofHost: found.length > 0 ? { kind: "records", records: found } : four.kind === "temporary" ? four : six,
    ptr: addresses.map((address, index) => ({ address, names: names[index]! })),
    mx: mx.kind === "records" ? { kind: "records", records: mx.records.map(({ host }) => host) } : mx,
  };
}

function inTime<T>(asked: Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> {
  return new Promise((resolve) => {
    const cancelLimit = systemClock.after(NAMES_MS, () => resolve({ kind: "temporary" }));
    asked.then((answer) => {
      cancelLimit();
      resolve(answer);
    });
  });
}

/** Connects to an exchanger of `domain` at port 25. Null when it answers, else why it does not. */
export async function outgoingFault(
  dns: Pick<Dns, "addresses" | "mx">,
  domain: string,
  connect: (address: string) => Promise<PortTwentyFive> = connectOut,
): Promise<string | null> {
  const mx = await inTime(dns.mx(domain));
  if (mx.kind !== "records") return `the DNS has no exchanger of ${domain} now`;
  const host = mx.records.toSorted((one, other) => one.preference - other.preference)[0]!.host;
  const found = await inTime(dns.addresses(host, 4));
  if (found.kind !== "records") return `the DNS has no address of ${host} now`;
  const answer = await connect(found.records[0]!);
  return answer.taken ? null : `no connection to ${host} (${found.records[0]}) port 25 within ${CONNECT_MS / 1000} s`;
}

async function connectOut(address: string): Promise<PortTwentyFive> {
  const socket = connectSocket({ host: address, port: SMTP_PORT });
  const cancelLimit = systemClock.after(CONNECT_MS, () => socket.destroy(new Error("late")));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", () => resolve());
      socket.once("error", reject);
    });
    return { taken: true, greeting: "" };
  } catch {
    return { taken: false };
  } finally {
    cancelLimit();
    socket.destroy();
  }
}

/** The account of a name, from the text of passwd(5). */
export function accountOf(passwd: string, name: string): ReaderAccount | null {
  for (const line of passwd.split("\n")) {
    const [user, , uid, , , home] = line.split(":");
    if (user === name && home !== undefined && /^\d+$/.test(uid!)) return { name, uid: Number(uid), home };
  }
  return null;
}

/** The account of a name as the machine's name service has it; from /etc/passwd where there is no getent(1). Throws nothing. */
export async function findAccount(name: string): Promise<ReaderAccount | null> {
  const own = accountOf(readText("/etc/passwd"), name);
  if (own !== null || !/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) return own;
  try {
    const asked = new Deno.Command("getent", { args: ["passwd", name], stdin: "null", stderr: "null" });
    return accountOf(new TextDecoder().decode((await asked.output()).stdout), name);
  } catch {
    return null;
  }
}

/** The text of a file; "" for one that cannot be read. */
export function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/** Tells whether something is at a path, were it a link that leads nowhere. Throws what the system says of a place that cannot be looked at. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || (error as NodeJS.ErrnoException).code === "ENOTDIR") return false;
    throw new Error(`${path}: ${systemReason(error)}`);
  }
}
