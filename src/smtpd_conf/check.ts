/** What can be checked only when the whole file was read: names that may come late, certificates without a key, no rules. */

import { DMARC_REPORTS_PLACE, type Draft, needsNoName } from "./draft.ts";
import type { Diagnostic } from "../config/mod.ts";
import { shown } from "../config/values.ts";
import { suggestion } from "../config/words.ts";

/** Mistakes that belong to a line. */
export function checkDraft(draft: Draft): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const [name, { at, cert, key, acme }] of draft.pki) {
    if (acme !== null) {
      if (cert === null && key === null) continue;
      found.push({ ...at, message: `pki "${shown(name)}" has files and "acme": one of both is needed` });
      continue;
    }
    if (cert === null) found.push({ ...at, message: `pki "${shown(name)}" has no cert` });
    if (key === null) found.push({ ...at, message: `pki "${shown(name)}" has no key` });
  }
  // A listener that names no certificate has those of the file (listeners.ts of the daemon).
  for (const { at, tls, pki } of draft.listen) {
    if (tls === "none" || pki.length > 0 || draft.pki.size > 0) continue;
    found.push({ ...at, message: `"${tls}" needs a certificate: add "pki"` });
  }
  const reports = draft.declared.get(DMARC_REPORTS_PLACE);
  if (reports !== undefined && draft.listen.every(({ mailAuth }) => mailAuth === null)) {
    const message = 'dmarc reports need a listener with "mail-auth": nothing is checked that could be reported';
    found.push({ ...reports, message });
  }
  for (const { at, kind, name } of draft.relayNames) {
    const names = kind === "pki" ? draft.pki : draft.ca;
    if (names.has(name)) continue;
    found.push({ ...at, message: `${kind} "${shown(name)}" is not defined${suggestion(name, names.keys())}` });
  }
  if (draft.dkim.length === 0) {
    for (const at of draft.signing) {
      found.push({ ...at, message: '"dkim" needs a key: add a line: dkim DOMAIN selector NAME key FILE' });
    }
  }
  if (draft.listen.every(({ mailAuth }) => mailAuth === null)) {
    for (const { at, mailAuth } of draft.rules) {
      if (mailAuth === null) continue;
      found.push({ ...at, message: '"mail-auth" of a rule needs a listener that checks mail: listen on … mail-auth' });
    }
  }
  return found;
}

/** `file:line: warning: …` for each thing that has a name and that nothing names. */
export function unusedWarnings(draft: Draft): string[] {
  // TLS listeners without a name of their own have every certificate.
  const all = draft.listen.some(({ tls, pki }) => tls !== "none" && pki.length === 0);
  const warnings: string[] = [];
  for (const [key, { file, line }] of draft.declared) {
    const kind = key.slice(0, key.indexOf(" ")), name = shown(key.slice(kind.length + 1));
    if (needsNoName(key) || draft.used.has(key) || (all && kind === "pki")) continue;
    warnings.push(
      `${file}:${line}: warning: ${kind === "table" ? `table <${name}>` : `${kind} "${name}"`} is never used`,
    );
  }
  for (const { at, domain, selector } of draft.signing.length > 0 ? [] : draft.dkim) {
    warnings.push(
      `${at.file}:${at.line}: warning: dkim "${domain}" selector "${selector}" is never used: no action says "relay dkim"`,
    );
  }
  return warnings;
}

/** `file:line: warning: …` for signatures that may end before the mail has left. */
export function expiryWarnings(draft: Draft): string[] {
  const times = [...draft.actions.values()].flatMap((action) =>
    action.kind === "relay" && action.dkim ? [action.ttlSeconds ?? draft.queue.ttlSeconds] : []
  );
  return draft.dkim.flatMap(({ at, expireSeconds }) =>
    expireSeconds === null || times.every((ttlSeconds) => ttlSeconds <= expireSeconds) ? [] : [
      `${at.file}:${at.line}: warning: "expire" is shorter than the ttl of an action that signs: ` +
      "mail that is delivered late has no good signature",
    ]
  );
}

/** What is wrong with the file as a whole, or null. */
export function checkWhole(draft: Draft): string | null {
  return draft.rules.length === 0 ? 'no rules, nothing to do: write one, such as: match for local action "NAME"' : null;
}
