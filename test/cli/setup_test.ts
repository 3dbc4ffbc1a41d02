/** `smtpctl setup`: what it takes for a name, what it writes and prints, and that it overwrites nothing and leaves nothing half. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import {
  accountOf,
  addressesOf,
  greetingAt,
  installedServers,
  type MachineFacts,
  outgoingFault,
} from "../../src/cli/smtpctl/setup/machine.ts";
import {
  checkAddress,
  checkCertificate,
  checkDomain,
  checkHostname,
  checkMailbox,
  checkReader,
  LETS_ENCRYPT,
  orderOf,
} from "../../src/cli/smtpctl/setup/answers.ts";
import { setupMain } from "../../src/cli/smtpctl/setup/setup.ts";
import type { Surroundings } from "../../src/cli/smtpctl/setup/surroundings.ts";
import { recordsFor, zoneText } from "../../src/cli/smtpctl/setup/records.ts";
import { writeFiles } from "../../src/cli/smtpctl/setup/write.ts";
import { ask, InputEnded, lineReader } from "../../src/cli/smtpctl/setup/questions.ts";
import { makeKeyPair } from "../../src/cli/smtpctl/dkim.ts";
import { readOptions } from "../../src/cli/smtpctl/command_options.ts";
import { SETUP_OPTIONS } from "../../src/cli/smtpctl/setup/answers.ts";
import { smtpctlMain } from "../../src/cli/smtpctl/smtpctl.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { isPublicAddress } from "../../src/net/mod.ts";
import { systemClock } from "../../src/clock.ts";
import { environment, FakeTerminal, withFolder, withServer } from "./fakes.ts";

const names: [check: typeof checkDomain, text: string, want: string | RegExp][] = [
  [checkDomain, "example.org", "example.org"],
  [checkDomain, " Example.ORG. ", "example.org"],
  [checkDomain, "bücher.example", "xn--bcher-kva.example"],
  [checkHostname, "mail.bücher.example", "mail.xn--bcher-kva.example"],
  [checkDomain, "", /^an empty text is not a domain: write a name, as in example\.org$/],
  [checkDomain, "alice@example.org", /write only what stands behind the @/],
  [checkDomain, "https://example.org/", /without https:\/\/ and slashes/],
  [checkDomain, "exa mple.org", /letters, digits and dashes/],
  [checkDomain, "-example.org", /letters, digits and dashes/],
  [checkDomain, `${"a".repeat(64)}.org`, /letters, digits and dashes/],
  [checkDomain, "_dmarc.example.org", /has no "_"/],
  [checkDomain, "localhost", /it has no dot/],
  [checkDomain, "example.123", /its last label is a number/],
  [checkDomain, 'example.org" reject', /letters, digits and dashes/],
  [checkHostname, "192.0.2.25", /"192\.0\.2\.25" is not the name of a host: it is an address/],
  [checkHostname, "[2001:db8::25]", /it is an address, and others look for a name/],
];
for (const [check, text, want] of names) {
  Deno.test(`smtpctl setup: "${text.slice(0, 30)}" is ${typeof want === "string" ? want : "refused"} (${check.name})`, () => {
    const checked = check(text);
    if (typeof want === "string") deepEqual(checked, { value: want });
    else match("fault" in checked ? checked.fault : "", want);
  });
}

Deno.test("smtpctl setup takes readers, addresses, certificates and mailboxes that can be, and says why others cannot", () => {
  const fault = (checked: object) => "fault" in checked ? String(checked.fault) : "";
  const alice = { name: "alice", uid: 1000, home: "/home/alice" };
  deepEqual(checkReader("alice", alice), { value: "alice" });
  match(fault(checkReader("alice", null)), /no account "alice": make it with "useradd --create-home alice"/);
  match(fault(checkReader("root", { ...alice, name: "root", uid: 0 })), /"root" is root/);
  match(fault(checkReader("alice@example.org", null)), /is an address: name an account/);
  match(fault(checkReader("al ice", null)), /is no name of an account/);
  deepEqual(checkAddress("2001:DB8::0:25"), { value: "2001:db8::25" });
  match(fault(checkAddress("mail.example.org")), /is no address/);
  for (const nowhere of ["0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "::", "::1", "fe80::1", "ff02::1"]) {
    match(fault(checkAddress(nowhere)), /others cannot reach this host by/, nowhere);
  }
  deepEqual(checkAddress("10.0.0.25"), { value: "10.0.0.25" });
  deepEqual(checkCertificate("acme", null), { value: { kind: "acme", directory: LETS_ENCRYPT } });
  deepEqual(checkCertificate("https://ca.example/dir", null), {
    value: { kind: "acme", directory: "https://ca.example/dir" },
  });
  deepEqual(checkCertificate("/a.pem", "/a.key"), { value: { kind: "files", cert: "/a.pem", key: "/a.key" } });
  match(fault(checkCertificate("/a.pem", null)), /add --key FILE/);
  match(fault(checkCertificate("self-signed", "/a.key")), /--key goes with a certificate that is a file/);
  match(fault(checkCertificate("http://ca.example/dir", null)), /begins with https:/);
  match(fault(checkCertificate("selfsigned", null)), /is no certificate/);
  match(fault(checkMailbox("imap")), /write maildir or mbox/);
});

Deno.test("options of a command: arguments, what is unknown, missing, twice or too much", () => {
  const read = (...args: string[]) => readOptions(SETUP_OPTIONS, args);
  const given = read("--domain", "a.example", "--address=192.0.2.1", "--address", "192.0.2.2", "--dry-run");
  ok("given" in given);
  const order = orderOf(given.given);
  deepEqual([order.domain, order.addresses, order.dryRun, order.start], [
    "a.example",
    ["192.0.2.1", "192.0.2.2"],
    true,
    true,
  ]);
  deepEqual(read("--no-start", "--help"), { info: "help" });
  const wrong: [string[], RegExp][] = [
    [["--domian", "x"], /^unknown option --domian, did you mean "--domain"\?$/],
    [["--domain"], /^--domain needs an argument/],
    [["--domain="], /^--domain needs an argument/],
    [["--domain", "a.b", "--domain", "c.d"], /^--domain is given twice$/],
    [["--dry-run=yes"], /^--dry-run takes no argument$/],
    [["example.org"], /^"example\.org" is a word too many/],
  ];
  for (const [args, want] of wrong) {
    const result = read(...args);
    match("wrong" in result ? result.wrong : "", want);
  }
});

Deno.test("smtpctl set --help lists the options, and a wrong one exits with 255", async () => {
  const help = new FakeTerminal();
  equal(await smtpctlMain(["set", "--help"], environment({}), help), 0);
  for (const { name } of SETUP_OPTIONS) ok(help.stdout.includes(name), name);
  const wrong = new FakeTerminal();
  equal(await smtpctlMain(["setup", "--domian", "x"], environment({}), wrong), 255);
  match(
    wrong.stderr,
    /^smtpctl setup: unknown option --domian, did you mean "--domain"\?; --help lists the options\n$/,
  );
});

const FREE: MachineFacts = {
  publicAddresses: ["192.0.2.25", "2001:db8::25"],
  privateAddresses: [],
  ipv6: true,
  port25: { taken: false },
  servers: [],
};

/** An RSA key takes its time: the tests share one. */
const KEYS = makeKeyPair("s2026");

function fakeSurroundings(more: Partial<Surroundings> = {}): Surroundings {
  return {
    uid: 1000,
    findAccount: (name) => Promise.resolve(name === "alice" ? { name, uid: 1000, home: "/home/alice" } : null),
    lookAtMachine: () => Promise.resolve(FREE),
    askNames: ({ addresses }) =>
      Promise.resolve({
        ofHost: { kind: "none", exists: false },
        mx: { kind: "temporary" },
        ptr: addresses.map((address) => ({ address, names: { kind: "records", records: ["host.provider.example"] } })),
      }),
    probe: (domain) => Promise.resolve(`Tried ${domain}.`),
    ownDomain: () => "example.org",
    callingUser: () => "alice",
    isFolder: () => true,
    makeKeys: () => KEYS,
    isExample: () => false,
    missingUsers: () => [],
    run: () => Promise.resolve({ code: 0, text: "configuration OK" }),
    smtpd: ["smtpd"],
    hasUnit: () => false,
    ...more,
  };
}

const clock = { ...systemClock, now: () => Date.UTC(2026, 10, 30) };
const noInput = () => Promise.resolve(null);

async function setup(
  args: readonly string[],
  { around = {}, lines = null, env = {} }: {
    readonly around?: Partial<Surroundings>;
    readonly lines?: string[] | null;
    readonly env?: Record<string, string>;
  } = {},
) {
  const read = readOptions(SETUP_OPTIONS, args);
  ok("given" in read, JSON.stringify(read));
  const terminal = new FakeTerminal();
  const readLine = lines === null ? noInput : () => Promise.resolve(lines.shift() ?? null);
  const code = await setupMain(
    orderOf(read.given),
    environment(env),
    terminal,
    fakeSurroundings(around),
    readLine,
    clock,
  );
  return { code, ...terminal, stdout: terminal.stdout, stderr: terminal.stderr };
}

const ALL = ["--domain", "example.org", "--hostname", "mail.example.org", "--reader", "alice"];

function filesIn(folder: string): string[] {
  const found: string[] = [];
  const walk = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) walk(`${path}/${name}`);
      else found.push(`${path}/${name}`.slice(folder.length));
    }
  };
  walk(folder);
  return found.sort();
}

const WRITTEN = [
  "/etc/mailname",
  "/etc/vaultpost/aliases",
  "/etc/vaultpost/dkim/example.org.s2026-ed25519.pem",
  "/etc/vaultpost/dkim/example.org.s2026.pem",
  "/etc/vaultpost/example.org.zone",
  "/etc/vaultpost/smtpd.conf",
  "/etc/vaultpost/tls/mail.example.org.crt",
  "/etc/vaultpost/tls/mail.example.org.key",
];

Deno.test("smtpctl setup writes its files, and overwrites none of them: each that is there is named", async () => {
  await withFolder(async (folder) => {
    const first = await setup([...ALL, "--root", folder]);
    deepEqual([first.code, first.stderr], [0, ""]);
    deepEqual(filesIn(folder), WRITTEN);
    for (const [place, mode] of [["dkim/example.org.s2026.pem", 0o600], ["tls/mail.example.org.key", 0o600]] as const) {
      equal(Deno.statSync(`${folder}/etc/vaultpost/${place}`).mode! & 0o777, mode);
    }
    equal(Deno.statSync(`${folder}/etc/vaultpost/dkim`).mode! & 0o777, 0o700);
    equal(Deno.readTextFileSync(`${folder}/etc/mailname`), "example.org\n");
    match(
      Deno.readTextFileSync(`${folder}/etc/vaultpost/aliases`),
      /^postmaster: alice\nabuse: alice\n[^]*^root: alice\n/m,
    );
    // The zone on the screen is that in the file, with the records of the keys that were made.
    const zone = Deno.readTextFileSync(`${folder}/etc/vaultpost/example.org.zone`);
    ok(first.stdout.includes(zone));
    match(zone, /^s2026\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; k=rsa; p=[^"]+" "[^"]+" \)$/m);
    const before = WRITTEN.map((path) => Deno.readTextFileSync(folder + path));
    const second = await setup([...ALL, "--root", folder]);
    equal(second.code, 1);
    // The mail name of a machine is kept, and hinders nobody.
    for (const path of WRITTEN.filter((one) => one !== "/etc/mailname")) {
      ok(second.stderr.includes(`  ${folder}${path}\n`));
    }
    deepEqual(WRITTEN.map((path) => Deno.readTextFileSync(folder + path)), before);
  });
});

Deno.test("what smtpctl setup writes is a configuration without a warning, for each choice", async () => {
  const choices = [[], ["--mailbox", "mbox"], ["--certificate", "acme"], ["--certificate", "https://ca.example/dir"]];
  for (const more of choices) {
    await withFolder(async (folder) => {
      const root = `${folder}/with a blank`;
      equal((await setup([...ALL, ...more, "--root", root])).code, 0);
      const path = `${root}/etc/vaultpost/smtpd.conf`;
      const parsed = parseConfig(path, {
        defines: [],
        files: { readText: (file) => Deno.readTextFileSync(file), readBytes: (file) => Deno.readFileSync(file) },
      });
      ok(parsed.ok, JSON.stringify(parsed));
      deepEqual([...parsed.warnings, ...parsed.notes], [], more.join(" "));
    });
  }
});

Deno.test("smtpctl setup --dry-run shows files and records, writes nothing, and names what would be in the way", async () => {
  await withFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/etc/vaultpost`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/etc/vaultpost/aliases`, "mine");
    const shown = await setup([...ALL, "--root", folder, "--dry-run", "--probe", "example.com"]);
    deepEqual([shown.code, shown.stderr], [0, ""]);
    for (const path of WRITTEN) ok(shown.stdout.includes(`==> ${folder}${path}: `), path);
    match(shown.stdout, /aliases: [^\n]*IT IS THERE ALREADY: setup refuses to overwrite it\./);
    match(shown.stdout, /^example\.org\. +IN MX +10 mail\.example\.org\.$/m);
    match(shown.stdout, /^Tried example\.com\.$/m);
    ok(!shown.stdout.includes("PRIVATE KEY"));
    deepEqual(filesIn(folder), ["/etc/vaultpost/aliases"]);
  });
});

Deno.test("smtpctl setup wants root, but for a look and for a trial", async () => {
  const refused = await setup(ALL);
  equal(refused.code, 1);
  match(
    refused.stderr,
    /^smtpctl: setup writes into \/etc: run it as root, look [^\n]*--dry-run, or try it [^\n]*--root FOLDER\n$/,
  );
  equal((await setup([...ALL, "--dry-run"])).code, 0);
});

Deno.test("smtpctl setup asks for what it was not told, again after a wrong answer, and the input may end", async () => {
  await withFolder(async (folder) => {
    const lines = ["192.0.2.1", "Bücher.example", "", "bob", "alice", "self"];
    const asked = await setup(["--root", folder], { lines });
    equal(asked.code, 1, "the input ended at the certificate");
    match(
      asked.stderr,
      /The domain that mail is received for, as in example\.org \[example\.org\]: "192\.0\.2\.1" is not a domain/,
    );
    match(asked.stderr, /The full name of this host \[mail\.xn--bcher-kva\.example\]: /);
    match(asked.stderr, /\[alice\]: this machine has no account "bob"/);
    match(asked.stderr, /"self" is no certificate/);
    match(
      asked.stderr,
      /\nsmtpctl: standard input ended at this question: answer it, or give the option --certificate\n$/,
    );
    deepEqual(filesIn(folder), []);
    const whole = await setup(["--root", folder], { lines: ["example.org", "", "", ""] });
    equal(whole.code, 0, whole.stderr);
    deepEqual(filesIn(folder), WRITTEN);
    const late = await setup(["--root", folder], { lines: [] });
    match(late.stderr, /^smtpctl: nothing was asked or written, because there are already .*smtpd\.conf and .*aliases/);
  });
});

Deno.test("smtpctl setup puts its configuration in the place of an example that nobody has changed", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/etc/vaultpost/smtpd.conf`;
    Deno.mkdirSync(`${folder}/etc/vaultpost`, { recursive: true });
    Deno.writeTextFileSync(path, "# an example\n");
    Deno.writeTextFileSync(`${folder}/etc/mailname`, "other.example\n");
    const around = { isExample: (one: string) => one === path };
    const done = await setup([...ALL, "--root", folder], { around });
    equal(done.code, 0);
    ok(done.stdout.includes(`\n${folder}/etc/mailname is there already, and stays as it is.\n`));
    equal(Deno.readTextFileSync(`${folder}/etc/mailname`), "other.example\n");
    match(Deno.readTextFileSync(path), /^# smtpd\.conf\(5\) of mail\.example\.org/);
  });
});

Deno.test("smtpctl setup: a certificate that is given must be one, with its key", async () => {
  await withFolder(async (folder) => {
    const cert = new URL("../smtp/certificates/mx.pem", import.meta.url).pathname;
    Deno.copyFileSync(new URL("../smtp/certificates/mx.key", import.meta.url), `${folder}/mx.key`);
    const run = (key: string) =>
      setup([...ALL, "--root", `${folder}/host`, "--certificate", cert, "--key", key], {
        around: { uid: Deno.uid()! },
      });
    match((await run("/nonexistent")).stderr, /cannot be used: No such file or directory/);
    match((await run(cert)).stderr, /cannot be used: there is no key in the file/);
    Deno.chmodSync(`${folder}/mx.key`, 0o644);
    match((await run(`${folder}/mx.key`)).stderr, /others may read the key: chmod 0600/);
    Deno.chmodSync(`${folder}/mx.key`, 0o600);
    equal((await run(`${folder}/mx.key`)).code, 0);
    match(
      Deno.readTextFileSync(`${folder}/host/etc/vaultpost/smtpd.conf`),
      /^pki mail\.example\.org cert ".*mx\.pem"$/m,
    );
  });
});

const FILE = { about: "a file", mode: 0o644, text: "text\n", secret: false };

Deno.test("files are written all or none: what cannot be written, and a signal, take back what was", async () => {
  await withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/wall`, "mine");
    const files = [`${folder}/new/deep/a`, `${folder}/b`, `${folder}/wall/c`].map((path) => ({ ...FILE, path }));
    const failed = await writeFiles(files, () => false);
    ok(!failed.ok && !failed.interrupted);
    match(failed.fault, /^cannot write .*\/wall\/c: .*; nothing was set up$/);
    deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["wall"]);
    const many = Array.from({ length: 50 }, (_, index) => ({ ...FILE, path: `${folder}/new/${index}` }));
    const writing = writeFiles(many, () => false);
    Deno.kill(Deno.pid, "SIGTERM");
    const stopped = await writing;
    ok(!stopped.ok && stopped.interrupted);
    match(stopped.fault, /^SIGTERM: what was written is removed again$/);
    deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["wall"]);
  });
});

Deno.test("records are only those that are true: none of an address that nobody reaches, CAA for the one authority that is known", () => {
  const input = { domain: "example.org", hostname: "mail.example.org", keys: [] };
  const lines = (more: Partial<Parameters<typeof recordsFor>[0]>) =>
    recordsFor({ ...input, addresses: ["192.0.2.25", "2001:db8::25"], certificate: { kind: "self-signed" }, ...more })
      .map((
        { line },
      ) => line.replace(/ +/g, " "));
  const usual = lines({});
  ok(usual.includes("mail.example.org. IN A 192.0.2.25") && usual.includes("mail.example.org. IN AAAA 2001:db8::25"));
  ok(usual.includes("25.2.0.192.in-addr.arpa. IN PTR mail.example.org."));
  ok(!usual.some((line) => line.includes(" CAA ") || line.includes("mta-sts") || line.includes("imap")));
  const acme = lines({ certificate: { kind: "acme", directory: LETS_ENCRYPT } });
  ok(acme.includes('mail.example.org. IN CAA 0 issue "letsencrypt.org"'));
  const behind = lines({ addresses: [] });
  ok(behind[0]!.startsWith("; mail.example.org. IN A"), "a comment");
  equal(
    lines({ hostname: "example.org" }).filter((line) => line.startsWith("example.org. IN TXT")).length,
    1,
    "one SPF record",
  );
  const far = {
    ...input,
    hostname: "mx.example.net",
    addresses: ["192.0.2.25"],
    certificate: { kind: "self-signed" },
  } as const;
  const [zone, elsewhere] = zoneText("example.org", recordsFor(far)).split("; Not in the zone of example.org:\n");
  ok(!/^mx\.example\.net/m.test(zone!) && zone!.includes("MX   10 mx.example.net."));
  match(elsewhere!, /^; mx\.example\.net\. +IN A +192\.0\.2\.25$/m);
});

Deno.test("the addresses of interfaces are sorted into those that others reach and those that they do not", () => {
  const interfaces = ["127.0.0.1", "::1", "10.0.0.5", "192.0.2.25", "fe80::1", "2001:db8::25", "192.0.2.25", "fd00::1"];
  deepEqual(addressesOf(interfaces.map((address) => ({ address }))), {
    publicAddresses: ["192.0.2.25", "2001:db8::25"],
    privateAddresses: ["10.0.0.5", "fd00::1"],
    ipv6: true,
  });
  for (
    const one of ["100.64.0.1", "172.31.255.255", "169.254.1.1", "::", "ff02::1", "fec0::1", "::ffff:10.0.0.1", "x"]
  ) {
    ok(!isPublicAddress(one), one);
  }
  for (const one of ["172.32.0.1", "8.8.8.8", "2a00::1", "2a00::1%eth0"]) ok(isPublicAddress(one), one);
});

Deno.test("a mail server that is installed, or that listens, is found", async () => {
  const there = new Set(["/usr/sbin/postfix", "/usr/sbin/exim4", "/usr/sbin/exim"]);
  deepEqual(installedServers((path) => there.has(path)).map(({ name, service }) => `${name} ${service}`), [
    "Postfix postfix",
    "Exim exim4",
  ]);
  const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = server.addr as Deno.NetAddr;
  const serving = (async () => {
    using connection = await server.accept();
    await connection.write(new TextEncoder().encode("220 old.example ESMTP Postfix\r\n"));
  })();
  deepEqual(await greetingAt("127.0.0.1", port), { taken: true, greeting: "220 old.example ESMTP Postfix" });
  await serving;
  // Until the limit of time.
  deepEqual(await greetingAt("127.0.0.1", port), { taken: true, greeting: "" });
  server.close();
  deepEqual(await greetingAt("127.0.0.1", port), { taken: false });
  const taken = await setup([...ALL, "--dry-run"], {
    around: {
      lookAtMachine: () =>
        Promise.resolve({
          ...FREE,
          port25: { taken: true, greeting: "220 old.example ESMTP Postfix" },
          servers: installedServers((path) => path === "/usr/sbin/postfix"),
        }),
    },
  });
  match(taken.stdout, /another server listens, which says "220 old\.example ESMTP Postfix"\. Installed: Postfix\./);
  const homeless = await setup([...ALL, "--dry-run"], { around: { isFolder: () => false } });
  match(homeless.stdout, /^Warning: alice has no home \(\/home\/alice\), and mail would wait: .*--mailbox mbox\.$/m);
  match(taken.stdout, /from outside: cannot be seen from here[^\n]*nc -vz mail\.example\.org 25/);
  match(taken.stdout, /name of 192\.0\.2\.25: host\.provider\.example; it should be mail\.example\.org/);
});

Deno.test("connections out are tried at the best exchanger of the domain that is named", async () => {
  const dns = {
    mx: () =>
      Promise.resolve(
        { kind: "records", records: [{ preference: 20, host: "b" }, { preference: 5, host: "a" }] } as const,
      ),
    addresses: (name: string) =>
      Promise.resolve({ kind: "records", records: [`192.0.2.${name === "a" ? 1 : 2}`] } as const),
  };
  const tried: string[] = [];
  const connect = (taken: boolean) => (address: string) => {
    tried.push(address);
    return Promise.resolve(taken ? { taken, greeting: "" } as const : { taken: false } as const);
  };
  equal(await outgoingFault(dns, "example.com", connect(true)), null);
  match((await outgoingFault(dns, "example.com", connect(false)))!, /^no connection to a \(192\.0\.2\.1\) port 25/);
  deepEqual(tried, ["192.0.2.1", "192.0.2.1"]);
});

Deno.test("lines of standard input, the last one without its end", async () => {
  const pieces = ["one\r\ntw", "o\n", "three"].map((text) => new TextEncoder().encode(text));
  const read = lineReader({
    read: (into) => {
      const piece = pieces.shift();
      if (piece === undefined) return Promise.resolve(null);
      into.set(piece);
      return Promise.resolve(piece.length);
    },
  });
  deepEqual([await read(), await read(), await read(), await read()], ["one", "two", "three", null]);
  const question = { text: "?", otherwise: null, check: (value: string) => ({ value }), option: "--x" };
  await rejects(ask(question, noInput, () => {}), InputEnded);
});

Deno.test("accounts are read from passwd(5)", () => {
  const passwd = "root:x:0:0::/root:/bin/sh\n# a note\nalice:x:1000:1000:A,,,:/home/alice:/bin/sh\nbad:x:none:1::/:/\n";
  deepEqual(accountOf(passwd, "alice"), { name: "alice", uid: 1000, home: "/home/alice" });
  equal(accountOf(passwd, "bad"), null);
  equal(accountOf(passwd, "lice"), null);
});

Deno.test("smtpctl setup starts nothing while smtpd runs, while another server has port 25, or when it is told", async () => {
  await withFolder(async (folder) => {
    const socket = `${folder}/c.sock`;
    const start = (name: string, around: Partial<Surroundings>, env = {}, more: string[] = []) =>
      setup([...ALL, "--root", `${folder}/${name}`, ...more], { around, env: { SMTPD_SOCKET: socket, ...env } });
    await withServer(socket, () => {}, async () => {
      match((await start("running", {})).stdout, /smtpd runs already, as it was configured before: smtpctl stop/);
    });
    const port25 = { taken: true, greeting: "" } as const, servers = [{ name: "Postfix", service: "postfix" }];
    const busy = await start("busy", { lookAtMachine: () => Promise.resolve({ ...FREE, port25, servers }) });
    match(busy.stdout, /Another server has port 25: stop it if it is Postfix \(systemctl disable --now postfix\)/);
    match((await start("told", {}, {}, ["--no-start"])).stdout, /Start it with smtpd, then send a first mail/);
    match((await start("users", { missingUsers: () => ["smtpd", "smtpq"] })).stdout, /needs the users smtpd and smtpq/);
    match((await setup([...ALL, "--root", `${folder}/trial`])).stdout, /Nothing is started for a trial in a folder/);
    const bad = await start("bad", { run: () => Promise.resolve({ code: 1, text: "smtpd.conf:1: wrong" }) });
    equal(bad.code, 1);
    match(bad.stdout, /smtpd -n: smtpd\.conf:1: wrong/);
    Deno.mkdirSync(`${folder}/late/etc`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/late/etc/smtpd.conf`, "# of OpenSMTPD\n");
    const late = await start("late", {
      run: (_, args) => Promise.resolve(args.includes("-n") ? { code: 0, text: "OK" } : { code: 1, text: "no port" }),
    });
    match(late.stderr, /smtpd does not start: no port/);
    match(late.stdout, /The files stay\. When that is mended, start smtpd, then send a first mail/);
    match(
      late.stdout,
      /late\/etc\/smtpd\.conf is there, too, and stays: smtpd takes .*vaultpost\/smtpd\.conf in its place/,
    );
  });
});
Deno.test("smtpctl setup has a daemon that runs by the unchanged example read the new configuration", async () => {
  await withFolder(async (folder) => {
    const socket = `${folder}/c.sock`, ran: string[] = [], requests: string[] = [];
    const config = `${folder}/host/etc/vaultpost/smtpd.conf`, example = "# an example\n";
    Deno.mkdirSync(`${folder}/host/etc/vaultpost`, { recursive: true });
    Deno.writeTextFileSync(config, example);
    const around = {
      isExample: (path: string) => path === config && Deno.readTextFileSync(path) === example,
      run: (program: string, args: readonly string[]) => {
        ran.push([program, ...args].join(" "));
        return Promise.resolve({ code: 0, text: "configuration OK" });
      },
    };
    await withServer(socket, (client) => {
      client.setEncoding("utf8");
      client.on("data", (line) => {
        requests.push(String(line));
        client.end('{"ok":true}\n');
      });
    }, async () => {
      const done = await setup([...ALL, "--root", `${folder}/host`], { around, env: { SMTPD_SOCKET: socket } });
      match(done.stdout, /smtpd has the new configuration\.\nThe test mail to postmaster@example\.org was not taken/);
    });
    deepEqual(requests, ['{"do":"reload"}\n']);
    deepEqual(ran.map((one) => one.split(" ")[1]), ["-n"], "nothing else is started");
  });
});

Deno.test("behind a router that translates, the records have the address that is given, or that the DNS has", async () => {
  const behind = { ...FREE, publicAddresses: [], privateAddresses: ["10.0.0.5"] };
  const run = (more: string[], ofHost: string[]) =>
    setup([...ALL, "--dry-run", ...more], {
      around: {
        lookAtMachine: () => Promise.resolve(behind),
        askNames: () =>
          Promise.resolve({
            ofHost: ofHost.length > 0 ? { kind: "records", records: ofHost } : { kind: "none", exists: false },
            mx: { kind: "none", exists: false },
            ptr: [],
          }),
      },
    });
  const line = /^mail\.example\.org\. +IN A +192\.0\.2\.80$/m;
  match((await run(["--address", "192.0.2.80"], [])).stdout, line);
  match((await run([], ["192.0.2.80"])).stdout, line);
  const none = (await run([], [])).stdout;
  match(none, /^; mail\.example\.org\. +IN A /m);
  match(none, /^Addresses: only 10\.0\.0\.5, which others do not reach: give the public one with --address\.$/m);
});
