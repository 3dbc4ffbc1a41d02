/** The table of docs/privileges.md: what the kernel lets each process do, as src/daemon/processes.ts derives it for a small configuration. */

import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { cutSettings, grantsFor } from "../../src/daemon/mod.ts";
import { type ProcessPlan, processPlans } from "../../src/daemon/processes.ts";
import { PROCESSES } from "../../src/protocol/processes.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";

const FIRST = "<!-- Written by scripts/tidy.ts --write from src/daemon/processes.ts up to the next comment. -->\n";
const LAST = "<!-- End of the table. -->\n";

/** What `deno fmt` gives a line. */
const LINE_CHARS = 120;
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SPOOL = "/var/spool/vaultpost", ALIASES = "/etc/vaultpost/aliases";
const RUNTIME = { program: "/deno", denoDir: "/cache" };
const CONFIG = `table aliases file:${ALIASES}
listen on 127.0.0.1
action "inbox" maildir alias <aliases>
action "out" relay
match for local action "inbox"
match for any action "out"
`;
/** What paths stand for. */
const NAMES: ReadonlyMap<string, string> = new Map([
  [RUNTIME.program, "Deno"],
  [RUNTIME.denoDir, "the cache of its modules"],
  [SPOOL, "the spool"],
  [ALIASES, "the files of tables"],
]);

/** Takes the text of docs/privileges.md and returns it with the table between its two comments as the code has it. Throws when they are missing. */
export function withProcesses(page: string): string {
  const start = page.indexOf(FIRST), end = page.indexOf(LAST);
  if (start < 0 || end < start) throw new Error("docs/privileges.md has no place for the processes");
  return `${page.slice(0, start + FIRST.length)}\n${table(plans())}\n${page.slice(end)}`;
}

function plans(): ProcessPlan[] {
  const parsed = parseConfig("smtpd.conf", {
    defines: [],
    files: { readText: () => CONFIG, programPath: () => "" },
  });
  if (!parsed.ok) throw new Error("The configuration of the table has mistakes");
  const settings = cutSettings(parsed.config, {
    users: null,
    env: { get: (name) => name === "SMTPD_SPOOL" ? SPOOL : undefined },
    certificates: { pki: {}, ca: {} },
    queueKeys: null,
    saltKey: new Uint8Array(32),
    listeners: [],
    serverName: "mx.example.org",
    resolver: { servers: [{ address: "192.0.2.53", port: 53 }], timeoutMs: 1, attempts: 1, hosts: [] },
    log: [],
    descriptors: null,
    paused: { smtp: false, mda: false, mta: false },
  });
  const users = { smtpd: { name: "smtpd", uid: 1, gid: 1 }, smtpq: { name: "smtpq", uid: 2, gid: 2 } };
  return processPlans(grantsFor(settings), users, RUNTIME);
}

/** What a path stands for, or the path: of a file of the project from its folder on. */
const shown = (path: string): string =>
  NAMES.get(path) ?? `\`${path.startsWith(`${root}/`) ? relative(root, path) : path}\``;
const list = (paths: readonly string[]): string => paths.map(shown).join(", ") || "nothing";
const may = (allowed: boolean): string => allowed ? "yes" : "no";

function table(all: readonly ProcessPlan[]): string {
  /** What all of them may read, which is said below the table. Of the daemon the main module is in `src`; here it is this tool's. */
  const tool = dirname(fileURLToPath(Deno.mainModule));
  const common = all[0]!.walls.read
    .filter((path) => path !== tool && all.every(({ walls }) => walls.read.includes(path)));
  const rows: readonly (readonly [string, (plan: ProcessPlan) => string])[] = [
    ["user", ({ walls }) => walls.user?.name ?? "the parent's"],
    ["isolates", ({ name }) => PROCESSES[name].roles.join(", ")],
    ["network and IPC namespaces", ({ walls }) => walls.ownNetwork ? "its own, empty" : "the machine's"],
    ["TCP (Landlock)", ({ walls }) => walls.tcp === "none" ? "none" : "connects; binds no port of its choice"],
    ["makes internet sockets", ({ walls }) => may(walls.seccomp.internet)],
    ["makes unix sockets", ({ walls }) => may(walls.seccomp.unix)],
    ["listens, accepts", ({ walls }) => may(walls.seccomp.listen)],
    ["starts programs", ({ walls }) => may(walls.seccomp.exec)],
    ["reads besides", ({ walls }) => list(walls.read.filter((path) => path !== tool && !common.includes(path)))],
    ["writes", ({ walls }) => list(walls.write)],
  ];
  const cells = [["", ...all.map(({ name }) => name)], ...rows.map(([what, of]) => [what, ...all.map(of)])];
  const { execute } = all[0]!.walls;
  const lines = aligned(cells);
  const also = `All three read ${list(common)}, and read and execute ${list(execute)}.`;
  return `${lines.join("\n")}\n\n${wrapped(also)}\n`;
}

/** Text in lines of a bounded length. */
function wrapped(text: string): string {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines.length - 1, longer = `${lines[last]} ${word}`.trimStart();
    if (longer.length <= LINE_CHARS) lines[last] = longer;
    else lines.push(word);
  }
  return lines.join("\n");
}

/** Rows of a Markdown table, as `deno fmt` writes them. */
function aligned(cells: readonly (readonly string[])[]): string[] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const [head, ...rows] = cells.map((row) => `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`);
  return [head!, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows];
}
