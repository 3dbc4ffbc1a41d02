/** Certificates that change while the daemon runs: what is noticed, what is used, what is refused and logged. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { CertificateKeeper } from "../../src/daemon/certificates.ts";
import { authoritiesOf, loadPair, SYSTEM_AUTHORITIES } from "../../src/daemon/files.ts";
import { Fatal } from "../../src/daemon/fatal.ts";
import { certificateWarnings } from "../../src/daemon/checks/certificate_advice.ts";
import { configOf } from "../config/helper.ts";
import type { Certificates } from "../../src/protocol/mod.ts";

const stored = (file: string) => Deno.readTextFileSync(new URL(`../smtp/certificates/${file}`, import.meta.url));

interface World {
  readonly folder: string;
  readonly keeper: CertificateKeeper;
  /** What isolates were sent, and lines of the log, since the last call. */
  news(): { changes: Certificates[]; log: string[] };
  put(file: string, text: string, mode?: number): void;
}

/** `mx` and `other` stand in `live/`, which is a link to `one/`, as certbot has it; the CA in a plain file. */
function withKeeper(body: (world: World) => void): void {
  const folder = Deno.makeTempDirSync();
  const put = (file: string, text: string, mode = 0o600) => {
    Deno.writeTextFileSync(`${folder}/${file}`, text, { mode });
    Deno.chmodSync(`${folder}/${file}`, mode);
  };
  try {
    for (const version of ["one", "two"]) Deno.mkdirSync(`${folder}/${version}`);
    const [first, second] = [["mx", "other"], ["other", "mx"]] as const;
    for (const [at, name] of first.entries()) {
      put(`one/${name}.pem`, stored(`${name}.pem`));
      put(`one/${name}.key`, stored(`${name}.key`));
      put(`two/${name}.pem`, stored(`${second[at]}.pem`));
      put(`two/${name}.key`, stored(`${second[at]}.key`));
    }
    Deno.symlinkSync("one", `${folder}/live`);
    put("ca.pem", stored("authority.pem"));
    let changes: Certificates[] = [], log: string[] = [];
    const pair = (name: string) => ({
      name,
      certFile: `${folder}/live/${name}.pem`,
      keyFile: `${folder}/live/${name}.key`,
      acme: null,
      dhe: "none" as const,
    });
    const keeper = new CertificateKeeper(
      {
        pki: { mx: pair("mx"), other: pair("other") },
        ca: { authority: `${folder}/ca.pem` },
        declared: {},
        listen: [],
      },
      { onchange: (certificates) => changes.push(certificates), log: (level, text) => log.push(`${level} ${text}`) },
    );
    const news = () => {
      const said = { changes, log };
      changes = [];
      log = [];
      return said;
    };
    body({ folder, keeper, news, put });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("a listener that verifies without ca has the authorities of the system", () => {
  const config = configOf(
    'pki p cert "/x" key "/y"\nca own cert "/own"\nlisten on lo smtps verify pki p ca own\nlisten on lo port 26 tls-require verify pki p\nmatch for any reject',
  );
  const bundle = fileURLToPath(new URL("../smtp/certificates/authority.pem", import.meta.url));
  const own = { name: "own", file: "/own", at: { file: "c", line: 2 } };
  assert.deepEqual(authoritiesOf(config, ["/nonexistent.pem", bundle]), [
    own,
    { name: SYSTEM_AUTHORITIES, file: bundle, at: { file: "c", line: 4 } },
  ]);
  assert.throws(
    () => authoritiesOf(config, ["/nonexistent.pem"]),
    /c:4: "verify" needs "ca NAME" here: .*nonexistent/,
  );
  assert.deepEqual(authoritiesOf({ ...config, listen: config.listen.slice(0, 1) }, []), [own]);
});

Deno.test("nothing is said of certificates that did not change", () =>
  withKeeper(({ keeper, news }) => {
    keeper.look();
    assert.equal(keeper.reload(), null);
    assert.deepEqual(news(), { changes: [], log: [] });
    assert.equal(keeper.certificates.pki.mx!.cert, stored("mx.pem"));
  }));

Deno.test("loadPair(): what the files hold comes before their modes; what is wrong with both is reported", () => {
  withKeeper(({ folder, put }) => {
    put("open.key", stored("mx.key"), 0o644);
    const cert = `${folder}/one/mx.pem`, key = `${folder}/one/mx.key`, open = `${folder}/open.key`;
    const faults = (certFile: string, keyFile: string): readonly string[] => {
      try {
        loadPair("mx", { certFile, keyFile }, { file: "c", line: 7 });
      } catch (error) {
        if (error instanceof Fatal) return error.faults;
        throw error;
      }
      return [];
    };
    assert.deepEqual(faults(cert, key), []);
    assert.deepEqual(faults(open, cert), [
      `c:7: failed to load pki "mx": the files are swapped: ${open} is the key and ${cert} the certificate: ` +
      `write cert "${cert}" key "${open}"`,
    ]);
    assert.deepEqual(faults(key, key), [`c:7: failed to load pki "mx": ${key} is a key, and no certificate is in it`]);
    assert.deepEqual(faults(cert, cert), [
      `c:7: failed to load pki "mx": ${cert} is a certificate, and no key is in it`,
    ]);
    assert.deepEqual(faults("/nonexistent/c", "/nonexistent/k"), [
      "c:7: failed to load certificate /nonexistent/c: No such file or directory",
      "c:7: failed to load key /nonexistent/k: No such file or directory",
    ]);
    assert.deepEqual(faults(cert, open), [
      `c:7: failed to load key ${open}: mode 0644 is too open, use chmod 0600`,
    ]);
    const pipe = `${folder}/pipe`;
    assert.ok(new Deno.Command("mkfifo", { args: ["-m", "600", pipe] }).outputSync().success);
    assert.deepEqual(faults(cert, pipe), [`c:7: failed to load key ${pipe}: it is no file`]);
  });
});

/** What is said of a configuration whose pki has the certificate `mx` or `other`, at a time. */
function advised(lines: string, pki = "mx.example.org", file = "mx", now = Date.UTC(2027, 0, 1)): string[] {
  let said: string[] = [];
  withKeeper(({ folder }) => {
    const stem = `${folder}/one/${file}`;
    const config = configOf(`pki ${pki} cert "${stem}.pem" key "${stem}.key"\n${lines}\nmatch reject`);
    said = certificateWarnings(config, "host.example.org", now);
  });
  return said;
}

Deno.test("certificateWarnings(): times and names that clients refuse", () => {
  const own = 'listen on eth0 tls pki "mx.example.org"', start = 'c:1: warning: pki "mx.example.org": the certificate ';
  assert.deepEqual(advised(own), []);
  assert.deepEqual(advised(own, undefined, "mx", Date.UTC(2127, 0, 1)), [
    `${start}has expired on 2126-10-29: clients will refuse it: renew it`,
  ]);
  assert.deepEqual(advised(own, undefined, "mx", Date.UTC(2126, 9, 25)), [`${start}expires on 2126-10-29: renew it`]);
  assert.deepEqual(advised(own, undefined, "mx", Date.UTC(2020, 0, 1)), [
    `${start}is not valid before 2026-11-22: clients will refuse it: is the clock right?`,
  ]);
  assert.deepEqual(advised(own, undefined, "other"), [
    `${start}is for "other.example.net", "*.wild.example", not for "mx.example.org" or "host.example.org": ` +
    "clients that look at the name will refuse it",
  ]);
});

Deno.test("certificateWarnings(): silence where a name fits, is none, or is nobody's business", () => {
  assert.deepEqual(advised("listen on eth0 tls pki default hostname other.example.net", "default", "other"), []);
  assert.deepEqual(advised("listen on eth0 tls hostname x.wild.example", '"*"', "other"), []);
  assert.deepEqual(advised('listen on eth0\naction "a" relay pki mx.example.org', undefined, "other"), []);
  assert.deepEqual(advised("listen on eth0 tls pki inner hostname inner", "inner", "mx"), []);
});

Deno.test("a link that leads elsewhere is a change", () =>
  withKeeper(({ folder, keeper, news }) => {
    Deno.symlinkSync("two", `${folder}/live.new`);
    Deno.renameSync(`${folder}/live.new`, `${folder}/live`);
    keeper.look();
    const { changes, log } = news();
    assert.equal(changes.length, 1, "all that changed is sent at once");
    assert.deepEqual(changes[0], keeper.certificates);
    assert.equal(changes[0]!.pki.mx!.cert, stored("other.pem"));
    assert.equal(changes[0]!.pki.other!.key, stored("mx.key"));
    assert.equal(log.length, 2);
    assert.match(log[0]!, /^info info: pki "mx" was loaded again from .*live\/mx\.pem and .*live\/mx\.key$/);
    keeper.look();
    assert.deepEqual(news(), { changes: [], log: [] });
  }));

const broken: readonly { name: string; breakIt: (world: World) => void; why: RegExp }[] = [
  {
    name: "a key that belongs to another certificate",
    breakIt: ({ put }) => put("one/mx.key", stored("other.key")),
    why: /pki "mx" \(.*live\/mx\.pem, .*live\/mx\.key\): the key does not belong to the certificate/,
  },
  {
    name: "a certificate that is cut short",
    breakIt: ({ put }) => put("one/mx.pem", stored("mx.pem").slice(0, 300)),
    why: /mx\.pem.*the certificate cannot be read/,
  },
  { name: "an empty file", breakIt: ({ put }) => put("one/mx.pem", ""), why: /mx\.pem: it is not in PEM format/ },
  {
    name: "a key that others may read",
    breakIt: ({ put }) => put("one/mx.key", stored("mx.key"), 0o644),
    why: /mx\.key: mode 0644 is too open, use chmod 0600/,
  },
  {
    name: "a key that is gone",
    breakIt: ({ folder }) => Deno.removeSync(`${folder}/one/mx.key`),
    why: /mx\.key: No such file or directory/,
  },
];

for (const { name, breakIt, why } of broken) {
  Deno.test(`${name} is refused, logged once, and the others are renewed all the same`, () =>
    withKeeper((world) => {
      const { keeper, news, put } = world;
      breakIt(world);
      put("one/other.pem", stored("mx.pem"));
      put("one/other.key", stored("mx.key"));
      keeper.look();
      const { changes, log } = news();
      assert.equal(changes.length, 1);
      assert.equal(changes[0]!.pki.mx!.cert, stored("mx.pem"), "the old pair stays");
      assert.equal(changes[0]!.pki.mx!.key, stored("mx.key"));
      assert.equal(changes[0]!.pki.other!.cert, stored("mx.pem"));
      assert.equal(log.length, 2);
      assert.match(log[0]!, /^warn warn: pki "mx" stays as it was: /);
      assert.match(log[0]!, why);
      keeper.look();
      assert.deepEqual(news().log, [], "it is not logged again before it changes again");
      assert.match(keeper.reload()!, why, "but whoever asks gets the reason");
      news();
      put("one/mx.pem", stored("other.pem"));
      put("one/mx.key", stored("other.key"));
      keeper.look();
      assert.equal(news().changes[0]!.pki.mx!.cert, stored("other.pem"), "mended, it is used");
    }));
}

Deno.test("a CA file is renewed, and one without a certificate is refused", () =>
  withKeeper(({ keeper, news, put }) => {
    put("ca.pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
    keeper.look();
    const { changes, log } = news();
    assert.deepEqual(changes, []);
    assert.match(log[0]!, /^warn warn: ca "authority" stays as it was: .*ca\.pem: it holds no certificate$/);
    put("ca.pem", stored("mx.pem"));
    keeper.look();
    assert.equal(news().changes[0]!.ca.authority, stored("mx.pem"));
  }));

Deno.test("watch() looks once a minute until it is asked to stop", () =>
  withKeeper(({ folder, keeper, news }) => {
    let look = () => assert.fail("nothing is looked at yet"), stopped = false;
    const stop = keeper.watch((ms, run) => {
      assert.equal(ms, 60_000);
      look = run as () => never;
      return () => void (stopped = true);
    });
    look();
    assert.equal(news().changes.length, 0);
    Deno.symlinkSync("two", `${folder}/live.new`);
    Deno.renameSync(`${folder}/live.new`, `${folder}/live`);
    assert.equal(news().changes.length, 0, "between two looks nothing happens");
    look();
    assert.equal(news().changes.length, 1);
    stop();
    assert.ok(stopped);
  }));
