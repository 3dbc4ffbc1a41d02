/** Landlock around a thread and what it starts, in the real kernel, for whoever runs this: what the one process puts around itself. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { kernelSupport } from "../../src/kernel/mod.ts";

const ignore = Deno.build.os !== "linux" || kernelSupport().landlockAbi < 3;
const root = fileURLToPath(new URL("../../", import.meta.url));

Deno.test(
  "restrictThread() holds for the thread, its workers and theirs, on the threads too that call files for them",
  {
    ignore,
  },
  async () => {
    const inside = Deno.makeTempDirSync(), outside = Deno.makeTempDirSync();
    try {
      for (const folder of [inside, outside]) Deno.writeTextFileSync(`${folder}/file`, "text");
      const child = fileURLToPath(new URL("./restricted_thread_child.ts", import.meta.url));
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--allow-all", "--no-check", "--config", `${root}deno.json`, child, inside, outside],
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert.notEqual(text, "", new TextDecoder().decode(stderr));
      const { before, after, missing, tried } = JSON.parse(text);
      assert.deepEqual([before, after, missing], [false, true, []]);
      const found: Record<string, string[]> = {};
      for (const { what, how } of tried) (found[what] ??= []).push(how);
      const [done, refused] = ["done", "refused"].map((how) => [how, how, how]);
      assert.deepEqual(found, {
        "read inside": done,
        "write inside": done,
        "read outside": refused,
        "write outside": refused,
        "make outside": refused,
        "remove outside": refused,
        connect: done,
        listen: done,
        "read outside on another thread": ["refused", "refused"],
        "write outside on another thread": ["refused", "refused"],
      });
      assert.equal(Deno.readTextFileSync(`${outside}/file`), "text");
    } finally {
      for (const folder of [inside, outside]) Deno.removeSync(folder, { recursive: true });
    }
  },
);
