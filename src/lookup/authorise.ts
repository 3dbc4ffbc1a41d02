/** Puts MACs on what an expansion has decided: without them the queue takes no envelope, and the signer signs nothing. */

import type { Action } from "../config/mod.ts";
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
    this.#signs = signingActions(actions);
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
    const about = { origin: question.origin, own };
    // Most servers sign nothing.
    const maySign = this.#signs.size > 0 && signingObstacle(about, expansion, this.#signs) === null;
    const signing = maySign ? this.#signing : null;
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
}

/** Why a message may not be signed; null when it may. `action`: it goes by no action that signs. */
export type SigningObstacle = "action" | "stranger";

/**
 * Returns why the message of an expansion may not be signed. What a stranger has sent, and an alias or a `.forward` passes on, keeps its octets;
 * what was submitted here is signed wherever it goes.
 */
export function signingObstacle(
  { origin, own }: { readonly origin: Pick<ExpandQuestion["origin"], "authenticated">; readonly own: boolean },
  { targets, internal }: Pick<Expanded, "targets" | "internal">,
  signs: ReadonlySet<string>,
): SigningObstacle | null {
  const submitted = own || origin.authenticated;
  const signing = [...targets.keys()].filter((index) => signs.has(targets[index]!.action));
  if (signing.length === 0) return "action";
  return submitted || signing.some((index) => !internal[index]) ? null : "stranger";
}

/** Returns the names of the actions that sign. */
export function signingActions(actions: Readonly<Record<string, Action>>): ReadonlySet<string> {
  const signing = Object.values(actions).filter((action) => action.kind === "relay" && action.dkim);
  return new Set(signing.map(({ name }) => name));
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
