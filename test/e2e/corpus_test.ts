/**
 * Right configurations of the corpus start in the real daemon, on ports of their own, and it answers RCPT as their comments say: so many that every construct
 * is in one. The others are right for `smtpd -n`, with their files and programs; test/rules asks them all. `VAULTPOST_TEST_CORPUS=all` starts them all.
 */

import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { configOf, covering, entries, type Entry, type Route, routeOf } from "../config/corpus.ts";
import { a, fakeDns, ptr, type Zone } from "../dns/fake_dns.ts";
import { Client } from "./client.ts";
import { compileTables, type CorpusHarness, furnish } from "./corpus_harness.ts";
import { type Daemon, PROJECT, run, withDaemon } from "./harness.ts";

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

/** What `body` does with a configuration that is set up in a folder of its own. */
async function withEntry(entry: Entry, body: (furnished: Furnished) => Promise<void>): Promise<void> {
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
    await body({ harness, routes, zone, folder, env });
  } finally {
    await dns.close();
    await Deno.remove(folder, { recursive: true });
  }
}

interface Furnished {
  readonly harness: CorpusHarness;
  readonly routes: readonly Route[];
  readonly zone: Zone;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

const valid = entries("valid");
const started = Deno.env.get("VAULTPOST_TEST_CORPUS") === "all" ? new Set(valid) : covering(valid);
for (const entry of valid) {
  const ignore = !HAS_IPV6 && WANTS_IPV6.test(entry.text);
  if (!started.has(entry)) {
    Deno.test(
      `corpus/valid/${entry.name}.conf is right for smtpd -n`,
      { ignore },
      () =>
        withEntry(entry, async ({ harness, folder, env }) => {
          const file = join(folder, "smtpd.conf");
          await Deno.writeTextFile(file, harness.config);
          const paths = { SMTPD_SPOOL: join(folder, "spool"), SMTPD_SOCKET: join(folder, "smtpd.sock") };
          const args = ["-n", "--one-user", "-f", file];
          const ran = await run(join(PROJECT, "scripts/smtpd"), args, { env: { ...env, ...paths } });
          assert.equal(ran.code, 0, `${ran.stderr} of:\n${harness.config}`);
          assert.match(ran.stderr, /^configuration OK$/m);
        }),
    );
    continue;
  }
  Deno.test(
    `corpus/valid/${entry.name}.conf starts and answers`,
    { ignore },
    () =>
      withEntry(entry, async ({ harness, routes, zone, env }) => {
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
      }),
  );
}
