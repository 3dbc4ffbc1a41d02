/** What whoever starts the programs leaves to them changes nothing: the umask, open descriptors, files that others may write, a Deno that is missing. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { DOMAIN, maildirConfig, OWNER, PROJECT, run, withDaemon } from "./harness.ts";

const SMTPD = join(PROJECT, "scripts/smtpd");
const modeOf = (path: string) => (Deno.statSync(path).mode! & 0o7777).toString(8);

for (const umask of ["000", "077"]) {
  Deno.test(`under the umask ${umask} files, the folder of the sockets and what is in it have their modes, and no descriptor of the starter reaches a command`, async () => {
    const config = ({ port, folder }: { port: number; folder: string }) =>
      `listen on socket
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "run" mda "cat > /dev/null; ls -l /proc/self/fd > ${folder}/mail/fds.tmp; umask > ${folder}/mail/umask; mv ${folder}/mail/fds.tmp ${folder}/mail/fds" virtual { "@" = ${OWNER} } user ${OWNER}
match from any for domain "${DOMAIN}" action "run"
`;
    const program = [
      "sh",
      "-c",
      `umask ${umask}; exec 7</etc/hostname 8</etc/passwd; SMTPD_SOCKET="$SMTPD_SPOOL/../run/smtpd.sock" exec "$0" "$@"`,
      SMTPD,
    ] as const;
    await withDaemon({ config, program }, async (daemon) => {
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.com", `bob@${DOMAIN}`, "Subject: x\r\n\r\nx\r\n");
      client.close();
      await daemon.logged(/ mda delivery .* result=Ok /);
      const fds = Deno.readTextFileSync(join(daemon.mail, "fds"));
      assert.ok(!/ [78] -> /.test(fds) && !fds.includes("/etc/"), fds);
      assert.equal(Deno.readTextFileSync(join(daemon.mail, "umask")).trim(), "0022");
      const spool = `${daemon.folder}/spool`;
      assert.deepEqual(
        [spool, `${spool}/queue.db`, `${spool}/offline`].map(modeOf),
        ["711", "600", "1733"],
      );
      const places = ["run", "run/smtpd.pid", "run/smtpd.sock", "run/smtpd.smtp.sock"];
      assert.deepEqual(places.map((name) => modeOf(join(daemon.folder, name))), ["755", "644", "666", "666"]);
    });
  });
}

const files: {
  name: string;
  file: "smtpd.conf" | "more.conf" | "aliases";
  mode: number;
  want: RegExp;
  code: number;
}[] = [
  {
    name: "smtpd.conf that all may write",
    file: "smtpd.conf",
    mode: 0o666,
    want: /smtpd\.conf: everybody may write it .*chmod o-w/,
    code: 1,
  },
  {
    name: "an included file that all may write",
    file: "more.conf",
    mode: 0o646,
    want: /more\.conf: everybody may write it/,
    code: 1,
  },
  {
    name: "a table that all may write",
    file: "aliases",
    mode: 0o666,
    want: /aliases: everybody may write it/,
    code: 1,
  },
  {
    name: "passwords that all may read",
    file: "aliases",
    mode: 0o644,
    want: /aliases: warning: it holds passwords and everybody may read it/,
    code: 0,
  },
  { name: "files that are closed", file: "aliases", mode: 0o640, want: /^(?![^]*(may write|may read))/, code: 0 },
];
for (const { name, file, mode, want, code } of files) {
  Deno.test(`smtpd -n reports ${name}`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
    try {
      const path = (one: string) => join(folder, one);
      await Deno.writeTextFile(path("aliases"), "bob secret\n", { mode: 0o600 });
      await Deno.writeTextFile(path("more.conf"), `table secrets file:${path("aliases")}\n`, { mode: 0o600 });
      await Deno.writeTextFile(
        path("smtpd.conf"),
        `include "${
          path("more.conf")
        }"\naction "out" relay host "smtp+tls://bob@mx.example.net" auth <secrets>\nmatch for any action "out"\n`,
        { mode: 0o600 },
      );
      await Deno.chmod(path(file), mode);
      const { stderr, code: status } = await run(SMTPD, ["-n", "--one-user", "-f", path("smtpd.conf")]);
      assert.match(stderr, want);
      assert.equal(status, code, stderr);
      assert.ok(code === 0 || !stderr.includes("configuration OK"));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const spools: { name: string; spoil: (spool: string) => Promise<unknown>; want: RegExp }[] = [
  {
    name: "that all may write",
    spoil: (spool) => Deno.chmod(spool, 0o777),
    want: /everybody may write the spool .*\/spool \(mode 0777\): .*chmod 0711 .*\/spool$/m,
  },
  {
    name: "that a group may write",
    spoil: (spool) => Deno.chown(spool, 0, 1234).then(() => Deno.chmod(spool, 0o770)),
    want: /its group may write the spool .* \(mode 0770\)/,
  },
  {
    name: "of another user",
    spoil: (spool) => Deno.chown(spool, 1234, 1234),
    want:
      /the spool \S+\/spool belongs to another user \(uid 1234\), .* chown root .*\/spool; or start smtpd as that user$/m,
  },
  {
    name: "with a database of another user's",
    spoil: (spool) => Deno.chown(`${spool}/queue.db`, 1234, 1234),
    want: /queue\.db of the spool belongs to another user/,
  },
  {
    name: "with a database that all may write",
    spoil: (spool) => Deno.chmod(`${spool}/queue.db`, 0o606),
    want: /others may write .*queue\.db of the spool: use chmod go-w /,
  },
  {
    name: "with a folder for imports that all may write",
    spoil: (spool) => Deno.mkdir(`${spool}/import`).then(() => Deno.chmod(`${spool}/import`, 0o777)),
    want: /others may write .*import of the spool/,
  },
];
Deno.test("smtpd refuses a spool that others may change, at the start and with -n", {
  ignore: Deno.uid() !== 0,
}, async (test) => {
  await withDaemon({ config: maildirConfig }, async (daemon) => {
    await daemon.stop();
    const spool = join(daemon.folder, "spool");
    const start = (option: string) =>
      run(SMTPD, [option, "--one-user", "-f", join(daemon.folder, "smtpd.conf")], { env: daemon.env });
    for (const { name, spoil, want } of spools) {
      await test.step(name, async () => {
        await spoil(spool);
        for (const option of ["-d", "-n"]) {
          const { code, stderr } = await start(option);
          assert.match(stderr, want);
          assert.equal(code, 1);
        }
        for (const path of [spool, `${spool}/queue.db`]) await Deno.chown(path, 0, 0);
        await Deno.remove(`${spool}/import`, { recursive: true }).catch(() => {});
        await Deno.chmod(`${spool}/queue.db`, 0o600);
        await Deno.chmod(join(spool, ".."), 0o711);
        // What is only wider open than it need be is put right.
        await Deno.chmod(spool, 0o755);
      });
    }
    await test.step("a folder of sockets that all may write is warned of", async () => {
      await Deno.chmod(daemon.folder, 0o777);
      const { code, stderr } = await start("-n");
      assert.equal(code, 0, stderr);
      assert.match(
        stderr,
        /^warning: everybody may write .* \(mode 0777\), the folder of the control socket, .* use chmod 0755 /m,
      );
    });
    await daemon.launch();
    assert.equal(modeOf(spool), "711");
  });
});

Deno.test("sendmail without a Deno keeps the mail, and the next start submits it", {
  ignore: Deno.uid() !== 0,
}, async () => {
  await withDaemon({ config: maildirConfig }, async (daemon) => {
    // A checkout whose owner has not made it ready.
    const checkout = join(daemon.folder, "checkout");
    const copied = await run("sh", [
      "-c",
      `mkdir -p "${checkout}/.deno" && cp -r "${PROJECT}/scripts" "${PROJECT}/deno.json" "${PROJECT}/deno.lock" "${checkout}"`,
    ]);
    assert.equal(copied.code, 0, copied.stderr);
    const nobody = new Deno.Command(join(checkout, "scripts/sendmail"), {
      args: ["-t", `carol@${DOMAIN}`],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", ...daemon.env },
      uid: 65534,
      gid: 65534,
      stdin: "piped",
      stderr: "piped",
      stdout: "null",
    }).spawn();
    const writer = nobody.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`To: bob@${DOMAIN}\r\nSubject: kept\r\n\r\n`));
    // A daemon that starts while the text still comes must not take a part of it for the mail.
    const folder = `${daemon.folder}/spool/offline`;
    const files = () => [...Deno.readDirSync(folder)].map(({ name }) => name);
    while (files().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.match(files()[0]!, /^\.\d+\.\w{10}$/);
    await writer.write(new TextEncoder().encode("hi\r\n"));
    await writer.close();
    const { code, stderr } = await nobody.output();
    assert.match(files()[0]!, /^\d+\.\w{10}$/);
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 0, said);
    assert.match(said, /the message waits in .*\/offline for the next start of smtpd/);
    await daemon.stop();
    await daemon.launch();
    await daemon.logged(/1 offline message submitted/);
    assert.match(await daemon.mailbox("bob").text(), /^Subject: kept\n[^]*\n\nhi\n$/m);
    assert.match(await daemon.mailbox("carol").text(), /^Subject: kept$/m);
  });
});

Deno.test("a deno.lock that is damaged, missing or of another version loses no user's mail", {
  ignore: Deno.uid() !== 0,
}, async (test) => {
  await withDaemon({ config: maildirConfig }, async (daemon) => {
    const checkout = join(daemon.folder, "checkout");
    const shell = async (script: string) => {
      const { code, stderr } = await run("sh", ["-ec", script], { env: { HERE: PROJECT, CHECKOUT: checkout } });
      assert.equal(code, 0, stderr);
    };
    // Links of its own, and a state folder that only root may write.
    await shell(`mkdir -p "$CHECKOUT/.deno"; cd "$HERE"; cp -r scripts src workers deno.json deno.lock "$CHECKOUT"
      ln -s "$(readlink -f .deno/cache)" "$CHECKOUT/.deno/cache"
      for deno in .deno/deno-*; do ln -s "$(readlink -f "$deno")" "$CHECKOUT/$deno"; done`);
    const asNobody = async (args: string[], input: string) => {
      const child = new Deno.Command(join(checkout, "scripts/sendmail"), {
        args,
        clearEnv: true,
        env: { PATH: "/usr/bin:/bin", ...daemon.env },
        uid: 65534,
        gid: 65534,
        stdin: "piped",
        stderr: "piped",
        stdout: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
      const { code, stdout, stderr } = await child.output();
      return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
    };
    const damages: [name: string, script: string][] = [
      ["merge", `sed -i '1s/.*/<<<<<<< HEAD/' "$CHECKOUT/deno.lock"`],
      ["version", `sed -i 's/"version": "[0-9]*"/"version": "99"/' "$CHECKOUT/deno.lock"`],
      ["missing", `rm "$CHECKOUT/deno.lock"`],
      ["kept", `cp "$HERE/deno.lock" "$CHECKOUT/.deno/"; echo "{" >"$CHECKOUT/deno.lock"`],
    ];
    for (const [name, script] of damages) {
      await test.step(name, async () => {
        await shell(`cp "$HERE/deno.lock" "$CHECKOUT"; ${script}`);
        const ran = await asNobody([`${name}@${DOMAIN}`], `Subject: ${name}\n\nhi\n`);
        assert.equal(ran.code, 0, ran.stderr);
        assert.match(ran.stderr, /^warning: Deno is not ready in [^\n]*\n$/);
        assert.match(await daemon.mailbox(name).text(), new RegExp(`^Subject: ${name}$`, "m"));
      });
    }
    await test.step("the other modes run, too", async () => {
      assert.match((await asNobody(["-bs"], "QUIT\r\n")).stdout, /^220 [^]*\r\n221 /);
      assert.match((await asNobody(["-bv", `x@${DOMAIN}`], "")).stdout, /deliverable/);
      assert.match((await asNobody(["--version"], "")).stdout, /^sendmail \(/);
    });
    await test.step("a program that cannot be loaded keeps the mail and says so in one line; what is no mail is status 75", async () => {
      const whole =
        `cd "$CHECKOUT"; cp "$HERE/deno.lock" .; cp "$HERE/src/main.ts" src/; cp "$HERE/src/cli/sendmail/sendmail.ts" src/cli/sendmail/
        cp "$HERE/src/events/mod.ts" src/events/; (. scripts/lib.sh; root=$PWD; locked >.deno/installed)`;
      const broken: [name: string, script: string][] = [
        ["tool", `echo "}{" >>src/cli/sendmail/sendmail.ts`],
        ["main", `echo "}{" >>src/main.ts`],
        ["nomain", `rm src/main.ts`],
        ["thrown", `echo "throw new Error('x')" >>src/events/mod.ts`],
        ["module", `rm src/events/mod.ts`],
      ];
      for (const [name, script] of broken) {
        await shell(`${whole}; ${script}`);
        const ran = await asNobody([`${name}@${DOMAIN}`], `Subject: ${name}\n\nhi\n`);
        assert.deepEqual([ran.code, ran.stdout], [0, ""], ran.stderr);
        assert.match(ran.stderr, /^sendmail: the program cannot be loaded from [^\n]+: the message waits in [^\n]+\n$/);
      }
      const session = await asNobody(["-bs"], "QUIT\r\n");
      assert.deepEqual([session.code, session.stdout.slice(0, 4)], [75, "421 "], session.stderr);
      const verified = await asNobody(["-bv", `x@${DOMAIN}`], "");
      assert.deepEqual([verified.code, verified.stderr.split("\n").length], [75, 2], verified.stderr);
      await shell(whole);
      // Whoever ends the script ends the program: nothing is sent afterwards.
      const ended = new Deno.Command(join(checkout, "scripts/sendmail"), {
        args: [`x@${DOMAIN}`],
        env: daemon.env,
        stdin: "piped",
        stderr: "null",
      }).spawn();
      await ended.stdin.getWriter().write(new TextEncoder().encode("Subject: x\n"));
      const below = async () => (await run("pgrep", ["-P", `${ended.pid}`])).stdout.trim();
      while (await below() === "" || !(await run("ps", ["-o", "comm=", "-p", await below()])).stdout.includes("deno"));
      const program = await below();
      ended.kill("SIGTERM");
      assert.notEqual((await ended.status).code, 0);
      assert.notEqual((await run("kill", ["-0", program])).code, 0, "the program goes on");
      await daemon.stop();
      await daemon.launch();
      await daemon.logged(new RegExp(`${broken.length} offline messages submitted`));
      for (const [name] of broken) {
        assert.match(await daemon.mailbox(name).text(), new RegExp(`^Subject: ${name}$`, "m"));
      }
    });
    await test.step("without packages to start with the mail waits, and what is no mail is status 75", async () => {
      await shell(
        `rm "$CHECKOUT/deno.lock" "$CHECKOUT/.deno/installed"; echo "}{" >>"$CHECKOUT/src/cli/sendmail/sendmail.ts"`,
      );
      const kept = await asNobody(["--account=x", `late@${DOMAIN}`], "Subject: late\n\nhi\n");
      assert.deepEqual([kept.code, kept.stdout], [0, ""], kept.stderr);
      const session = await asNobody(["-bs"], "QUIT\r\n");
      assert.deepEqual([session.code, session.stdout.slice(0, 4)], [75, "421 "], session.stderr);
      const others = [["-bv", `x@${DOMAIN}`], ["--version"], ["-F", "a|b", `x@${DOMAIN}`]];
      for (const ran of await Promise.all(others.map((args) => asNobody(args, "")))) {
        assert.deepEqual([ran.code, ran.stdout, ran.stderr.split("\n").length], [75, "", 2], ran.stderr);
      }
      await daemon.stop();
      await daemon.launch();
      await daemon.logged(/1 offline message submitted/);
      assert.match(await daemon.mailbox("late").text(), /^Subject: late$/m);
    });
  });
});

Deno.test("an import before the first start leaves a spool with the daemon's modes, which takes it in", {
  ignore: Deno.uid() !== 0,
}, async () => {
  await withDaemon({ config: maildirConfig, args: ["-P", "mda"] }, async (daemon) => {
    const sent = await daemon.tool("sendmail", [`bob@${DOMAIN}`], "Subject: moved\n\nhi\n");
    assert.equal(sent.code, 0, sent.stderr);
    const exported = join(daemon.folder, "exported"), spool = join(daemon.folder, "new/spool");
    assert.equal((await daemon.tool("smtpctl", ["export", exported])).code, 0);
    const env = { ...daemon.env, SMTPD_SPOOL: spool, SMTPD_SOCKET: join(daemon.folder, "new.sock") };
    const imported = await run("sh", [
      "-c",
      'umask 077; exec "$0" "$@"',
      join(PROJECT, "scripts/smtpctl"),
      "import",
      exported,
    ], { env });
    assert.equal(imported.code, 0, imported.stderr);
    assert.deepEqual([join(daemon.folder, "new"), spool, `${spool}/import`].map(modeOf), ["755", "711", "700"]);
  });
});
