/** Names of hosts where smtpd.conf has one as a STRING: what goes out in greetings and headers is in A-labels, however it was written. */

import { asciiDomain } from "../envelope/mod.ts";
import type { Cursor } from "./cursor.ts";
import { shown } from "../config/values.ts";

/** A host name; fails and gives null when it is none. ASCII is not looked at closer, as upstream does. */
export function expectHostName(cursor: Cursor): string | null {
  const { at } = cursor.peek();
  const text = cursor.expectString("a host name");
  if (text === null) return null;
  const name = asciiDomain(text);
  if (name === null) cursor.fail(at, `not a valid domain name: ${shown(text)}`);
  return name;
}
