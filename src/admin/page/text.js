/** Text of strangers, times, spans and numbers, as the page shows them. Pure. */

/** Characters of one text that are shown at most. */
const MAX_SHOWN_CHARS = 2048;
/** What is not seen, or changes how others are seen: controls, bidi overrides, zero widths, tags, lone surrogates, line separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
/** More marks on one letter than any language has. */
const PILED_MARKS = /(\p{M}{4})\p{M}+/gu;

/**
 * Returns a stranger's text such that it cannot mislead: what is not seen is written out, and a long one is cut with a note. What it returns is still put into the
 * page as text, never as HTML.
 */
export function harmless(value, most = MAX_SHOWN_CHARS) {
  const text = value === null || value === undefined ? "" : String(value);
  const cut = text.length > most ? text.slice(0, most) : text;
  const plain = cut.replace(UNSEEN, named).replace(PILED_MARKS, "$1");
  return text.length > most ? `${plain}… (${counted(text.length - most, "more character")})` : plain;
}

function named(character) {
  const code = character.codePointAt(0);
  // As programmers write them.
  const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  if (short !== undefined) return short;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, "0")}`;
  return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
}

/** A mail address, or the null sender. */
export function address(value, most = 320) {
  return value === null || value === undefined || value === "" || value === "<>" ? "<>" : harmless(value, most);
}

/** Characters of an address in a list: the whole one stands where it leads. */
export const LISTED_CHARS = 96;

export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function number(value) {
  return Math.abs(value) < 1_000_000 ? GROUPED.format(value) : SHORT.format(value);
}

/** Per second, with as many digits as say something. */
export function rate(value) {
  return value >= 100 ? GROUPED.format(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function bytes(value) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A span in milliseconds, in its two largest units. */
export function span(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return ms < 1 ? "0 s" : `${Math.round(ms)} ms`;
  if (seconds < 10 && seconds % 1 !== 0) return `${seconds.toFixed(1)} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = units.findIndex(([size]) => seconds >= size);
  const [size, name] = units[at];
  const whole = Math.floor(seconds / size);
  const next = units[at + 1];
  const rest = next === undefined || whole >= 10 ? 0 : Math.floor((seconds - whole * size) / next[0]);
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${next[1]}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTES = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const WHOLE = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

/** The time of the day; with the day before it where that is not today's. */
export function moment(value, now = Date.now()) {
  const at = new Date(value);
  const today = at.toDateString() === new Date(now).toDateString();
  return today ? CLOCK.format(at) : `${DAY.format(at)}, ${MINUTES.format(at)}`;
}

export function day(value) {
  return DATE.format(new Date(value));
}

export function minutes(value) {
  return MINUTES.format(new Date(value));
}

export function wholeTime(value) {
  return WHOLE.format(new Date(value));
}
