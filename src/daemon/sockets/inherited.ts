/**
 * Sockets that a service manager has opened for the daemon (sd_listen_fds(3)), and which listener each is for. Reads the environment and
 * addresses that the kernel reports; opens nothing.
 */

import type { Environment } from "../../config/mod.ts";
import { hostPort, normalAddress } from "../../net/mod.ts";
import type { Listener } from "../../protocol/mod.ts";
import { Fatal } from "../fatal.ts";

/** The first descriptor behind standard error. */
const FIRST = 3;
/** More are a mistake. */
const MAX_INHERITED_SOCKETS = 1024;

/** Where a socket is bound. */
export type SocketName =
  | { readonly path: string }
  | { readonly address: string; readonly port: number };

export interface Inherited {
  readonly descriptor: number;
  readonly name: SocketName;
}

/** The descriptors that are meant for this process: none when the environment is that of another. Throws Fatal for nonsense. */
export function inheritedDescriptors(env: Environment, pid: number): readonly number[] {
  const count = env.get("LISTEN_FDS");
  if (count === undefined || count === "" || env.get("LISTEN_PID") !== String(pid)) return [];
  if (!/^\d{1,4}$/.test(count) || Number(count) > MAX_INHERITED_SOCKETS) {
    throw new Fatal(`LISTEN_FDS must be a number up to ${MAX_INHERITED_SOCKETS}: ${count.slice(0, 80)}`);
  }
  return Array.from({ length: Number(count) }, (_, at) => FIRST + at);
}

/** What `getsockname` gave on Linux: a unix path, IPv4 or IPv6. Null for anything else. */
export function parseSocketName(bytes: Uint8Array): SocketName | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 2) return null;
  switch (view.getUint16(0, true)) {
    case 1: {
      const end = bytes.indexOf(0, 2);
      const path = new TextDecoder().decode(bytes.subarray(2, end === -1 ? bytes.length : end));
      return path.startsWith("/") ? { path } : null;
    }
    case 2:
      if (bytes.length < 8) return null;
      return { address: bytes.subarray(4, 8).join("."), port: view.getUint16(2) };
    case 10: {
      if (bytes.length < 24) return null;
      const words = Array.from({ length: 8 }, (_, at) => view.getUint16(8 + 2 * at).toString(16));
      return { address: normalAddress(words.join(":"))!, port: view.getUint16(2) };
    }
    default:
      return null;
  }
}

/** Sockets by what they are for: the control socket, or a listener. */
export interface Assigned {
  readonly control: readonly number[];
  readonly listeners: ReadonlyMap<number, readonly number[]>;
}

/** Finds the listener of each socket. Throws Fatal for one that none is for: its clients would wait for ever. */
export function assign(sockets: readonly Inherited[], listeners: readonly Listener[], controlSocket: string): Assigned {
  const control: number[] = [];
  const found = new Map<number, number[]>();
  for (const { descriptor, name } of sockets) {
    if ("path" in name && name.path === controlSocket) {
      control.push(descriptor);
      continue;
    }
    const listener = listeners.find((one) => isAt(one, name));
    if (listener === undefined) {
      throw new Fatal(
        `the inherited socket ${
          textOf(name)
        } is of no listener: add "listen on" to smtpd.conf, or take it out of the socket unit`,
      );
    }
    found.set(listener.id, [...found.get(listener.id) ?? [], descriptor]);
  }
  return { control, listeners: found };
}

function isAt(listener: Listener, name: SocketName): boolean {
  if ("path" in name) return listener.socket && listener.address === name.path;
  if (listener.socket || listener.port !== name.port) return false;
  return normalAddress(listener.address.replace(/%.*/, "")) === name.address;
}

/** As it stands in messages. */
export function textOf(name: SocketName): string {
  if ("path" in name) return name.path;
  return hostPort({ host: name.address, port: name.port });
}
