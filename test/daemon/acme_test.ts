/** What main makes sure of before it stores what the acme isolate brings, how it stores it, and whom it connects to and runs for it. */

import assert from "node:assert/strict";
import net from "node:net";
import { once } from "node:events";
import { AcmeRequests } from "../../src/daemon/acme/acme_requests.ts";
import { HOOK_MS, Hooks } from "../../src/daemon/acme/hook.ts";
import { FakeClock } from "../fake_clock.ts";
import { checkObtained } from "../../src/daemon/acme/obtained.ts";
import { acmeCertificates } from "../../src/daemon/acme/acme_files.ts";
import type { AcmeOrder, Pki } from "../../src/config/mod.ts";
import type { AcmeCertificate, AcmeToMain, MainToAcme } from "../../src/protocol/mod.ts";
import { selfSignedCertificate } from "../../src/tls/mod.ts";
import { systemClock } from "../../src/clock.ts";
import { listenWarnings } from "../../src/daemon/checks/advise.ts";
import { freePort } from "../ports.ts";

const NOW = Date.now(), DAY = 86_400_000;
const pair = (name = "mx.example.org", now = NOW, days = 90) => selfSignedCertificate({ name, now, days });
const good = pair();

/** What the isolate brings, and why it is not used. */
const OBTAINED:
  readonly (readonly [name: string, cert: string, key: string, names: readonly string[], fault: RegExp | null])[] = [
    ["a certificate that fits", good.cert, good.key, ["mx.example.org"], null],
    ["another key", good.cert, pair().key, ["mx.example.org"], /the key does not belong to the certificate/],
    [
      "a name that is missing",
      good.cert,
      good.key,
      ["mx.example.org", "b.example.org"],
      /it is not for b\.example\.org/,
    ],
    ["one that has ended", ...Object.values(pair("mx.example.org", NOW - 100 * DAY)) as [string, string], [
      "mx.example.org",
    ], /it has ended/],
    [
      "one of tomorrow",
      ...Object.values(pair("mx.example.org", NOW + DAY)) as [string, string],
      ["mx.example.org"],
      /is the clock right/,
    ],
    [
      "a chain that is none",
      good.cert + pair("ca.example").cert,
      good.key,
      ["mx.example.org"],
      /is not signed by the next/,
    ],
    ["a chain without end", good.cert.repeat(11), good.key, ["mx.example.org"], /its chain has more than 10/],
    ["something else", "x", "y", ["mx.example.org"], /there is no certificate/],
  ];

for (const [name, cert, key, names, fault] of OBTAINED) {
  Deno.test(`checkObtained(): ${name}`, () => {
    const result = checkObtained({ cert, key }, names, NOW);
    if (fault === null) assert.ok(result.ok);
    else assert.match(result.ok ? "" : result.fault, fault);
  });
}

const ORDER: AcmeOrder = {
  directory: "https://127.0.0.1:1/dir",
  contact: [],
  challenge: "http-01",
  hook: null,
  names: ["mx.example.org"],
  keyType: "ecdsa",
  ca: null,
  listen: { address: "127.0.0.1", port: 1 },
};

/** Main's side with one line; `ask` answers one question. */
function setUp(folder: string, order: Partial<AcmeOrder> = {}) {
  const file = `${folder}/acme/ca_dir/mx.example.org.pem`;
  const pki: Pki = { name: "mx.example.org", certFile: file, keyFile: file, acme: { ...ORDER, ...order } };
  const config = { pki: { "mx.example.org": pki }, declared: {} };
  const posted: MainToAcme[] = [];
  let stored = 0, changes = 0, changed: readonly AcmeCertificate[] = [];
  const requests = new AcmeRequests(config, {
    clock: systemClock,
    hooks: () => ({ identity: null, path: "/usr/bin:/bin" }),
    onstored: () => stored++,
    onchange: (certificates) => {
      changes++;
      changed = certificates;
    },
    post: (message) => posted.push(message) > 0,
    closeDescriptor: () => {},
    log: () => {},
  });
  let answered: (message: MainToAcme) => void = () => {};
  const channel = {
    send: (message: MainToAcme) => answered(message),
    onmessage: (_: AcmeToMain) => {},
    onreset: () => {},
  };
  requests.serve(channel as never);
  const ask = (question: AcmeToMain) =>
    new Promise<MainToAcme>((resolve) => {
      answered = resolve;
      channel.onmessage(question);
    });
  return {
    ...{ requests, config, file, ask, posted, channel },
    stored: () => stored,
    changed: () => changed,
    changes: () => changes,
  };
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const PKI = { call: 1, pki: "mx.example.org" } as const;

Deno.test("a certificate and an account are stored for root alone, and are there after a restart", () =>
  withFolder(async (folder) => {
    const { ask, file, config, stored, channel, changed, changes } = setUp(folder);
    assert.deepEqual(await ask({ type: "account", ...PKI, key: "k", url: "u", contact: "c" }), {
      type: "done",
      call: 1,
      error: null,
    });
    // What an interrupted start has left.
    Deno.writeTextFileSync(`${file}.new`, "half");
    assert.deepEqual(await ask({ type: "certificate", ...PKI, ...good }), { type: "done", call: 1, error: null });
    channel.onmessage({ type: "put-off", pki: PKI.pki, until: 5, failures: 2 });
    assert.equal(stored(), 1);
    assert.deepEqual(changed(), acmeCertificates(config, { files: true }), "what its successor starts with");
    for (const { name } of Deno.readDirSync(`${folder}/acme/ca_dir`)) {
      assert.equal(Deno.statSync(`${folder}/acme/ca_dir/${name}`).mode! & 0o777, 0o600, name);
    }
    const [kept] = acmeCertificates(config, { files: true });
    assert.deepEqual([kept!.account, kept!.chain, kept!.putOff], [
      { key: "k", url: "u", contact: "c" },
      good.cert,
      { until: 5, failures: 2 },
    ]);
    const before = changes();
    // Each would have main read the files again.
    for (let count = 0; count < 1000; count++) {
      channel.onmessage({ type: "put-off", pki: "other.example.org", until: 5, failures: 2 });
    }
    assert.equal(changes(), before, "nothing of a line that there is not");
    const refused = await ask({ type: "certificate", ...PKI, cert: good.cert, key: pair().key });
    assert.match((refused as { error: string }).error, /the key does not belong/);
    assert.equal(acmeCertificates(config, { files: true })[0]!.chain, good.cert);
  }));

Deno.test("what is not of the line is refused: other names, no hook, other lines", () =>
  withFolder(async (folder) => {
    const { ask } = setUp(folder);
    const hook = { type: "hook", ...PKI, action: "present", value: "0".repeat(43) } as const;
    const rows: readonly (readonly [AcmeToMain, RegExp])[] = [
      [{ ...hook, name: "mx.example.org" }, /has no hook/],
      [{ type: "certificate", call: 1, pki: "../../etc", ...good }, /there is no line/],
      [{ type: "connect", call: 1, pki: "other" }, /there is no such line/],
    ];
    for (const [question, want] of rows) {
      const { error, reason } = await ask(question) as { error?: string; reason?: string };
      assert.match(error ?? reason ?? "", want);
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("a hook gets its words, its end is looked at, and one that talks is heard", () =>
  withFolder(async (folder) => {
    const hook = `${folder}/hook`;
    Deno.writeTextFileSync(
      hook,
      `#!/bin/sh\necho "$@" >>${folder}/words\n[ "$1" = present ] || { echo first >&2; echo no zone >&2; exit 3; }\n`,
    );
    Deno.chmodSync(hook, 0o755);
    const { ask } = setUp(folder, { challenge: "dns-01", hook, names: ["*.example.org"] });
    const question = { type: "hook", ...PKI, value: "0".repeat(43) } as const;
    assert.deepEqual(await ask({ ...question, action: "present", name: "example.org" }), {
      type: "done",
      call: 1,
      error: null,
    });
    const failed = await ask({ ...question, action: "cleanup", name: "example.org" });
    assert.deepEqual(failed, { type: "done", call: 1, error: `the hook ${hook} cleanup ended with status 3: no zone` });
    assert.match(
      (await ask({ ...question, action: "present", name: "a.example.org" }) as { error: string }).error,
      /not of the line/,
    );
    assert.equal(
      Deno.readTextFileSync(`${folder}/words`).split("\n")[0],
      `present _acme-challenge.example.org ${"0".repeat(43)}`,
    );
  }));

Deno.test("a hook may say much, and what it leaves running is not waited for", () =>
  withFolder(async (folder) => {
    const clock = new FakeClock(), hooks = new Hooks(clock);
    const run = (script: string) => {
      Deno.writeTextFileSync(`${folder}/hook`, `#!/bin/sh\n${script}\n`);
      Deno.chmodSync(`${folder}/hook`, 0o755);
      return hooks.run({ program: `${folder}/hook`, args: ["present"], identity: null, path: "/usr/bin:/bin" });
    };
    assert.equal(await run("head -c 300000 /dev/zero >&2 || exit 1"), null);
    let reason: string | null = null;
    const failed = run(`echo why >&2; sleep 600 & echo $! >${folder}/pid; exit 3`).then((text) => reason = text);
    while (reason === null) {
      await new Promise((go) => setTimeout(go, 5));
      clock.advance(100);
    }
    Deno.kill(Number(Deno.readTextFileSync(`${folder}/pid`)));
    assert.match(await failed ?? "", /hook present ended with status 3: why$/);
  }));

Deno.test("a hook that does not end is ended after its time, with what it has started", () =>
  withFolder(async (folder) => {
    const clock = new FakeClock(), hooks = new Hooks(clock);
    Deno.writeTextFileSync(
      `${folder}/hook`,
      `#!/bin/sh\nsleep 600 &\necho $! >${folder}/pid.new\nmv ${folder}/pid.new ${folder}/pid\nwait\n`,
    );
    Deno.chmodSync(`${folder}/hook`, 0o755);
    const result = hooks.run({
      program: `${folder}/hook`,
      args: ["present", "n", "v"],
      identity: null,
      path: "/usr/bin:/bin",
    });
    while (!(await Deno.stat(`${folder}/pid`).catch(() => null))) await new Promise((go) => setTimeout(go, 5));
    const pid = Number(Deno.readTextFileSync(`${folder}/pid`));
    clock.advance(HOOK_MS);
    assert.match(await result ?? "", /hook present took longer than 300 s$/);
    // A child that nobody waits for stays as a zombie, perhaps.
    const state = () => Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]?.[0];
    const isGone = () => {
      try {
        return state() === "Z";
      } catch {
        return true;
      }
    };
    while (!isGone()) await new Promise((go) => setTimeout(go, 5));
  }));

Deno.test("the port is open from listen to unlisten, and one that is taken is explained", () =>
  withFolder(async (folder) => {
    const port = freePort();
    const { ask, posted, channel, requests } = setUp(folder, { listen: { address: "127.0.0.1", port } });
    assert.deepEqual(await ask({ type: "listen", ...PKI }), { type: "done", call: 1, error: null });
    const client = net.connect(port, "127.0.0.1");
    await once(client, "connect");
    while (posted.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(posted[0]!.type, "session");
    client.destroy();
    const other = setUp(folder, { listen: { address: "127.0.0.1", port } });
    const env = { get: (name: string) => name === "SMTPD_SOCKET" ? `${folder}/none.sock` : undefined };
    const { pki } = other.config, at = { "pki mx.example.org": { file: "c", line: 7 } };
    assert.match(
      (await listenWarnings({ pki, declared: at, admin: [] } as never, env, [])).join("\n"),
      /^c:7: warning: cannot listen on 127\.0\.0\.1:\d+: the address is in use .* let it pass \/\.well-known/,
    );
    const taken = await other.ask({ type: "listen", ...PKI }) as { error: string };
    assert.match(
      taken.error,
      /the address is in use by another program .* let it pass \/\.well-known\/acme-challenge\/ on/,
    );
    channel.onmessage({ type: "unlisten", pki: PKI.pki });
    assert.deepEqual(await other.ask({ type: "listen", ...PKI }), { type: "done", call: 1, error: null });
    other.requests.close();
    requests.close();
  }));

Deno.test("an isolate that asks without end is answered no more", () =>
  withFolder(async (folder) => {
    const { ask } = setUp(folder);
    let error: string | null = null;
    for (let at = 0; at < 100 && error === null; at++) {
      error =
        (await ask({ type: "account", ...PKI, key: "k", url: "u", contact: "c" }) as { error: string | null }).error;
    }
    assert.equal(error, "the isolate asks too much");
  }));
