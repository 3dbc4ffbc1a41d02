/** From `listen on` lines to bound sockets: resolves interfaces and names, opens every listener, hands accepted connections on. */

import { lookup } from "node:dns/promises";
import net from "node:net";
import { getSystemErrorMap } from "node:util";
import type { Config, ListenSpec, SourceLine } from "../../config/mod.ts";
import { adminKey } from "../../config/admin.ts";
import { implicitSocket } from "../../config/listen.ts";
import { type AddressWords, hostPort, parseAddress } from "../../net/mod.ts";
import { KernelError, LIBC_PATHS, listenOnIpv6 } from "../../kernel/mod.ts";
import { createServer } from "../../sockets/mod.ts";
import type { Listener } from "../../protocol/mod.ts";
import { Fatal, gather } from "../fatal.ts";
import { groupOf, makeRoom, restrict } from "./chosen_sockets.ts";
import { SYSTEM_AUTHORITIES } from "../files.ts";
import { type Address, interfaceAddresses, interfaceList, ourNetwork } from "../machine/interfaces.ts";
import { systemReason } from "../../events/mod.ts";

/** The addresses that `listen on` stands for: a literal, or those of an interface, a group or a host name. Throws Fatal when there are none. */
async function addressesOf(spec: ListenSpec): Promise<Address[]> {
  const literal = net.isIP(spec.on);
  const found = literal !== 0
    ? [{ address: spec.on, family: literal as 4 | 6 }]
    : await interfaceAddresses(spec.on, ourNetwork()) ?? await resolveName(spec);
  const wanted = found.filter(({ family }) => spec.family === null || spec.family === family);
  if (wanted.length === 0) {
    const what = spec.family === null ? "address" : `IPv${spec.family} address`;
    throw new Fatal(`${spec.at.file}:${spec.at.line}: "${spec.on}" has no ${what} to listen on${interfaceList()}`);
  }
  return wanted;
}

async function resolveName(spec: ListenSpec): Promise<Address[]> {
  try {
    const all = await lookup(spec.on, { all: true });
    return all.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  } catch {
    throw new Fatal(
      `${spec.at.file}:${spec.at.line}: "${spec.on}" is no interface, address or known host name${interfaceList()}`,
    );
  }
}

/**
 * The certificates of a listener, the default first. A TLS listener that names none has all, as up to OpenSMTPD 6.8: by default the one that
 * is called like it, else the one for any name.
 */
function certificatesOf(spec: ListenSpec, config: Config, serverName: string): readonly string[] {
  if (spec.pki.length > 0 || spec.tls === "none") return spec.pki;
  const own = (spec.hostname ?? serverName).toLowerCase();
  const rank = (name: string) => name === own ? 0 : name === "*" ? 1 : 2;
  return Object.keys(config.pki).toSorted((one, other) => rank(one) - rank(other));
}

/** Every listener of the config with its address; the local socket is always among them (smtpd.conf(5)). Throws one Fatal of all that is wrong. */
export async function resolveListeners(
  config: Config,
  serverName: string,
  submissionSocket: string,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  const ports = new Ports();
  const add = (spec: ListenSpec, address: string) => {
    const { at, on: _, family: _family, hostname, ...options } = spec;
    if (!spec.socket && !ports.take(address, spec.port, at)) return;
    listeners.push({
      ...options,
      id: listeners.length,
      ...(at.line > 0 ? { at } : {}),
      address,
      port: spec.socket ? 0 : spec.port,
      local: spec.socket || address === "127.0.0.1" || address === "::1",
      hostname: hostname ?? serverName,
      pki: certificatesOf(spec, config, serverName),
      ca: spec.ca ?? (spec.verify ? SYSTEM_AUTHORITIES : null),
    });
  };
  const socket = config.listen.find((spec) => spec.socket) ?? implicitSocket();
  add(socket, submissionSocket);
  await gather([
    ...config.listen.filter((spec) => !spec.socket).map((spec) => async () => {
      for (const { address } of await addressesOf(spec)) add(spec, address);
    }),
    ...config.admin.map((admin) => () => {
      if ("path" in admin) return void groupOf(admin, config.declared[adminKey(admin)]);
      ports.take(admin.address, admin.port, config.declared[adminKey(admin)] ?? { file: config.file, line: 0 });
    }),
  ]);
  return listeners;
}

/** The addresses and ports that the lines of the config reserve. */
class Ports {
  readonly #taken: {
    readonly words: AddressWords;
    readonly port: number;
    readonly text: string;
    readonly at: SourceLine;
  }[] = [];

  /**
   * False when the same line has it already: a host name may lead to an address twice. Throws Fatal when another line has, by the wildcard
   * address of the family too.
   */
  take(address: string, port: number, at: SourceLine): boolean {
    const words = parseAddress(address);
    // An address with a zone is a matter of the system.
    if (words === null) return true;
    const text = placeText({ address, port });
    for (const other of this.#taken) {
      if (other.port !== port || other.words.length !== words.length) continue;
      const same = other.words.join() === words.join();
      if (same && other.at === at) return false;
      if (!same && !isWildcard(words) && !isWildcard(other.words)) continue;
      const what = same ? "" : `: ${isWildcard(words) ? text : other.text} is every address of this machine`;
      throw new Fatal(
        `${at.file}:${at.line}: ${text} is listened on already, by ${other.at.file}:${other.at.line}${what}`,
      );
    }
    this.#taken.push({ words, port, text, at });
    return true;
  }
}

function isWildcard(words: AddressWords): boolean {
  return words.every((word) => word === 0);
}

/** What a server listens on: an address, the path of a socket with its mode, or a socket that was bound by others. */
export type Place =
  | {
    readonly path: string;
    readonly mode: number;
    /** Of the socket; that of the daemon without it. */
    readonly group?: number | null;
    /** The administrator chose the path: whatever lies there and is no socket stays, and one that answers is another program's. */
    readonly chosen?: true;
    readonly at?: SourceLine | undefined;
  }
  /** `at`: where smtpd.conf has it. */
  | { readonly address: string; readonly port: number; readonly at?: SourceLine | undefined }
  | { readonly fd: number; readonly name: string };

/** unix(7): 108 bytes with the NUL behind it. */
const MAX_SOCKET_PATH_OCTETS = 107;

/** A place as it stands in messages. */
export function placeText(where: Place): string {
  if ("path" in where) return where.path;
  if ("fd" in where) return `the inherited socket ${where.name}`;
  return hostPort({ host: where.address, port: where.port });
}

/**
 * Binds one address or socket path. `accept` gets every connection, paused; `fail` gets the reason when the system gives none, which it tries again to
 * do. Throws Fatal when the address cannot be bound.
 */
export async function openServer(
  where: Place,
  backlog: number,
  accept: (socket: net.Socket) => void,
  fail: (error: Error) => void,
): Promise<net.Server> {
  if ("chosen" in where) await makeRoom(where.path, placeOf(where));
  const server = createServer(accept);
  await new Promise<void>((resolve, reject) => {
    let listening = false;
    server.on("listening", () => listening = true);
    // No descriptor is left, perhaps: without a listener of the event the process would end.
    server.on("error", (error) => {
      if (listening) fail(error);
      else reject(new Fatal(`${placeOf(where)}cannot listen on ${placeText(where)}: ${explain(error, where)}`));
    });
    try {
      const options = "path" in where
        ? { path: where.path }
        : "fd" in where
        ? { fd: where.fd }
        : atAddress(where, backlog);
      server.listen({ ...options, backlog }, resolve);
    } catch (error) {
      server.emit("error", error);
    }
  });
  if ("path" in where) {
    try {
      restrict(where, placeOf(where));
    } catch (error) {
      server.close();
      throw error;
    }
  }
  return server;
}

/**
 * What a server listens on at an address. All addresses of IPv6 are IPv6 alone, so that 0.0.0.0 has a listener of its own: the runtime binds both. Throws
 * an error with the code of the system's.
 */
function atAddress(
  { address, port }: { readonly address: string; readonly port: number },
  backlog: number,
): { readonly host: string; readonly port: number } | { readonly fd: number } {
  const words = parseAddress(address);
  if (words === null || words.length === 2 || !isWildcard(words) || !hasLibc()) return { host: address, port };
  try {
    return { fd: listenOnIpv6({ port, backlog }) };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const [code] = getSystemErrorMap().get(-error.errno) ?? [];
    throw Object.assign(new Error(error.message), { code });
  }
}

/** Is the C library one that the kernel is asked through? */
function hasLibc(): boolean {
  return LIBC_PATHS.some((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** `file:line: `, where that is known. */
function placeOf(where: Place): string {
  return "at" in where && where.at !== undefined ? `${where.at.file}:${where.at.line}: ` : "";
}

function explain(error: Error & { code?: string }, where: Place): string {
  if (error.code === "EADDRINUSE") return 'the address is in use by another program ("ss -ltnp" shows which)';
  if ("path" in where && new TextEncoder().encode(where.path).length > MAX_SOCKET_PATH_OCTETS) {
    return `the path of a socket has at most ${MAX_SOCKET_PATH_OCTETS} bytes (SMTPD_SOCKET names another)`;
  }
  if (error.code === "EACCES") return "permission denied (ports below 1024 need root)";
  // The runtime has no name of its own for EADDRNOTAVAIL.
  if (error.code === "EADDRNOTAVAIL" || error.code === "EINVAL") {
    return `this machine does not have that address${interfaceList()}`;
  }
  return systemReason(error);
}
