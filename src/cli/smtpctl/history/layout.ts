/** How the listing of `smtpctl find` and the text of `smtpctl story` stand on a screen. Pure but for the zone of the process. */

import { safeLine } from "../../../events/mod.ts";
import type { FoundMessage } from "../../../protocol/mod.ts";
import type { Story } from "../../../story/mod.ts";

/** Columns where it is not known how many there are, and the fewest that a text is wrapped to. */
const USUAL_COLUMNS = 100, LEAST_COLUMNS = 40;
/** Columns of addresses in a listing, at most. */
const MAX_ADDRESS_COLUMNS = 64;

/** `2026-11-30 14:03:11`, in local time. */
export function timeOf(ms: number): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** One line per message: time, id, from whom to whom, what became of it, and the last reply. `columns` is null where lines are not to be cut. */
export function listingLines(messages: readonly FoundMessage[], columns: number | null): string[] {
  const rows = messages.map((one) => ({
    time: timeOf(one.at),
    id: one.id,
    way: safeLine(`${fromOf(one)} → ${toOf(one)}`),
    outcome: one.outcome,
    reply: safeLine(one.outcome === "delivered" && one.reply === "" ? "" : one.reply),
  }));
  const widest = (of: (row: typeof rows[number]) => string, most: number) =>
    Math.min(most, rows.reduce((width, row) => Math.max(width, of(row).length), 0));
  const ids = widest(({ id }) => id, 32), outcomes = widest(({ outcome }) => outcome, 9);
  const ways = widest(({ way }) => way, columns === null ? MAX_ADDRESS_COLUMNS : roomForWay({ columns, ids }));
  return rows.map(({ time, id, way, outcome, reply }) => {
    const shownWay = columns === null ? way : cut(way, ways);
    const line = `${time}  ${id.padEnd(ids)}  ${shownWay.padEnd(ways)}  ${outcome.padEnd(outcomes)}  ${reply}`
      .trimEnd();
    return columns === null ? line : cut(line, Math.max(columns, LEAST_COLUMNS));
  });
}

/** Time, id and outcome stay whole, and some of the reply. */
function roomForWay({ columns, ids }: { readonly columns: number; readonly ids: number }): number {
  return Math.max(16, Math.min(MAX_ADDRESS_COLUMNS, Math.floor((columns - 19 - ids - 9 - 8) * 0.6)));
}

/** The sender; where none was named, the client. */
function fromOf({ from, peer }: FoundMessage): string {
  return from === null ? "<>" : from !== "" ? from : peer === "" ? "?" : `[${peer}]`;
}

function toOf({ to, rcpts }: FoundMessage): string {
  const more = Math.max(rcpts, to.length) - 1;
  return to.length === 0 ? "?" : `${to[0]}${more > 0 ? ` +${more}` : ""}`;
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(1, columns - 1))}…`;
}

/** The story as text: the reason, the facts, what happened with its times, and how it stands. */
export function storyLines(story: Story, columns: number | null): string[] {
  const width = Math.max(LEAST_COLUMNS, columns ?? USUAL_COLUMNS);
  const { headline, facts, lines, now, notes } = story;
  const out = wrap(headline, { width, first: "", rest: "" });
  const known = factsOf(facts);
  if (known.length > 0) out.push("");
  for (const [name, value] of known) {
    out.push(...wrap(value, { width, first: name.padEnd(12), rest: " ".repeat(12) }));
  }
  if (lines.length > 0) out.push("");
  for (const { at, text, level, detail = [] } of lines) {
    const mark = level === "bad" ? "!" : level === "warn" ? "~" : " ";
    out.push(...wrap(text, { width, first: `${timeOf(at)} ${mark} `, rest: " ".repeat(22) }));
    for (const one of detail) {
      const indent = " ".repeat(24 + (/^ */.exec(one)![0].length));
      out.push(...wrap(one.trimStart(), { width, first: indent, rest: `${indent}  ` }));
    }
  }
  if (now.length > 0) out.push("", "Now:");
  for (const one of now) out.push(...wrap(one, { width, first: "  ", rest: "  " }));
  if (notes.length > 0) out.push("");
  for (const one of notes) out.push(...wrap(one, { width, first: "", rest: "" }));
  return out;
}

function factsOf(facts: Story["facts"]): [string, string][] {
  const { message, session, from, to, recipients, peer, login, messageId, bytes } = facts;
  const more = recipients - to.length;
  const rows: [string, string | null][] = [
    ["message", message],
    ["session", session],
    ["from", from === "" ? "<>" : from],
    ["to", to.length === 0 ? null : `${to.join(", ")}${more > 0 ? ` and ${more} more` : ""}`],
    ["client", peer],
    ["login", login],
    ["Message-ID", messageId],
    ["size", bytes === null ? null : `${bytes} octets`],
  ];
  return rows.flatMap(([name, value]) => value === null ? [] : [[name, value]]);
}

/** Breaks at blanks; a word that is longer than a line stays whole. */
function wrap(
  text: string,
  { width, first, rest }: { readonly width: number; readonly first: string; readonly rest: string },
): string[] {
  const lines: string[] = [];
  let line = first, empty = true;
  for (const word of safeLine(text).split(" ")) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  lines.push(line.trimEnd());
  return lines;
}
