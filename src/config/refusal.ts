/** The reply to a client for the text of a filter's `reject` or `disconnect`. Text in, text out. */

/**
 * The reply for such a text: as it is when it begins with a code from 400 to 599 (RFC 5321 §4.2), else with `550 5.7.1` before it, in the place
 * of a code that is no refusal. One line of it, at most.
 */
export function refusalReply(text: string): string {
  // deno-lint-ignore no-control-regex -- a control character could end the reply early
  const line = text.replace(/[\r\n].*$/s, "").replace(/[\x00-\x1f\x7f]/g, "?");
  if (/^[45]\d\d(?: |$)/.test(line)) return line;
  const words = line.replace(/^\d\d?\d?(?:[ -]|$)/, "").trim();
  return `550 5.7.1 ${words === "" ? "Refused" : words}`;
}
