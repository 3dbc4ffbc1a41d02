/** Dates as header fields have them, RFC 5322 §3.3. The only writer of them; the ctime(3) date of mbox files is in src/delivery/methods/from_line.ts. */

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * Returns a moment as `Fri, 2 Jan 2026 03:04:05 +0000`, RFC 5322 §3.3, in the zone that is `offset` minutes east of UTC; without it in the
 * local time of this process.
 */
export function formatDate(at: Date, offset = -at.getTimezoneOffset()): string {
  const local = new Date(at.getTime() + offset * 60_000);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.abs(offset);
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
  return `${DAYS[local.getUTCDay()]}, ${local.getUTCDate()} ${MONTHS[local.getUTCMonth()]} ${local.getUTCFullYear()} ` +
    `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())} ${zone}`;
}
