/** Every right configuration of the corpus starts in the real daemon, on ports of its own, and it answers RCPT as its comments say. */

import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { configOf, entries, type Entry, type Route, routeOf } from "../config/corpus.ts";
import { a, fakeDns, ptr, type Zone } from "../dns/fake_dns.ts";
import { Client } from "./client.ts";
import { compileTables, furnish } from "./corpus_harness.ts";
import { type Daemon, withDaemon } from "./harness.ts";

const ACCOUNTS = new Set(Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":")[0]!));

/** The code that the machine must answer; null when what it answers is its own business. */
function codeOf(entry: Entry, { want, origin, tls, rcpt }: Route): string | null {
  // Logins and TLS are tested elsewhere, and the local name is the machine's.
  if (origin.authenticated || tls || /mail\.example\.org$/i.test(rcpt)) return null;
  // That there is no such account is logged before that it has nobody to forward to.
  if (want === "550" && entry.text.includes("expand-only")) return null;
  if (/^\d{3}$/.test(want)) return want;
  const ownAccounts = Object.values(configOf(entry).actions).some((action) =>
    action.kind === "local" && action.userbase
  );
  const users = want.split("; ").map((target) => /^[^:>]+:([^|>+]+)/.exec(target)?.[1]).filter((user) =>
    user !== undefined
  );
  if (users.length === 0) return "250";
  // A real account may have a .forward, and one of a table no home.
  if (ownAccounts || users.some((user) => ACCOUNTS.has(user))) return null;
  return "550";
}

/** Connects as the route's client would: by the socket, or behind a proxy that gives the address. */
async function connect(daemon: Daemon, proxied: ReadonlyMap<string, number>, { origin }: Route): Promise<Client> {
  const { address } = origin;
  if (address === "local" && origin.tag === "") {
    return await Client.over(await Deno.connect({ transport: "unix", path: join(daemon.folder, "smtpd.smtp.sock") }));
  }
  const client = await Client.open(proxied.get(origin.tag)!);
  const [family, plain] = address.startsWith("[") ? ["TCP6", address.slice(1, -1)] : ["TCP4", address];
  const here = family === "TCP6" ? "::1" : "127.0.0.1";
  await client.write(new TextEncoder().encode(`PROXY ${family} ${plain} ${here} 4321 25\r\n`));
  await client.reply("220");
  return client;
}

/** The client's address has the name that the route says, and for the time being no other. */
function nameClient(zone: Zone, { origin: { address, hostname } }: Route): void {
  for (const name of Object.keys(zone)) delete zone[name];
  if (!/^[\d.]+$/.test(address) || hostname === "<unknown>") return;
  zone[`${address.split(".").reverse().join(".")}.in-addr.arpa`] = [{ ...ptr(hostname), ttl: 0 }];
  zone[hostname] = [a(address, 0)];
}

/** What is configured for other addresses of the machine listens on one of the two loopback addresses here. */
async function isOpen(port: number): Promise<boolean> {
  for (const hostname of ["127.0.0.1", "::1"]) {
    try {
      (await Deno.connect({ hostname, port })).close();
      return true;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
  }
  return false;
}

const HAS_IPV6 = Object.values(networkInterfaces()).flat().some((info) => info?.address === "::1");
const WANTS_IPV6 = /^\s*listen on .*(::|\binet6\b)/m;

for (const entry of entries("valid")) {
  const ignore = !HAS_IPV6 && WANTS_IPV6.test(entry.text);
  Deno.test(`corpus/valid/${entry.name}.conf starts and answers`, { ignore }, async () => {
    const routes = entry.notes.map(routeOf).filter((route) => route !== null);
    const folder = await Deno.makeTempDir({ prefix: "vaultpost-corpus-" });
    const zone: Zone = {};
    const dns = await fakeDns(zone);
    try {
      await Deno.chmod(folder, 0o755);
      const harness = furnish(entry, routes, folder);
      await compileTables(entry, join(folder, "etc"));
      await Deno.writeTextFile(join(folder, "resolv.conf"), `nameserver [127.0.0.1]:${dns.port}\n`);
      const env = { SMTPD_LIBEXEC: join(folder, "libexec"), ASR_CONFIG: join(folder, "resolv.conf") };
      await withDaemon({ config: () => harness.config, env }, async (daemon) => {
        for (const port of harness.ports) assert.ok(await isOpen(port), `port ${port} of:\n${harness.config}`);
        for (const route of routes) {
          const code = codeOf(entry, route);
          if (code === null) continue;
          nameClient(zone, route);
          const client = await connect(daemon, harness.proxied, route);
          await client.say(`EHLO ${route.origin.helo}`, "250");
          await client.say(`MAIL FROM:<${route.sender}>`, "250");
          await client.say(`RCPT TO:<${route.rcpt}>`, code);
          client.close();
        }
      });
    } finally {
      await dns.close();
      await Deno.remove(folder, { recursive: true });
    }
  });
}
