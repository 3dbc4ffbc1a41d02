/** The documents name files and folders of the project and link to each other: everything that they name must exist. */

import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
/** A path from the project's root, wherever it stands in the text. */
const PATH = /(?<![\w/.-])(?:src|test|scripts|workers|conf|docs)\/[\w./-]*\w/g;
const LINK = /\]\(([^)#:]+)(?:#[^)]*)?\)/g;

/** The documents of the project's root and of docs/, without the changelog, which may name what is gone. */
function* documents(folder = PROJECT): Generator<string> {
  for (const { name, isFile, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (isFile && name.endsWith(".md") && name !== "CHANGELOG.md") yield path;
    else if (isDirectory && (folder !== PROJECT || name === "docs")) yield* documents(path);
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("every file and folder that a document names exists", () => {
  const missing: string[] = [];
  let found = 0;
  for (const document of documents()) {
    const lines = Deno.readTextFileSync(document).split("\n");
    for (const [index, line] of lines.entries()) {
      const named = [...line.matchAll(PATH)].map(([path]) => [path, join(PROJECT, path)] as const);
      const linked = [...line.matchAll(LINK)].map(([, link]) => [link!, join(dirname(document), link!)] as const);
      found += named.length + linked.length;
      for (const [word, path] of [...named, ...linked]) {
        if (!exists(path)) missing.push(`${relative(PROJECT, document)}:${index + 1}: ${word}`);
      }
    }
  }
  assert.deepEqual(missing, []);
  assert.ok(found > 100, "the expressions find those that there are");
});
