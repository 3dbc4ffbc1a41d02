/** Points in time as people type them. Days and hours are those of the local time of whoever reads. Pure but for the zone of the process. */

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
/** What a person is told who typed something else. */
export const TIME_FORMS = "times are 2h, 3d, today, yesterday, 2026-11-30, 2026-11-30 14:00 or 2026-11-30T14:00:00Z";

/**
 * Returns the milliseconds since the epoch that `text` means at the time `now`; null when it means none. `2h` is two hours ago. A day, such as `today` or
 * `2026-11-30`, and a minute such as `14:00` are their beginnings for `since`, and their ends for `until`.
 */
export function parseTime(text: string, { now, edge }: { readonly now: number; readonly edge: "since" | "until" }) {
  const word = text.trim().toLowerCase();
  if (word === "now") return now;
  const ago = spanOf(word);
  if (ago !== null) return now - ago;
  const today = new Date(now);
  if (word === "today" || word === "yesterday") {
    const days = word === "today" ? 0 : 1;
    return edgeOf(dayAt(today, { days }), "day", edge);
  }
  const clock = /^(\d{1,2}):(\d\d)$/.exec(word);
  if (clock !== null) {
    const [hours, minutes] = [Number(clock[1]), Number(clock[2])];
    if (hours > 23 || minutes > 59) return null;
    return edgeOf(dayAt(today, { hours, minutes }), "minute", edge);
  }
  return dated(text.trim(), edge);
}

/** `90m`, `2h`, `1d12h` in milliseconds. */
function spanOf(word: string): number | null {
  if (!/^(?:\d{1,6}[smhdw])+$/.test(word)) return null;
  return [...word.matchAll(/(\d+)([smhdw])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!, 0);
}

/** A date of RFC 3339, with a time and a zone or without. */
function dated(text: string, edge: "since" | "until"): number | null {
  const [, year, month, day, hour, minute, second, fraction, zone] =
    /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d:?\d\d)?)?$/.exec(text) ??
      [];
  if (year === undefined) return null;
  const [months, days] = [Number(month) - 1, Number(day)];
  const hours = Number(hour ?? 0), minutes = Number(minute ?? 0), seconds = Number(second ?? 0);
  const calendar = new Date(Date.UTC(Number(year), months, days));
  if (calendar.getUTCMonth() !== months || calendar.getUTCDate() !== days) return null;
  if (hours > 23 || minutes > 59 || seconds > 60) return null;
  const ms = fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * 1000);
  const found = zone === undefined
    ? new Date(Number(year), months, days, hours, minutes, seconds, ms)
    : new Date(Date.UTC(Number(year), months, days, hours, minutes, seconds, ms) - offsetOf(zone));
  if (hour === undefined) return edgeOf(found, "day", edge);
  return second === undefined ? edgeOf(found, "minute", edge) : found.getTime();
}

/** How far a zone is ahead of UTC, in ms. */
function offsetOf(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(zone) ?? [];
  if (sign === undefined) return 0;
  return (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === "-" ? -1 : 1);
}

/** A time of the day of `today`, or of so many days before. */
function dayAt(
  today: Date,
  { days = 0, hours = 0, minutes = 0 }: { readonly days?: number; readonly hours?: number; readonly minutes?: number },
): Date {
  return new Date(today.getFullYear(), today.getMonth(), today.getDate() - days, hours, minutes);
}

/** The beginning of a day or a minute, or its last millisecond. */
function edgeOf(begin: Date, unit: "day" | "minute", edge: "since" | "until"): number {
  if (edge === "since") return begin.getTime();
  const end = new Date(begin);
  // A day may have 23 or 25 hours.
  if (unit === "day") end.setDate(end.getDate() + 1);
  else end.setMinutes(end.getMinutes() + 1);
  return end.getTime() - 1;
}
