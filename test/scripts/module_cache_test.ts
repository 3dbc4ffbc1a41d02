/** What root's smtpd puts into the runtime's cache for its processes of other users, which may only read it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { PROJECT } from "../e2e/harness.ts";

/** The files of a folder and those below it, by their paths in it. */
function filesIn(folder: string, below = ""): string[] {
  return [...Deno.readDirSync(join(folder, below))].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(folder, join(below, name)) : [join(below, name)]
  );
}

Deno.test({
  name: "modules that only front, out and vault load are translated once, and again when one of them has changed",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  fn: async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const cache = join(folder, "cache");
      Deno.mkdirSync(cache);
      Deno.symlinkSync(join(Deno.env.get("DENO_DIR")!, "npm"), join(cache, "npm"));
      const run = async (script: string) => {
        const code = `. "$PROJECT/scripts/lib.sh"; state="$FOLDER" DENO_DIR="$FOLDER/cache"; ${script}`;
        const env = { PROJECT, FOLDER: folder, SMTPD_USER: "root" };
        const { code: status, stderr } = await new Deno.Command("sh", {
          args: ["-c", code, `${PROJECT}/scripts/smtpd`],
          env,
        }).output();
        assert.equal(status, 0, new TextDecoder().decode(stderr));
      };
      await run("cache_modules");
      const made = filesIn(cache).filter((path) => path.startsWith("gen/"));
      for (const module of ["workers/smtp.ts", "src/queue/serve.ts", "src/host/host.ts", "src/cli/smtpd/isolates.ts"]) {
        assert.ok(made.some((path) => path.endsWith(`${PROJECT}/${module}.js`)), module);
      }
      const mark = Deno.readTextFileSync(join(folder, "modules"));
      // It would fail if it were asked.
      await run("deno=/bin/false; cache_modules");
      Deno.writeTextFileSync(join(folder, "modules"), "of others\n");
      await run("deno=/bin/false; cache_modules");
      assert.equal(Deno.readTextFileSync(join(folder, "modules")), "of others\n");
      await run("cache_modules");
      assert.equal(Deno.readTextFileSync(join(folder, "modules")), mark);
      // Without processes of other users nothing is done.
      Deno.removeSync(join(folder, "modules"));
      await run("SMTPD_USER=nobody-of-that-name; deno=/bin/false; cache_modules");
      await assert.rejects(Deno.stat(join(folder, "modules")), Deno.errors.NotFound);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});
