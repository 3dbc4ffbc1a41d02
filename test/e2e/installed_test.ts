/** An installation runs by itself: made below a folder, it serves and its tools work where the checkout, Node.js and npm cannot be seen. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DOMAIN, PROJECT, type Ran, run, withDaemon } from "./harness.ts";

const ROOT = Deno.uid() === 0;
const NOBODY = 65534;
const INSTALL = join(PROJECT, "scripts/install");
const UNINSTALL = join(PROJECT, "scripts/uninstall");
const HOME = "lib/vaultpost";

/** Commands for a shell that then sees neither the checkout nor what it uses; as root, in a mount namespace. */
const HIDDEN =
  `for place in "${PROJECT}" "$(readlink -f "${PROJECT}/.deno")" "$(readlink -f /proc/$PPID/exe | xargs dirname)"; do
  [ ! -d "$place" ] || mount -t tmpfs none "$place"
done
cd /
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nonexistent
for program in node npm deno; do ! command -v $program >/dev/null || mount --bind /dev/null "$(readlink -f "$(command -v $program)")"; done
`;

/** A command line that runs the program that follows it where the checkout is hidden, as user `uid`. */
function hidden(uid = 0): [string, ...string[]] {
  const other = uid === 0 ? "" : `setpriv --reuid=${uid} --regid=${uid} --clear-groups`;
  const prepare = uid === 0 ? "" : `mkdir -p "$SMTPD_SPOOL"; chown -R ${uid} "\${SMTPD_SPOOL%/*}"\n`;
  return [
    ...["unshare", "-m", "--propagation", "private", "sh", "-ec"] as const,
    `${HIDDEN}${prepare}exec ${other} "$@"`,
    "sh",
  ] as unknown as [string, ...string[]];
}

function install(destdir: string, { args = [], uid = 0 }: { args?: readonly string[]; uid?: number } = {}) {
  const command = [INSTALL, "--destdir", destdir, ...args];
  return uid === 0 || !ROOT
    ? run(command[0]!, command.slice(1))
    : run("setpriv", [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", ...command]);
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  await Deno.chmod(folder, 0o755);
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function files(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? files(join(folder, name)) : [join(folder, name)]
  );
}

/** Sends by every way that a user has, and asks with every tool; `tool` runs a program of the installation. */
async function useAll(
  daemon: Parameters<Parameters<typeof withDaemon>[1]>[0],
  tool: (program: string, args: readonly string[], input?: string) => Promise<Ran>,
): Promise<void> {
  const works = async (program: string, args: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await tool(program, args, input);
    assert.equal(code, 0, `${program} ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  await works("sbin/sendmail", ["-v", `sent@${DOMAIN}`], "Subject: by sendmail\n\nx\n");
  await works("bin/smtp", ["-s", `smtp://127.0.0.1:${daemon.port}`, `smtp@${DOMAIN}`], "Subject: by smtp\n\nx\n");
  assert.match(await daemon.mailbox("sent").text(), /by sendmail/);
  assert.match(await daemon.mailbox("smtp").text(), /by smtp/);
  assert.match(await works("sbin/smtpctl", ["show", "status"]), /MTA running/);
  assert.equal(await works("bin/mailq", []), "");
  await Deno.writeTextFile(join(daemon.folder, "map"), "key value\n");
  const map = join(daemon.folder, "made.db");
  await works("sbin/makemap", ["-o", map, join(daemon.folder, "map")]);
  assert.equal(await works("sbin/makemap", ["-U", map]), "key\tvalue\n");
  assert.match(await works("bin/newaliases", ["-f", daemon.configFile]), /: 1 alias\n/);
}

const config = ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
  Deno.writeTextFileSync(join(folder, "aliases"), "root: nobody\n");
  return `table aliases file:${folder}/aliases
listen on socket
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = nobody } user nobody
match from any for domain "${DOMAIN}" action "inbox"
`;
};

Deno.test("an installation runs where the checkout, Node.js and npm are hidden", { ignore: !ROOT }, async (test) => {
  await inFolder(async (destdir) => {
    const prefix = join(destdir, "usr/local"), home = join(prefix, HOME);
    const made = await install(destdir);
    assert.equal(made.code, 0, made.stderr);
    await Deno.writeTextFile(join(destdir, "npmrc"), "");
    const tool = (env: Record<string, string>) => (program: string, args: readonly string[], input = "") =>
      run(hidden()[0], [...hidden().slice(1), join(prefix, program), ...args], { env, input });

    await test.step("as processes of two users", async () => {
      const program = [...hidden(), join(prefix, "sbin/smtpd")] as [string, ...string[]];
      await withDaemon({ twoUsers: true, program, config }, async (daemon) => {
        await useAll(daemon, tool({ ...daemon.env, NPM_CONFIG_REGISTRY: "http://127.0.0.1:1/" }));
      });
    });

    await test.step("as an ordinary user, while it is installed anew, and files of older versions go", async () => {
      const start = hidden(NOBODY);
      const own = (daemon: Parameters<typeof config>[0]) => {
        Deno.chownSync(daemon.mail, NOBODY, NOBODY);
        return config(daemon);
      };
      const program = [...start, join(prefix, "sbin/smtpd")] as [string, ...string[]];
      await withDaemon({ twoUsers: false, program, config: own }, async (daemon) => {
        const gone = "src/gone/before.ts", list = join(home, "installed-files");
        await Deno.mkdir(join(home, "src/gone"));
        await Deno.writeTextFile(join(home, gone), "");
        const lines = (await Deno.readTextFile(list)).trimEnd().split("\n").slice(0, -1);
        const older = [...lines, `${HOME}/src/gone/`, `${HOME}/${gone}`];
        await Deno.writeTextFile(list, `${older.join("\n")}\n# end of ${older.length - 1}\n`);
        const runtime = files(join(home, ".deno")).find((path) => /\/deno-[\d.]+$/.test(path))!;
        const { ino: inode } = Deno.statSync(runtime);
        // Of an install that was killed.
        const stale = join(prefix, "lib/.vaultpost-new.99999999");
        await Deno.mkdir(join(stale, "tree"), { recursive: true });
        const again = await install(destdir);
        assert.equal(await Deno.stat(stale).catch(() => "gone"), "gone");
        assert.equal(again.code, 0, again.stderr);
        assert.equal(Deno.statSync(runtime).ino, inode, "the daemon starts its processes from it");
        assert.equal(await Deno.stat(join(home, "src/gone")).catch(() => "gone"), "gone");
        assert.deepEqual((await Deno.readTextFile(list)).trimEnd().split("\n").slice(0, -1).sort(), lines.sort());
        const sendmail = [...start.slice(1), join(prefix, "sbin/sendmail"), `after@${DOMAIN}`];
        const sent = await run(start[0], sendmail, { env: daemon.env, input: "Subject: after\n\nx\n" });
        assert.equal(sent.code, 0, sent.stderr);
        await daemon.mailbox("after").arrived(1);
      });
    });

    await test.step("nothing in it may be changed by others, and it is reached by relative links", () => {
      for (const path of files(prefix)) {
        const { uid, mode, isSymlink } = Deno.lstatSync(path);
        assert.ok(isSymlink || (uid === 0 && (mode! & 0o022) === 0), path);
      }
      assert.equal(Deno.readLinkSync(join(prefix, "sbin/sendmail")), `../${HOME}/scripts/sendmail`);
    });

    await test.step("without its runtime it says what to do, and sendmail keeps the mail", async () => {
      const runtime = files(join(home, ".deno")).find((path) => /\/deno-[\d.]+$/.test(path))!;
      await Deno.rename(runtime, `${runtime}.away`);
      await Deno.mkdir(join(destdir, "spool/offline"), { recursive: true });
      const env = { SMTPD_SPOOL: join(destdir, "spool"), SMTPD_SOCKET: join(destdir, "smtpd.sock") };
      const control = await tool(env)("sbin/smtpctl", ["show", "queue"]);
      assert.deepEqual([control.code, control.stderr.split("\n").length], [1, 2], control.stderr);
      assert.match(control.stderr, /^The runtime .* is missing or does not run: install Vaultpost again\n$/);
      const kept = await tool(env)("sbin/sendmail", ["root"], "Subject: kept\n\nx\n");
      assert.equal(kept.code, 0, kept.stderr);
      assert.equal(files(join(destdir, "spool/offline")).length, 1);
      await Deno.remove(join(destdir, "spool"), { recursive: true });
      await Deno.rename(`${runtime}.away`, runtime);
    });

    await test.step("a list of files that is not whole is refused by uninstall", async () => {
      const list = join(home, "installed-files");
      const text = await Deno.readTextFile(list);
      for (
        const half of [
          text.slice(0, text.length / 2),
          `${text.slice(0, -1)}0\n`,
          text.replace(`\n${HOME}/src/`, "\n../../etc/"),
        ]
      ) {
        await Deno.writeTextFile(list, half);
        const { code, stderr } = await run(UNINSTALL, ["--destdir", destdir]);
        assert.equal(code, 1);
        assert.match(stderr, /is not whole, so nothing was taken away: run scripts\/install again/);
      }
      await Deno.writeTextFile(list, text);
    });

    await test.step("the uninstall that is in it takes exactly that away", async () => {
      await Deno.writeTextFile(join(home, "src/mine.txt"), "");
      await Deno.mkdir(join(prefix, "share/mine"));
      // A folder of theirs in the place of one of ours.
      await Deno.mkdir(join(destdir, "theirs"));
      await Deno.writeTextFile(join(destdir, "theirs/README.md"), "");
      await Deno.remove(join(prefix, "share/doc/vaultpost"), { recursive: true });
      await Deno.symlink(join(destdir, "theirs"), join(prefix, "share/doc/vaultpost"));
      const { code, stderr } = await run(hidden()[0], [...hidden().slice(1), join(home, "scripts/uninstall")]);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /There are files in .*\/lib\/vaultpost that scripts\/install has not put there: they stay/);
      assert.match(stderr, /These stay: the configuration with its keys in \/etc\/vaultpost, the mail in /);
      assert.deepEqual(files(destdir).map((path) => path.slice(destdir.length + 1)).sort(), [
        "etc/aliases",
        "etc/vaultpost/smtpd.conf",
        "npmrc",
        "theirs/README.md",
        "usr/local/lib/vaultpost/src/mine.txt",
        "usr/local/share/doc/vaultpost",
      ]);
      assert.deepEqual([...Deno.readDirSync(prefix)].map(({ name }) => name).sort(), ["lib", "share"]);
    });
  });
});

Deno.test("an ordinary user may collect an installation for a package, and it is taken away again", async () => {
  await inFolder(async (folder) => {
    const destdir = join(folder, "collected"), prefix = join(destdir, "opt/mail");
    await Deno.mkdir(destdir);
    if (ROOT) await Deno.chown(destdir, NOBODY, NOBODY);
    const made = await install(destdir, { args: ["--prefix=/opt/mail"], uid: NOBODY });
    assert.equal(made.code, 0, made.stderr);
    const unit = await Deno.readTextFile(join(prefix, "lib/systemd/system/vaultpost.service"));
    assert.ok(unit.includes("/opt/mail/") && !unit.includes("/usr/local/"), unit);
    const { code, stdout } = await run(join(prefix, "sbin/smtpctl"), ["--version"]);
    assert.deepEqual([code, stdout.slice(0, 19)], [0, "smtpctl (Vaultpost)"]);
    assert.equal((await run(UNINSTALL, ["--destdir", destdir, "--prefix", "/opt/mail"])).code, 0);
    assert.deepEqual([...Deno.readDirSync(destdir)].map(({ name }) => name).sort(), ["etc", "opt"]);
    assert.deepEqual([...Deno.readDirSync(join(destdir, "opt"))], []);
  });
});

Deno.test(
  "what stands where it would be installed is left, and nothing is half installed",
  { ignore: !ROOT },
  async (test) => {
    await inFolder(async (destdir) => {
      const prefix = join(destdir, "usr");
      const unchanged = async (says: RegExp, command: readonly [string, ...string[]]) => {
        const before = files(destdir);
        const { code, stderr } = await run(command[0], command.slice(1));
        assert.equal(code, 1, stderr);
        assert.match(stderr, says);
        assert.match(stderr, /Nothing was installed, see above: what was there is as it was\./);
        assert.deepEqual(files(destdir), before);
      };
      await test.step("another's sendmail", async () => {
        await Deno.mkdir(join(prefix, "sbin"), { recursive: true });
        await Deno.writeTextFile(join(prefix, "sbin/sendmail"), "exim's");
        await unchanged(/Another program's files would be overwritten: \S*\/usr\/sbin\/sendmail\. Move them away/, [
          ...[INSTALL, "--prefix", "/usr", "--destdir", destdir] as const,
        ]);
        await Deno.remove(join(prefix, "sbin"), { recursive: true });
      });
      await test.step("a folder that scripts/install has not made", async () => {
        await Deno.mkdir(join(prefix, HOME), { recursive: true });
        await Deno.writeTextFile(join(prefix, HOME, "mine"), "");
        await unchanged(/\/usr\/lib\/vaultpost is there, and scripts\/install has not made it: move it away/, [
          ...[INSTALL, "--prefix", "/usr", "--destdir", destdir] as const,
        ]);
        await Deno.remove(join(prefix, HOME), { recursive: true });
      });
      await test.step("a full disk", async () => {
        const script = `mount -t tmpfs -o size=20m none "$1"
status=0
"$0" --prefix /usr --destdir "$1" || status=$?
find "$1" ! -type d >&2
exit $status`;
        await unchanged(/No space left on device[^]*as it was\. It needs 150 MB below \S+\n$/, [
          ...["unshare", "-m", "--propagation", "private", "sh", "-ec", script, INSTALL, destdir] as const,
        ]);
      });
    });
  },
);
