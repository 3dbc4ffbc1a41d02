/** What the start of the tools costs: each beside `deno run` of an empty file with the same options, without a daemon. Prints a row for each, tests nothing. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const OPTIONS = ["--no-prompt", "--cached-only", "--frozen", "--quiet", "--no-check", "--config", `${ROOT}deno.json`];
const ROUNDS = 15;

interface Row {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

async function msOf([program, ...args]: readonly [string, ...string[]], env: Record<string, string>): Promise<number> {
  const began = performance.now();
  await new Deno.Command(program, { args, env, stdin: "null", stdout: "null", stderr: "null" }).output();
  return performance.now() - began;
}

/** Runs them in turn, so that a busy machine is busy for all, and prints the least and the median of each. */
async function measure(folder: string): Promise<void> {
  const empty = join(folder, "empty.ts");
  await Deno.writeTextFile(empty, "");
  const script = (name: string) => join(ROOT, "scripts", name);
  const rows: readonly Row[] = [
    { name: "deno run of an empty file", command: [Deno.execPath(), "run", ...OPTIONS, empty] },
    { name: "sendmail -bv", command: [script("sendmail"), "-bv", "postmaster"] },
    { name: "smtpctl show status", command: [script("smtpctl"), "show", "status"] },
    { name: "mailq --version", command: [script("mailq"), "--version"] },
    { name: "makemap --version", command: [script("makemap"), "--version"] },
  ];
  const env = { SMTPD_SOCKET: join(folder, "none.sock"), SMTPD_SPOOL: folder };
  const times = new Map(rows.map((row) => [row, [] as number[]]));
  // The first round fills the caches.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const row of rows) {
      const ms = await msOf(row.command, env);
      if (round > 0) times.get(row)!.push(ms);
    }
  }
  const least = (row: Row) => Math.min(...times.get(row)!);
  const base = least(rows[0]!);
  console.log(
    `${"".padEnd(28)}${"least".padStart(9)}${"median".padStart(9)}${"above".padStart(9)}${"ratio".padStart(8)}`,
  );
  for (const row of rows) {
    const median = times.get(row)!.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)]!;
    const figures = [least(row), median, least(row) - base].map((ms) => `${ms.toFixed(0)} ms`.padStart(9)).join("");
    console.log(`${row.name.padEnd(28)}${figures}${(least(row) / base).toFixed(1).padStart(8)}`);
  }
}

const folder = await Deno.makeTempDir({ prefix: "vaultpost-start-" });
try {
  await measure(folder);
} finally {
  await Deno.remove(folder, { recursive: true });
}
