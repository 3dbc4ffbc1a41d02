/** How the listing of `smtpctl find` and the text of `smtpctl story` stand on a screen. Pure but for the zone of the process. */

import { safeLine } from "../../../events/mod.ts";
import type { FoundMessage } from "../../../protocol/mod.ts";
import type { Story } from "../../../story/mod.ts";

/** Columns where it is not known how many there are, and the fewest that a text is wrapped to. */
const USUAL_COLUMNS = 100, LEAST_COLUMNS = 40;
/** Screens below this have no room for years and seconds in a listing. */
const NARROW_COLUMNS = 110;
/** Columns of the two addresses in a listing. */
const MAX_ADDRESS_COLUMNS = 72, MIN_ADDRESS_COLUMNS = 16;
/** The reply has at least this share of what addresses and reply have together. */
const REPLY_SHARE = 1 / 3;
const ARROW = " → ";

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
    time: columns !== null && columns < NARROW_COLUMNS ? timeOf(one.at).slice(5, 16) : timeOf(one.at),
    id: one.id,
    from: safeLine(fromOf(one)),
    to: safeLine(toOf(one)),
    outcome: one.outcome,
    reply: safeLine(one.reply),
  }));
  const widest = (of: (row: typeof rows[number]) => string) =>
    rows.reduce((width, row) => Math.max(width, of(row).length), 0);
  const ids = widest(({ id }) => id), outcomes = widest(({ outcome }) => outcome);
  const whole = Math.min(MAX_ADDRESS_COLUMNS, widest(({ from, to }) => `${from}${ARROW}${to}`));
  const room = columns === null ? Infinity : columns - (rows[0]?.time.length ?? 0) - ids - outcomes - 8;
  const reply = Math.min(Math.floor(room * REPLY_SHARE), widest(({ reply }) => reply));
  const ways = Math.max(MIN_ADDRESS_COLUMNS, Math.min(whole, room - reply));
  return rows.map(({ time, id, from, to, outcome, reply }) => {
    const way = columns === null ? `${from}${ARROW}${to}` : cutWay({ from, to }, ways);
    const line = `${time}  ${id.padEnd(ids)}  ${way.padEnd(ways)}  ${outcome.padEnd(outcomes)}  ${reply}`.trimEnd();
    return columns === null ? line : cut(line, Math.max(columns, LEAST_COLUMNS));
  });
}

/** Both addresses in so many columns: the longer one is cut, or both. */
function cutWay({ from, to }: { readonly from: string; readonly to: string }, columns: number): string {
  const room = columns - ARROW.length, half = Math.floor(room / 2);
  if (from.length + to.length <= room) return `${from}${ARROW}${to}`;
  const first = Math.min(from.length, Math.max(half, room - to.length));
  return `${cut(from, first)}${ARROW}${cut(to, room - first)}`;
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
