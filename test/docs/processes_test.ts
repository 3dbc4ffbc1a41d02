/** The documents say which isolates live in which process, as which user: as the table in src/protocol/processes.ts has it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parentRoles, PROCESS_NAMES, PROCESSES } from "../../src/protocol/processes.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const text = (path: string): string => Deno.readTextFileSync(join(PROJECT, path));
const sorted = (roles: Iterable<string>): string[] => [...roles].sort();

/** Of each process its user and its isolates. */
type Table = Readonly<Record<string, { readonly user: string; readonly roles: readonly string[] }>>;

const EXPECTED: Table = Object.fromEntries([
  ["parent", { user: "root", roles: sorted(parentRoles()) }],
  ...PROCESS_NAMES.map((name) => [name, { user: PROCESSES[name].user, roles: sorted(PROCESSES[name].roles) }]),
]);

Deno.test("smtpd(8) lists the processes", () => {
  const rows = text("conf/man/smtpd.8").matchAll(
    /^\.It Li "(?:isolates )?([\w .]+)" Ta (\w+) Ta ([\w, ]+?)(?:; and main)?$/gm,
  );
  const listed = [...rows].map(([, name, user, roles]) =>
    [name === "smtpd ..." ? "parent" : name!, { user: user!, roles: sorted(roles!.split(", ")) }] as const
  );
  assert.deepEqual(Object.fromEntries(listed), EXPECTED);
});

Deno.test("ARCHITECTURE.md draws the processes", () => {
  const lines = text("ARCHITECTURE.md").split("\n").filter((line) =>
    line.split("║").length === PROCESS_NAMES.length + 1
  )
    .map((line) => line.split("║").map((cell) => cell.trim()));
  const [names, users, ...rows] = lines;
  const drawn = names!.map((name, column) => {
    const roles = rows.flatMap((row) => [...row[column]!.matchAll(/\[(\w+)\]/g)].map(([, role]) => role!));
    return [name, { user: users![column]!, roles: sorted(roles) }] as const;
  });
  assert.deepEqual(Object.fromEntries(drawn), EXPECTED);
});

Deno.test("SECURITY.md says of each process who lives there", () => {
  for (const name of PROCESS_NAMES) {
    const { user, roles } = PROCESSES[name];
    const said = `- **${name[0]!.toUpperCase()}${name.slice(1)}** (\`${user}\`: ${roles.join(", ")})`;
    assert.ok(text("SECURITY.md").includes(said), said);
  }
});
