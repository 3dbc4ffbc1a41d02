/**
 * Each right configuration of the corpus in the real daemon, on ports of its own, and RCPT is answered as its comments say: one daemon is reloaded from one to
 * the next, and started where it says that this takes a start. `VAULTPOST_TEST_CORPUS=all` starts it for each. test/rules asks for all routes.
 */

import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { configOf, entries, type Entry, type Route, routeOf } from "../config/corpus.ts";
import { a, fakeDns, ptr, type Zone } from "../dns/fake_dns.ts";
import { Client } from "./client.ts";
import { type CorpusHarness, furnish, harnessFor } from "./corpus_harness.ts";
import { Daemon } from "./harness.ts";

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

/** What comes of a configuration that is read again. */
const READ =
  /^info: .*smtpd\.conf was read again and is (in use as generation \d+|as it was)$|^warn: reload: nothing is changed: /;

/** One daemon that goes from configuration to configuration. */
class CorpusDaemon {
  #daemon: Daemon | null = null;
  readonly #env: Readonly<Record<string, string>>;
  readonly #anew: boolean;
  /** How many times it was started. */
  starts = 0;

  /** `anew`: it is started for each configuration. */
  constructor(env: Readonly<Record<string, string>>, { anew }: { readonly anew: boolean }) {
    this.#env = env;
    this.#anew = anew;
  }

  /** Has the daemon use this configuration, and answers it. It is started where there is none yet, and where it says that this takes a start. */
  async use(config: string): Promise<Daemon> {
    if (this.#daemon === null) return await this.#start(config);
    const daemon = this.#daemon;
    await Deno.writeTextFile(daemon.configFile, config);
    const from = daemon.log.length;
    if (!this.#anew) {
      Deno.kill(daemon.pid, "SIGHUP");
      const read = await daemon.logged(READ, from);
      if (read.startsWith("info: ")) return daemon;
      const faults = daemon.log.slice(from).filter((line) => line.startsWith("warn: reload: ")).slice(0, -1);
      assert.ok(faults.every((fault) => fault.includes("restart smtpd ")), `${faults.join("\n")}\nof:\n${config}`);
    }
    assert.equal(await daemon.stop(), 0);
    this.starts++;
    await daemon.launch();
    return daemon;
  }

  async #start(config: string): Promise<Daemon> {
    this.starts++;
    return this.#daemon = await Daemon.start({ config: () => config, env: this.#env });
  }

  /** The next configuration gets a daemon of its own; what this one said is shown. */
  async discard(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = null;
    if (daemon === null) return;
    console.error(daemon.log.slice(-200).join("\n"));
    await daemon.stop().finally(() => daemon.remove());
  }

  async end(): Promise<void> {
    if (this.#daemon === null) return;
    assert.equal(await this.#daemon.stop(), 0);
    await this.#daemon.remove();
  }
}

/** The listeners of the configuration are there, and RCPT is answered as its comments say. */
async function answers(daemon: Daemon, entry: Entry, { routes, harness, zone }: Furnished): Promise<void> {
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
}

interface Furnished {
  readonly harness: CorpusHarness;
  readonly routes: readonly Route[];
  readonly zone: Zone;
}

/** Of the kinds of configurations that a daemon is not reloaded to, which are few: by far the most are. */
const MOST_STARTS = 8;

Deno.test("each right configuration of the corpus is taken by a running daemon, or by a start where it asks for that, and it answers", async (t) => {
  const valid = entries("valid"), anew = Deno.env.get("VAULTPOST_TEST_CORPUS") === "all";
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-corpus-" });
  const zone: Zone = {};
  const dns = await fakeDns(zone);
  const env = { SMTPD_LIBEXEC: join(folder, "libexec"), ASR_CONFIG: join(folder, "resolv.conf") };
  const running = new CorpusDaemon(env, { anew });
  try {
    await Deno.chmod(folder, 0o755);
    await furnish(valid, folder);
    await Deno.writeTextFile(env.ASR_CONFIG, `nameserver [127.0.0.1]:${dns.port}\n`);
    for (const entry of valid) {
      const ignore = !HAS_IPV6 && WANTS_IPV6.test(entry.text);
      await t.step({
        name: `corpus/valid/${entry.name}.conf`,
        ignore,
        fn: async () => {
          const routes = entry.notes.map(routeOf).filter((route) => route !== null);
          const harness = harnessFor(entry, routes, folder);
          try {
            await answers(await running.use(harness.config), entry, { harness, routes, zone });
          } catch (error) {
            await running.discard();
            throw error;
          }
        },
      });
    }
    if (!anew) assert.ok(running.starts <= MOST_STARTS, `${running.starts} starts`);
  } finally {
    await running.end();
    await dns.close();
    await Deno.remove(folder, { recursive: true });
  }
});
