/** What each isolate and each program loads at its start: an import too many makes every isolate of the role slower to start and larger. */

import { deepEqual, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ROLE_NAMES } from "../../src/protocol/roles.ts";
import type { Role } from "../../src/protocol/mod.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Folders and single files of src/ that every isolate loads. */
const COMMON = ["builtin.ts", "clock.ts", "envelope", "events", "isolate", "protocol", "sockets"];

/** What else each of them loads. `config` is imported file by file. */
const LOADED: Readonly<Record<Role, readonly string[]>> = {
  control: ["bounded_map.ts", "control", "findings", "reply_class", "story"],
  lookup: [
    ...["bounded_map.ts", "config/defaults.ts", "config/limits.ts", "config/tablefile.ts", "config/values.ts", "dns"],
    ...["lookup", "mac", "net", "rules", "sasl", "tables"],
  ],
  // Of the scheduler it has the retry back-off only, see NEVER.
  queue: ["bounded_map.ts", "date.ts", "mac", "mail_auth", "net", "queue", "reply_class", "schedule", "signer_client"],
  // It shows the queue that each job is its own.
  scheduler: ["mac", "schedule"],
  relay: [
    ...["bounded_map.ts", "config/defaults.ts", "config/limits.ts", "config/protocols.ts", "dns", "mac", "net"],
    ...["queue_client", "relay", "reply_class", "smtp_client"],
  ],
  delivery: [
    ...["bounded_map.ts", "config/protocols.ts", "delivery", "file_client", "net", "queue_client", "smtp_client"],
  ],
  privileged: [
    ...["bounded_map.ts", "config/protocols.ts", "delivery", "file_client", "net", "queue_client", "smtp_client"],
  ],
  mailbox: ["delivery"],
  file: ["delivery"],
  forward: ["delivery"],
  filter: ["programs"],
  history: ["history"],
  login: ["login", "sasl"],
  acme: ["acme", "config/protocols.ts", "tls"],
  signer: ["bounded_map.ts", "mac", "mail_auth", "net", "signer"],
  smtp: [
    ...["bounded_map.ts", "config/limits.ts", "config/paths.ts", "config/protocols.ts", "config/refusal.ts", "date.ts"],
    ...["mail_auth", "net", "sasl", "signer_client", "smtp", "tls"],
  ],
};

/** Files within those folders that are not loaded all the same. */
const NEVER: readonly (readonly [role: Role, file: string])[] = [
  ["queue", "src/schedule/scheduler.ts"],
  ["control", "src/protocol/lookup.ts"],
  ["mailbox", "src/delivery/methods/command.ts"],
  ["mailbox", "src/delivery/planner.ts"],
  ["smtp", "src/protocol/queue_work.ts"],
  ["smtp", "src/protocol/control.ts"],
  ["login", "src/protocol/main.ts"],
];

/** The parser of smtpd.conf is loaded by these, */
const PARSING = ["src/cli/smtpd/smtpd.ts", "src/cli/maps/newaliases.ts"];
/** and not by these, which are called for every mail or every question. */
const NOT_PARSING = [
  "src/cli/smtpctl/smtpctl.ts",
  "src/cli/sendmail/sendmail.ts",
  "src/cli/maps/makemap.ts",
  "src/cli/smtp/smtp.ts",
  "src/cli/mail_helpers.ts",
];

interface Graph {
  readonly roots: readonly string[];
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/**
 * What the runtime loads before `entry` runs, as URLs: without types; with what `import("…")` names, which is looked through then too, only if `named`.
 */
async function graphOf(entry: string, { named }: { readonly named: boolean }): Promise<ReadonlySet<string>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--frozen", "--config", `${root}deno.json`, `${root}${entry}`],
  }).output();
  ok(success, new TextDecoder().decode(stderr));
  const { roots, modules }: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const imports = new Map(modules.map(({ specifier, dependencies = [] }) => [
    specifier,
    dependencies.flatMap(({ code, isDynamic }) =>
      (isDynamic && !named) || code?.specifier === undefined ? [] : [code.specifier]
    ),
  ]));
  const loaded = new Set(roots);
  for (const file of loaded) for (const next of imports.get(file) ?? []) loaded.add(next);
  return loaded;
}

/** The files of the project that `entry` loads before it runs: without types, and without what is imported at need. */
async function closureOf(entry: string): Promise<ReadonlySet<string>> {
  const loaded = await graphOf(entry, { named: false });
  return new Set(
    [...loaded].filter((url) => url.startsWith("file:")).map((url) => fileURLToPath(url).slice(root.length)),
  );
}

/** The folder right under src/, or the file where there is none or where the folder is imported file by file. */
function unitOf(file: string): string {
  const [, folder, ...rest] = file.split("/");
  return folder === "config" ? [folder, ...rest].join("/") : folder!;
}

for (const role of ROLE_NAMES) {
  Deno.test(`the ${role} isolate loads what it needs and no more`, async () => {
    const loaded = await closureOf(`workers/${role}.ts`);
    const units = new Set([...loaded].filter((file) => file.startsWith("src/")).map(unitOf));
    deepEqual([...units].sort(), [...COMMON, ...LOADED[role]].sort());
    deepEqual([...loaded].filter((file) => file.startsWith("src/protocol/isolates/")), [
      `src/protocol/isolates/${role}.ts`,
    ]);
    ok(!loaded.has("src/protocol/doors.ts"), "it would load the checks of all doors");
    for (const [, file] of NEVER.filter(([of]) => of === role)) {
      ok(await exists(file), `${file} has gone: name what stands in its place`);
      ok(!loaded.has(file), `${role} loads ${file}`);
    }
  });
}

async function exists(file: string): Promise<boolean> {
  return (await Deno.stat(`${root}${file}`).catch(() => null)) !== null;
}

Deno.test("only smtpd and newaliases load the parser of smtpd.conf", async () => {
  const parses = async (entry: string) => (await closureOf(entry)).has("src/smtpd_conf/parser.ts");
  deepEqual(await Promise.all(PARSING.map(parses)), PARSING.map(() => true));
  for (const entry of NOT_PARSING) ok(!await parses(entry), `${entry} loads it`);
});

/** What stands before each run of a tool: every file is looked through, named modules of the runtime take some 5 to 25 ms, a package more. */
const TOOLS: readonly (readonly [entry: string, files: number])[] = [
  ["src/main.ts", 1],
  ["src/cli/sendmail/sendmail.ts", 60],
  ["src/cli/smtpctl/smtpctl.ts", 62],
];

for (const [entry, files] of TOOLS) {
  Deno.test(`${entry} has the runtime look through few files, and no modules of node or packages`, async () => {
    const all = [...await graphOf(entry, { named: true })];
    deepEqual(all.filter((specifier) => !specifier.startsWith("file:")), []);
    ok(all.length <= files, `${all.length} files`);
  });
}
