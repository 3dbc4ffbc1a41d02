/** Spans of time as the log and the listings write them: `1d2h3m4s`, zero parts left out. */

/** `seconds` as text; `0s` for none, `-` in front of a negative span. Fractions are dropped. */
export function formatDuration(seconds: number): string {
  let left = Math.trunc(seconds);
  if (left === 0) return "0s";
  const sign = left < 0 ? "-" : "";
  left = Math.abs(left);
  let out = "";
  for (const [unit, size] of [["d", 86_400], ["h", 3_600], ["m", 60], ["s", 1]] as const) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) out += `${count}${unit}`;
  }
  return sign + out;
}
