/** Explains what would happen to a message: has the real session with it, and tells what was decided. Nothing is sent and nothing is stored. */

import type { Config } from "../config/mod.ts";
import { type Deliverable, formatMailbox } from "../envelope/mod.ts";
import { codeOf, converse, type Dialogue, type Envelope } from "./client.ts";
import type { Front } from "./front.ts";
import { goalOf } from "./goals.ts";
import type { TakenMessage } from "./memory_queue.ts";
import { addedSteps, beginningSteps, dialogueSteps, placeOf } from "./report.ts";
import type { Step } from "./step.ts";

/** What would become of one recipient. */
export interface RecipientResult {
  /** As it was given. */
  readonly recipient: string;
  /** The reply that refuses it, with its code; else where it goes, the places in the order of the expansion. */
  readonly text: string;
  /** The line of the configuration that decides. */
  readonly where: { readonly file: string; readonly line: number } | null;
}

export interface Explanation {
  readonly steps: readonly Step[];
  readonly results: readonly RecipientResult[];
}

export interface ExplainDeps {
  readonly config: Pick<Config, "actions" | "file">;
  readonly front: Front;
  /** Programs of filters and tables are asked. */
  readonly programs: boolean;
  /** Tells what would happen to a message that the queue has. */
  behind?(taken: TakenMessage): Promise<readonly Step[]>;
}

/** Targets of one recipient that its result names at most. */
const MAX_NAMED_TARGETS = 20;

/** Has a session with this envelope and message, and explains it. */
export async function explain(envelope: Envelope, message: Uint8Array, deps: ExplainDeps): Promise<Explanation> {
  const { front, config, programs } = deps;
  const dialogue = await converse(front, envelope, message);
  const { taken } = dialogue;
  const results = await resultsOf(envelope, dialogue, deps);
  const steps: Step[] = [
    { kind: "configuration", text: `configuration ${config.file}` },
    ...beginningSteps(front.settings.smtp, envelope, { programs }),
    ...dialogueSteps(dialogue),
    ...taken === null ? [] : addedSteps(taken.text, message),
    ...taken === null || deps.behind === undefined ? [] : await deps.behind(taken),
    ...results.map(({ recipient, text, where }): Step => ({
      kind: "result",
      text: `${recipient}: ${text}`,
      ...where === null ? {} : { where },
      detail: { recipient, result: text },
    })),
  ];
  return { steps, results };
}

/** Has a session as `explain` does, and returns the results alone. */
export async function resultsFor(
  envelope: Envelope,
  message: Uint8Array,
  deps: Pick<ExplainDeps, "front" | "config">,
): Promise<readonly RecipientResult[]> {
  return await resultsOf(envelope, await converse(deps.front, envelope, message), deps);
}

async function resultsOf(
  { recipients }: Envelope,
  { exchanges, decidedBy, taken }: Dialogue,
  { front, config }: Pick<ExplainDeps, "front" | "config">,
): Promise<readonly RecipientResult[]> {
  const last = exchanges.findLast(({ command }) => command === ".");
  const rcpts = exchanges.filter(({ command }) => command.startsWith("RCPT "));
  const results: RecipientResult[] = [];
  for (const [index, recipient] of recipients.entries()) {
    const decided = exchanges[decidedBy[index]!]!, own = rcpts[index];
    const code = codeOf(decided.reply);
    if (taken === null || code < 200 || code >= 300) {
      const text = decided.reply?.join(" ") ?? "the connection is closed without a reply";
      results.push({ recipient, text, where: placeOf(decided.notes) });
      continue;
    }
    const asked = own?.notes.find((note) => note.kind === "expanded");
    // Rules that look at what the message was found to be decide anew at its end.
    const anew = last?.notes.find((note) =>
      note.kind === "expanded" && asked !== undefined && formatMailbox(note.rcpt) === formatMailbox(asked.rcpt)
    );
    const expanded = anew?.kind === "expanded" ? anew : asked;
    if (expanded === undefined) throw new Error("A recipient was taken, and lookup was not asked about it");
    const { rcpt } = expanded;
    const targets = expanded.result.ok ? expanded.result.targets : [];
    const text = await goalsOf(targets, { actions: config.actions, lookups: front.lookups, rcpt });
    results.push({ recipient, text, where: expanded.result.routed?.rule ?? placeOf(own?.notes ?? []) });
  }
  return results;
}

async function goalsOf(targets: readonly Deliverable[], deps: Parameters<typeof goalOf>[1]): Promise<string> {
  const texts = new Set<string>();
  for (const target of targets) {
    texts.add(await goalOf(target, deps));
    if (texts.size > MAX_NAMED_TARGETS) break;
  }
  const named = [...texts].slice(0, MAX_NAMED_TARGETS);
  const more = targets.length - MAX_NAMED_TARGETS;
  return texts.size > MAX_NAMED_TARGETS ? `${named.join("; ")}; and others, ${more} more targets` : named.join("; ");
}
