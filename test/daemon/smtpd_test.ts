/** smtpd(8) from the command line: what it prints and the status it ends with. Runs the real script; no daemon is started. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { freePort } from "../ports.ts";
import { runtimeArguments } from "../../src/daemon/processes.ts";

const SMTPD = fileURLToPath(new URL("../../scripts/smtpd", import.meta.url));
const VALID = 'action "a" maildir "/nonexistent/%{rcpt.user}"\nmatch for local action "a"\n';

interface Row {
  readonly name: string;
  readonly config?: string;
  readonly args: readonly string[];
  readonly status: number;
  /** Lines of stderr; FILE stands for the config's path. */
  readonly says: readonly (string | RegExp)[];
}

const ROWS: readonly Row[] = [
  {
    name: "-n says that a valid config is OK",
    config: VALID,
    args: ["-n", "-f", "FILE"],
    status: 0,
    says: ["configuration OK"],
  },
  {
    name: "-n names file and line of an error",
    config: `${VALID}match for domain <users> action "a"\n`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: ["FILE:3: table <users> is not defined"],
  },
  {
    name: "-n reports every error of a file in one run",
    config: `lisen on 127.0.0.1\n${VALID}match for local action "b"\n`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [/^FILE:1: .*listen/, /^FILE:4: .*"?b"?/],
  },
  {
    name: "-n refuses a listener on what is not there",
    config: `listen on nosuch0.invalid port 2525\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [
      /^FILE:1: "nosuch0.invalid" is no interface, address or known host name; interfaces: .*\blo \(127\.0\.0\.1/,
    ],
  },
  {
    name: "-n refuses an admin page on what is no address, and lists the interfaces",
    config: `admin listen on nosuch0 port 8025\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [/^FILE:1: invalid address: nosuch0; interfaces: .*\blo \(127\.0\.0\.1/],
  },
  {
    name: "-n lists the interfaces when a trusted proxy is no address",
    config: `smtp trusted { nosuch0 }\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [/^FILE:1: not an address or a network: nosuch0; interfaces: .*\blo \(127\.0\.0\.1/],
  },
  {
    name: "-n lists the interfaces when one has no address of the family",
    config: `listen on 127.0.0.1 inet6 port 2525\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [/^FILE:1: "127\.0\.0\.1" has no IPv6 address to listen on; interfaces: .*\blo \(127\.0\.0\.1/],
  },
  {
    name: "-n warns of a regular expression that is not valid",
    config: `match from any mail-from regex { "^ok@", "(bad" } for any reject\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 0,
    says: ['FILE:1: warning: the regular expression "(bad" finds nothing: a "(" is not closed', "configuration OK"],
  },
  {
    name: "-n warns of a filter's regular expression that is not valid",
    config: `filter f phase connect match rdns regex "(bad" junk\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 0,
    says: ['FILE:1: warning: the regular expression "(bad" finds nothing: a "(" is not closed', "configuration OK"],
  },
  {
    name: "-n finds a filter program that is not there",
    config: `filter f proc-exec "/nonexistent/filter -v"\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: ['FILE:1: filter program "f": cannot run /nonexistent/filter: No such file or directory'],
  },
  {
    name: "-n says where a filter program was looked for",
    config: `filter f proc-exec "filter-nowhere -v"\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [
      /^FILE:1: filter program "f": cannot run filter-nowhere -v: filter-nowhere is in none of \S+, .*\/usr\/libexec\/opensmtpd, .*\/usr\/libexec\/smtpd$/,
    ],
  },
  {
    name: "-n finds a filter program that is not executable",
    config: `proc p "/etc/passwd"\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: ['FILE:1: filter program "p": cannot run /etc/passwd: It is not executable'],
  },
  {
    name: "-n finds that a filter's user does not exist",
    config: `filter f proc-exec "/bin/cat" user nosuchuser\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: ['FILE:1: filter program "f": there is no user "nosuchuser"'],
  },
  {
    name: "-n finds that a filter's group does not exist",
    config: `filter f proc-exec "/bin/cat" group nosuchgroup\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: ['FILE:1: filter program "f": there is no group "nosuchgroup"'],
  },
  {
    name: "-n says what is needed to lock a filter into a folder",
    config: `filter f proc-exec "/bin/cat" chroot "/nonexistent"\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [/^FILE:1: filter program "f": (cannot chroot to \/nonexistent: No such|chroot needs a daemon)/],
  },
  {
    name: "-D overrides a macro of the file",
    config: 'who = "a"\naction "a" maildir "/nonexistent/x"\nmatch for local action $who\n',
    args: ["-n", "-D", "who=missing", "-f", "FILE"],
    status: 1,
    says: [/^FILE:3: .*missing/],
  },
  {
    name: "-n refuses a key that others may read",
    config:
      `pki mx.example.org cert "CERT"\npki mx.example.org key "KEY"\nlisten on 127.0.0.1 port 2525 tls pki mx.example.org\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [/^FILE:1: failed to load key .*mode 0666 is too open/],
  },
  {
    name: "-n refuses a protocols list that leaves no version",
    config: `action "r" relay protocols "sslv3"\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: [/^FILE:1: protocols "sslv3" names no TLS version/],
  },
  {
    name: "a config that is not there",
    args: ["-n", "-f", "/nonexistent/smtpd.conf"],
    status: 1,
    says: [
      "smtpd: cannot open /nonexistent/smtpd.conf: No such file or directory: " +
      "write it, see smtpd.conf(5), have smtpctl setup make it, or name another file with -f",
    ],
  },
  {
    name: "an unknown flag prints the usage",
    args: ["-z"],
    status: 1,
    says: ["smtpd: Unknown option '-z'", /^usage: smtpd/],
  },
  {
    name: "an option without its value prints the usage",
    args: ["-n", "-f"],
    status: 1,
    says: ["smtpd: -f needs a value", /^usage: smtpd/],
  },
  {
    name: "an argument that is no option prints the usage",
    args: ["start"],
    status: 1,
    says: ['smtpd: "start" is no option', /^usage: smtpd/],
  },
  {
    name: "-P warns of what cannot be paused",
    config: VALID,
    args: ["-n", "-P", "mail", "-f", "FILE"],
    status: 0,
    says: ['warn: unknown subsystem "mail", those that can be paused are: smtp mda mta', "configuration OK"],
  },
  {
    name: "-n warns of an action as a user who does not exist",
    config: 'action "a" maildir user nobody-here\naction "b" maildir user root\nmatch for local action "a"\n',
    args: ["-n", "-f", "FILE"],
    status: 0,
    says: [
      'FILE:1: warning: action "a": there is no user "nobody-here", its mail will be refused',
      "configuration OK",
    ],
  },
  {
    name: "-n warns of smarthosts that are none",
    config:
      `action "a" relay host { "tls://mx.example", "smtp+tls://me@mx.example" }\naction "b" relay domain { "example.net" = "lmtp://mx.example" }\n${
        VALID.replaceAll('"a"', '"c"')
      }`,
    args: ["-n", "-f", "FILE"],
    status: 0,
    says: [
      'FILE:1: warning: action "a": the host "smtp+tls://me@mx.example" has a label, which needs "auth": its mail will wait',
      /^FILE:1: warning: action "a": the host "tls:\/\/mx.example" has the unknown scheme tls: write smtp\+tls:\/\/: its mail will wait$/,
      /^FILE:2: warning: action "b": the host "lmtp:\/\/mx.example" has no port, which lmtp needs: .*: its mail will wait$/,
      "configuration OK",
    ],
  },
  {
    name: "-n finds an address that is listened on twice",
    config:
      `listen on 127.0.0.1 port 2525\nlisten on 127.0.0.1 port 2526\nlisten on 127.0.0.1 port 2525 tag A\n${VALID}`,
    args: ["-n", "-f", "FILE"],
    status: 1,
    says: ["FILE:3: 127.0.0.1:2525 is listened on already, by FILE:1"],
  },
  {
    name: "a config that is a folder",
    args: ["-n", "-f", "/tmp"],
    status: 1,
    says: ["smtpd: cannot open /tmp: Is a directory"],
  },
  { name: "-h prints version and usage", args: ["-h"], status: 1, says: [/^version: Vaultpost \d/, /^usage: smtpd/] },
  {
    name: "-D without a value",
    args: ["-n", "-D", "nothing"],
    status: 1,
    says: [/^smtpd: could not parse macro definition nothing/],
  },
];

/** What is logged on machines that have no full name, or no user for programs; and what most rows leave unused. */
const OF_THE_MACHINE =
  /warning: (?:this server is called|this machine has no user|no mail from other machines)|is never used$/;

for (const row of ROWS) {
  Deno.test(`smtpd ${row.args.join(" ")}: ${row.name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = `${folder}/smtpd.conf`, cert = `${folder}/cert.pem`, key = `${folder}/key.pem`;
      const pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
      await Deno.writeTextFile(cert, pem, { mode: 0o644 });
      await Deno.writeTextFile(key, pem.replaceAll("CERTIFICATE", "PRIVATE KEY"));
      await Deno.chmod(key, 0o666);
      await Deno.writeTextFile(file, (row.config ?? "").replace("CERT", cert).replace("KEY", key));
      const command = new Deno.Command(SMTPD, {
        args: ["--one-user", ...row.args.map((arg) => arg.replace("FILE", file))],
        stderr: "piped",
      });
      const { code, stderr } = await command.output();
      const lines = new TextDecoder().decode(stderr).replaceAll(file, "FILE").trimEnd().split("\n")
        .filter((line) => !OF_THE_MACHINE.test(line));
      assert.equal(lines.length, row.says.length, lines.join("\n"));
      row.says.forEach((expected, index) =>
        typeof expected === "string" ? assert.equal(lines[index], expected) : assert.match(lines[index]!, expected)
      );
      assert.equal(code, row.status);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** Mistakes of smtpd.conf, and what the machine lacks: interfaces, certificates, a CA file, a filter program. */
const LACKING: readonly [text: string, want: RegExp[]][] = [
  ['pki a.example cert "/nonexistent/c" key "/nonexistent/k"', [
    /^FILE:\d+: failed to load certificate \/nonexistent\/c: No such file or directory$/,
    /^FILE:\d+: failed to load key \/nonexistent\/k: No such file or directory$/,
  ]],
  ['ca own cert "/nonexistent/ca"', [/^FILE:\d+: failed to load CA file \/nonexistent\/ca: No such file/]],
  ["listen on nosuch0.invalid tls-require verify pki a.example ca own", [
    /^FILE:\d+: "nosuch0.invalid" is no interface/,
  ]],
  ["listen on nosuch1.invalid port 2525", [/^FILE:\d+: "nosuch1.invalid" is no interface/]],
  ['filter f proc-exec "/nonexistent/filter"', [
    /^FILE:\d+: filter program "f": cannot run \/nonexistent\/filter: No such/,
  ]],
  ['filter g proc-exec "/nonexistent/other"', [
    /^FILE:\d+: filter program "g": cannot run \/nonexistent\/other: No such/,
  ]],
];

for (const args of [["-n"], ["-d"]]) {
  for (const [kind, first] of [["right", ""], ["wrong", "table t file:/nonexistent/t\n"]] as const) {
    Deno.test(`smtpd ${args[0]} reports in one run all that the machine lacks for a file that is ${kind}`, async () => {
      const folder = await Deno.makeTempDir();
      try {
        const file = `${folder}/smtpd.conf`;
        await Deno.writeTextFile(file, `${first}${LACKING.map(([text]) => `${text}\n`).join("")}${VALID}`);
        const env = { SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `${folder}/smtpd.sock` };
        const { code, stderr } = await new Deno.Command(SMTPD, {
          args: [...args, "--one-user", "-f", file],
          env,
          stderr: "piped",
        })
          .output();
        const lines = new TextDecoder().decode(stderr).replaceAll(file, "FILE").trimEnd().split("\n")
          .filter((line) => !/warning: /.test(line));
        const want = [
          ...first === "" ? [] : [/^FILE:1: table <t>: cannot read/],
          ...LACKING.flatMap(([, each]) => each),
        ];
        assert.equal(lines.length, want.length, lines.join("\n"));
        for (const one of want) {
          assert.equal(lines.filter((line) => one.test(line)).length, 1, `${one}\n${lines.join("\n")}`);
        }
        assert.equal(code, 1);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
}

Deno.test("addresses that cannot be listened on are reported with their lines, the admin page's too, by -n and at start", async () => {
  const folder = await Deno.makeTempDir();
  const taken = [Deno.listen({ hostname: "127.0.0.1", port: 0 }), Deno.listen({ hostname: "127.0.0.1", port: 0 })];
  try {
    const [mail, admin] = taken.map(({ addr }) => addr.port);
    const env = { SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `${folder}/smtpd.sock` };
    const said = async (args: string[], text: string) => {
      await Deno.writeTextFile(`${folder}/c`, text);
      const { stderr } = await new Deno.Command(SMTPD, {
        args: [...args, "--one-user", "-f", `${folder}/c`],
        env,
        stderr: "piped",
      })
        .output();
      return new TextDecoder().decode(stderr).replaceAll(`${folder}/c`, "FILE").trimEnd().split("\n")
        .filter((line) => !OF_THE_MACHINE.test(line));
    };
    const onMail = `listen on 127.0.0.1 port ${mail} hostname a.example\n`;
    const onAdmin = `admin listen on 127.0.0.1 port ${admin}\n`;
    const foreign = "listen on 192.0.2.222 port 2525 hostname a.example\n";
    const inUse = (port: number | undefined) =>
      `cannot listen on 127.0.0.1:${port}: the address is in use by another program`;
    const lines = await said(["-n"], onAdmin + onMail + foreign + VALID);
    assert.equal(lines.length, 4, lines.join("\n"));
    assert.ok(lines[0]!.startsWith(`FILE:2: warning: ${inUse(mail)}`), lines[0]);
    assert.match(
      lines[1]!,
      /^FILE:3: warning: cannot listen on 192\.0\.2\.222:2525: this machine does not have that address; interfaces: .*\blo \(127/,
    );
    assert.ok(lines[2]!.startsWith(`FILE:1: warning: ${inUse(admin)}`), lines[2]);
    assert.equal(lines[3], "configuration OK");
    assert.ok((await said(["-d"], onMail + VALID)).at(-1)!.startsWith(`FILE:1: ${inUse(mail)}`));
    assert.ok((await said(["-d"], `\n${onAdmin}${VALID}`)).at(-1)!.startsWith(`FILE:2: ${inUse(admin)}`));
  } finally {
    for (const one of taken) one.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("smtpd -n of a daemon that runs says nothing of its own ports; both say what is wrong with aliases", async () => {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  try {
    const env = { SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `${folder}/smtpd.sock` };
    await Deno.writeTextFile(`${folder}/aliases`, "root: alice\nhash: alice # the boss\n");
    await Deno.writeTextFile(
      `${folder}/c`,
      `table a file:${folder}/aliases\nlisten on 127.0.0.1 port ${port} hostname a.example\naction "a" mbox alias <a>\nmatch for local action "a"\n`,
    );
    const fault = `${folder}/aliases:2: warning: the alias "hash" cannot work`;
    const child = new Deno.Command(SMTPD, {
      args: ["-d", "--one-user", "-f", `${folder}/c`],
      env,
      stderr: "piped",
      stdout: "null",
    })
      .spawn();
    const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let log = "";
    try {
      while (!/^info: Vaultpost .* starting$/m.test(log)) {
        const { value, done } = await reader.read();
        assert.ok(!done, log);
        log += value;
      }
      assert.ok(log.includes(fault), log);
      const { stderr } = await new Deno.Command(SMTPD, {
        args: ["-n", "--one-user", "-f", `${folder}/c`],
        env,
        stderr: "piped",
      })
        .output();
      const said = new TextDecoder().decode(stderr);
      assert.ok(said.includes(fault), said);
      assert.ok(!said.includes("cannot listen"), said);
    } finally {
      child.kill("SIGTERM");
      await reader.cancel();
      await child.status;
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("root with neither user is refused, by -n too, unless told --one-user or for a spool of its own", {
  ignore: Deno.uid() !== 0,
}, async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/c`, VALID);
    const refused =
      /^smtpd: this machine has neither the user "nosuch-a" \(SMTPD_USER\) nor "nosuch-b" \(SMTPD_QUEUE_USER\), .*run scripts\/install --users, .*--one-user$/m;
    const ok = /^configuration OK$/m;
    const rows: readonly (readonly [args: string[], spool: string, want: RegExp])[] = [
      [["-n"], "", refused],
      [["-d"], "", refused],
      [["-n", "--one-user"], `${folder}/spool`, ok],
      [["-n"], `${folder}/spool`, ok],
    ];
    for (const [args, spool, want] of rows) {
      const { stderr, code } = await new Deno.Command(SMTPD, {
        args: [...args, "-f", `${folder}/c`],
        env: {
          SMTPD_SPOOL: spool,
          SMTPD_USER: "nosuch-a",
          SMTPD_QUEUE_USER: "nosuch-b",
          SMTPD_SOCKET: `${folder}/s.sock`,
        },
        stderr: "piped",
      }).output();
      assert.match(new TextDecoder().decode(stderr), want, args.join(" "));
      assert.equal(code, want === ok ? 0 : 1);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("smtpd -n -v prints what each isolate may do", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/smtpd.conf`;
  await Deno.writeTextFile(file, VALID);
  const { stderr } = await new Deno.Command(SMTPD, {
    args: ["-n", "-v", "--one-user", "-f", file],
    env: { SMTPD_SPOOL: `${folder}/spool` },
    stderr: "piped",
  }).output();
  await Deno.remove(folder, { recursive: true });
  const text = new TextDecoder().decode(stderr);
  assert.match(text, /^ {2}smtp {7}nothing$/m);
  assert.match(text, /^ {2}scheduler {2}nothing$/m);
  assert.ok(text.includes(`queue      read=${folder}/spool write=${folder}/spool`), text);
  assert.match(text, /^ {2}privileged run=\/bin\/sh$/m);
  assert.match(text, /^configuration OK$/m);
});

Deno.test("smtpd -n -v prints the programs of filters, and the shell where a command needs one", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/smtpd.conf`;
  await Deno.writeTextFile(file, `proc a "/bin/cat -u"\nproc b "/bin/cat > /dev/null"\nproc c "/bin/cat"\n${VALID}`);
  const { stderr } = await new Deno.Command(SMTPD, {
    args: ["-n", "-v", "--one-user", "-f", file],
    env: { SMTPD_SPOOL: `${folder}/spool` },
    stderr: "piped",
  }).output();
  await Deno.remove(folder, { recursive: true });
  assert.match(new TextDecoder().decode(stderr), /^ {2}filter +run=\/bin\/cat,\/bin\/sh$/m);
});

/** What keeps the daemon from starting, in one line that says what to do: no stack, and no "Exiting" of what never ran. */
const OBSTACLES: ReadonlyArray<{ name: string; env: (folder: string) => Record<string, string>; says: RegExp }> = [
  {
    name: "a spool that is a file",
    env: (folder) => ({ SMTPD_SPOOL: `${folder}/smtpd.conf`, SMTPD_SOCKET: `${folder}/c.sock` }),
    says: /^smtpd: cannot make the folder FOLDER\/smtpd.conf: It is a file\n$/,
  },
  {
    name: "a database that cannot be opened",
    env: (folder) => ({ SMTPD_SPOOL: `${folder}/odd`, SMTPD_SOCKET: `${folder}/c.sock` }),
    says: /^smtpd: queue: FOLDER\/odd\/queue.db: Is a directory\n$/,
  },
  {
    name: "a folder in the place of the control socket",
    env: (folder) => ({ SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `${folder}/odd` }),
    says: /^smtpd: FOLDER\/odd: Directory not empty\n$/,
  },
  {
    name: "a socket whose path is too long",
    env: (folder) => ({ SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `${folder}/${"a".repeat(107)}.sock` }),
    says: /^smtpd: cannot listen on .*: the path of a socket has at most 107 bytes/,
  },
];
for (const { name, env, says } of OBSTACLES) {
  Deno.test(`smtpd -d reports in one line ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/smtpd.conf`, VALID);
      await Deno.mkdir(`${folder}/odd/queue.db`, { recursive: true });
      const command = new Deno.Command(SMTPD, {
        args: ["-d", "--one-user", "-f", `${folder}/smtpd.conf`],
        env: env(folder),
        stderr: "piped",
      });
      const { code, stderr } = await command.output();
      const text = new TextDecoder().decode(stderr).replaceAll(folder, "FOLDER");
      assert.match(text, says);
      assert.equal(text.trimEnd().split("\n").length, 1, text);
      assert.equal(code, 1);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("a comma in the path of the spool is refused by the tools and by the processes, since Deno separates paths by it", async () => {
  const folder = await Deno.makeTempDir({ suffix: ",odd" });
  try {
    const env = { SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `/tmp/nosuch.sock` };
    const script = fileURLToPath(new URL("../../scripts/smtpctl", import.meta.url));
    const { code, stderr } = await new Deno.Command(script, { args: ["show", "queue"], env, stderr: "piped" }).output();
    assert.equal(
      new TextDecoder().decode(stderr),
      `${folder}/spool has a comma in its path, by which Deno separates paths: name a place without one\n`,
    );
    assert.equal(code, 1);
    const command = ["deno", "run", fileURLToPath(Deno.mainModule)];
    assert.throws(() => runtimeArguments(command, { read: [`${folder}/spool`] }, []), /has a comma in its path/);
    assert.ok(runtimeArguments(command, { read: ["/a", "/b"] }, ["/c"]).includes("--allow-read=/a,/b,/c"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
