/** Keys of DKIM in the daemon: who gets them, how rotations go over a start, and what is done when files and records fail. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readKeyFile } from "../../src/dkim_keys/mod.ts";
import { cutSettings, grantsFor } from "../../src/daemon/mod.ts";
import { type LoadedKey, loadSigningKeys } from "../../src/daemon/signing_key_files.ts";
import { SigningKeys } from "../../src/daemon/signing_keys.ts";
import { Fatal } from "../../src/daemon/fatal.ts";
import type { DnsAnswer } from "../../src/mail_auth/dns.ts";
import { LIBCRYPTO_PATHS } from "../../src/signer/mod.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";

const DAY_MS = 86_400_000;

function configOf(text: string) {
  const parsed = parseConfig("smtpd.conf", {
    defines: [],
    files: { readText: () => `${text}\naction "out" relay dkim ttl 7d\nmatch for any action "out"\n` },
  });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config;
}

function makeKey(file: string): string {
  const text = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  // A new file: one that is written anew within a tick of the clock of files, and with as many octets, looks as it did.
  Deno.writeTextFileSync(`${file}.new`, text, { mode: 0o600 });
  Deno.renameSync(`${file}.new`, file);
  return text;
}

function makePipe(file: string): void {
  const { success } = new Deno.Command("mkfifo", { args: ["-m", "600", file] }).outputSync();
  assert.ok(success);
}

function recordOf(file: string): string {
  const read = readKeyFile(Deno.readTextFileSync(file));
  return read.ok ? read.record : "";
}

async function withFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the keys are in the settings of the signer, and in no others", async () => {
  await withFolder((folder) => {
    const secret = makeKey(`${folder}/a.pem`).split("\n")[1]!;
    const config = configOf(`dkim "example.org" selector "a" key "${folder}/a.pem"`);
    const settings = cutSettings(config, {
      users: null,
      env: { get: () => undefined },
      certificates: { pki: {}, ca: {} },
      signing: loadSigningKeys(config),
      queueKeys: null,
      saltKey: new Uint8Array(),
      listeners: [],
      serverName: "mx.example.org",
      resolver: { servers: [], timeoutMs: 1, attempts: 1, hosts: [] },
      log: [],
      descriptors: null,
      paused: { smtp: false, mda: false, mta: false },
    });
    const having = Object.entries(settings).filter(([, one]) => JSON.stringify(one).includes(secret));
    assert.deepEqual(having.map(([role]) => role), ["signer"]);
    const { libcrypto } = settings.signer, grants = grantsFor(settings);
    assert.ok(libcrypto === null || LIBCRYPTO_PATHS.includes(libcrypto));
    assert.deepEqual(grants.signer, libcrypto === null ? {} : { ffi: [libcrypto] });
    const others = Object.entries(grants).filter(([, { ffi }]) =>
      libcrypto !== null && [ffi].flat().includes(libcrypto)
    );
    assert.deepEqual(
      others.map(([role]) => role),
      libcrypto === null ? [] : ["signer"],
      "no other isolate may load it",
    );
    assert.deepEqual(settings.smtp.signing?.map(({ domain, selector }) => `${domain} ${selector}`), ["example.org a"]);
  });
});

Deno.test("keys that cannot be used are refused with their line", async () => {
  await withFolder((folder) => {
    makeKey(`${folder}/open.pem`);
    Deno.chmodSync(`${folder}/open.pem`, 0o644);
    Deno.writeTextFileSync(`${folder}/none.pem`, "none", { mode: 0o600 });
    Deno.mkdirSync(`${folder}/folder.pem`);
    makePipe(`${folder}/pipe.pem`);
    Deno.writeTextFileSync(`${folder}/large.pem`, " ".repeat(4_194_305), { mode: 0o600 });
    const config = configOf(
      ["open", "none", "missing", "folder", "pipe", "large"].map((name) =>
        `dkim "${name}.example.org" selector "${name}" key "${folder}/${name}.pem"`
      )
        .join("\n"),
    );
    let faults: readonly string[] = [];
    try {
      loadSigningKeys(config);
    } catch (error) {
      faults = (error as Fatal).faults;
    }
    assert.deepEqual(faults.map((fault) => fault.replaceAll(folder, "")), [
      "smtpd.conf:1: failed to load dkim key /open.pem: mode 0644 is too open, use chmod 0600",
      'smtpd.conf:2: failed to load dkim key /none.pem: it is not in PEM format: "-----BEGIN PRIVATE KEY-----" is needed',
      "smtpd.conf:3: failed to load dkim key /missing.pem: No such file or directory",
      "smtpd.conf:4: failed to load dkim key /folder.pem: Is a directory",
      "smtpd.conf:5: failed to load dkim key /pipe.pem: it is no file",
      "smtpd.conf:6: failed to load dkim key /large.pem: it is larger than 4194304 octets",
    ]);
  });
});

/** The keys of one daemon, over a DNS that the test writes. */
function daemonOf(config: ReturnType<typeof configOf>, dns: Map<string, string>, now: () => number) {
  const log: string[] = [], changes: string[] = [];
  const names = (keys: readonly LoadedKey[]) => keys.map(({ selector }) => selector).join(" ");
  const keys = new SigningKeys(config, {
    onchange: (keys) => void changes.push(names(keys)),
    log: (_, text) => void log.push(text),
    txt: (name): Promise<DnsAnswer<string>> => {
      const record = dns.get(name);
      return Promise.resolve(
        record === undefined ? { kind: "none", exists: false } : { kind: "records", records: [record] },
      );
    },
    now,
  });
  const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
  return { keys, log, changes, names: () => names(keys.keys), turn };
}

Deno.test("a rotation goes on over starts, and its old keys retire after the longest ttl", async () => {
  await withFolder(async (folder) => {
    makeKey(`${folder}/a.pem`);
    const config = configOf(`dkim "example.org" selector "a" key "${folder}/a.pem"`);
    const dns = new Map([["a._domainkey.example.org", recordOf(`${folder}/a.pem`)]]);
    let at = Date.UTC(2026, 10, 30);
    const first = daemonOf(config, dns, () => at);
    // A start that was interrupted, or somebody who wants another file written.
    Deno.symlinkSync(`${folder}/elsewhere`, `${folder}/example.org.rotation.new`);
    const report = await first.keys.rotate("example.org");
    assert.equal(report.error, null);
    const file = `${folder}/example.org.s2026-ed25519.pem`;
    assert.ok(report.lines.some((line) => line.startsWith("s2026-ed25519._domainkey.example.org. IN TXT (")));
    assert.match((await first.keys.rotate("example.org")).error!, /wait for their records already/);
    assert.equal(first.names(), "a");
    assert.throws(() => Deno.statSync(`${folder}/elsewhere`), Deno.errors.NotFound);
    assert.equal(Deno.statSync(`${folder}/example.org.rotation`).mode! & 0o777, 0o600);

    // Another start, at which the DNS has the record.
    const second = daemonOf(config, dns, () => at);
    assert.equal(second.names(), "a");
    dns.set("s2026-ed25519._domainkey.example.org", recordOf(file));
    const stop = second.keys.watch(() => () => {});
    await second.turn();
    stop();
    assert.equal(second.names(), "s2026-ed25519");
    assert.deepEqual(second.changes, ["s2026-ed25519"]);
    assert.match(second.log.join("\n"), /keep those of a until 2026-12-07/);

    const third = daemonOf(config, dns, () => at);
    assert.equal(third.names(), "s2026-ed25519");
    const printed = async () => {
      const { lines, error } = await third.keys.check();
      return { lines, error };
    };
    assert.deepEqual(await printed(), {
      lines: [
        "example.org s2026-ed25519 ed25519-sha256: ok",
        "example.org a: ok, replaced, mail that it has signed may be on its way: keep the TXT record a._domainkey.example.org until 2026-12-07",
      ],
      error: null,
    });
    dns.delete("a._domainkey.example.org");
    const early = await third.keys.check();
    assert.match(early.lines[1]!, /^example\.org a: missing, replaced/);
    assert.equal(early.error, "1 of 2 records are not as they should be");
    at += 8 * DAY_MS;
    assert.deepEqual(await printed(), {
      lines: ["example.org s2026-ed25519 ed25519-sha256: ok"],
      error: null,
    });
    dns.set("a._domainkey.example.org", "v=DKIM1; p=");
    assert.match((await third.keys.check()).lines[1]!, /retired since 2026-12-07: remove the TXT record a\._domainkey/);

    // smtpd.conf follows: the file has no say any more.
    const after = configOf(`dkim "example.org" selector "s2026-ed25519" key "${file}"`);
    assert.deepEqual(loadSigningKeys(after).map(({ selector }) => selector), ["s2026-ed25519"]);
  });
});

Deno.test("a file that breaks changes nothing until it is mended", async () => {
  await withFolder((folder) => {
    const good = makeKey(`${folder}/a.pem`);
    const daemon = daemonOf(configOf(`dkim "example.org" selector "a" key "${folder}/a.pem"`), new Map(), Date.now);
    Deno.writeTextFileSync(`${folder}/a.pem`, "broken");
    daemon.keys.look();
    daemon.keys.look();
    assert.match(
      daemon.log.join("\n"),
      /^warn: dkim: the keys of example\.org stay as they were: smtpd\.conf:1: [^\n]*$/,
    );
    assert.deepEqual(daemon.changes, []);
    Deno.writeTextFileSync(`${folder}/a.pem`, good);
    assert.equal(daemon.keys.reload(), null);
    assert.deepEqual(daemon.changes, [], "they are what they were");
    makeKey(`${folder}/a.pem`);
    daemon.keys.look();
    assert.deepEqual(daemon.changes, ["a"]);
    Deno.writeTextFileSync(`${folder}/example.org.rotation`, "nonsense\n", { mode: 0o600 });
    assert.match(daemon.keys.reload()!, /failed to load dkim rotation .*: line 1 is not what smtpd has written$/);
  });
});

Deno.test("a file that changes right after it was loaded is loaded again at the next look", async () => {
  await withFolder((folder) => {
    makeKey(`${folder}/a.pem`);
    const daemon = daemonOf(configOf(`dkim "example.org" selector "a" key "${folder}/a.pem"`), new Map(), Date.now);
    makeKey(`${folder}/a.pem`);
    daemon.keys.look();
    daemon.keys.look();
    assert.deepEqual(daemon.changes, ["a"]);
  });
});

Deno.test("a rotation that is no file is refused, and does not hold smtpd up", async () => {
  await withFolder((folder) => {
    makeKey(`${folder}/a.pem`);
    const config = configOf(`dkim "example.org" selector "a" key "${folder}/a.pem"`);
    const daemon = daemonOf(config, new Map(), Date.now);
    makePipe(`${folder}/example.org.rotation`);
    const fault = /smtpd\.conf:1: failed to load dkim rotation [^ ]*: it is no file$/;
    assert.match(daemon.keys.reload()!, fault);
    assert.throws(() => loadSigningKeys(config), fault);
    Deno.removeSync(`${folder}/example.org.rotation`);
    Deno.symlinkSync(`${folder}/nowhere`, `${folder}/example.org.rotation`);
    assert.match(daemon.keys.reload()!, /failed to load dkim rotation [^ ]*: No such file or directory$/);
    assert.equal(daemon.names(), "a");
  });
});

Deno.test("keys are made for one rotation of a domain at a time, and apart from those of an interrupted one", async () => {
  await withFolder(async (folder) => {
    makeKey(`${folder}/a.pem`);
    // smtpd was killed when it had made the key, and not yet written which keys sign.
    makeKey(`${folder}/example.org.s2026-ed25519.pem`);
    const config = configOf(`dkim "example.org" selector "a" key "${folder}/a.pem"`);
    const daemon = daemonOf(config, new Map(), () => Date.UTC(2026, 10, 30));
    const [one, other] = await Promise.all([daemon.keys.rotate("example.org"), daemon.keys.rotate("example.org")]);
    assert.equal(one.error, null);
    assert.match(other.error!, /^keys of example\.org are being made already/);
    assert.ok(one.lines.some((line) => line.startsWith("s2026b-ed25519._domainkey.example.org. IN TXT (")));
    assert.deepEqual(
      [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
      ["a.pem", "example.org.rotation", "example.org.s2026-ed25519.pem", "example.org.s2026b-ed25519.pem"],
    );
  });
});

Deno.test("a rotation whose keys cannot be loaded says why, and what to do", async () => {
  await withFolder(async (folder) => {
    const good = makeKey(`${folder}/a.pem`);
    const config = configOf(`dkim "example.org" selector "a" key "${folder}/a.pem"`);
    const daemon = daemonOf(config, new Map(), () => Date.UTC(2026, 10, 30));
    Deno.writeTextFileSync(`${folder}/a.pem`, "broken");
    const { lines, error } = await daemon.keys.rotate("example.org");
    assert.deepEqual(lines, []);
    assert.match(
      error!,
      /example\.org\.rotation was written, and cannot be loaded: smtpd\.conf:1: .*a\.pem: .*: mend this/,
    );
    assert.equal(daemon.names(), "a");
    Deno.writeTextFileSync(`${folder}/a.pem`, good);
    daemon.keys.look();
    const check = await daemon.keys.check();
    assert.ok(check.lines.some((line) => line.includes("s2026-ed25519") && line.includes("waits for its record")));
  });
});
