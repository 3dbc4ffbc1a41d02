/** Explains what would happen to a message: has the real session with it, and tells what was decided. Nothing is sent and nothing is stored. */

import type { Config } from "../config/mod.ts";
import { type Deliverable, type EnvelopeContent, formatMailbox, type Mailbox, type Routed } from "../envelope/mod.ts";
import { codeOf, converse, type Dialogue, type Envelope, type Exchange } from "./client.ts";
import type { Front } from "./front.ts";
import { goalOf } from "./goals.ts";
import type { TakenMessage } from "./memory_queue.ts";
import { addedSteps, beginningSteps, dialogueSteps, placeOf } from "./report.ts";
import type { Note } from "./notes.ts";
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
  /** What was said, and what the queue would have taken. */
  readonly dialogue: Dialogue;
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

/** What `history … refs` puts behind a refusal: another one each time. */
const REF = / \(ref [0-9a-f]+-\d+\)$/;

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
  return { steps, results, dialogue };
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
  dialogue: Dialogue,
  { front, config }: Pick<ExplainDeps, "front" | "config">,
): Promise<readonly RecipientResult[]> {
  const { exchanges, decidedBy, taken } = dialogue;
  const last = exchanges.findLast(({ command }) => command === ".");
  const rcpts = exchanges.filter(({ command }) => command.startsWith("RCPT "));
  const serving = servingEnvelopes(dialogue);
  const results: RecipientResult[] = [];
  for (const [index, recipient] of recipients.entries()) {
    const decided = exchanges[decidedBy[index]!]!, asked = expandedIn(rcpts[index], null);
    // Rules that look at what the message was found to be decide anew at its end.
    const expanded = asked === null ? null : expandedIn(last, asked.rcpt) ?? asked;
    const code = codeOf(decided.reply);
    if (taken === null || code < 200 || code >= 300 || expanded === null) {
      const text = decided.reply?.join(" ").replace(REF, "") ?? "the connection is closed without a reply";
      const rule = expanded?.result.ok === false ? lastRule(expanded.result.routed) : null;
      results.push({ recipient, text, where: placeOf(decided.notes) ?? rule });
      continue;
    }
    const { rcpt } = expanded;
    const targets = (serving.get(formatMailbox(rcpt)) ?? []).map(deliverableOf);
    const text = await goalsOf(targets, { actions: config.actions, lookups: front.lookups, rcpt });
    results.push({ recipient, text, where: lastRule(expanded.result.routed) });
  }
  return results;
}

type Expanded = Extract<Note, { kind: "expanded" }>;

/** What lookup said of a recipient in an exchange; of the only one there, where none is named. */
function expandedIn(exchange: Exchange | undefined, rcpt: Mailbox | null): Expanded | null {
  const found = exchange?.notes.find((note) =>
    note.kind === "expanded" && (rcpt === null || formatMailbox(note.rcpt) === formatMailbox(rcpt))
  );
  return found?.kind === "expanded" ? found : null;
}

/** The rule that was the last to decide on the way of a recipient: where it ends, or where it went last. */
function lastRule(node: Routed | undefined): RecipientResult["where"] {
  if (node === undefined) return null;
  return node.children.reduce((rule, child) => lastRule(child) ?? rule, node.rule);
}

/** The envelopes that serve each recipient: its own, and those of others that bring the message to the same mailbox. */
function servingEnvelopes({ exchanges, taken }: Dialogue): ReadonlyMap<string, readonly EnvelopeContent[]> {
  const serving = new Map<string, EnvelopeContent[]>(), byId = new Map<string, EnvelopeContent>();
  const add = (rcpt: Mailbox, envelope: EnvelopeContent | undefined) => {
    if (envelope === undefined) return;
    const known = serving.get(formatMailbox(rcpt));
    if (known === undefined) serving.set(formatMailbox(rcpt), [envelope]);
    else known.push(envelope);
  };
  for (const envelope of taken?.envelopes ?? []) {
    byId.set(envelope.id, envelope);
    add(envelope.rcpt, envelope);
  }
  for (const { notes } of exchanges) {
    for (const note of notes) {
      if (note.kind !== "event" || note.event.type !== "smtp-message") continue;
      for (const { rcpt, by } of note.event.detail?.suppressed ?? []) add(rcpt, byId.get(by));
    }
  }
  return serving;
}

function deliverableOf({ agent, action, dest, user = "", subAddress = "", exec = "" }: EnvelopeContent): Deliverable {
  return agent === "mta" ? { agent, action, dest } : { agent: "mda", action, dest, user, subAddress, exec };
}

async function goalsOf(targets: readonly Deliverable[], deps: Parameters<typeof goalOf>[1]): Promise<string> {
  const texts = new Set<string>();
  for (const target of targets) {
    texts.add(await goalOf(target, deps));
    if (texts.size > MAX_NAMED_TARGETS) break;
  }
  const named = [...texts].slice(0, MAX_NAMED_TARGETS).join("; ");
  const more = targets.length - MAX_NAMED_TARGETS;
  return texts.size > MAX_NAMED_TARGETS ? `${named}; and others, ${more} more targets` : named;
}
