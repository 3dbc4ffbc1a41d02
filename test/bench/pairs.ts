/**
 * One daemon of Vaultpost against another: rounds that alternate between the two, so that whatever else the machine does weighs on both, and the median of the ratios of the rounds. The runs one after another of main.ts cannot say that on a busy machine.
 */

import { Steps } from "./steps.ts";
import { type Measure, measure, type Scenario } from "./load.ts";
import type { Server } from "./server.ts";
import type { Sink } from "./sink.ts";

/** Rounds of each scenario, of which each server has a run. */
const ROUNDS = 5;

/** Ratios of one scenario, of the first to the second: medians of its rounds. */
export interface PairRow {
  readonly scenario: string;
  readonly accepted: number;
  readonly delivered: number;
  readonly cpu: number;
  /** The least and the greatest of the rounds. */
  readonly cpuRange: readonly [number, number];
}

/** Memory of a server that has just been started and does nothing, and what its start has cost. */
export interface Rest {
  readonly server: Server;
  readonly bytes: number;
  readonly cpuSeconds: number;
}

/** Measures `scenarios` in pairs. */
export async function measurePairs(
  { first, second, scenarios, sink, what, rounds = ROUNDS }: {
    readonly first: Server;
    readonly second: Server;
    /** What is compared, in words. */
    readonly what: string;
    readonly rounds?: number;
    readonly scenarios: readonly Scenario[];
    readonly sink: Sink;
  },
): Promise<PairRow[]> {
  const rows: PairRow[] = [];
  using steps = new Steps(scenarios.length * rounds);
  for (const scenario of scenarios) {
    steps.begin(`${scenario.name}: ${what}`);
    const pairs: { readonly first: Measure; readonly second: Measure }[] = [];
    for (let round = 0; round < rounds; round++) {
      const [one, other] = round % 2 === 0 ? [first, second] : [second, first];
      const ofOne = await measure(one, scenario, sink), ofOther = await measure(other, scenario, sink);
      pairs.push(round % 2 === 0 ? { first: ofOne, second: ofOther } : { first: ofOther, second: ofOne });
      steps.done();
    }
    const ratios = (of: (measure: Measure) => number) =>
      pairs.map(({ first, second }) => of(first) / of(second)).sort(rising);
    const cpu = ratios(({ cpuSecondsPerThousand }) => cpuSecondsPerThousand);
    rows.push({
      scenario: scenario.name,
      accepted: median(ratios(({ acceptedPerSecond }) => acceptedPerSecond)),
      delivered: median(ratios(({ deliveredPerSecond }) => deliveredPerSecond)),
      cpu: median(cpu),
      cpuRange: [cpu[0]!, cpu.at(-1)!],
    });
  }
  return rows;
}

const rising = (one: number, other: number) => one - other;
const median = (sorted: readonly number[]) => sorted[Math.floor(sorted.length / 2)]!;
