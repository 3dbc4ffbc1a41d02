/** The Debian package on this machine's own system, of which a copy is made that is thrown away. `scripts/test-packages` has more of it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { PROJECT, run } from "./harness.ts";

/** Why this machine cannot do it; null when it can. */
async function missing(): Promise<string | null> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "it takes root on Linux";
  for (const program of ["dpkg-deb", "adduser", "unshare", "ip"]) {
    const { code } = await run("sh", ["-c", `command -v ${program}`]);
    if (code !== 0) return `there is no ${program}`;
  }
  const others = await run("sh", [
    "-c",
    "dpkg-query -W -f '${Status} ${Provides}\n' | grep '^install ok' | grep -c mail-transport-agent",
  ]);
  if (others.stdout.trim() !== "0") return "this machine has another mail server, or Vaultpost, as a package";
  const { code } = await run("unshare", ["--mount", "--net", "--pid", "--fork", "true"]);
  return code === 0 ? null : "there are no namespaces to be had";
}

Deno.test("the Debian package is installed, serves, and is taken away again, without what belongs to people", async (t) => {
  const reason = await missing();
  await t.step({
    name: reason === null ? "in a copy of this system" : `skipped: ${reason}`,
    ignore: reason !== null,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      try {
        const built = await run(join(PROJECT, "scripts/package"), [
          ...["deb", "--output", folder, "--compression", "none"],
          ...["--arch", Deno.build.arch === "x86_64" ? "amd64" : "arm64"],
        ]);
        assert.equal(built.code, 0, built.stderr);
        await Deno.mkdir(join(folder, "place"));
        const script = join(PROJECT, "scripts/packaging/test/short.sh");
        const { stdout, stderr } = await run("unshare", [
          ...["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "sh", script],
          join(folder, "place"),
          built.stdout.trim(),
        ]);
        if (stdout.includes("no overlayfs")) return console.log("skipped: there is no overlayfs to be had");
        assert.doesNotMatch(stdout, /^FAILED/m, stdout + stderr);
        assert.match(stdout, /^steps \d+ 0$/m, stdout + stderr);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
});
