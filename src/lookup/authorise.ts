/** Puts MACs on what an expansion has decided: without them the queue takes no envelope. */

import type { Deliverable } from "../envelope/mod.ts";
import { EnvelopeMac } from "../mac/mod.ts";
import type { Expansion, ToLookup } from "../protocol/mod.ts";
import { Turn } from "../clock.ts";

type ExpandQuestion = Extract<ToLookup, { type: "expand" }>;

/** MACs that are made before others have their turn: some milliseconds. */
const TURN_MACS = 200;

export class Authoriser {
  readonly #mac: EnvelopeMac;

  /** `key` is shared with the queue. */
  constructor(key: Uint8Array) {
    this.#mac = new EnvelopeMac(key);
  }

  /** Returns the answer to a question with a MAC on each target; at once unless there are so many that others have their turn in between. */
  authorise(question: ExpandQuestion, result: Expansion): Expansion | Promise<Expansion> {
    if (!result.ok) return result;
    const { targets, internal } = result;
    const { message, sender, rcpt, origin } = question;
    const authorise = (target: Deliverable, index: number): Deliverable => ({
      ...target,
      mac: this.#mac.of({ message, sender, rcpt, origin, ...target, internal: internal[index] ?? false }),
    });
    if (targets.length <= TURN_MACS) return { ...result, targets: targets.map(authorise) };
    return inTurns(targets, authorise).then((targets) => ({ ...result, targets }));
  }
}

async function inTurns(
  targets: readonly Deliverable[],
  authorise: (target: Deliverable, index: number) => Deliverable,
): Promise<Deliverable[]> {
  const turn = new Turn(0), done: Deliverable[] = [];
  for (const [index, target] of targets.entries()) {
    if (index % TURN_MACS === TURN_MACS - 1) await turn.giveWay();
    done.push(authorise(target, index));
  }
  return done;
}
