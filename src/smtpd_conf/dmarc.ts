/** `dmarc reports from ADDRESS`: aggregate reports to the domains whose mail comes here, an extension of ours. */

import { normalName } from "../net/mod.ts";
import type { SourceLine } from "../config/mod.ts";
import { shown } from "../config/values.ts";
import type { Context } from "./context.ts";
import { DMARC_REPORTS_PLACE } from "./draft.ts";

/** RFC 5321 §4.1.2: a local part that needs no quotes, of ASCII. */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
/** RFC 5321 §4.5.3.1.1. */
const MAX_LOCAL_PART_OCTETS = 64;

/** Reads what follows `dmarc` into the draft. Whether anything is checked that could be reported is known at the end of the file. */
export function parseDmarc({ cursor, draft }: Context, at: SourceLine): void {
  if (!cursor.acceptWord("reports")) return cursor.unknownWord("dmarc directive", ["reports"]);
  if (!cursor.expectKeyword("from")) return;
  const address = cursor.peek();
  const text = cursor.expectString("the address that reports are from");
  if (text === null) return;
  const split = text.lastIndexOf("@");
  const local = text.slice(0, Math.max(split, 0)), domain = normalName(text.slice(split + 1));
  if (split < 1 || domain === null || local.length > MAX_LOCAL_PART_OCTETS || !LOCAL_PART.test(local)) {
    return cursor.fail(address.at, `invalid address: ${shown(text)} (one such as "postmaster@example.org")`);
  }
  if (draft.dmarcReports !== null) {
    const { line } = draft.declared.get(DMARC_REPORTS_PLACE) ?? at;
    return cursor.fail(at, `dmarc reports are already declared in line ${line}`);
  }
  draft.dmarcReports = { from: { local, domain } };
  draft.declared.set(DMARC_REPORTS_PLACE, at);
}
