/**
 * `scripts/crash [N] [--process NAME] [--seed S] [--state FILE]`: N kills (1,000) in batches. With a state file a run that was interrupted goes on where it
 * was. Ends with one line of figures, and status 1 when a promise was broken.
 */

import { Progress } from "../../src/cli/progress.ts";
import { processTerminal } from "../../src/cli/terminal.ts";
import { systemClock } from "../../src/clock.ts";
import { suggestion } from "../../src/config/words.ts";
import type { ProcessName } from "../../src/protocol/mod.ts";
import { PROCESS_NAMES } from "../../src/protocol/processes.ts";
import { HAS_WALLS } from "../e2e/walled_daemon.ts";
import { parseArgs } from "node:util";
import { runBatch } from "./batch.ts";
import { add, describe, NOTHING, type Totals } from "./sent_mail.ts";

const BATCH = 25;

interface State {
  readonly seed: number;
  kills: number;
  missed: number;
  seconds: number;
  totals: Totals;
  kinds: Record<string, number>;
}

/** What the command line says; ends the program when that makes no sense. */
function readArguments(): {
  readonly wanted: number;
  readonly seed: number | null;
  readonly file: string | undefined;
  readonly process: ProcessName | null;
} {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { process: { type: "string" }, seed: { type: "string" }, state: { type: "string" } },
    });
    if (positionals.length > 1) throw new Error(`One number of kills, please, not "${positionals.join(" ")}"`);
    for (const number of [...positionals, values.seed ?? "0"]) {
      if (!/^\d+$/.test(number)) throw new Error(`"${number}" is no number`);
    }
    const name = PROCESS_NAMES.find((name) => name === values.process);
    if (values.process !== undefined && name === undefined) {
      throw new Error(`There is no process "${values.process}": there are ${PROCESS_NAMES.join(", ")}`);
    }
    if (name !== undefined && !HAS_WALLS) {
      throw new Error("Only root has a daemon of several processes, with Landlock and seccomp");
    }
    const seed = values.seed === undefined ? null : Number(values.seed);
    return { wanted: Number(positionals[0] ?? 1000), seed, file: values.state, process: name ?? null };
  } catch (error) {
    const reason = (error as Error).message.split(". To specify")[0]!;
    const word = /^Unknown option '(.*)'$/.exec(reason)?.[1];
    const guess = word === undefined ? "" : suggestion(word, ["--process", "--seed", "--state", "--help", "--version"]);
    console.error(`${reason}${guess}\nusage: scripts/crash [N] [--process NAME] [--seed S] [--state FILE]`);
    Deno.exit(1);
  }
}

const { wanted, seed, file, process } = readArguments();
const state = readState() ?? {
  seed: seed ?? Math.floor(Math.random() * 2 ** 32),
  kills: 0,
  missed: 0,
  seconds: 0,
  totals: NOTHING,
  kinds: {},
};

function readState(): State | null {
  try {
    return file === undefined ? null : JSON.parse(Deno.readTextFileSync(file)) as State;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

console.log(`Seed ${state.seed}, ${state.kills} kills done of ${wanted}`);
using progress = new Progress({
  label: "crash",
  total: wanted,
  unit: "kills",
  clock: systemClock,
  terminal: processTerminal(),
});
progress.set(state.kills);
while (state.kills < wanted) {
  const kills = Math.min(BATCH, wanted - state.kills), began = performance.now();
  const result = await runBatch({ seed: state.seed, first: state.kills, kills, process });
  state.kills += result.kills;
  state.missed += result.missed;
  state.seconds += (performance.now() - began) / 1000;
  state.totals = add(state.totals, result.totals);
  for (const [kind, count] of Object.entries(result.kinds)) state.kinds[kind] = (state.kinds[kind] ?? 0) + count;
  if (file !== undefined) Deno.writeTextFileSync(file, JSON.stringify(state));
  progress.pause();
  console.log(`${state.kills} kills: ${describe(state.totals)}`);
  progress.set(state.kills);
}
progress.end();
for (const [kind, count] of Object.entries(state.kinds).sort()) {
  console.log(`  ${String(count).padStart(5)} at ${kind}`);
}
console.log(
  `${state.kills} kills in ${
    Math.round(state.seconds)
  } s (${state.missed} came late: the load did not reach the place): ` +
    describe(state.totals),
);
