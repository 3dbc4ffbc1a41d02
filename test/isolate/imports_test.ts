/** What an isolate loads it loads for itself: the costly modules of the runtime are for those that need them. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COSTLY = ["node:crypto", "node:http", "node:net", "node:tls"];

/** Import and export lines that load something: those of types alone are erased. */
const LOADS =
  /^(?:import|export)\s+(?!type\s)(?:(?:\*(?:\s+as\s+\w+)?|\w+\s*,?\s*(?:\{[^}]*\})?|\{([^}]*)\})\s*from\s*)?["']([^"']+)["']/gm;

/** What the file and all that it imports take from the runtime and from npm. */
function loaded(file: string, seen: Set<string>, found: Set<string>): Set<string> {
  if (seen.has(file)) return found;
  seen.add(file);
  for (const [, names, specifier] of Deno.readTextFileSync(file).matchAll(LOADS)) {
    const all = names?.split(",").map((name) => name.trim()).filter((name) => name !== "") ?? [];
    if (all.length > 0 && all.every((name) => name.startsWith("type "))) continue;
    if (specifier!.startsWith(".")) loaded(join(dirname(file), specifier!), seen, found);
    else found.add(specifier!);
  }
  return found;
}

const ISOLATES: Readonly<Record<string, readonly string[]>> = {
  control: [],
  delivery: [],
  privileged: [],
  file: [],
  filter: [],
  forward: [],
  login: ["node:crypto"],
  lookup: ["node:crypto"],
  mailbox: [],
  queue: ["node:crypto"],
  relay: ["node:crypto", "node:net"],
  scheduler: ["node:crypto"],
  smtp: ["node:crypto", "node:net", "node:tls"],
};

for (const [role, want] of Object.entries(ISOLATES)) {
  Deno.test(`the isolate ${role} loads ${want.join(", ") || "none"} of the costly modules`, () => {
    const found = loaded(join(ROOT, "workers", `${role}.ts`), new Set(), new Set());
    assert.deepEqual(COSTLY.filter((name) => found.has(name)), want);
  });
}

for (const tool of ["sendmail/sendmail", "smtpctl/smtpctl", "maps/makemap"]) {
  Deno.test(`${tool} does not load the parser of smtpd.conf`, () => {
    const seen = new Set<string>();
    loaded(join(ROOT, "src/cli", `${tool}.ts`), seen, new Set());
    assert.deepEqual([...seen].filter((file) => file.includes("/src/smtpd_conf/")), []);
  });
}
