/**
 * What an action with `dkim` sends is signed, whatever way it came in, and what others wrote passes as it was. The real daemon, a name server on
 * loopback, and a next hop that keeps each octet.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { readKeyFile } from "../../src/dkim_keys/mod.ts";
import { mailAuthDns, Resolver } from "../../src/dns/mod.ts";
import { type FakeDns, fakeDns, txt, type Zone, type ZoneRecord } from "../dns/fake_dns.ts";
import { LIBCRYPTO_PATHS } from "../../src/signer/mod.ts";
import { freePort } from "../ports.ts";
import { Client } from "./client.ts";
import { install } from "./filter_harness.ts";
import { type Daemon, ownDaemon, OWNER, run, withDaemon } from "./harness.ts";
import {
  HAS_PYTHON_DKIM,
  KeepingServer,
  type KeptMessage,
  latin1,
  shownResults,
  verifyByPython,
  verifyDkim,
} from "./kept_mail.ts";
import { processesOf } from "./walled_daemon.ts";

const HASH = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";

/** Makes a key in `folder` with OpenSSL, and puts its record into the zone. */
async function key(
  folder: string,
  zone: Zone,
  domain: string,
  selector: string,
  kind: "rsa" | "ed25519",
): Promise<string> {
  const file = join(folder, `${domain}.${selector}.pem`);
  await makeKey(file, kind);
  publish(zone, domain, selector, file);
  return file;
}

async function makeKey(file: string, kind: "rsa" | "ed25519"): Promise<void> {
  const args = kind === "rsa" ? ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] : ["-algorithm", "ED25519"];
  const made = await run("openssl", ["genpkey", ...args, "-out", file]);
  assert.equal(made.code, 0, made.stderr);
  await Deno.chmod(file, 0o600);
}

function publish(zone: Zone, domain: string, selector: string, file: string): void {
  const read = readKeyFile(Deno.readTextFileSync(file));
  assert.ok(read.ok, JSON.stringify(read));
  zone[`${selector}._domainkey.${domain}`] = [txt(read.record.slice(0, 200), read.record.slice(200))];
}

interface World {
  readonly daemon: Daemon;
  readonly next: KeepingServer;
  readonly zone: Zone;
  /** Files. */
  readonly keys: { readonly rsa: string; readonly edwards: string; readonly idn: string };
  /** Our own verifier, which asks the same name server. */
  results(message: KeptMessage): Promise<string>;
}

/** smtpd whose first signer dies when it is asked to sign. */
const MORTAL = ownDaemon("e2e/mortal_daemon.ts");

/** A daemon that relays to a server that keeps the mail. `config` stands behind `dkim` lines for example.org (RSA and Ed25519) and bücher.example. */
async function withSigning(
  options: { readonly twoUsers?: boolean; readonly program?: readonly [string, ...string[]] },
  config: (world: { port: number; mail: string; folder: string; next: number }) => string,
  body: (world: World) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-dkim-" });
  const zone: Zone = {};
  const dns: FakeDns = await fakeDns(zone);
  const next = new KeepingServer();
  const resolvConf = join(folder, "resolv.conf");
  await Deno.chmod(folder, 0o755);
  await Deno.writeTextFile(resolvConf, `nameserver [127.0.0.1]:${dns.port}\noptions timeout:1 attempts:1\n`);
  const keys = {
    edwards: await key(folder, zone, "example.org", "e1", "ed25519"),
    rsa: await key(folder, zone, "example.org", "r1", "rsa"),
    idn: await key(folder, zone, "xn--bcher-kva.example", "k", "rsa"),
  };
  const lines = `
dkim "example.org" selector "e1" key "${keys.edwards}"
dkim "example.org" selector "r1" key "${keys.rsa}"
dkim "Bücher.example" selector "k" key "${keys.idn}" headers { "from", to, subject } expire 14d
`;
  const server = { servers: [{ address: "127.0.0.1", port: dns.port }], timeoutMs: 1000, attempts: 1, hosts: [] };
  const verifier = mailAuthDns(new Resolver(server), { fresh: true });
  try {
    await withDaemon({
      ...options,
      env: { ASR_CONFIG: resolvConf },
      config: (daemon) => lines + config({ ...daemon, next: next.port }),
    }, async (daemon) => {
      const results = async (message: KeptMessage) => shownResults(await verifyDkim(message.octets, verifier));
      await body({ daemon, next, zone, keys, results });
    });
  } finally {
    next.close();
    await dns.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const filtered = freePort(), checked = freePort();
const usual = ({ port, next, mail, folder }: { port: number; next: number; mail: string; folder: string }) => `
mta limit conn-delay-route 0 conn-delay-host 0 conn-delay-relay 0
table logins { carol = "${HASH}" }
listen on socket
listen on 127.0.0.1 port ${port} hostname mx.example.org auth-optional <logins>
filter "edit" ${install(folder, { edit: { register: ["filter|smtp-in|data-line"], line: "edit" } }).edit}
listen on 127.0.0.1 port ${filtered} hostname mx.example.org filter "edit"
action "out" relay host "smtp+notls://127.0.0.1:${next}" dkim
action "plain" relay host "smtp+notls://127.0.0.1:${next}"
action "alias" expand-only virtual { "far" = "alias@far.test" }
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
listen on 127.0.0.1 port ${checked} hostname mx.example.org tag CHECKED mail-auth
match from any tag CHECKED for domain "far.test" mail-auth "dmarc=none" action "out"
match from any tag CHECKED for any action "plain"
match from any for domain "alias.test" action "alias"
match from any for domain "inbox.test" action "inbox"
match from any for domain "plain.test" action "plain"
match from any for domain "closed.test" reject
match from any auth for any action "out"
match from local for any action "out"
match from src 127.0.0.1 for any action "out"
`;

const BOTH = "example.org/r1 pass, example.org/e1 pass";

interface Row {
  readonly about: string;
  readonly from?: string;
  readonly to: string;
  readonly parameters?: string;
  readonly data: string | Uint8Array;
  readonly expected: string;
  readonly bdat?: true;
}

const encoder = new TextEncoder();
const message = (from: string, rest = "\r\nbody\r\n") => `From: ${from}\r\nSubject: x\r\nTo: b@far.test\r\n${rest}`;

const ROWS: readonly Row[] = [
  { about: "a small message", to: "small@far.test", data: message("a@example.org"), expected: BOTH },
  { about: "no body", to: "empty@far.test", data: message("a@example.org", ""), expected: BOTH },
  {
    about: "dots, blanks, empty lines at the end",
    to: "dots@far.test",
    data: message("a@example.org", "\r\n..\r\n...x\r\n \t x  y \r\n\r\n\r\n"),
    expected: BOTH,
  },
  {
    about: "8-bit text",
    to: "eight@far.test",
    parameters: " BODY=8BITMIME",
    data: message("a@example.org", "\r\ngrüße \u{1f600}\r\n"),
    expected: BOTH,
  },
  {
    about: "SMTPUTF8, with a header beyond ASCII",
    to: "utf8@far.test",
    parameters: " SMTPUTF8 BODY=8BITMIME",
    data: message("José <josé@example.org>", "X-Name: ü\r\n\r\nü\r\n"),
    expected: BOTH,
  },
  {
    about: "a domain beyond ASCII, with a list of fields and an expiry of its own",
    to: "idn@far.test",
    parameters: " SMTPUTF8",
    data: message("a@bücher.example"),
    expected: "xn--bcher-kva.example/k pass",
  },
  { about: "a domain below", to: "below@far.test", data: message("a@www.example.org"), expected: BOTH },
  {
    about: "by BDAT, in two chunks",
    to: "bdat@far.test",
    data: message("a@example.org", `\r\n${"line\r\n".repeat(1000)}no end of line`),
    bdat: true,
    expected: BOTH,
  },
  {
    about: "5 MB",
    to: "large@far.test",
    data: message("a@example.org", `\r\n${`${"x".repeat(70)} y\r\n`.repeat(70_000)}`),
    expected: BOTH,
  },
  {
    about: "a long header",
    to: "header@far.test",
    data: message("a@example.org", `${"X-Long: ".concat("x".repeat(900), "\r\n").repeat(250)}\r\nbody\r\n`),
    expected: BOTH,
  },
  { about: "no key for the domain", to: "other@far.test", data: message("a@example.net"), expected: "" },
  { about: "no From", from: "", to: "nofrom@far.test", data: "Subject: x\r\n\r\nx\r\n", expected: "" },
  {
    about: "two addresses of one domain in From",
    to: "two@far.test",
    data: message("a@example.org, b@example.org"),
    expected: BOTH,
  },
  {
    about: "addresses of two domains in From",
    to: "domains@far.test",
    data: message("a@example.org, b@example.net"),
    expected: "",
  },
  {
    about: "two From fields",
    to: "fields@far.test",
    data: message("a@example.org", "From: b@example.org\r\n\r\nx\r\n"),
    expected: "",
  },
  { about: "an action without dkim", to: "x@plain.test", data: message("a@example.org"), expected: "" },
];

async function send(daemon: Daemon, { from = "a@example.org", to, parameters = "", data, bdat }: Row): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  if (bdat) {
    const octets = typeof data === "string" ? encoder.encode(data) : data;
    await client.say(`MAIL FROM:<${from}>${parameters}`, "250");
    await client.say(`RCPT TO:<${to}>`, "250");
    for (const [part, last] of [[octets.subarray(0, 100), ""], [octets.subarray(100), " LAST"]] as const) {
      await client.write(encoder.encode(`BDAT ${part.length}${last}\r\n`));
      await client.write(part);
      await client.reply("250");
    }
  } else await client.send(from, to, data, parameters);
  await client.say("QUIT", "221");
  client.close();
}

const MAX_PYTHON_OCTETS = 1_000_000;

/** The logged reason why a message went without a signature. */
const UNSIGNED: Readonly<Record<string, RegExp>> = {
  "other@far.test": /smtp dkim-unsigned msgid=[0-9a-f]{8} reason="there is no key for example\.net"$/,
  "domains@far.test": /smtp dkim-unsigned msgid=[0-9a-f]{8} reason="From has addresses of several domains"$/,
};

Deno.test("mail that goes by an action with dkim is signed, octet for octet", async (test) => {
  await withSigning({ twoUsers: Deno.uid() === 0 }, usual, async ({ daemon, next, zone, results }) => {
    const signed: Uint8Array[] = [], counts: number[] = [];
    let total = 0;
    const take = async (to: string, expected: string) => {
      const kept = await next.take(to);
      assert.equal(await results(kept), expected, latin1(kept.octets).slice(0, 4000));
      if (expected === "") return kept;
      // Python takes seconds for a large one.
      if (kept.octets.length < MAX_PYTHON_OCTETS) {
        signed.push(kept.octets);
        counts.push(expected.split(", ").length);
      }
      total++;
      return kept;
    };
    for (const row of ROWS) {
      await test.step(row.about, async () => {
        await send(daemon, row);
        await take(row.to, row.expected);
        if (UNSIGNED[row.to] !== undefined) await daemon.logged(UNSIGNED[row.to]!);
      });
    }
    await test.step("a line per signed message", async () => {
      await daemon.logged(/^[0-9a-f]{16} smtp dkim-signed msgid=[0-9a-f]{8} domain=example\.org selectors=r1,e1$/);
      await daemon.logged(/ smtp dkim-signed msgid=[0-9a-f]{8} domain=xn--bcher-kva\.example selectors=k$/);
      const { stdout } = await daemon.tool("smtpctl", ["show", "stats"]);
      assert.match(stdout, new RegExp(`^dkim\\.signed=${total}$`, "m"));
      assert.match(stdout, /^dkim\.unsigned=4$/m);
    });
    await test.step("of a user who has logged in", async () => {
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.say(`AUTH PLAIN ${btoa("\0carol\0sesame")}`, "235");
      // What an alias makes of it was written here as well.
      for (const to of ["login@far.test", "far@alias.test"]) {
        await client.send("carol@example.org", to, "From: carol\r\n\r\nx\r\n");
      }
      client.close();
      assert.match(latin1((await take("login@far.test", BOTH)).octets), /^From: carol@mx\.example\.org\r$/m);
      await take("alias@far.test", BOTH);
    });
    await test.step("as the filters have made it", async () => {
      const client = await Client.connect(filtered);
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.org", "filtered@far.test", message("a@example.org", "\r\ndrop me\r\n..kept\r\n"));
      client.close();
      const text = latin1((await take("filtered@far.test", BOTH)).octets);
      assert.match(text, /^X-Edited: yes\r\nSubject: x \(edited\)\r\nTo: [^\r]*\r\n\r\n\.kept\r\n\.added\r\n$/m);
    });
    await test.step("by a rule that looks at what the message was found to be", async () => {
      const client = await Client.connect(checked);
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.org", "decided@far.test", message("a@example.org"));
      await client.send("a@example.org", "decided@near.test", message("a@example.org"));
      client.close();
      const text = latin1((await take("decided@far.test", BOTH)).octets);
      // The results were found before, and stand below the signatures, which do not sign them.
      assert.deepEqual(
        [...text.matchAll(/^(DKIM-Signature|Authentication-Results|Received|From):/gm)].map(([, name]) => name),
        ["DKIM-Signature", "DKIM-Signature", "Authentication-Results", "Received", "From"],
      );
      assert.match(latin1((await take("decided@near.test", "")).octets), /^Authentication-Results:/);
    });
    await test.step("of sendmail", async () => {
      const sent = await daemon.tool(
        "sendmail",
        ["-f", "a@example.org", "sendmail@far.test"],
        "From: a@example.org\n\nx\n",
      );
      assert.equal(sent.code, 0, sent.stderr);
      await take("sendmail@far.test", BOTH);
    });
    await test.step("a notice", async () => {
      next.refuses = (to) => to === "refused@far.test";
      await send(daemon, {
        about: "",
        from: "notice@far.test",
        to: "refused@far.test",
        data: message("a@example.org"),
        expected: "",
      });
      const notice = latin1((await take("notice@far.test", BOTH)).octets);
      assert.match(notice, /^From: Mailer Daemon <MAILER-DAEMON@mx\.example\.org>\r$/m);
      await daemon.logged(/^queue: dkim-signed msgid=[0-9a-f]{8} domain=example\.org selectors=r1,e1$/);
    });
    await test.step("what a stranger has signed passes an alias as it was", async () => {
      const foreign = new TextDecoder().decode(signed[0]);
      const client = await Client.connect(daemon.port);
      await client.say("EHLO stranger.example.com", "250");
      await client.send("a@example.org", "far@alias.test", foreign);
      client.close();
      const kept = await take("alias@far.test", BOTH);
      assert.ok(latin1(kept.octets).endsWith(foreign), "it got a Received field and nothing else");
      assert.equal(latin1(kept.octets).match(/^DKIM-Signature:/gm)?.length, 2);
    });
    await test.step({
      name: "OpenSSL has made the RSA signatures, in the process of the signer alone",
      ignore: !LIBCRYPTO_PATHS.some((path) => statOf(path)?.isFile),
      fn: () => {
        const { vault, ...others } = processesOf(daemon.pid);
        // In one process there is no vault.
        const [having, all] = vault === 0 ? [daemon.pid, []] : [vault, Object.values(others).concat(daemon.pid)];
        assert.deepEqual(withLibcrypto([having, ...all]), [having]);
        assert.deepEqual(daemon.log.filter((line) => line.includes("take six times as long")), []);
      },
    });
    await test.step({
      name: "python3-dkim finds all signatures good",
      ignore: !HAS_PYTHON_DKIM,
      fn: async () => {
        const said = await verifyByPython(signed, recordsOf(zone));
        assert.deepEqual(said, counts.map((count) => Array(count).fill("True").join(" ")));
      },
    });
    assert.equal(next.left.length, 0);
  });
});

function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}

/** Which of these processes have mapped libcrypto. */
function withLibcrypto(pids: readonly number[]): number[] {
  return pids.filter((pid) => /\/libcrypto\.so\.3$/m.test(Deno.readTextFileSync(`/proc/${pid}/maps`)));
}

Deno.test("a message waits for another signer when the one that was asked dies, and is signed by it", async () => {
  await withSigning({ twoUsers: false, program: MORTAL }, usual, async ({ daemon, next, results }) => {
    await send(daemon, { about: "", to: "waits@far.test", data: message("a@example.org"), expected: BOTH });
    await daemon.logged(/^warn: isolate signer ended and starts again in 100 ms: .*made to die/);
    assert.equal(await results(await next.take("waits@far.test")), BOTH);
  });
});

Deno.test("keys are loaded again and changed for others while mail flows, and what changed outlives a start", async (test) => {
  await withSigning({ twoUsers: Deno.uid() === 0 }, usual, async ({ daemon, next, zone, keys, results }) => {
    const tool = (...words: string[]) => daemon.tool("smtpctl", words);
    let sent = 0;
    const signedWith = async (expected: string) => {
      const to = `mail${++sent}@far.test`;
      await send(daemon, { about: "", to, data: message("a@example.org"), expected });
      assert.equal(await results(await next.take(to)), expected);
    };
    await test.step("update dkim and SIGHUP load renewed keys", async () => {
      for (const again of ["update dkim", "SIGHUP"]) {
        await makeKey(keys.rsa, "rsa");
        publish(zone, "example.org", "r1", keys.rsa);
        if (again === "SIGHUP") Deno.kill(daemon.pid, "SIGHUP");
        else assert.equal((await tool("update", "dkim")).code, 0);
        await daemon.logged(
          /^info: dkim: the keys of example\.org were loaded again: r1, e1$/,
          0,
          again === "SIGHUP" ? 2 : 1,
        );
        await signedWith(BOTH);
      }
    });
    await test.step("a key that cannot be used changes nothing", async () => {
      const good = await Deno.readTextFile(keys.rsa);
      await Deno.writeTextFile(keys.rsa, "nonsense");
      const updated = await tool("update", "dkim");
      assert.equal(updated.code, 1);
      assert.match(
        updated.stdout,
        /^command failed: .*smtpd\.conf:3: failed to load dkim key .*: it is not in PEM format/,
      );
      await signedWith(BOTH);
      await Deno.writeTextFile(keys.rsa, good);
    });
    await test.step("dkim check has a line per key", async () => {
      const fine = await tool("dkim", "check");
      assert.deepEqual([fine.code, fine.stdout.split("\n")], [0, [
        "example.org r1 rsa-sha256: ok",
        "example.org e1 ed25519-sha256: ok",
        "xn--bcher-kva.example k rsa-sha256: ok",
        "",
      ]], fine.stderr);
      const { "e1._domainkey.example.org": e1, "r1._domainkey.example.org": r1 } = zone;
      delete zone["e1._domainkey.example.org"];
      zone["r1._domainkey.example.org"] = e1!;
      const wrong = await tool("dkim", "check");
      assert.equal(wrong.code, 1);
      assert.match(
        wrong.stdout,
        /^example\.org r1 rsa-sha256: differs: .*: replace it by r1\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; k=rsa; p=/m,
      );
      assert.match(
        wrong.stdout,
        /^example\.org e1 ed25519-sha256: missing: publish e1\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; /m,
      );
      assert.equal(wrong.stderr, "smtpctl: 2 of 3 records are not as they should be\n");
      Object.assign(zone, { "e1._domainkey.example.org": e1!, "r1._domainkey.example.org": r1! });
    });
    const year = new Date().getUTCFullYear(), selectors = [`s${year}`, `s${year}-ed25519`];
    const NEW = selectors.map((selector) => `example.org/${selector} pass`).join(", ");
    const fileOf = (selector: string) => keys.rsa.replace(".r1.", `.${selector}.`);
    await test.step("a rotation makes keys that wait for their records", async () => {
      const refused = await tool("dkim", "rotate", "example.net");
      assert.equal(refused.code, 1);
      assert.match(
        refused.stderr,
        /smtpd\.conf has no dkim line for example\.net, it has some for example\.org, xn--bcher-kva\.example\n/,
      );
      const made = await tool("dkim", "rotate", "example.org");
      assert.equal(made.code, 0, made.stderr);
      for (const selector of selectors) {
        assert.match(
          made.stdout,
          new RegExp(`^${selector}\\._domainkey\\.example\\.org\\. IN TXT \\( "v=DKIM1; `, "m"),
        );
        assert.equal(Deno.statSync(fileOf(selector)).mode! & 0o777, 0o600);
      }
      await signedWith(BOTH);
      const again = await tool("dkim", "rotate", "example.org");
      assert.equal(again.code, 1);
      assert.match(again.stderr, /wait for their records already/);
    });
    await test.step("one of two records is not enough, nor is a new start", async () => {
      publish(zone, "example.org", selectors[0]!, fileOf(selectors[0]!));
      assert.equal(await daemon.stop(), 0);
      await daemon.launch();
      assert.equal((await tool("update", "dkim")).code, 0);
      const check = await tool("dkim", "check");
      assert.equal(check.code, 1);
      assert.match(
        check.stdout,
        new RegExp(`^example\\.org ${selectors[1]} ed25519-sha256: missing, waits for its record: publish`, "m"),
      );
      await signedWith(BOTH);
    });
    await test.step("when the DNS has them all, they sign, and the old records are to stay", async () => {
      publish(zone, "example.org", selectors[1]!, fileOf(selectors[1]!));
      assert.equal((await tool("update", "dkim")).code, 0);
      await daemon.logged(
        new RegExp(
          `^info: dkim: the DNS has the records of ${
            selectors.join(" and ")
          }, which sign for example\\.org from now on; keep those of r1 and e1 until \\d{4}-`,
        ),
      );
      await signedWith(NEW);
      const check = await tool("dkim", "check");
      assert.equal(check.code, 0, check.stdout);
      assert.match(
        check.stdout,
        /^example\.org r1: ok, replaced, mail that it has signed may be on its way: keep the TXT record r1\._domainkey\.example\.org until \d{4}-/m,
      );
    });
  });
});

function recordsOf(zone: Zone): Record<string, string> {
  return Object.fromEntries(
    Object.entries(zone).flatMap(([name, records]) => {
      if (!Array.isArray(records)) return [];
      return [[name, new TextDecoder("latin1").decode(Buffer.concat((records[0] as ZoneRecord).data as Uint8Array[]))]];
    }),
  );
}
