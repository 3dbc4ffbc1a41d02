/** By what an action tells its mailboxes apart. */

import assert from "node:assert/strict";
import type { LocalMethod } from "../../src/config/types.ts";
import { oncePer } from "../../src/rules/copies.ts";
import { local } from "./support.ts";

const maildir = (path: string | null): LocalMethod => ({ type: "maildir", path, junk: false });
const lmtp = (destination: string, rcptTo = false): LocalMethod => ({ type: "lmtp", destination, rcptTo });
const rows: readonly { method: LocalMethod; exec?: string; wrapper?: string; want: ReturnType<typeof oncePer> }[] = [
  { method: { type: "mbox" }, want: null },
  { method: maildir(null), want: "sub-address" },
  { method: maildir("/srv/%{user.username}/%{sender}"), want: "sub-address" },
  { method: maildir("/srv/%{rcpt.user:lowercase}"), want: "spelling" },
  { method: maildir("/srv/%{DEST[0]}"), want: "spelling" },
  { method: maildir("/srv/%{rcptx}"), want: "sub-address" },
  { method: lmtp("/run/lmtp"), want: null },
  { method: lmtp("/run/lmtp", true), want: "address" },
  { method: lmtp("/run/%{dest.domain}"), want: "spelling" },
  { method: { type: "mda", command: "lda -d %{user.username}" }, want: "address" },
  { method: { type: "mda", command: "lda -a %{rcpt}" }, want: "spelling" },
  { method: { type: "expand-only" }, exec: ">/var/mail/all", want: null },
  { method: { type: "forward-only" }, exec: "prog", want: "address" },
  { method: { type: "mbox" }, exec: "prog %{dest.user}", want: "spelling" },
  { method: maildir("/srv/%{rcpt.user}"), exec: ">/srv/%{user.username}", want: null },
  { method: { type: "mbox" }, exec: ">/srv/%{rcpt.user}", want: "spelling" },
  { method: maildir(null), wrapper: "nice %{mda}", want: "sub-address" },
  { method: maildir(null), wrapper: "nice %{mda} %{rcpt}", want: "spelling" },
];
for (const { method, exec = "", wrapper, want } of rows) {
  const what = `${JSON.stringify(method)} ${exec} ${wrapper ?? ""}`;
  Deno.test(`oncePer(${what}) is ${want}`, () => {
    assert.equal(oncePer(local("a", { method, wrapper: wrapper ?? null }), exec), want);
  });
}
