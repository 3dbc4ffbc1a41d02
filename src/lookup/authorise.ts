/** Puts MACs on what an expansion has decided: without them the queue takes no envelope, and the signer signs nothing. */

import type { Deliverable } from "../envelope/mod.ts";
import { EnvelopeMac, SigningMac } from "../mac/mod.ts";
import type { Expansion, LookupSettings, ToLookup } from "../protocol/mod.ts";
import { Turn } from "../clock.ts";

type ExpandQuestion = Extract<ToLookup, { type: "expand" }>;
type Expanded = Extract<Expansion, { ok: true }>;

/** MACs that are made before others have their turn: some milliseconds. */
const TURN_MACS = 200;

export class Authoriser {
  readonly #mac: EnvelopeMac;
  readonly #signing: SigningMac | null;
  /** Names of the actions that sign. */
  readonly #signs: ReadonlySet<string>;

  constructor(
    { envelopeMacKey, signingMacKey, actions }: Pick<LookupSettings, "envelopeMacKey" | "signingMacKey" | "actions">,
  ) {
    this.#mac = new EnvelopeMac(envelopeMacKey);
    this.#signing = signingMacKey === undefined ? null : new SigningMac(signingMacKey);
    const signing = Object.values(actions).filter((action) => action.kind === "relay" && action.dkim);
    this.#signs = new Set(signing.map(({ name }) => name));
  }

  /**
   * Returns the answer to a question with a MAC on each target; at once unless there are so many that others have their turn in between.
   * `own`: the message is one of the daemon's own.
   */
  authorise(
    question: ExpandQuestion,
    expansion: Expansion,
    { own }: { readonly own: boolean },
  ): Expansion | Promise<Expansion> {
    if (!expansion.ok) return expansion;
    const signing = this.#maySign(question, expansion, { own }) ? this.#signing : null;
    const result = signing === null ? expansion : { ...expansion, grant: signing.of(question.message) };
    const { targets, internal } = result;
    const { message, sender, rcpt, origin } = question;
    const authorise = (target: Deliverable, index: number): Deliverable => ({
      ...target,
      mac: this.#mac.of({ message, sender, rcpt, origin, ...target, internal: internal[index] ?? false }),
    });
    if (targets.length <= TURN_MACS) return { ...result, targets: targets.map(authorise) };
    return inTurns(targets, authorise).then((targets) => ({ ...result, targets }));
  }

  /** What a stranger has sent, and an alias or a `.forward` passes on, keeps its octets; what was submitted here is signed wherever it goes. */
  #maySign({ origin }: ExpandQuestion, { targets, internal }: Expanded, { own }: { readonly own: boolean }): boolean {
    if (this.#signs.size === 0) return false;
    const submitted = own || origin.authenticated;
    return targets.some(({ action }, index) => this.#signs.has(action) && (submitted || !internal[index]));
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
