/** Spans of time as people say them. Pure. */

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]] as const;

/** `ms` in words, in its largest unit, two of them below ten: `45 seconds`, `20 minutes`, `3 hours 10 minutes`, `12 days`. */
export function spanOf(ms: number): string {
  let seconds = Math.max(0, Math.round(ms / 1000));
  // What the second unit would say falsely precisely is rounded away.
  if (seconds >= 600 && seconds < 36_000) seconds = Math.round(seconds / 60) * 60;
  else if (seconds >= 36_000) seconds = Math.round(seconds / 3_600) * 3_600;
  if (seconds === 0) return "0 seconds";
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  const [unit, size] = UNITS[at]!, count = Math.floor(seconds / size);
  const next = UNITS[at + 1], rest = next === undefined ? 0 : Math.floor((seconds - count * size) / next[1]);
  const first = counted(count, unit);
  return count >= 10 || next === undefined || rest === 0 ? first : `${first} ${counted(rest, next[0])}`;
}

function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
