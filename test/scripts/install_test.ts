/** scripts/install as root, in a mount namespace with an /etc of its own: no user of this machine is made or changed, and nothing is put into it. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const INSTALL = fileURLToPath(new URL("../../scripts/install", import.meta.url));
const UNINSTALL = fileURLToPath(new URL("../../scripts/uninstall", import.meta.url));
const ROOT = Deno.uid() === 0;

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const command = new Deno.Command(args[0]!, {
    args: args.slice(1),
    env: { VAULTPOST_OWNER_WARNED: "1", ...env },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Runs shell commands in a mount namespace where /etc is a copy without our users. `$install` is the script, `$spool` a path for a spool. */
async function inOwnEtc(body: (shell: (commands: string) => Promise<Ran>, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-install-" });
  try {
    const copied = await run(["cp", "-a", "/etc", folder]);
    assert.equal(copied.code, 0, copied.stderr);
    for (const file of ["passwd", "group", "shadow", "gshadow"]) {
      const path = `${folder}/etc/${file}`;
      const text = await Deno.readTextFile(path).catch(() => "");
      await Deno.writeTextFile(path, text.split("\n").filter((line) => !/^_?smtp[dq]?:/.test(line)).join("\n"));
    }
    for (const made of ["vaultpost", "smtpd.conf", "mail", "aliases"]) {
      await Deno.remove(`${folder}/etc/${made}`, { recursive: true }).catch(() => {});
    }
    await Deno.chmod(folder, 0o755);
    const enter = `mount --bind ${folder}/etc /etc && mount -t tmpfs none /var/log && `;
    await body(
      (commands) =>
        run(["unshare", "-m", "--propagation", "private", "sh", "-ec", enter + commands], {
          install: INSTALL,
          uninstall: UNINSTALL,
          PREFIX: `${folder}/usr`,
          SMTPD_SPOOL: `${folder}/spool`,
          SMTPD_SOCKET: `${folder}/smtpd.sock`,
          spool: `${folder}/spool`,
        }),
      folder,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const SHOWN = `getent passwd smtpd smtpq | cut -d : -f 1,6,7; stat -c '%U %G %a' $spool $spool/offline /etc/vaultpost`;

Deno.test(
  "scripts/install makes users and folders, once, and leaves what is there",
  { ignore: !ROOT },
  async (test) => {
    await inOwnEtc(async (shell, folder) => {
      await test.step("the users alone", async () => {
        const { code, stdout, stderr } = await shell(
          `$install --users; getent passwd smtpd smtpq; ls -d $spool 2>&1 || true`,
        );
        assert.equal(code, 0, stderr);
        assert.match(stderr, /^Made the user smtpd \(uid \d+\)\nMade the user smtpq \(uid \d+\)\n$/);
        assert.match(stdout, /^smtpd:x:[1-9]\d*:[1-9]\d*:.*:\/nonexistent:\/usr\/sbin\/nologin\nsmtpq:x:/);
        assert.match(stdout, /No such file/, "and no folder");
      });
      await test.step("then the folders, with their owners and modes", async () => {
        const { code, stdout, stderr } = await shell(
          `$install; ${SHOWN}; find $PREFIX ! -user 0 -o -perm -0020 ! -type l; ` +
            "find $PREFIX/lib/vaultpost/.deno/cache/gen -name serve.ts.js | wc -l >&2",
        );
        assert.equal(code, 0, stderr);
        // Users may not write into the caches: what they run has been translated.
        assert.ok(Number(stderr.trim().split("\n").at(-1)) > 10, stderr);
        assert.match(
          stderr,
          /^The user smtpd is there .*\nThe user smtpq is there .*\nMade \/etc\/vaultpost\/smtpd.conf, .*\nMade \/etc\/aliases: .*\nInstalled Vaultpost .* below .*\/usr\n/,
        );
        assert.match(stderr, /Made the folder .*\/spool for the user smtpq\n/);
        assert.equal(
          stdout,
          "smtpd:/nonexistent:/usr/sbin/nologin\nsmtpq:/nonexistent:/usr/sbin/nologin\n" +
            "smtpq smtpq 711\nroot root 1733\nroot root 755\n",
        );
      });
      await test.step("again, it replaces the program and changes nothing else", async () => {
        await Deno.chmod(`${folder}/etc/vaultpost`, 0o750);
        await Deno.rename(`${folder}/etc/vaultpost/smtpd.conf`, `${folder}/etc/smtpd.conf`);
        const before = await Deno.readTextFile(`${folder}/etc/passwd`);
        const { code, stdout, stderr } = await shell(
          `$install; ${SHOWN}; $PREFIX/sbin/smtpd -n >&2; $PREFIX/sbin/sendmail -bi >&2`,
        );
        // The first configuration works as it stands, and is found where OpenSMTPD has its own.
        assert.equal(code, 0, stderr);
        assert.match(stderr, /the configuration is \/etc\/smtpd.conf\nconfiguration OK\n\/etc\/aliases: 1 alias\n$/);
        assert.doesNotMatch(stderr, /Made/);
        assert.match(stderr, /The configuration \/etc\/smtpd.conf is there: smtpd takes that one/);
        assert.match(stdout, /root root 750\n$/);
        assert.deepEqual([...Deno.readDirSync(`${folder}/etc/vaultpost`)], []);
        assert.equal(await Deno.readTextFile(`${folder}/etc/passwd`), before);
      });
    });
  },
);

Deno.test(
  "scripts/install takes a group that is there, other names, and systems without useradd",
  { ignore: !ROOT },
  async (test) => {
    await inOwnEtc(async (shell, folder) => {
      await test.step("a group that is there", async () => {
        const { code, stdout, stderr } = await shell(`groupadd --system smtpd; $install --users; id -gn smtpd`);
        assert.equal(code, 0, stderr);
        assert.equal(stdout, "smtpd\n");
      });
      await test.step("other names", async () => {
        const { code, stdout, stderr } = await shell(
          `export SMTPD_USER=mail_front SMTPD_QUEUE_USER=mail-queue; $install --users; id -un mail_front mail-queue`,
        );
        assert.equal(code, 0, stderr);
        assert.equal(stdout, "mail_front\nmail-queue\n");
      });
      await test.step("BusyBox's adduser", async () => {
        await Deno.mkdir(`${folder}/bin`);
        for (const name of ["adduser", "addgroup"]) {
          await Deno.writeTextFile(`${folder}/bin/${name}`, `#!/bin/sh\necho "${name} $*" >>${folder}/called\n`, {
            mode: 0o755,
          });
        }
        const tools = "dirname readlink sed id grep cut cksum tr cat find head stat";
        const { stderr } = await shell(
          `for tool in ${tools}; do ln -s "$(command -v $tool)" ${folder}/bin/; done; SMTPD_USER=one PATH=${folder}/bin $install --users`,
        );
        assert.deepEqual((await Deno.readTextFile(`${folder}/called`)).split("\n").slice(0, 2), [
          "addgroup -S one",
          "adduser -S -D -H -h /nonexistent -s /usr/sbin/nologin -G one -g Vaultpost network processes one",
        ], stderr);
      });
    });
  },
);

const REFUSED: readonly (readonly [command: string, says: RegExp])[] = [
  ["$install --usres", /unknown argument --usres/],
  ["PREFIX=usr/local $install", /The prefix "usr\/local" is relative/],
  ["$install --prefix '/opt/a b'", /"\/opt\/a b" has a character/],
  ["$install --prefix=/opt/a,b", /\(no blank, comma or %\)/],
  ["$install --prefix /opt/100%", /\(no blank, comma or %\)/],
  ["$install --prefix /opt/../etc", /has \/\/, \/\.\/ or \/\.\.\//],
  ["$install --prefix", /--prefix needs a folder/],
  ["PREFIX=/ $install", /did you mean \/usr\?/],
  ["$uninstall", /There is no list of installed files at .*\/usr\/lib\/vaultpost\/installed-files/],
  ["SMTPD_USER=root $install --users", /The user root is root/],
  ["SMTPD_USER=one SMTPD_QUEUE_USER=one $install", /are both one: name two users/],
  ["SMTPD_USER=-x $install", /"-x" is no name of a user/],
  ["SMTPD_USER='a b' $install", /"a b" is no name of a user/],
];

Deno.test("scripts/install refuses names that cannot be, and makes no user then", { ignore: !ROOT }, async () => {
  await inOwnEtc(async (shell, folder) => {
    const before = await Deno.readTextFile(`${folder}/etc/passwd`);
    for (const [command, says] of REFUSED) {
      const { code, stderr } = await shell(command);
      assert.equal(code, 1, command);
      assert.match(stderr, says);
    }
    assert.equal(await Deno.readTextFile(`${folder}/etc/passwd`), before);
  });
});

Deno.test("scripts/install is for root", async () => {
  const command = ROOT ? ["setpriv", "--reuid=65534", "--clear-groups", INSTALL] : [INSTALL];
  const { code, stderr } = await run(command);
  assert.equal(code, 1);
  assert.match(stderr, /run it as root, or name a folder to collect the files in with --destdir\n$/);
});
