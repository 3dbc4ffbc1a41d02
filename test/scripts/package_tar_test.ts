/** scripts/package tar, in a checkout whose runtime is a small script: what is in the tarball, that it is the same each time, and what it says without glibc. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const RUNTIME = '#!/bin/sh\n[ "$1" != --version ] && echo "$0 ran $*" || echo "deno 2.9.6 (of a test)"\n';

async function run(args: readonly string[], env: Record<string, string> = {}) {
  const command = new Deno.Command(args[0]!, {
    args: args.slice(1),
    env: { VAULTPOST_OWNER_WARNED: "1", ...env },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function works(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await run(args, env);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** A checkout with one package and a runtime of a few octets, and a folder beside it. */
async function withCheckout(body: (root: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-tar-" });
  const root = join(folder, "checkout");
  try {
    await Deno.mkdir(join(root, "src/config"), { recursive: true });
    await Deno.mkdir(join(root, "workers"));
    const parts = ["scripts", "conf", "docs", "deno.json", "LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"];
    await works(["cp", "-R", ...parts.map((part) => join(PROJECT, part)), root]);
    await works(["cp", join(PROJECT, "src/config/paths.ts"), join(root, "src/config")]);
    await Deno.writeTextFile(join(root, "deno.lock"), '{\n  "npm": {\n    "@a/b@1.2.3": {\n    }\n  }\n}\n');
    const packed = join(root, ".deno/cache/npm/mirror.example/@a/b/1.2.3");
    await Deno.mkdir(packed, { recursive: true });
    await Deno.writeTextFile(join(packed, "index.js"), "");
    await Deno.writeTextFile(join(root, ".deno/deno-2.9.6"), RUNTIME, { mode: 0o755 });
    const mark = await works([
      "sh",
      "-c",
      `cd "$0" && cksum deno.json deno.lock | cut -d ' ' -f 1,2 | tr '\\n' ' '`,
      root,
    ]);
    await Deno.writeTextFile(join(root, ".deno/installed"), mark);
    await body(root, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("scripts/package tar makes the same relocatable tarball each time", async (test) => {
  await withCheckout(async (root, folder) => {
    const build = async (umask: string, name: string) => {
      const command = `umask ${umask} && exec "$0" tar --output "$1" --compression none`;
      const script = join(root, "scripts/package"), output = join(folder, name);
      await works(["sh", "-c", command, script, output], { SOURCE_DATE_EPOCH: "1000000000" });
      const [file] = [...Deno.readDirSync(output)].map((entry) => entry.name);
      assert.match(file!, /^vaultpost-\d+\.\d+\.\d+\S*-linux-(amd64|arm64)\.tar$/);
      return join(output, file!);
    };
    const first = await build("022", "one");
    await test.step("octet for octet, whatever the umask and the dates of the files", async () => {
      await works(["touch", "-d", "2001-01-01", join(root, "README.md"), join(root, "scripts/smtpd")]);
      assert.deepEqual(await Deno.readFile(await build("077", "two")), await Deno.readFile(first));
    });
    const unpacked = join(folder, "somewhere else");
    await Deno.mkdir(unpacked);
    await works(["tar", "xf", first, "-C", unpacked]);
    const [name] = [...Deno.readDirSync(unpacked)].map((entry) => entry.name);
    const place = join(unpacked, name!);
    await test.step("which runs from where it is unpacked, with the packages under the name that is looked for", async () => {
      for (const program of ["bin/smtpctl", "sbin/smtpctl", "bin/mailq"]) {
        const said = await works([join(place, program), "show", "queue"]);
        assert.ok(said.includes(`${place}/lib/vaultpost/.deno/deno-2.9.6 ran run --no-prompt --cached-only`), said);
        assert.ok(said.includes(`${place}/lib/vaultpost/src/main.ts ${program.replace(/.*\//, "")} show queue`), said);
      }
      const packages = join(place, "lib/vaultpost/.deno/cache/npm/registry.npmjs.org");
      assert.ok(Deno.statSync(join(packages, "@a/b/1.2.3/index.js")).isFile);
      for (
        const file of [
          "share/man/man8/smtpd.8",
          "share/man/man5/smtpd.conf.5",
          "share/doc/vaultpost/examples/mail-host.conf",
          "share/doc/vaultpost/examples/grafana/vaultpost.json",
          "share/doc/vaultpost/examples/prometheus/vaultpost.rules.yml",
          "lib/systemd/system/vaultpost.service",
          "share/bash-completion/completions/smtpctl",
          "share/zsh/site-functions/_smtpctl",
          "share/fish/vendor_completions.d/smtpctl.fish",
        ]
      ) assert.ok(Deno.statSync(join(place, file)).isFile, file);
      assert.match(await Deno.readTextFile(join(place, "README")), /glibc \(Debian, .*; not Alpine\)/);
    });
    await test.step("without glibc its programs say so at their start", async () => {
      const lib = join(place, "lib/vaultpost/scripts/lib.sh");
      const text = await Deno.readTextFile(lib);
      const elsewhere = text.replace("/lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1", "/nowhere/ld.so");
      assert.notEqual(elsewhere, text);
      await Deno.writeTextFile(lib, elsewhere);
      await Deno.writeTextFile(join(place, "lib/vaultpost/.deno/deno-2.9.6"), "#!/nowhere/ld.so\n");
      const { code, stderr } = await run([join(place, "bin/smtpd"), "-n"]);
      assert.equal(code, 1);
      assert.match(stderr, /^Vaultpost does not run here: its runtime, Deno, needs the C library glibc, .*Alpine.*\n$/);
    });
  });
});

Deno.test("scripts/package names its kinds, and refuses what it cannot make", async () => {
  const script = join(PROJECT, "scripts/package");
  for (
    const [args, says] of [
      [["rpm"], /unknown kind of package "rpm"/],
      [["tar", "--arch", "riscv64"], /There is no runtime for riscv64: name amd64 or arm64\n/],
      [["tar", "--compression", "lzma"], /Unknown compression lzma: name gzip, xz, zstd or none\n/],
      [["tar", "--output"], /--output needs a value/],
      [["tar", "--ouput", "x"], /unknown option --ouput/],
    ] as const
  ) {
    const { code, stderr } = await run([script, ...args]);
    assert.equal(code, 1, args.join(" "));
    assert.match(stderr, says);
  }
  assert.match(await works([script, "--help"]), /^usage: scripts\/package KIND/);
  assert.match(await works([script, "tar", "--help"]), /^usage: scripts\/package tar/);
});
