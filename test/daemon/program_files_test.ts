/** Whether files of the program were replaced since a time, on a real disk. */

import assert from "node:assert/strict";
import { ProgramFiles } from "../../src/daemon/program_files.ts";

/** Waits until the time of a change, which has whole seconds, has gone on. */
async function tick(folder: string, since: number): Promise<void> {
  do {
    await Deno.writeTextFile(`${folder}/tick`, "");
  } while (Deno.statSync(`${folder}/tick`).ctime!.getTime() <= since);
}

const CHANGES: Readonly<Record<string, (folder: string) => void>> = {
  "a file is written anew": (folder) => Deno.writeTextFileSync(`${folder}/src/part/file.ts`, "2"),
  "a file with an old time of its text is put in its place": (folder) => {
    Deno.writeTextFileSync(`${folder}/new`, "2");
    Deno.utimeSync(`${folder}/new`, 0, 0);
    Deno.renameSync(`${folder}/new`, `${folder}/src/part/file.ts`);
  },
  "a folder is put in the place of another": (folder) => {
    Deno.renameSync(`${folder}/src`, `${folder}/old`);
    Deno.mkdirSync(`${folder}/src`);
  },
  "a file is removed": (folder) => Deno.removeSync(`${folder}/src/part/file.ts`),
};
Deno.test("ProgramFiles tells once of each change", async (test) => {
  const top = Deno.makeTempDirSync();
  try {
    const folders = Object.keys(CHANGES).map((_, at) => `${top}/${at}`);
    for (const folder of folders) {
      Deno.mkdirSync(`${folder}/src/part`, { recursive: true });
      Deno.writeTextFileSync(`${folder}/src/part/file.ts`, "1");
    }
    const start = Date.now();
    await tick(top, start);
    for (const [at, [name, change]] of Object.entries(CHANGES).entries()) {
      await test.step(name, () => {
        const folder = folders[at]!;
        const files = new ProgramFiles(start, { project: { folder, parts: ["src", "deno.json"] } });
        assert.equal(files.takeChange(), null);
        change(folder);
        assert.match(files.takeChange()!, /have changed since the daemon was started: start it again/);
        assert.equal(files.takeChange(), null);
      });
    }
  } finally {
    Deno.removeSync(top, { recursive: true });
  }
});
