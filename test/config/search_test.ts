/** Which configuration and which program is found, below a root of the test's own. */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { CONFIG_PLACES, libexecFolders } from "../../src/config/paths.ts";
import { findConfig, findProgram, noConfigAdvice } from "../../src/config/search.ts";

const NONE = { get: () => undefined };

async function withRoot(
  files: Readonly<Record<string, number>>,
  body: (root: string) => void,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "vaultpost-search-" });
  try {
    for (const [path, mode] of Object.entries(files)) {
      await Deno.mkdir(root + dirname(path), { recursive: true });
      await Deno.writeTextFile(root + path, "", { mode });
    }
    body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const [OURS, LINUX, BSD] = CONFIG_PLACES;
const CONFIGS: readonly { there: readonly string[]; named?: string; want: string; found: boolean | null }[] = [
  { there: [OURS, LINUX, BSD], want: OURS, found: true },
  { there: [LINUX, BSD], want: LINUX, found: true },
  { there: [BSD], want: BSD, found: true },
  { there: [], want: OURS, found: false },
];

Deno.test("the configuration is the first one that is there, unless it is named", async () => {
  assert.deepEqual([OURS, LINUX, BSD], ["/etc/vaultpost/smtpd.conf", "/etc/smtpd.conf", "/etc/mail/smtpd.conf"]);
  for (const { there, want, found } of CONFIGS) {
    await withRoot(Object.fromEntries(there.map((path) => [path, 0o644])), (root) => {
      assert.deepEqual(findConfig(null, root), { file: root + want, found }, there.join(" "));
      assert.deepEqual(findConfig("x.conf", root), { file: "x.conf", found: null });
    });
  }
});

Deno.test("where there is no configuration all places are named", () => {
  const searched = noConfigAdvice({ searched: true });
  for (const place of CONFIG_PLACES.slice(1)) assert.ok(searched.includes(place), searched);
  assert.match(noConfigAdvice({ searched: false }), /^: write it, see smtpd\.conf\(5\), have smtpctl setup make it/);
});

const FIRST = "/usr/local/libexec/vaultpost/table-x", DEBIAN = "/usr/libexec/opensmtpd/table-x";
const PROGRAMS: readonly { there: Readonly<Record<string, number>>; libexec?: string; want: string | RegExp }[] = [
  { there: { [FIRST]: 0o755, [DEBIAN]: 0o755 }, want: FIRST },
  { there: { [DEBIAN]: 0o755, "/usr/libexec/smtpd/table-x": 0o755 }, want: DEBIAN },
  { there: { "/usr/lib/opensmtpd/table-x": 0o755 }, want: "/usr/lib/opensmtpd/table-x" },
  { there: { "/usr/lib/smtpd/opensmtpd/table-x": 0o755 }, want: "/usr/lib/smtpd/opensmtpd/table-x" },
  { there: { "/usr/local/libexec/opensmtpd/table-x": 0o755 }, want: "/usr/local/libexec/opensmtpd/table-x" },
  { there: { "/usr/local/libexec/smtpd/table-x": 0o755 }, want: "/usr/local/libexec/smtpd/table-x" },
  { there: { [FIRST]: 0o755, "/my/table-x": 0o755 }, libexec: "/my", want: "/my/table-x" },
  { there: { [FIRST]: 0o755, [DEBIAN]: 0o755 }, libexec: "/my", want: DEBIAN },
  // One that is found and cannot be run is not passed over: it is a mistake that somebody has to see.
  {
    there: { [FIRST]: 0o644, [DEBIAN]: 0o755 },
    want: /\/usr\/local\/libexec\/vaultpost\/table-x is not an executable/,
  },
  { there: {}, want: /^table-x is in none of \S*\/usr\/local\/libexec\/vaultpost, .*\/usr\/libexec\/smtpd$/ },
];

Deno.test("a program is the one of the first folder that has it", async () => {
  for (const { there, libexec, want } of PROGRAMS) {
    const env = libexec === undefined ? NONE : { get: () => libexec };
    await withRoot(there, (root) => {
      if (typeof want === "string") assert.equal(findProgram("table-x", env, root), want);
      else assert.throws(() => findProgram("table-x", env, root), { message: want });
    });
  }
  await withRoot({}, (root) => {
    const { message } = assertThrown(() => findProgram("table-x", NONE, root));
    for (const folder of libexecFolders(NONE)) assert.ok(message.includes(root + folder), folder);
  });
});

function assertThrown(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error("Nothing was thrown");
}
