/** The project's sources, for tests that look at what they say. */

import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Yields every TypeScript file below these folders of the project, with its path from the project's root. */
export async function* walk(folders: readonly string[]): AsyncGenerator<{ path: string; text: string }> {
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
      const path = join(root, folder, name);
      if (isDirectory) yield* walk([join(folder, name)]);
      else if (/\.tsx?$/.test(name)) yield { path: relative(root, path), text: await Deno.readTextFile(path) };
    }
  }
}
