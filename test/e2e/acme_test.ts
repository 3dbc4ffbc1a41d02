/** Certificates that the real daemon obtains of a real authority (pebble), by each challenge, with each kind of failure, and renewed while mail flows. */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import tls from "node:tls";
import { freePort } from "../ports.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon, within } from "./harness.ts";
import { HAS_PEBBLE, Pebble } from "./pebble.ts";
import { processesOf } from "./walled_daemon.ts";

const ignore = !HAS_PEBBLE;

/** The certificate that a client which asks for `name` is shown. */
async function shownBy(port: number, name: string): Promise<X509Certificate> {
  const socket = tls.connect({ port, host: "127.0.0.1", servername: name, rejectUnauthorized: false });
  await within(once(socket, "secureConnect"), "the handshake");
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return new X509Certificate(raw);
}

type Place = Pick<Daemon, "port" | "mail" | "folder">;

const isOfPebble = ({ issuer }: X509Certificate) => /Pebble Intermediate/.test(issuer);

async function refusesConnections(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return false;
  } catch {
    return true;
  }
}

const inbox = ({ mail }: Place) =>
  `action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from any for domain "${DOMAIN}" action "inbox"
`;

/** A hook that sets records at pebble's DNS, and waits first as long as there is a file `wait`. */
function writeHook(pebble: Pebble, folder: string): string {
  const path = `${folder}/hook`;
  Deno.writeTextFileSync(
    path,
    `#!/bin/sh
: >"${folder}/called"
while [ -e "${folder}/wait" ]; do sleep 0.1; done
case $1 in
  present) curl -sf -d "{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}" http://127.0.0.1:${pebble.dnsManagementPort}/set-txt ;;
  cleanup) curl -sf -d "{\\"host\\":\\"$2.\\"}" http://127.0.0.1:${pebble.dnsManagementPort}/clear-txt ;;
esac
`,
  );
  Deno.chmodSync(folder, 0o777);
  Deno.chmodSync(path, 0o755);
  return path;
}

/** By each challenge; a kill in an order and a restart lose none and ask for none again. */
async function obtainAndKeep(pebble: Pebble): Promise<void> {
  const folder = await Deno.makeTempDir();
  const hook = writeHook(pebble, folder), smtps = freePort();
  const acme = `acme "${pebble.directory}" ca "${pebble.ca}" contact "mailto:root@example.org"`;
  const config = (daemon: Place) => `
pki "http.test" ${acme} challenge http-01 listen on 127.0.0.1 port ${pebble.httpPort} names { "http.test", "mail.http.test" }
pki "alpn.test" ${acme} challenge tls-alpn-01 listen on 127.0.0.1 port ${pebble.tlsPort} key rsa
pki "dns.test" ${acme} challenge dns-01 hook "${hook}" names { "dns.test", "*.dns.test" }
listen on 127.0.0.1 port ${daemon.port} tls
listen on 127.0.0.1 port ${smtps} smtps
${inbox(daemon)}`;
  try {
    // The hook of the last line does not end: the daemon is killed in the middle of its order.
    await Deno.writeTextFile(`${folder}/wait`, "");
    await withDaemon({ config }, async (daemon) => {
      const kept = `${daemon.folder}/state/acme/localhost~3a${pebble.port}_dir`;
      for (const name of ["http.test", "alpn.test"]) {
        await daemon.logged(new RegExp(`^info: acme: pki "${name}": the certificate for .* was obtained`));
      }
      assert.ok(isOfPebble(await shownBy(smtps, "mail.http.test")));
      const rsa = await shownBy(smtps, "alpn.test");
      assert.ok(isOfPebble(rsa));
      assert.equal(rsa.publicKey.asymmetricKeyType, "rsa");
      const temporary = await shownBy(smtps, "dns.test");
      assert.ok(!isOfPebble(temporary), `${temporary}: clients are shown one of its own until there is another`);
      for (const port of [pebble.httpPort, pebble.tlsPort]) assert.ok(await refusesConnections(port));
      while (!(await Deno.stat(`${folder}/called`).catch(() => null))) await new Promise((go) => setTimeout(go, 20));
      const { fingerprint256 } = await shownBy(smtps, "http.test"), asked = pebble.log.length;
      await daemon.kill();
      await Deno.remove(`${folder}/wait`);
      await daemon.launch();
      assert.equal((await shownBy(smtps, "http.test")).fingerprint256, fingerprint256);
      await daemon.logged(/^info: acme: pki "dns.test": the certificate for .* was obtained/);
      // For what was there the authority is asked nothing.
      const orders = pebble.log.slice(asked).filter((line) => line.includes("Added order"));
      assert.equal(orders.length, 1, orders.join("\n"));
      await replaced(daemon, pebble);
      const { stdout } = await daemon.tool("smtpctl", ["show", "certificates"]);
      const lines = stdout.trim().split("\n").map((line) => line.split("|"));
      assert.deepEqual(lines.map(([name, source]) => `${name} ${source}`), [
        "http.test acme",
        "alpn.test acme",
        "dns.test acme",
      ]);
      assert.ok(lines.every((line) => line[4]!.startsWith("Pebble Intermediate") && line[6] === "-"), stdout);
      const wildcard = await shownBy(smtps, "any.dns.test");
      assert.ok(isOfPebble(wildcard));
      assert.match(wildcard.subjectAltName!, /DNS:\*\.dns\.test/);
      for (const name of ["account.json", "http.test.pem", "alpn.test.pem", "dns.test.pem"]) {
        assert.equal((await Deno.stat(`${kept}/${name}`)).mode! & 0o777, 0o600);
      }
      assert.equal((await Deno.stat(kept)).mode! & 0o777, 0o700);
      assert.equal(pebble.log.filter((line) => /There are now \d+ accounts/.test(line)).length, 1);
      assert.doesNotMatch(daemon.log.join("\n"), /PRIVATE KEY|panic|Uncaught/);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** An isolate that takes the place of another has what that one obtained, and asks for nothing. */
async function replaced(daemon: Daemon, pebble: Pebble): Promise<void> {
  const { out } = processesOf(daemon.pid);
  // Where the daemon is several processes: as root.
  if (out === 0) return;
  assert.equal((await daemon.tool("smtpctl", ["log", "verbose"])).code, 0);
  const asked = pebble.log.length, from = daemon.log.length;
  Deno.kill(out, "SIGKILL");
  await daemon.logged(/^debug: isolate acme is ready/, from);
  assert.equal((await daemon.tool("smtpctl", ["update", "pki"])).code, 0);
  assert.deepEqual(pebble.log.slice(asked), []);
}

/** An authority that takes no more orders for two hours. */
function limitedAuthority(pebble: Pebble): Deno.HttpServer<Deno.NetAddr> {
  const answers: Readonly<Record<string, (origin: string) => Response>> = {
    "/dir": (origin) =>
      Response.json({ newNonce: `${origin}/nonce`, newAccount: `${origin}/account`, newOrder: `${origin}/order` }),
    "/nonce": () => new Response(null),
    "/account": (origin) => Response.json({}, { status: 201, headers: { location: `${origin}/account/1` } }),
    "/order": () =>
      Response.json({ type: "urn:ietf:params:acme:error:rateLimited", detail: "too many orders" }, {
        status: 429,
        headers: { "retry-after": "7200" },
      }),
  };
  const keys = {
    cert: Deno.readTextFileSync(pebble.ca),
    key: Deno.readTextFileSync(pebble.ca.replace(/pem$/, "key")),
  };
  return Deno.serve({ hostname: "127.0.0.1", port: 0, ...keys, onListen: () => {} }, (request) => {
    const { origin, pathname } = new URL(request.url);
    const answer = answers[pathname]!(origin);
    answer.headers.set("replay-nonce", crypto.randomUUID());
    return answer;
  });
}

/** Each kind of failure is logged with what to do, and the daemon serves meanwhile. */
async function fail(pebble: Pebble): Promise<void> {
  const folder = await Deno.makeTempDir(), smtps = freePort(), taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const hook = `${folder}/hook`;
  Deno.writeTextFileSync(hook, "#!/bin/sh\necho no such zone >&2\nexit 1\n");
  Deno.chmodSync(folder, 0o755);
  Deno.chmodSync(hook, 0o755);
  const acme = `acme "${pebble.directory}" ca "${pebble.ca}"`;
  const nowhere = pebble.directory.replace("/dir", "/nowhere");
  const limited = limitedAuthority(pebble);
  const rows: readonly (readonly [name: string, line: string, want: RegExp])[] = [
    [
      "limited",
      `acme "https://localhost:${limited.addr.port}/dir" ca "${pebble.ca}"`,
      /the authority says 429 rateLimited: too many orders: .* again in 2 h/,
    ],
    ["path", `acme "${nowhere}" ca "${pebble.ca}"`, /the authority says 404: .* again in 1[01] min/],
    ["authority", `acme "${pebble.directory}"`, /no TLS with localhost: .* again in 1 min/],
    ["nobody", 'acme "https://127.0.0.1:1/dir"', /no connection to 127\.0\.0\.1: .*refused.* again in 1 min/i],
    [
      "closed",
      `${acme} listen on 127.0.0.1 port ${freePort()}`,
      /http-01 for closed\.test failed: .*refused.* again in 1[01] min/,
    ],
    ["taken", `${acme} listen on 127.0.0.1 port ${taken.addr.port}`, /in use by another program .* again in 1[01] min/],
    [
      "hook",
      `${acme} challenge dns-01 hook "${hook}"`,
      /the hook .* ended with status 1: no such zone: .* again in 1[01] min/,
    ],
  ];
  const config = (daemon: Place) => `
${rows.map(([name, line]) => `pki "${name}.test" ${line}`).join("\n")}
listen on 127.0.0.1 port ${daemon.port}
listen on 127.0.0.1 port ${smtps} smtps
${inbox(daemon)}`;
  try {
    await withDaemon({ config }, async (daemon) => {
      for (const [name, , want] of rows) {
        const line = await daemon.logged(new RegExp(`^warn: acme: pki "${name}.test": no certificate: `));
        assert.match(line, want);
      }
      assert.ok(!isOfPebble(await shownBy(smtps, "path.test")));
      const { stdout } = await daemon.tool("smtpctl", ["show", "stats"]);
      assert.match(stdout, /^acme\.failure=7$/m);
      const shown = await daemon.tool("smtpctl", ["show", "certificates", "--json"]);
      const first = JSON.parse(shown.stdout.split("\n")[0]!);
      assert.deepEqual([first.name, first.source, first.failures], ["limited.test", "temporary", 1]);
      // Asked to, it tries again at once.
      const from = daemon.log.length;
      assert.equal((await daemon.tool("smtpctl", ["update", "pki"])).code, 0);
      for (const name of ["path", "hook"]) {
        await daemon.logged(new RegExp(`^warn: acme: pki "${name}.test": .* \\(failures in a row: 2\\)`), from);
      }
      const again = daemon.log.slice(from).filter((line) => line.includes("limited.test"));
      assert.deepEqual(again, [], "the authority has named a time");
    });
  } finally {
    taken.close();
    await limited.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A session with STARTTLS that verifies the certificate and sends one message; the serial number of the certificate's text. */
async function session(port: number, root: string): Promise<void> {
  const encoder = new TextEncoder(), decoder = new TextDecoder(), buffer = new Uint8Array(4096);
  let connection: Deno.Conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const say = async (line: string, code: string) => {
    if (line !== "") await connection.write(encoder.encode(`${line}\r\n`));
    for (let text = ""; !/^\d{3}( .*)?\r\n$/m.test(text);) {
      const count = await connection.read(buffer);
      if (count === null) throw new Error(`closed, wanted ${code}`);
      text += decoder.decode(buffer.subarray(0, count));
      if (/^\d{3} /m.test(text) && !text.startsWith(code)) throw new Error(`wanted ${code}, got ${text}`);
    }
  };
  try {
    await say("", "220");
    await say("EHLO client.example", "250");
    await say("STARTTLS", "220");
    connection = await Deno.startTls(connection as Deno.TcpConn, { hostname: "load.test", caCerts: [root] });
    await say("EHLO client.example", "250");
    await say("MAIL FROM:<a@example.com>", "250");
    await say(`RCPT TO:<load@${DOMAIN}>`, "250");
    await say("DATA", "354");
    await say("Subject: load\r\n\r\nx\r\n.", "250");
    await say("QUIT", "221");
  } finally {
    connection.close();
  }
}

/** While sessions come and go, the certificate is renewed: none of them fails. */
async function renewUnderLoad(pebble: Pebble): Promise<void> {
  const smtps = freePort(), root = await pebble.root();
  const config = (daemon: Place) => `
pki "load.test" acme "${pebble.directory}" ca "${pebble.ca}" listen on 127.0.0.1 port ${pebble.httpPort}
listen on 127.0.0.1 port ${daemon.port} tls
listen on 127.0.0.1 port ${smtps} smtps
smtp limit max-sessions-per-source 1000
${inbox(daemon)}`;
  await withDaemon({ config }, async (daemon) => {
    const obtained = /^info: acme: pki "load.test": the certificate for load.test was obtained/;
    await daemon.logged(obtained);
    const first = await shownBy(smtps, "load.test");
    const until = { renewed: false };
    const renewed = daemon.logged(obtained, 0, 2).then(async () => {
      // Some sessions more have the new one.
      for (let count = 0; count < 5; count++) await session(daemon.port, root);
      until.renewed = true;
    });
    let sent = 5;
    await Promise.all([
      renewed,
      ...Array.from({ length: 2 }, async () => {
        for (; !until.renewed; sent++) {
          await session(daemon.port, root);
          await new Promise((resolve) => setTimeout(resolve, 80));
        }
      }),
    ]);
    assert.notEqual((await shownBy(smtps, "load.test")).fingerprint256, first.fingerprint256);
    assert.ok(sent > 20, `${sent} sessions`);
    await daemon.mailbox("load").arrived(sent);
  });
}

/** Lines come and go by smtpctl reload: a new one is obtained at once, and what was obtained is not asked for again. */
async function reload(pebble: Pebble): Promise<void> {
  const ports = [freePort(), freePort()] as const;
  const acme = `acme "${pebble.directory}" ca "${pebble.ca}" listen on 127.0.0.1 port ${pebble.httpPort}`;
  const config = (daemon: Place, names: readonly string[]) => `
${names.map((name) => `pki "${name}.test" ${acme}\n`).join("")}
listen on 127.0.0.1 port ${daemon.port}
${names.map((name, at) => `listen on 127.0.0.1 port ${ports[at]} smtps pki "${name}.test"\n`).join("")}
${inbox(daemon)}`;
  await withDaemon({ config: (daemon) => config(daemon, []) }, async (daemon) => {
    const become = async (names: readonly string[]) => {
      await Deno.writeTextFile(daemon.configFile, config(daemon, names));
      const { code, stderr } = await daemon.tool("smtpctl", ["reload"]);
      assert.equal(code, 0, stderr);
    };
    await become(["one"]);
    await daemon.logged(/^info: acme: pki "one.test": the certificate for one.test was obtained/);
    const { fingerprint256 } = await shownBy(ports[0], "one.test");
    await become(["one", "two"]);
    await daemon.logged(/^info: acme: pki "two.test": the certificate for two.test was obtained/);
    assert.ok(isOfPebble(await shownBy(ports[1], "two.test")));
    const asked = pebble.log.length;
    await become([]);
    await become(["one", "two"]);
    assert.equal((await shownBy(ports[0], "one.test")).fingerprint256, fingerprint256);
    assert.equal((await daemon.tool("smtpctl", ["update", "pki"])).code, 0);
    assert.deepEqual(pebble.log.slice(asked), []);
    assert.deepEqual(daemon.log.filter((line) => line.includes("no certificate")), []);
  });
}

Deno.test({
  name: "acme, with pebble",
  ignore,
  fn: async (t) => {
    const authorities = await Promise.all([
      Pebble.start({ env: { PEBBLE_WFE_NONCEREJECT: "15" } }),
      Pebble.start({ seconds: 12 }),
    ]);
    const [pebble, brief] = authorities;
    try {
      await t.step(
        "certificates by http-01, tls-alpn-01 and dns-01; a kill in an order and a restart",
        () => obtainAndKeep(pebble),
      );
      await t.step("lines that come and go by a reload", () => reload(pebble));
      await t.step("failures", () => fail(pebble));
      await t.step("a renewal under load", () => renewUnderLoad(brief));
    } finally {
      for (const authority of authorities) await authority.stop();
    }
  },
});
