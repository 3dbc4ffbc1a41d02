/** The screen of `smtpctl top`: from what is known to lines of a given width and number. Pure. */

import type { Rates, TopSample } from "../../../control/mod.ts";
import { formatDuration, safeLine } from "../../../events/mod.ts";

/** The order of the destinations. */
const SORTS = ["size", "inflight", "age", "name"] as const;
export type Sort = typeof SORTS[number];

/** What is shown. */
export interface TopState {
  /** The last one; null before the first. */
  readonly sample: TopSample | null;
  /** Why nothing new comes, as a sentence; null when it does. */
  readonly absence: string | null;
  readonly sort: Sort;
  readonly intervalMs: number;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** How a piece of text looks; plain where there are no colours. */
type Style = "plain" | "bold" | "dim" | "warn" | "reverse";
const CODES: Readonly<Record<Style, string>> = { plain: "", bold: "1", dim: "2", warn: "33;1", reverse: "7" };

/** A line is cut before it is coloured. */
interface Line {
  readonly text: string;
  readonly style: Style;
}

const RATES: readonly (keyof Rates)[] = ["accepted", "delivered", "relayed", "deferred", "failed", "refused"];
const KEYS = "q quit  sort by: e envelopes  f in flight  a age  n name";
/** Lines that are there whatever is shown beside the numbers: title, blank, two headings, blank, keys. */
const FIXED_LINES = 6;

/** Returns at most `rows` lines of at most `columns` characters, colour codes aside. */
export function renderScreen(
  state: TopState,
  { columns, rows }: Size,
  look: "plain" | "color",
): string[] {
  const numbers = numbersOf(state, columns);
  const room = Math.max(0, rows - FIXED_LINES - numbers.length);
  const hosts = Math.min(state.sample?.hosts.length ?? 0, Math.max(1, Math.floor(room / 3)));
  const body = [...numbers, ...listsOf(state, { lanes: room - hosts, hosts })];
  const lines = [title(state, columns), ...body];
  // The keys stand at the foot, unless the screen ends before.
  while (lines.length < rows - 1) lines.push({ text: "", style: "plain" });
  if (rows > 1) lines.splice(rows - 1, Infinity, { text: KEYS, style: "dim" });
  return lines.slice(0, rows).map((line) => paint(line, columns, look));
}

/** Returns the same as text of any length, for what is no screen: all rows, no keys. */
export function renderText(state: TopState): string[] {
  const lanes = state.sample?.lanes.length ?? 0, hosts = state.sample?.hosts.length ?? 0;
  return [title(state, 0), ...numbersOf(state, Infinity), ...listsOf(state, { lanes, hosts })].map(({ text }) =>
    safeLine(text).trimEnd()
  );
}

function paint({ text, style }: Line, columns: number, look: "plain" | "color"): string {
  const cut = Array.from(safeLine(text)).slice(0, Math.max(0, columns)).join("");
  const code = CODES[style];
  return code === "" || look === "plain" || cut === "" ? cut : `\x1b[${code}m${cut}\x1b[0m`;
}

function title({ sample, absence, intervalMs }: TopState, columns: number): Line {
  if (absence !== null) return { text: absence.padEnd(columns), style: "warn" };
  if (sample === null) return { text: "waiting for smtpd".padEnd(columns), style: "reverse" };
  const time = new Date(sample.at).toTimeString().slice(0, 8);
  const up = `up ${formatDuration(sample.uptimeSeconds)}`;
  return {
    text: `${sample.serverName}  ${up}  ${time}  every ${intervalMs / 1000} s`.padEnd(columns),
    style: "reverse",
  };
}

/** Rates, sessions and the queue: more lines where the screen is narrow. */
function numbersOf({ sample, absence }: TopState, columns: number): Line[] {
  if (sample === null) return [];
  const { rates, sessions, relaySessions, localDeliveries, envelopes, inflight, oldestAt, laneCount, paused } = sample;
  const age = oldestAt === null ? "-" : ageOf({ at: oldestAt, now: sample.at });
  const old: Style = absence === null ? "plain" : "dim";
  const lines = (words: readonly string[], style: Style) => wrap(words, columns).map((text) => ({ text, style }));
  return [
    ...lines(RATES.map((name) => `${name} ${rates === null ? "-" : `${rateOf(rates[name])}/s`}`), old),
    ...lines(
      [`sessions ${sessions}`, `to other hosts ${relaySessions}`, `local deliveries ${localDeliveries}`],
      old,
    ),
    ...lines([
      ...[`queue ${envelopes}`, `in flight ${inflight}`, `oldest ${age}`, `destinations ${laneCount}`],
      ...paused.length === 0 ? [] : [`PAUSED: ${paused.join(" ")}`],
    ], paused.length > 0 && absence === null ? "warn" : old),
  ];
}

/** Words in lines of at most `columns` characters; one that is longer has a line of its own. */
function wrap(words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 2 + word.length <= columns) lines[lines.length - 1] = `${last}  ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Destinations and hosts, so many of each. */
function listsOf(state: TopState, room: { readonly lanes: number; readonly hosts: number }): Line[] {
  const { sample, sort, absence } = state;
  if (sample === null) return [];
  const old: Style = absence === null ? "plain" : "dim";
  const lanes = sortLanes(sample.lanes, sort).slice(0, Math.max(0, room.lanes));
  return [
    { text: "", style: "plain" },
    {
      text: `${"queued".padStart(8)}${"inflight".padStart(10)}${"oldest".padStart(12)}  destination (by ${sort})`,
      style: "bold",
    },
    ...lanes.map(({ agent, action, name, envelopes, inflight, oldestAt }): Line => ({
      text: String(envelopes).padStart(8) + String(inflight).padStart(10) +
        ageOf({ at: oldestAt, now: sample.at }).padStart(12) + `  ${placeOf(agent, name)}  ${action}`.trimEnd(),
      style: old,
    })),
    { text: "", style: "plain" },
    { text: `${"takes".padStart(8)}${"open".padStart(8)}  slowest hosts`, style: "bold" },
    ...sample.hosts.slice(0, Math.max(0, room.hosts)).map(({ address, name, connections, transactionMs }): Line => ({
      text: `${milliseconds(transactionMs ?? 0).padStart(8)}${String(connections).padStart(8)}  ${address}${
        name === address ? "" : `  ${name}`
      }`,
      style: old,
    })),
  ];
}

function placeOf(agent: string, name: string): string {
  if (agent === "mta") return name;
  return agent === "mda" ? `user ${name}` : "notices (DSN)";
}

function sortLanes(lanes: TopSample["lanes"], sort: Sort): TopSample["lanes"] {
  type Lane = TopSample["lanes"][number];
  const byName = (one: Lane, other: Lane) => one.name < other.name ? -1 : 1;
  const order: Readonly<Record<Sort, (one: Lane, other: Lane) => number>> = {
    size: (one, other) => other.envelopes - one.envelopes || byName(one, other),
    inflight: (one, other) => other.inflight - one.inflight || other.envelopes - one.envelopes || byName(one, other),
    age: (one, other) => one.oldestAt - other.oldestAt || byName(one, other),
    name: byName,
  };
  return lanes.toSorted(order[sort]);
}

function rateOf(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}

function ageOf({ at, now }: { readonly at: number; readonly now: number }): string {
  const text = formatDuration(Math.max(0, Math.floor((now - at) / 1000)));
  // The two largest units say enough.
  return /^(?:\d+[dhms]){1,2}/.exec(text)?.[0] ?? text;
}

function milliseconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
