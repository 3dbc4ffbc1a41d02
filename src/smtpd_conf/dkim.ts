/** `dkim DOMAIN selector NAME key FILE …`: a key that signs the mail of a domain. Whether the file holds one is found out by the daemon. */

import { asciiDomain } from "../envelope/mod.ts";
import { normalName } from "../net/mod.ts";
import type { SourceLine } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { shown } from "../config/values.ts";
import { expectDelay } from "./action.ts";
import type { Context } from "./context.ts";
import type { Cursor } from "./cursor.ts";
import { type Options, parseOptions } from "./options.ts";
import { parseList } from "./references.ts";

/** What a line says so far. */
interface DkimDraft {
  selector: string | null;
  keyFile: string | null;
  headers: readonly string[] | null;
  expireSeconds: number | null;
}

/** The name of a field: RFC 5322 §3.6.8. */
const FIELD_NAME = /^[!-9;-~]{1,76}$/;

/** Reads what follows `dkim` into the draft. */
export function parseDkim(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const domainAt = cursor.peek().at;
  const domainText = cursor.expectString("the domain that is signed for");
  if (domainText === null) return;
  const domain = nameOf(domainText);
  if (domain === null) return cursor.fail(domainAt, `not a valid domain name: ${shown(domainText)}`);
  const line: DkimDraft = { selector: null, keyFile: null, headers: null, expireSeconds: null };
  parseOptions(cursor, "dkim option", dkimOptions(context, line));
  if (cursor.failed) return;
  const { selector, keyFile } = line;
  if (selector === null || keyFile === null) {
    return cursor.fail(at, `dkim "${domain}" has no ${selector === null ? "selector" : "key"}`);
  }
  if (normalName(`${selector}._domainkey.${domain}`) === null) {
    return cursor.fail(at, `selector "${shown(selector)}" is too long for the name of its record`);
  }
  const own = draft.dkim.filter((one) => one.domain === domain);
  const same = own.find((one) => one.selector === selector);
  if (same !== undefined) {
    return cursor.fail(at, `selector "${selector}" of "${domain}" is already declared in line ${same.at.line}`);
  }
  if (own.length >= LANGUAGE_LIMITS.dkimKeys) {
    return cursor.fail(at, `"${domain}" has more than ${LANGUAGE_LIMITS.dkimKeys} keys: each adds a signature`);
  }
  draft.dkim.push({ at, domain, selector, keyFile, headers: line.headers, expireSeconds: line.expireSeconds });
}

function dkimOptions({ cursor }: Context, line: DkimDraft): Options {
  return {
    "selector": {
      ours: true,
      parse: () => {
        const { at } = cursor.peek();
        const text = cursor.expectString("a selector");
        if (text === null) return;
        line.selector = nameOf(text);
        // RFC 6376 §3.1: labels of letters, digits and hyphens.
        if (line.selector === null || line.selector.includes("_")) {
          cursor.fail(at, `not a valid selector: ${shown(text)} (letters, digits and "-" are needed)`);
        }
      },
    },
    "key": { parse: () => void (line.keyFile = cursor.expectKeyFile()) },
    "headers": { ours: true, parse: () => void (line.headers = expectFields(cursor)) },
    "expire": { ours: true, parse: () => void (line.expireSeconds = expectDelay({ cursor }, "expire")) },
  };
}

/** A domain or selector in lower-case A-labels; null when it is none. */
function nameOf(text: string): string | null {
  const ascii = text.endsWith(".") ? null : asciiDomain(text);
  return ascii === null ? null : normalName(ascii);
}

/** A list of names of fields, with From among them (RFC 6376 §5.4). */
function expectFields(cursor: Cursor): readonly string[] | null {
  const { at } = cursor.peek();
  if (!cursor.acceptMark("{")) {
    cursor.unexpected("a list of header fields in braces");
    return null;
  }
  const list = parseList(cursor);
  if (list === null) return null;
  const names = list.entries.map(([name]) => name.toLowerCase());
  const bad = list.kind === "map" ? names[0]! : names.find((name) => !FIELD_NAME.test(name));
  if (bad !== undefined) cursor.fail(at, `not the name of a header field: ${shown(bad)}`);
  else if (!names.includes("from")) cursor.fail(at, `"headers" must have "from": no signature counts without it`);
  else if (names.length > LANGUAGE_LIMITS.dkimHeaders) {
    cursor.fail(at, `"headers" has more than ${LANGUAGE_LIMITS.dkimHeaders} fields`);
  }
  const refused = names.find((name) => CHANGED_ON_THE_WAY.has(name));
  if (refused !== undefined) {
    cursor.fail(at, `"headers" must not have "${refused}": others change that field, and the signature breaks`);
  }
  return [...new Set(names)];
}

/** Fields that must not be signed, since hosts on the way add or change them (RFC 6376 §5.4.1, §3.5). */
const CHANGED_ON_THE_WAY: ReadonlySet<string> = new Set([
  "return-path",
  "received",
  "dkim-signature",
  "authentication-results",
  "bcc",
]);
