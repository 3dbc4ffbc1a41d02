/** Which descriptors the processes of a daemon have, by kind, as /proc shows them to root. */

import { PROCESS_NAMES } from "../../src/protocol/processes.ts";
import type { ProcessName } from "../../src/protocol/mod.ts";
import { textOf } from "./walled_daemon.ts";

interface Descriptor {
  readonly number: number;
  readonly link: string;
  readonly writes: boolean;
}

/** What a process has. */
export interface Row {
  /** Kinds of what is no socket of the parent's making, sorted, each once. */
  readonly kinds: readonly string[];
  /** Connected unix sockets: those of the runtime. */
  readonly streams: number;
  /** Ends of pipes to read from, and those to write into: doors and links have one of each. */
  readonly pipes: readonly [number, number];
  /** On which descriptors travel. */
  readonly packets: number;
  readonly listening: number;
}

/** A row for the parent and each process; and what may not be there, in words. */
export interface Table {
  readonly table: Readonly<Record<string, Row>>;
  readonly strays: readonly string[];
}

const HANDED = 4;

/** Reads what the parent and its processes have open. */
export function tableOf(parent: number, processes: Readonly<Record<ProcessName, number>>): Table {
  const strays: string[] = [], table: Record<string, Row> = {};
  const made = socketsOf(parent);
  // What this test was started with, a daemon that it starts may have.
  const tests = descriptorsOf(Deno.pid).map(({ link }) => link);
  const inherited = new Set(tests.filter((link) => link.startsWith("/") && !/_cache_v2/.test(link)));
  // One of them is what the daemon logs to.
  const testsPipes = new Set(tests.filter((link) => link.startsWith("pipe:")));
  for (
    const [name, pid] of [
      ["parent", parent] as const,
      ...PROCESS_NAMES.map((name) => [name, processes[name]] as const),
    ]
  ) {
    const kinds = new Set<string>(),
      sockets = { stream: new Set<string>(), packet: new Set<string>(), listening: new Set<string>() },
      pipes = { read: new Set<string>(), write: new Set<string>() };
    const own = socketsOf(pid);
    for (const descriptor of descriptorsOf(pid)) {
      if (descriptor.link.startsWith("pipe:") && !testsPipes.has(descriptor.link)) {
        pipes[descriptor.writes ? "write" : "read"].add(descriptor.link);
        continue;
      }
      const inode = /^socket:\[(\d+)\]$/.exec(descriptor.link)?.[1];
      const kind = inode === undefined
        ? kindOf(descriptor, name)
        : kindOfSocket(descriptor.number, made.get(inode) ?? own.get(inode), name);
      if (kind === null && name === "parent" && inherited.has(descriptor.link)) continue;
      if (kind === null) {
        strays.push(`${name}: ${descriptor.number} ${descriptor.link} ${descriptor.writes ? "to write" : "to read"}`);
      } else if (inode !== undefined) sockets[kind as keyof typeof sockets].add(inode);
      else kinds.add(kind);
    }
    const { stream, packet, listening } = sockets;
    table[name] = {
      kinds: [...kinds].sort(),
      streams: stream.size,
      pipes: [pipes.read.size, pipes.write.size],
      packets: packet.size,
      listening: listening.size,
    };
  }
  return { table, strays };
}

/** Those that are still open when they are looked at: the listing itself is one that is not. */
function descriptorsOf(pid: number): Descriptor[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].flatMap(({ name }) => {
    const flags = /^flags:\s*([0-7]+)$/m.exec(textOf(`/proc/${pid}/fdinfo/${name}`))?.[1] ?? "0";
    const link = linkOf(`/proc/${pid}/fd/${name}`);
    return link === null ? [] : [{ number: Number(name), link, writes: (parseInt(flags, 8) & 3) !== 0 }];
  });
}

function linkOf(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return null;
  }
}

/** A socket of a network namespace, by its inode. */
interface Socket {
  readonly kind: "stream" | "packet" | "datagram" | "tcp";
  readonly listens: boolean;
}

/** The sockets of the network namespace that a process is in. */
function socketsOf(pid: number): ReadonlyMap<string, Socket> {
  const found = new Map<string, Socket>();
  const TYPES: Record<string, Socket["kind"]> = { "0001": "stream", "0002": "datagram", "0005": "packet" };
  for (const line of textOf(`/proc/${pid}/net/unix`).split("\n").slice(1)) {
    const [, , , flags, type, , inode] = line.split(/\s+/);
    if (inode !== undefined) found.set(inode, { kind: TYPES[type!]!, listens: (parseInt(flags!, 16) & 0x10000) !== 0 });
  }
  for (const line of textOf(`/proc/${pid}/net/tcp`).split("\n").slice(1)) {
    const words = line.trim().split(/\s+/);
    if (words[9] !== undefined) found.set(words[9], { kind: "tcp", listens: words[3] === "0A" });
  }
  return found;
}

/** Null: nothing that may be there. */
function kindOf({ link, writes }: Descriptor, process: string): string | null {
  if (link === "/dev/null") return "/dev/null";
  if (link === "anon_inode:[eventpoll]") return "poll";
  if (link === "anon_inode:[eventfd]") return "event";
  if (/_cache_v2(-wal|-shm)?$/.test(link)) return writes ? null : "cache, to read";
  // In the place of a cache's index.
  if (process === "parent" && link === "/memfd:index (deleted)") return "memory";
  if (link.startsWith("pipe:")) return "log";
  return process === "vault" && /\/spool\/queue\.db(-wal|-shm)?$/.test(link) ? "database" : null;
}

function kindOfSocket(
  number: number,
  socket: Socket | undefined,
  process: string,
): "stream" | "packet" | "listening" | null {
  if (socket === undefined) return null;
  if (socket.listens) return process === "parent" ? "listening" : null;
  if (socket.kind === "packet") return process === "parent" || number === HANDED ? "packet" : null;
  return socket.kind === "stream" && number !== HANDED ? "stream" : null;
}
