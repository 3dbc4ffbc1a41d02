/**
 * What signing and verifying by DKIM costs: `scripts/bench auth`. Vaultpost's code in this process beside Debian's opendkim as a milter on one connection;
 * then mail that is relayed with and without signatures, and by Postfix with opendkim. CPU counts more than messages/s: with opendkim, this
 * process is the mail server at the other end of the socket.
 */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import process from "node:process";
import { keyDns, octets, PEMS, sign, verify } from "../mail_auth/dkim/helper.ts";
import { hasOpendkim, Opendkim, startOpendkim } from "../mail_auth/dkim/opendkim.ts";
import { freePort } from "../ports.ts";
import { drain, measure, type Scenario } from "./load.ts";
import { startPostfix } from "./postfix.ts";
import { cpuSeconds } from "./processes.ts";
import { CannotRun, type Place, type Server } from "./server.ts";
import { Steps } from "./steps.ts";
import { startSink } from "./sink.ts";
import { type Row as LoadRow, table } from "./table.ts";
import { startVaultpost } from "./vaultpost.ts";

/** How long one row is measured, in milliseconds. */
const MEASURE_MS = 2500;
const SIZES = [{ name: "2 KB", octets: 2048 }, { name: "100 KB", octets: 100_000 }, {
  name: "5 MB",
  octets: 5_000_000,
}];

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

/** Text with what the relaxed form changes now and then. */
function message(length: number): Uint8Array {
  const header = "From: a@example.org\nTo: b@example.net\nSubject: A message of some length\n" +
    "Date: Mon, 30 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n" +
    "Content-Type: text/plain; charset=utf-8\n\n";
  const text = "The quick brown fox jumps over the lazy dog and runs away from it.  \n";
  return octets(header + text.repeat(Math.ceil((length - header.length) / text.length)));
}

/** Somebody who signs or verifies, and whose CPU time can be read. */
interface Party {
  readonly name: string;
  /** Throws when it does not do its work. */
  once(message: Uint8Array): Promise<void>;
  cpuSeconds(): number;
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function rate(party: Party, message: Uint8Array): Promise<readonly string[]> {
  for (let n = 0; n < 3; n++) await party.once(message);
  const cpu = party.cpuSeconds(), start = performance.now();
  let count = 0;
  for (; performance.now() - start < MEASURE_MS; count++) await party.once(message);
  const seconds = (performance.now() - start) / 1000;
  const perSecond = count / seconds;
  return [perSecond.toFixed(perSecond < 10 ? 1 : 0), ((party.cpuSeconds() - cpu) / count * 1000).toFixed(2)];
}

const KEY_NAMES = ["rsa2048", "ed25519"];

function vaultpost(work: "sign" | "verify", key: string): Party {
  const dns = keyDns();
  return {
    name: "Vaultpost",
    cpuSeconds: ownCpuSeconds,
    async once(message) {
      if (work === "sign") await sign(message, [key]);
      else if ((await verify(message, { dns, piece: 262_144 }))[0]?.result !== "pass") {
        throw new Error("It does not pass");
      }
    },
  };
}

function milter(opendkim: Opendkim, work: "sign" | "verify"): Party {
  return {
    name: "opendkim",
    cpuSeconds: () => cpuSeconds(opendkim.pid),
    async once(message) {
      const fields = await opendkim.filter(message);
      const done = fields.some(({ name, value }) =>
        work === "sign" ? name === "DKIM-Signature" : /dkim=pass/.test(value)
      );
      if (!done) throw new Error(`opendkim did not ${work}`);
    },
  };
}

async function measureOperations(): Promise<readonly string[]> {
  const heads = ["", "message", "server", "messages/s", "CPU ms per message"];
  const lines = [line(heads), line(heads.map(() => "---"))];
  using steps = new Steps(2 * KEY_NAMES.length * SIZES.length * (hasOpendkim() ? 2 : 1));
  for (const work of ["sign", "verify"] as const) {
    for (const key of KEY_NAMES) {
      const opendkim = hasOpendkim() ? await Opendkim.start({ mode: work, key }) : null;
      for (const { name, octets } of SIZES) {
        const plain = message(octets);
        const given = work === "sign" ? plain : Buffer.concat([Buffer.from(await sign(plain, [key])), plain]);
        for (const party of [vaultpost(work, key), ...(opendkim === null ? [] : [milter(opendkim, work)])]) {
          steps.begin(`${work}, ${key}, ${name}: ${party.name}`);
          lines.push(line([`${work}, ${key}`, name, party.name, ...await rate(party, given)]));
        }
      }
      await opendkim?.[Symbol.asyncDispose]();
    }
  }
  return lines;
}

const RELAY: Scenario = {
  name: "Relay, 20 clients, reused connections",
  clients: 20,
  messages: Deno.args.includes("--quick") ? 500 : 4000,
  reuse: true,
  relay: true,
};

/** Files of keys that others may not read, and the lines of smtpd.conf that sign with them. */
async function signingLines(folder: string, keys: readonly string[]): Promise<string> {
  let lines = "";
  for (const name of keys) {
    const file = join(folder, `${name}.pem`);
    await Deno.writeTextFile(file, PEMS[name]!, { mode: 0o600 });
    lines += `dkim "example.com" selector "${name}" key "${file}"\n`;
  }
  return lines;
}

/** Starts a server, measures it and stops it: one at a time has the machine. */
async function relayed(
  { name, start }: { readonly name: string; start(place: Place): Promise<Server> },
  { folder, sink, steps }: {
    readonly folder: string;
    readonly sink: Awaited<ReturnType<typeof startSink>>;
    readonly steps: Steps;
  },
): Promise<LoadRow[]> {
  const place = {
    folder: join(folder, name.replaceAll(/\W+/g, "-")),
    port: freePort(),
    sinkPort: sink.port,
    tools: Deno.env.get("VAULTPOST_TOOLS")!,
  };
  await Deno.mkdir(place.folder, { mode: 0o755 });
  steps.begin(`${RELAY.name}: ${name}`);
  try {
    const server = { ...await start(place), name };
    try {
      const found = await measure(server, RELAY, sink);
      await drain(server);
      return [{ kind: "load", scenario: RELAY.name, server, measure: found }];
    } finally {
      await server.stop();
    }
  } catch (error) {
    if (!(error instanceof CannotRun)) throw error;
    steps.pause();
    console.log(`${name} takes no part: ${error.message}`);
    return [];
  }
}

async function measureRelay(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-bench-" });
  await Deno.chmod(folder, 0o755);
  const sink = await startSink(freePort());
  const opendkim = hasOpendkim() ? await startOpendkim({ mode: "sign", domain: "example.com" }) : null;
  const parties = [
    { name: "Vaultpost, unsigned", start: (place: Place) => startVaultpost(place) },
    ...[["rsa2048"], ["ed25519"], KEY_NAMES].map((keys) => ({
      name: `Vaultpost, ${keys.join(" and ")}`,
      start: async (place: Place) =>
        await startVaultpost(place, undefined, await signingLines(place.folder, keys), "of-two-users", " dkim"),
    })),
    { name: "Postfix", start: startPostfix },
    ...(opendkim === null ? [] : [{
      name: "Postfix, opendkim, rsa2048",
      start: async (place: Place) => {
        const server = await startPostfix(place, `smtpd_milters = unix:${opendkim.path}\n`);
        return { ...server, helpers: [opendkim.pid] };
      },
    }]),
  ];
  const rows: LoadRow[] = [];
  using steps = new Steps(parties.length);
  try {
    for (const party of parties) rows.push(...await relayed(party, { folder, sink, steps }));
  } finally {
    await opendkim?.stop();
    await sink.stop();
    await Deno.remove(folder, { recursive: true });
  }
  return table(rows);
}

console.log((await measureOperations()).join("\n"));
console.log();
console.log(await measureRelay());
