/** smtp(1) against a scripted server. */

import assert from "node:assert/strict";
import { uniformTimeouts } from "../../src/smtp_client/mod.ts";
import { runSmtp } from "../../src/cli/smtp/smtp.ts";
import { parseServerUrl } from "../../src/cli/smtp/options.ts";
import { type FakeServer, fakeServer, type Script } from "./fake_server.ts";

const folder = new URL("fixtures/", import.meta.url);
const tlsFiles = {
  key: Deno.readTextFileSync(new URL("key.pem", folder)),
  cert: Deno.readTextFileSync(new URL("cert.pem", folder)),
};

const urls = [
  ["localhost", "smtp opportunistic localhost 25"],
  ["smtp://mx.example.net:2525", "smtp opportunistic mx.example.net 2525"],
  ["smtp+tls://mx", "smtp mandatory mx 25"],
  ["smtp+notls://mx", "smtp never mx 25"],
  ["lmtp://mx:24", "lmtp opportunistic mx 24"],
  ["lmtp+tls://mx", "lmtp mandatory mx 25"],
  ["lmtp+notls://mx", "lmtp never mx 25"],
  ["smtps://mx", "smtp implicit mx 465"],
  ["smtps://user:p@ss:word@[::1]:4650", "smtp implicit ::1 4650 user p@ss:word"],
  ["http://mx", "invalid url scheme http"],
  ["smtp+notls://user:pass@mx", "authentication requires TLS"],
  ["smtps://user@mx", "invalid credentials: user:password is wanted"],
  ["smtp://mx:99999", "invalid port 99999"],
  ["smtp://mx:port", 'invalid server "mx:port"'],
  ["smtp://", 'invalid server ""'],
] as const;
for (const [url, want] of urls) {
  Deno.test(`smtp -s ${url}: ${want}`, () => {
    const found = parseServerUrl(url);
    const shown = typeof found === "string"
      ? found
      : `${found.lmtp ? "lmtp" : "smtp"} ${found.tls} ${found.host} ${found.port}${
        found.user === null ? "" : ` ${found.user} ${found.password}`
      }`;
    assert.equal(shown, want);
  });
}

interface Ran {
  readonly status: number;
  readonly err: string;
  readonly server: FakeServer;
}

async function run(
  script: Script,
  args: readonly string[],
  options: { scheme?: string; addresses?: string[]; input?: string; close?: boolean; files?: Record<string, string> } =
    {},
): Promise<Ran> {
  const server = await fakeServer(script);
  if (options.close) await server.close();
  let err = "";
  const status = await runSmtp(["-s", `${options.scheme ?? "smtp"}://mx.example.net:${server.port}`, ...args], {
    terminal: {
      out: () => {},
      outBytes: () => {},
      err: (text) => err += text,
      input: () => Promise.resolve(new TextEncoder().encode(options.input ?? "Subject: x\r\n\r\n.dot\nbody\n")),
    },
    loginName: () => "joe",
    hostName: () => "client.example.org",
    addresses: (host) =>
      host === "mx.example.net"
        ? Promise.resolve(options.addresses ?? ["127.0.0.1"])
        : Promise.reject(new Error("no such host")),
    readText: (path) => {
      if (options.files?.[path] === undefined) throw new Error("No such file");
      return options.files[path];
    },
    timeouts: uniformTimeouts(2_000),
  });
  if (!options.close) await server.close();
  return { status, err, server };
}

Deno.test("smtp sends standard input and prints the reply for each recipient", async () => {
  const { status, err, server } = await run({}, ["a@x.net", "b@x.net"]);
  assert.equal(status, 0);
  assert.equal(err, "a@x.net: EOM: 250 2.0.0 queued\nb@x.net: EOM: 250 2.0.0 queued\n");
  assert.deepEqual(server.lines().slice(0, 2), ["EHLO client.example.org", "MAIL FROM:<joe>"]);
  assert.deepEqual(server.messages(), ["Subject: x\r\n\r\n..dot\r\nbody\r\n"]);
});

Deno.test("smtp -F and -H name the sender and this host", async () => {
  const { server } = await run({}, ["-F", "me@example.org", "-H", "here.example.org", "a@x.net"]);
  assert.deepEqual(server.lines().slice(0, 2), ["EHLO here.example.org", "MAIL FROM:<me@example.org>"]);
});

const stages = [
  { verb: "MAIL", want: "a@x.net: MAIL: 550 5.0.0 no\nb@x.net: MAIL: 550 5.0.0 no\n" },
  { verb: "RCPT TO:<a", want: "a@x.net: RCPT: 550 5.0.0 no\nb@x.net: EOM: 250 2.0.0 queued\n" },
  { verb: "DATA", want: "a@x.net: DATA: 550 5.0.0 no\nb@x.net: DATA: 550 5.0.0 no\n" },
];
for (const { verb, want } of stages) {
  Deno.test(`smtp exits with 0 when ${verb} is refused, and goes on with the next recipient`, async () => {
    const { status, err } = await run({ reply: (line) => line.startsWith(verb) ? "550 5.0.0 no" : undefined }, [
      "a@x.net",
      "b@x.net",
    ]);
    assert.equal(status, 0);
    assert.equal(err, want);
  });
}

Deno.test("smtp over lmtp prints one reply for each recipient", async () => {
  const { err } = await run({ lmtp: true, dataReply: () => "250 one\r\n452 two" }, ["a@x.net", "b@x.net"], {
    scheme: "lmtp",
  });
  assert.equal(err, "a@x.net: EOM: 250 one\nb@x.net: EOM: 452 two\n");
});

Deno.test("smtp sends to those who are too many for one transaction in further ones", async () => {
  const { err, server } = await run({
    reply: (line, session) => line.startsWith("RCPT") && session.accepted >= 2 ? "552 5.5.3 too many" : undefined,
  }, ["a@x.net", "b@x.net", "c@x.net", "d@x.net", "e@x.net"]);
  assert.deepEqual(
    err.split("\n").slice(0, 5),
    ["a", "b", "c", "d", "e"].map((who) => `${who}@x.net: EOM: 250 2.0.0 queued`),
  );
  assert.equal(server.messages().length, 3);
});

Deno.test("smtp -n connects to every address and quits; no message is read", async () => {
  const { status, err, server } = await run({ host: "0.0.0.0" }, ["-nv"], { addresses: ["127.0.0.1", "127.0.0.2"] });
  assert.equal(status, 0);
  assert.equal(server.sessions.length, 2);
  assert.deepEqual(server.lines(), ["EHLO client.example.org", "QUIT", "EHLO client.example.org", "QUIT"]);
  assert.match(
    err,
    /trying host 127\.0\.0\.1 port \d+\.\.\.\nconnection ready\.\.\.\nconnection closed\.\.\.\ntrying host 127\.0\.0\.2/,
  );
});

Deno.test("smtp tries the next address when one does not answer, and exits with 1 after the last", async () => {
  const { status, server } = await run({}, ["a@x.net"], { addresses: ["127.0.0.2", "127.0.0.1"] });
  assert.equal(status, 0);
  assert.equal(server.messages().length, 1);
  const failed = await run({}, ["a@x.net"], { close: true });
  assert.equal(failed.status, 1);
  assert.equal(failed.err, "connection error: Connection refused\nsmtp: no more host\n");
});

const starttls: Script = { keywords: ["STARTTLS"], tls: tlsFiles };
const files = { "/ca.pem": tlsFiles.cert };
const tlsRows = [
  { name: "verifies by default", script: starttls, args: [], status: 1 },
  { name: "-C does not verify", script: starttls, args: ["-C"], status: 0 },
  { name: "-T noverify does not verify", script: starttls, args: ["-T", "noverify"], status: 0 },
  { name: "-T cafile names the roots", script: starttls, args: ["-T", "cafile=/ca.pem"], status: 0 },
  {
    name: "-T servername is the name that is verified",
    script: starttls,
    args: ["-T", "cafile=/ca.pem,servername=other.example.net"],
    status: 1,
  },
  {
    name: "-S is the name that is verified",
    script: starttls,
    args: ["-T", "cafile=/ca.pem", "-S", "other.example.net"],
    status: 1,
  },
  { name: "-T nosni still verifies", script: starttls, args: ["-T", "cafile=/ca.pem,nosni"], status: 0 },
  { name: "-T with something unknown", script: starttls, args: ["-T", "foo"], status: 1 },
  { name: "-T ciphers that hold", script: starttls, args: ["-C", "-T", "ciphers=HIGH:!aNULL"], status: 0 },
  {
    name: "-T ciphers that leave out what is offered",
    script: starttls,
    args: ["-C", "-T", "ciphers=AES256"],
    status: 1,
  },
  { name: "-T protocols that are offered", script: starttls, args: ["-C", "-T", "protocols=tlsv1.2"], status: 0 },
  { name: "-T protocols that are not", script: starttls, args: ["-C", "-T", "protocols=sslv3"], status: 1 },
  { name: "-T with a file that is not there", script: starttls, args: ["-T", "cafile=/gone"], status: 1 },
  { name: "smtp+tls without STARTTLS", script: {}, args: [], scheme: "smtp+tls", status: 1 },
  { name: "smtp without STARTTLS", script: {}, args: [], status: 0 },
  { name: "smtp+notls does not start TLS", script: starttls, args: [], scheme: "smtp+notls", status: 0 },
  { name: "smtps", script: { smtps: true, tls: tlsFiles }, args: ["-C"], scheme: "smtps", status: 0 },
];
for (const { name, script, args, scheme, status } of tlsRows) {
  Deno.test(`smtp: ${name}: exit status ${status}`, async () => {
    const ran = await run(script, [...args, "a@x.net"], { scheme: scheme ?? "smtp", files });
    assert.equal(ran.status, status, ran.err);
    assert.equal(ran.server.messages().length, status === 0 ? 1 : 0);
  });
}

Deno.test("smtp -a authenticates with user:password of a file, and -vv hides the secret", async () => {
  const script: Script = {
    keywords: ["STARTTLS", "AUTH PLAIN"],
    tls: tlsFiles,
    reply: (line) => line.startsWith("AUTH PLAIN") ? "235 2.7.0 ok" : undefined,
  };
  const { status, err, server } = await run(script, ["-C", "-vv", "-a", "/auth", "a@x.net"], {
    files: { "/auth": "user:secret\n" },
  });
  assert.equal(status, 0);
  assert.ok(server.lines().includes("AUTH PLAIN AHVzZXIAc2VjcmV0"));
  assert.match(err, />>> AUTH PLAIN \*{8}\n<<< 235 2\.7\.0 ok\n/);
  assert.doesNotMatch(err, /AHVz/);
});

Deno.test("smtp does not send a secret to a server without TLS", async () => {
  const { status, server } = await run({ keywords: ["AUTH PLAIN"] }, ["-a", "/auth", "a@x.net"], {
    files: { "/auth": "user:secret\n" },
  });
  assert.equal(status, 1);
  assert.deepEqual(server.lines(), ["EHLO client.example.org"]);
});

Deno.test("smtp -h, a bad option, a host that is not known", async () => {
  const help = await run({}, ["-h"]);
  assert.equal(help.status, 0);
  assert.match(help.err, /^Vaultpost .*\nusage: smtp /);
  const bad = await run({}, ["-z"]);
  assert.equal(bad.status, 1);
  assert.match(bad.err, /^smtp: unknown option -- z\nusage: /);
  const unknown = await run({}, ["-s", "nowhere.example", "a@x.net"]);
  assert.deepEqual([unknown.status, unknown.err], [1, "smtp: nowhere.example: no such host\n"]);
});
