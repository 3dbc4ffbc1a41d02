/** A daemon with filters that tests script: programs, what they received, the config lines that name them. */

import { join } from "node:path";
import { type Daemon, DOMAIN, OWNER, PROJECT } from "./harness.ts";

const PROGRAM = join(PROJECT, "test/programs/libexec/filter-scripted");

/** What filter-scripted reads; see there. */
export interface Script {
  readonly register?: readonly string[];
  readonly record?: true;
  readonly rules?: readonly (readonly [phase: string, part: string, decision: string])[];
  readonly line?: "echo" | "edit" | "late";
  readonly say?: readonly string[];
  readonly never?: true;
  readonly deaf?: true;
}

/** All phases that a filter can be asked about. */
export const ALL_PHASES = [
  "connect",
  "helo",
  "ehlo",
  "starttls",
  "auth",
  "mail-from",
  "rcpt-to",
  "data",
  "data-line",
  "rset",
  "quit",
  "noop",
  "commit",
].map((phase) => `filter|smtp-in|${phase}`);

/** Where mail for example.org goes, and nothing else. */
export function inbox(mail: string): string {
  return `action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from any for domain "${DOMAIN}" action "inbox"
`;
}

/** Installs the programs; gives the word of the config that starts each. */
export function install(folder: string, scripts: Readonly<Record<string, Script>>): Record<string, string> {
  const libexec = join(folder, "libexec");
  Deno.mkdirSync(libexec, { recursive: true });
  const program = join(libexec, "filter-scripted");
  Deno.copyFileSync(PROGRAM, program);
  Deno.chmodSync(program, 0o755);
  return Object.fromEntries(
    Object.entries(scripts).map(([name, script]) => {
      const file = join(folder, `${name}.json`);
      const record = recordOf(folder, name);
      Deno.writeTextFileSync(file, JSON.stringify(script.record ? { ...script, record } : script));
      Deno.writeTextFileSync(record, "");
      // It runs as somebody else when root starts the daemon.
      Deno.chmodSync(record, 0o666);
      return [name, `proc-exec "filter-scripted ${file}"`];
    }),
  );
}

function recordOf(folder: string, name: string): string {
  return join(folder, `${name}.record`);
}

/** What a program has received so far. */
export function recorded(daemon: Daemon, name: string): string[] {
  return Deno.readTextFileSync(recordOf(daemon.folder, name)).split("\n").slice(0, -1);
}

/** Waits until a program has received a line like this; gives all lines so far. */
export async function received(daemon: Daemon, name: string, pattern: RegExp): Promise<string[]> {
  using watcher = Deno.watchFs(recordOf(daemon.folder, name));
  const timer = setTimeout(() => watcher.close(), 30_000);
  try {
    for (let lines = recorded(daemon, name);; lines = recorded(daemon, name)) {
      if (lines.some((line) => pattern.test(line))) return lines;
      const { done } = await watcher[Symbol.asyncIterator]().next();
      if (done) throw new Error(`${name} did not receive ${pattern}:\n${lines.join("\n")}`);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** What a config is made for. */
export interface FilterHarness {
  readonly port: number;
  readonly mail: string;
  readonly folder: string;
}

/** What a program has received; what differs from run to run gets a name. */
export function normal(lines: readonly string[]): string {
  const names = new Map<string, string>();
  return lines.map((line) => {
    const fields = line.split("|");
    if (fields[0] === "report" || fields[0] === "filter") {
      fields[2] = "TIME";
      fields[5] = "SESSION";
      if (fields[0] === "filter") fields[6] = "TOKEN";
      if (fields[4]!.startsWith("tx-")) names.set(fields[6]!, "MESSAGE");
      if (fields[4] === "tx-commit") fields[7] = "SIZE";
    }
    let text = fields.join("|").replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT").replace(
      /smtpd-version\|.*/,
      "smtpd-version|V",
    );
    for (const [value, name] of names) text = text.replaceAll(new RegExp(`${value}([0-9a-f]{8})?`, "g"), name);
    // Others offer what they like in EHLO.
    text = text.replace(/(protocol-server\|SESSION\|)250-[A-Z0-9]+( .*)?$/, "$1250-CAPABILITY");
    return text.replace(/id [0-9a-f]{8}$/, "id MESSAGE").replace(/\t\w{3}, .* \(.*\)$/, "\tDATE").replace(
      /SIZE=\d+/,
      "SIZE=N",
    ).replace(/2\.0\.0 [0-9a-f]{8} M/, "2.0.0 MESSAGE M") + "\n";
  }).filter((line, at, all) => !line.endsWith("|250-CAPABILITY\n") || line !== all[at - 1]).join("");
}
