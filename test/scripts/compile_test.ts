/** deno task compile: what goes into the binary, with a small program in the place of the runtime denort, and what it says where that cannot be had. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { compileArguments, entriesOf, sourcesOf, testFolders } from "../../scripts/compile.ts";
import { ROLE_NAMES } from "../../src/protocol/roles.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const entries = entriesOf(sourcesOf(ROOT));

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-compile-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a binary has the entries of all isolates, all tools, and what tools load at need", async () => {
  for (const role of ROLE_NAMES) assert.ok(entries.includes(`workers/${role}.ts`), role);
  const main = await Deno.readTextFile(join(ROOT, "src/main.ts"));
  const tools = [...main.matchAll(/\["\.\/(cli\/[^"]+)", "(\w+)"\]/g)];
  assert.ok(tools.length >= 12);
  for (const [, file, name] of tools) {
    assert.ok(entries.includes(`src/${file}`), file);
    // main.ts finds them by these names, which no compiler checks.
    assert.equal(typeof (await import(`../../src/${file}`))[name!], "function", `${file} has no ${name}`);
  }
  for (const file of ["src/cli/smtpctl/encrypt.ts", "src/cli/sendmail/offline.ts", "src/events/mod.ts"]) {
    assert.ok(entries.includes(file), file);
  }
  for (const file of entries) assert.ok((await Deno.stat(join(ROOT, file))).isFile, file);
});

Deno.test("what is loaded at need is found wherever it is named", () => {
  const sources = [
    { file: "src/a/b.ts", text: 'await import(\n  import.meta.resolve("../c/d.ts"),\n)' },
    { file: "src/a/e.ts", text: 'import "./f.ts";' },
    { file: "src/main.ts", text: 'x: ["./g.ts", "main"]' },
    { file: "workers/h.ts", text: "" },
  ];
  assert.deepEqual(entriesOf(sources), ["src/c/d.ts", "src/g.ts", "workers/h.ts"]);
  const args = compileArguments({ entries: ["workers/h.ts"], left: ["/npm/p/test"] }, "/out");
  assert.deepEqual(args.slice(-5), ["--exclude", "/npm/p/test", "--include", "workers/h.ts", "src/main.ts"]);
});

Deno.test("Deno puts all of it into one file", async () => {
  await inFolder(async (folder) => {
    const output = join(folder, "vaultpost");
    const left = testFolders(join(ROOT, ".deno/cache/npm"));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: compileArguments({ entries, left }, output),
      cwd: ROOT,
      env: { DENORT_BIN: "/bin/true", DENO_DIR: join(ROOT, ".deno/cache"), NO_COLOR: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const binary = new TextDecoder("latin1").decode(await Deno.readFile(output));
    for (const file of [...entries, "src/admin/app.ts", "src/admin/page/app.js", "src/admin/page/style.css"]) {
      const [beginning] = /[ -~]{20,}/.exec(await Deno.readTextFile(join(ROOT, file)))!;
      assert.ok(binary.includes(beginning), `${file} is not in it`);
    }
  });
});

async function compile(env: Readonly<Record<string, string>>): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "--no-check", join(ROOT, "scripts/compile.ts")],
    env: { DENORT_BIN: "", NO_COLOR: "1", ...env },
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("without the runtime for binaries it says that it was skipped, and what to do", async () => {
  await inFolder(async (folder) => {
    // Nobody listens on port 1.
    const { code, stderr } = await compile({ DENO_DIR: folder, HTTPS_PROXY: "http://127.0.0.1:1/" });
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^SKIPPED: no binary was made, for it needs denort, .*\nName the file of denort 2\.9\.6 .*DENORT_BIN/,
    );
    const wrong = await compile({ DENO_DIR: folder, DENORT_BIN: `${folder}/none` });
    assert.deepEqual([wrong.code, wrong.stderr.split("\n").length], [1, 2], wrong.stderr);
    assert.match(wrong.stderr, /^compile: .*No such file/);
  });
});
