/** `smtpctl find` and `smtpctl story`: ask the daemon what became of messages, and print it. */

import { systemClock } from "../../../clock.ts";
import type { Environment } from "../../../config/mod.ts";
import { controlSocketPath } from "../../../config/paths.ts";
import {
  askControl,
  type ControlRequest,
  dialogueRecord,
  foundRecord,
  MAX_REQUEST_BYTES,
  type SearchEnd,
  storyRecord,
} from "../../../control/mod.ts";
import { safeJson, safeLine } from "../../../events/mod.ts";
import type { FoundMessage } from "../../../protocol/mod.ts";
import { MAX_FOUND_MESSAGES } from "../../../protocol/history.ts";
import { type FindOrder, parseFind } from "../../../search/mod.ts";
import { type Dialogue, dialogueLines, type Story } from "../../../story/mod.ts";
import type { Terminal } from "../../terminal.ts";
import type { FindCommand, StoryCommand } from "./order.ts";
import { listingLines, storyLines, timeOf } from "./layout.ts";

/** A command line that means nothing exits with this status. */
const EX_INVALID = 255;

/** Prints what was found, and returns the exit status: 1 when there is nothing, or it could not be looked for. */
export async function findMain(command: FindCommand, env: Environment, terminal: Terminal): Promise<number> {
  const order = parseFind(command, systemClock.now());
  if ("wrong" in order) {
    terminal.err(`smtpctl find: ${safeLine(order.wrong)}\n`);
    return EX_INVALID;
  }
  const request: ControlRequest = { do: "find", ...order };
  if (isTooLong(request)) return complain(terminal, "that is too much to look for at once: fewer or shorter words");
  const found: FoundMessage[] = [];
  let end: SearchEnd | null = null;
  for await (const answer of askControl(controlSocketPath(env), request)) {
    if ("found" in answer) {
      if (command.json) terminal.out(`${safeJson(foundRecord(answer.found))}\n`);
      found.push(answer.found);
    } else if ("search" in answer) end = answer.search;
    else if ("ok" in answer && !answer.ok) return complain(terminal, answer.error);
  }
  if (!command.json && found.length > 0) {
    const columns = terminal.columns?.() ?? null;
    terminal.out(`${listingLines(found, columns).join("\n")}\n`);
  }
  for (const note of end?.notes ?? []) complain(terminal, note);
  if (found.length === 0) return complain(terminal, nothingText(command, order, end));
  const more = moreText(order, found, end);
  if (more !== null) complain(terminal, more);
  return 0;
}

/** What was looked for in vain, and what could help. */
function nothingText({ words, keys, since, until }: FindCommand, { query }: FindOrder, end: SearchEnd | null): string {
  const asked = [
    ...words.map((word) => `"${word}"`),
    ...Object.entries(keys).map(([key, value]) => `${key} "${value}"`),
  ];
  const what = asked.length === 0 ? "no message" : `nothing like ${asked.join(", ")}`;
  const from = query.since === undefined ? "in all that is kept" : `since ${timeOf(query.since)}`;
  const span = until === undefined ? from : `${from} until ${timeOf(query.until!)}`;
  if (end?.stopped === true) {
    return `${what} ${span}, but the search took too long and did not look at everything: name more, or a shorter time`;
  }
  const oldestAt = end?.oldestAt ?? null;
  if (oldestAt === null) return `${what}: the history is empty, it has only what comes from now on`;
  const kept = `the history goes back to ${timeOf(oldestAt)}`;
  if (query.since !== undefined && oldestAt < query.since && since === undefined) {
    return `${what} ${span}; ${kept}: --since "${timeOf(oldestAt)}" looks at all of it`;
  }
  return `${what} ${span}; ${kept}${asked.length > 0 ? "; a * stands for any text, as in *@example.org" : ""}`;
}

/** That there is more, and how to see it; null where this is all. */
function moreText({ limit }: FindOrder, found: readonly FoundMessage[], end: SearchEnd | null): string | null {
  if (end === null || end.next === null) return null;
  const on = `the same with --before ${end.next} goes on`;
  if (end.stopped) return `the search took too long and has ended at ${timeOf(found.at(-1)!.at)}: ${on}`;
  const more = Math.min(MAX_FOUND_MESSAGES, limit * 4);
  const wider = more > limit ? `--limit ${more} shows more, ` : "";
  return `there are more than ${found.length === 1 ? "this one" : `these ${found.length}`}: ${wider}${on}`;
}

/** Prints the story, and returns the exit status: 1 when nothing is known. */
export async function storyMain(
  { id, dialogue, json }: StoryCommand,
  env: Environment,
  terminal: Terminal,
): Promise<number> {
  const request: ControlRequest = { do: "story", id, dialogue };
  if (isTooLong(request) || id.length > 1_000) return complain(terminal, "that is no id: it is too long");
  let story: Story | null = null;
  const said: Dialogue[] = [];
  for await (const answer of askControl(controlSocketPath(env), request)) {
    if ("story" in answer) {
      story = answer.story;
      if (!json) terminal.out(`${storyLines(story, terminal.columns?.() ?? null).join("\n")}\n`);
    } else if ("dialogue" in answer) said.push(answer.dialogue);
    else if ("ok" in answer && !answer.ok) {
      if (json && story !== null) break;
      return complain(terminal, answer.error);
    }
  }
  if (story === null) return complain(terminal, `the daemon has told nothing of ${id}`);
  if (json) {
    terminal.out(`${safeJson({ ...storyRecord(story), ...dialogue ? { dialogue: said.map(dialogueRecord) } : {} })}\n`);
  } else if (dialogue) {
    const lines = said.length > 0
      ? dialogueLines(said, timeOf)
      : ["No dialogue is kept: that of sessions that went well is not."];
    terminal.out(`\n${lines.map(safeLine).join("\n")}\n`);
  }
  return 0;
}

/** The daemon reads no longer request. */
function isTooLong(request: ControlRequest): boolean {
  return new TextEncoder().encode(JSON.stringify(request)).length >= MAX_REQUEST_BYTES;
}

function complain(terminal: Terminal, text: string): number {
  terminal.err(`smtpctl: ${safeLine(text)}\n`);
  return 1;
}
