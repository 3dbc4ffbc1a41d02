/** Free TCP ports for tests and benchmarks: smtpd.conf cannot ask for "any port", so that a number has to be chosen before it is bound. */

import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** Below this, ports belong to well-known services. */
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 65_535;

/**
 * Returns a TCP port on which nothing listens, at `hostname` or any other address. All callers on this machine, in whichever thread or process,
 * take turns through one range, so that no two get the same port, and the kernel gives it to no connection: the range is outside of
 * that from which outgoing connections get their ports. Throws when everything in the range is in use.
 */
export function freePort(hostname = "127.0.0.1"): number {
  const [first, count] = range();
  for (let tries = 0; tries < count; tries++) {
    const port = first + nextTurn() % count;
    if (isFree(port, hostname) && isFree(port, "0.0.0.0")) return port;
  }
  throw new Error(`No port from ${first} to ${first + count - 1} is free`);
}

/** First port and number of ports beside the kernel's own range, on its larger side. */
function range(): [first: number, count: number] {
  const kernel = Deno.readTextFileSync("/proc/sys/net/ipv4/ip_local_port_range").trim().split(/\s+/).map(Number);
  const [low, high] = [kernel[0]!, kernel[1]!];
  const below = low - LOWEST_PORT, above = HIGHEST_PORT - high;
  if (Math.max(below, above) < 1) throw new Error("The kernel leaves no ports outside of net.ipv4.ip_local_port_range");
  return below >= above ? [LOWEST_PORT, below] : [high + 1, above];
}

/** A number that no other call gets: it stands in a locked file, which starts anywhere. */
function nextTurn(): number {
  const path = join(tmpdir(), `vaultpost-test-port-${userInfo().uid}`);
  using file = Deno.openSync(path, { create: true, read: true, write: true, mode: 0o600 });
  file.lockSync(true);
  const buffer = new Uint8Array(16);
  const length = file.readSync(buffer) ?? 0;
  const last = Number.parseInt(new TextDecoder().decode(buffer.subarray(0, length)), 10);
  const next = Number.isSafeInteger(last) ? (last + 1) % 2 ** 31 : Math.floor(Math.random() * HIGHEST_PORT);
  file.seekSync(0, Deno.SeekMode.Start);
  file.truncateSync();
  file.writeSync(new TextEncoder().encode(String(next)));
  return next;
}

function isFree(port: number, hostname: string): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
