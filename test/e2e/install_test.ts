/** What scripts/lib.sh does before anything runs: Deno from npm with its checksum, no network, and root in somebody else's checkout. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { PROJECT, type Ran, run } from "./harness.ts";

const ROOT = Deno.uid() === 0;
const PLATFORM = Deno.build.arch === "aarch64" ? "linux-arm64-glibc" : "linux-x64-glibc";
/** What npm brings here instead of Deno: it leaves a trace when it is run. */
const BINARY = '#!/bin/sh\n: >"${RAN:?}"\necho "deno 2.9.6 (of a test)"\n';
/** An npm that has one package, which holds what is in $BINARY. With --prefix npm reads other global settings unless they are named. */
const NPM = `#!/bin/sh
[ "$1 $2 $3" != "config get globalconfig" ] || echo /global/npmrc
[ "$1" = install ] || exit 0
case $* in *" --globalconfig /global/npmrc "*) ;; *) echo "npm's global settings are left out" >&2 && exit 1 ;; esac
place=$3/node_modules/@deno/${PLATFORM}
mkdir -p "$place"
cp "$BINARY" "$place/deno"
chmod 755 "$place/deno"
`;

interface Checkout {
  readonly folder: string;
  readonly root: string;
  /** Runs a script with nothing but the system's programs on the PATH. */
  script(name: string, args?: readonly string[], env?: Record<string, string>): Promise<Ran>;
  /** The same with a registry of packages that cannot be reached. */
  offline(name: string): Promise<Ran>;
}

/** A checkout without Deno and packages, in a folder whose name has a blank. */
async function withCheckout(body: (checkout: Checkout) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  const root = join(folder, "a checkout");
  await Deno.mkdir(join(root, "src/config"), { recursive: true });
  const parts = ["scripts", "deno.json", "deno.lock"].map((part) => join(PROJECT, part));
  assert.equal((await run("cp", ["-R", ...parts, root])).code, 0);
  assert.equal((await run("cp", [join(PROJECT, "src/config/paths.ts"), join(root, "src/config")])).code, 0);
  const environment = { PATH: `${folder}/bin:/usr/bin:/bin`, HOME: folder, VAULTPOST_OWNER_WARNED: "" };
  const script = (name: string, args: readonly string[] = [], env: Record<string, string> = {}) =>
    run(join(root, "scripts", name), args, { env: { ...environment, ...env } });
  // Nobody listens on port 1.
  const offline = (name: string) => script(name, [], { NPM_CONFIG_REGISTRY: "http://127.0.0.1:1/" });
  try {
    await body({ folder, root, script, offline });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeProgram(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text, { mode: 0o755 });
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("Deno from npm runs only when it has the checksum that is pinned", async (test) => {
  await withCheckout(async ({ folder, root, script }) => {
    const ran = join(folder, "ran"), binary = join(folder, "binary");
    await Deno.mkdir(join(folder, "bin"));
    await writeProgram(join(folder, "bin/npm"), NPM);
    await Deno.writeTextFile(binary, BINARY);
    const env = { RAN: ran, BINARY: binary };
    await test.step("another one is deleted without being run, with words", async () => {
      const { code, stderr } = await script("deno", ["--version"], env);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /What npm installed is not Deno 2\.9\.6: the SHA-256 of @deno\/\S+ is [0-9a-f]{64}, not [0-9a-f]{64}/,
      );
      assert.match(stderr, /put Deno 2\.9\.6 on the PATH/);
      assert.ok(!await exists(ran), "it must not run");
      assert.deepEqual([...Deno.readDirSync(join(root, ".deno"))].map(({ name }) => name), ["lock"]);
    });
    await test.step("the right one is used", async () => {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(BINARY))).toHex();
      const lib = join(root, "scripts/lib.sh");
      await Deno.writeTextFile(lib, (await Deno.readTextFile(lib)).replace(/^(deno_sha256_\w+)=.*$/gm, `$1=${digest}`));
      const { code, stdout, stderr } = await script("deno", ["--version"], env);
      assert.deepEqual([code, stdout], [0, "deno 2.9.6 (of a test)\n"], stderr);
    });
  });
});

/** npm alone takes more than a minute. */
const SECONDS = 50;

Deno.test("Without network the first start fails in seconds, and says what to do", async (test) => {
  await withCheckout(async ({ root, offline }) => {
    await test.step({
      name: "when Deno is missing",
      ignore: !await exists("/usr/bin/npm"),
      fn: async () => {
        const began = performance.now();
        const { code, stderr } = await offline("smtpd");
        assert.equal(code, 1);
        assert.match(
          stderr,
          /npm could not ask its registry for deno@2\.9\.6, see above\.\nLook at the network.*put Deno 2\.9\.6 on the PATH\nDeno could not be made ready in [^\n]*, see above\n$/,
        );
        assert.ok(performance.now() - began < SECONDS * 1000);
        assert.deepEqual([...Deno.readDirSync(join(root, ".deno"))].map(({ name }) => name), ["lock"]);
      },
    });
    await test.step("when only the packages are missing", async () => {
      await Deno.mkdir(join(root, ".deno"), { recursive: true });
      await Deno.symlink(Deno.execPath(), join(root, ".deno/deno-2.9.6"));
      const began = performance.now();
      const { code, stderr } = await offline("smtpd");
      assert.equal(code, 1);
      assert.match(stderr, /The registry of npm packages cannot be reached, see above\. Look at the network/);
      assert.ok(performance.now() - began < SECONDS * 1000);
    });
  });
});

Deno.test("Where the registry's certificate is not trusted, the first start says whose certificate to name", async (test) => {
  await withCheckout(async ({ folder, root, script }) => {
    const certified = await run("openssl", [
      ..."req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=127.0.0.1 -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1"
        .split(
          " ",
        ),
      ...["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")],
    ]);
    assert.equal(certified.code, 0, certified.stderr);
    const [cert, key] = await Promise.all(["cert.pem", "key.pem"].map((name) => Deno.readTextFile(join(folder, name))));
    const registry = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert: cert!, key: key!, onListen: () => {} },
      () => new Response("not here", { status: 404 }),
    );
    const env = { NPM_CONFIG_REGISTRY: `https://127.0.0.1:${registry.addr.port}/`, NODE_EXTRA_CA_CERTS: "" };
    const hint =
      /is of an authority that is not trusted here\. Name the file [^]*NODE_EXTRA_CA_CERTS=[^]*npm config set cafile FILE\n/;
    try {
      await test.step({
        name: "when Deno is missing",
        ignore: !await exists("/usr/bin/npm"),
        fn: async () => {
          const { code, stderr } = await script("smtpd", [], env);
          assert.equal(code, 1);
          assert.match(stderr, hint);
          assert.deepEqual([...Deno.readDirSync(join(root, ".deno"))].map(({ name }) => name), ["lock"]);
        },
      });
      await Deno.mkdir(join(root, ".deno"), { recursive: true });
      await Deno.symlink(Deno.execPath(), join(root, ".deno/deno-2.9.6"));
      await test.step("when only the packages are missing", async () => {
        const { code, stderr } = await script("smtpd", [], env);
        assert.equal(code, 1);
        assert.match(stderr, hint);
      });
      await test.step("and with it the registry is asked", async () => {
        const { code, stderr } = await script("smtpd", [], { ...env, NODE_EXTRA_CA_CERTS: join(folder, "cert.pem") });
        assert.equal(code, 1);
        assert.doesNotMatch(stderr, hint);
        assert.match(stderr, /Deno could not install the locked packages/);
      });
    } finally {
      await registry.shutdown();
    }
  });
});

Deno.test("Root is warned of a checkout that somebody else may change", { ignore: !ROOT }, async (test) => {
  await withCheckout(async ({ folder, root, script }) => {
    const warning = async (name: string, env: Record<string, string> = {}) => {
      const { stderr } = await script(name, ["--version"], { SMTPD_SPOOL: folder, ...env });
      return /^warning: root runs files that others may change: (.*)$/m.exec(stderr)?.[1] ?? "";
    };
    await Deno.mkdir(join(root, ".deno"));
    // Says what it is and installs what it is asked to: it is the shell that warns.
    await writeProgram(join(root, ".deno/deno-2.9.6"), '#!/bin/sh\necho "deno 2.9.6 (of a test)"\n');
    const lib = join(root, "scripts/lib.sh");

    await test.step("not of one that is root's, nor of a shared folder above it where only owners may rename", async () => {
      for (const name of ["smtpd", "sendmail", "test"]) assert.equal(await warning(name), "");
    });
    await test.step("that is another's, by all scripts, with what to do, once for all that they start", async () => {
      await Deno.chown(root, 1234, 1234);
      for (const name of ["smtpd", "sendmail", "mailq", "start", "test", "deno"]) {
        const text = await warning(name);
        assert.ok(text.startsWith(`${root} is of `), text);
        assert.match(text, /chown -R root:root and chmod -R go-w /);
        assert.equal(await warning(name, { VAULTPOST_OWNER_WARNED: "1" }), "");
      }
      await Deno.chown(root, 0, 0);
    });
    await test.step("in a folder of which all may write, by what runs long", async () => {
      await Deno.chmod(folder, 0o777);
      for (const name of ["smtpd", "test"]) {
        const text = await warning(name);
        assert.ok(text.startsWith(`${folder} is of root, mode 777.`));
        assert.match(
          text,
          /above the project: scripts\/install puts the program where root alone may write, below \/usr\/local; or /,
        );
      }
      await Deno.chmod(folder, 0o1777);
      assert.equal(await warning("smtpd"), "");
      await Deno.chmod(folder, 0o700);
    });
    await test.step("in a folder of which another is the owner", async () => {
      await Deno.chown(folder, 1234, 1234);
      const text = await warning("sendmail");
      assert.ok(text.startsWith(`${folder} is of `));
      assert.match(text, /above the project: scripts\/install puts/);
      await Deno.chown(folder, 0, 0);
    });
    const part = join(root, "src/config/paths.ts");
    for (
      const [what, change] of [
        ["a file of which is another's", () => Deno.chown(part, 1234, 1234)],
        ["a file of which all may write", () => Deno.chmod(part, 0o666)],
        ["a file of which a group may write", () => Deno.chmod(part, 0o664).then(() => Deno.chown(part, 0, 1234))],
      ] as const
    ) {
      await test.step(`${what}, by what runs long`, async () => {
        await change();
        for (const name of ["smtpd", "test"]) assert.ok((await warning(name)).startsWith(`${part} is of `), name);
        await Deno.chown(part, 0, 0);
        await Deno.chmod(part, 0o644);
      });
    }
    await test.step("but nobody else is", async () => {
      await Deno.chmod(folder, 0o755);
      await Deno.chown(lib, 1234, 1234);
      const { stderr } = await run("setpriv", [
        "--reuid=1234",
        "--clear-groups",
        join(root, "scripts/test"),
        "--version",
      ], { env: { VAULTPOST_OWNER_WARNED: "" } });
      assert.equal(stderr, "");
    });
  });
});

/** Users whom the demo cannot serve: who has no name, and who may not write where root has installed the project. */
const NO_DEMO: readonly (readonly [uid: number, says: RegExp])[] = [
  [54321, /the user ID 54321 has no name: run scripts\/start as a user that is in \/etc\/passwd/],
  [
    65534,
    /^The demo writes into .*\/var, where the user nobody may not write: run scripts\/start in a clone of your own, or as /,
  ],
];
Deno.test("The demo of a user whom it cannot serve fails in one line", { ignore: !ROOT }, async () => {
  await withCheckout(async ({ folder, root }) => {
    await Deno.chmod(folder, 0o755);
    for (const [uid, says] of NO_DEMO) {
      const start = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", join(root, "scripts/start")];
      const { code, stderr } = await run("setpriv", start);
      assert.deepEqual([code, stderr.match(/\n/g)?.length], [1, 1], stderr);
      assert.match(stderr, says);
    }
  });
});

const DIVERT = "/usr/bin/dpkg-divert";

Deno.test("README's link for sendmail works where another's stands, and is undone", {
  ignore: !await exists(DIVERT),
}, async (test) => {
  const readme = await Deno.readTextFile(join(PROJECT, "README.md"));
  const [link, back] = [...readme.matchAll(/```sh\n([^`]*)```/g)].map(([, block]) => block!)
    .filter((block) => block.includes("dpkg-divert"));
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  const sendmail = `${folder}/usr/sbin/sendmail`;
  // In a root of its own, for which nobody needs to be root.
  const commands = (block: string) =>
    block.replaceAll("sudo ", "").replaceAll("dpkg-divert ", `${DIVERT} --root=${folder} `)
      .replaceAll(/(ln .*|rm )\/usr\/sbin/g, `$1${folder}/usr/sbin`);
  const shell = async (block: string) => {
    const { code, stderr } = await run("sh", ["-e", "-c", commands(block)], { cwd: PROJECT });
    assert.equal(code, 0, stderr);
  };
  try {
    await Deno.mkdir(`${folder}/usr/sbin`, { recursive: true });
    await Deno.mkdir(`${folder}/var/lib/dpkg`, { recursive: true });
    await Deno.writeTextFile(`${folder}/var/lib/dpkg/status`, "");
    for (const other of ["exim's", null]) {
      await test.step(other === null ? "none" : `${other}`, async () => {
        if (other !== null) await Deno.writeTextFile(sendmail, other);
        await shell(link!);
        assert.equal(await Deno.readLink(sendmail), "/usr/local/sbin/sendmail");
        if (other !== null) assert.equal(await Deno.readTextFile(`${sendmail}.distrib`), other);
        await shell(back!);
        assert.equal(await exists(sendmail), other !== null);
        if (other !== null) assert.equal(await Deno.readTextFile(sendmail), other);
        if (other !== null) await Deno.remove(sendmail);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
