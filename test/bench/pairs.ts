/**
 * Vaultpost's processes of two users against its one process: rounds that alternate between the two, so that whatever else the machine does weighs
 * on both, and the median of the ratios of the rounds. The runs one after another of main.ts cannot say that on a busy machine.
 */

import { Steps } from "./steps.ts";
import { type Measure, measure, type Scenario } from "./load.ts";
import type { Server } from "./server.ts";
import type { Sink } from "./sink.ts";

/** Rounds of each scenario, of which each server has a run. */
const ROUNDS = 5;

/** Ratios of one scenario, of two users to one process: medians of its rounds. */
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
  { two, one, scenarios, sink }: {
    readonly two: Server;
    readonly one: Server;
    readonly scenarios: readonly Scenario[];
    readonly sink: Sink;
  },
): Promise<PairRow[]> {
  const rows: PairRow[] = [];
  using steps = new Steps(scenarios.length * ROUNDS);
  for (const scenario of scenarios) {
    steps.begin(`${scenario.name}: two users against one process`);
    const pairs: { readonly two: Measure; readonly one: Measure }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const first = await measure(round % 2 === 0 ? two : one, scenario, sink);
      const second = await measure(round % 2 === 0 ? one : two, scenario, sink);
      pairs.push(round % 2 === 0 ? { two: first, one: second } : { two: second, one: first });
      steps.done();
    }
    const ratios = (of: (measure: Measure) => number) => pairs.map(({ two, one }) => of(two) / of(one)).sort(rising);
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
