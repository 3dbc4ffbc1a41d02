/** Wrappers: the command that stands for a delivery, and the one that runs around it. */

import assert from "node:assert/strict";
import type { LocalAction, LocalMethod } from "../../src/config/types.ts";
import { planDelivery } from "../../src/delivery/planner.ts";
import type { Envelope } from "../../src/envelope/mod.ts";
import { envelopeOf, localAction, settingsOf, tester } from "./harness.ts";

const bob = tester("/home/bob");
const maildir = (path: string | null, junk = false): LocalMethod => ({ type: "maildir", path, junk });
const lmtp = (destination: string, rcptTo = false): LocalMethod => ({ type: "lmtp", destination, rcptTo });

/** The command, or why there is none. */
function plan(method: LocalMethod, fields: Partial<LocalAction> = {}, envelope: Partial<Envelope> = {}): string {
  const action = localAction({ method, wrapper: "%{mda}", ...fields });
  const found = planDelivery(settingsOf(), action, envelopeOf(envelope), bob, bob);
  return found.kind === "command" ? found.command : found.kind === "refused" ? found.end.stat : found.kind;
}

const rows: { method: LocalMethod; envelope?: Partial<Envelope>; want: string; because: string }[] = [
  { method: maildir(null), want: "/libexec/mail.maildir /home/bob/Maildir", because: "the folder is known" },
  { method: maildir("~/in box"), want: "/libexec/mail.maildir '/home/bob/in box'", because: "a blank is quoted" },
  { method: maildir("/m/%{rcpt.user}", true), want: "/libexec/mail.maildir -j /m/Bob", because: "junk is an option" },
  { method: lmtp("localhost:24"), want: "/libexec/mail.lmtp -d localhost:24 -u", because: "by the user's name" },
  { method: lmtp("[::1]:24", true), want: "/libexec/mail.lmtp -d '[::1]:24' -r", because: "by the address" },
  { method: lmtp("/run/lmtp"), want: "/libexec/mail.lmtp -d /run/lmtp -u", because: "a socket" },
  {
    method: { type: "mbox" },
    want: `/libexec/mail.mboxfile -f alice@example.net ${settingsOf().mailDirectory}/bob`,
    because: "the system mailbox is a file",
  },
  { method: { type: "mda", command: "cat -v" }, want: "cat -v", because: "plain words stay" },
  {
    method: { type: "mda", command: "a | b 'c'" },
    want: "/bin/sh -c 'a | b '\\''c'\\'''",
    because: "one command of the shell",
  },
  { method: { type: "mda", command: "x %{rcpt.user}" }, want: "x Bob", because: "it is expanded first" },
  {
    method: maildir(null),
    envelope: { exec: "cmd; more" },
    want: "/bin/sh -c 'cmd; more'",
    because: "a pipe is wrapped too",
  },
  {
    method: { type: "expand-only" },
    envelope: { exec: ">/home/bob/box" },
    want: "/libexec/mail.mboxfile -f alice@example.net /home/bob/box",
    because: "a file is wrapped too",
  },
  {
    method: { type: "forward-only" },
    envelope: { exec: ">/box", sender: null },
    want: "/libexec/mail.mboxfile -f MAILER-DAEMON /box",
    because: "the null sender has a name in a file",
  },
];
for (const { method, envelope, want, because } of rows) {
  Deno.test(`planDelivery() puts ${want} for %{mda}: ${because}`, () => assert.equal(plan(method, {}, envelope), want));
}

Deno.test("planDelivery() expands the wrapper as any command, %{mda} among its tokens", () => {
  const wrapper = "spamc -u %{user.username} | %{mda} # %{rcpt.domain:uppercase} %% %{MDA}";
  assert.equal(
    plan({ type: "mda", command: "deliver" }, { wrapper }),
    "spamc -u bob | deliver # EXAMPLE.ORG % deliver",
  );
});

Deno.test("planDelivery() runs a wrapper that leaves the delivery out", () => {
  assert.equal(plan(maildir(null), { wrapper: "cat >/dev/null" }), "cat >/dev/null");
});

Deno.test("planDelivery() knows %{mda} in wrappers only", () => {
  assert.match(plan({ type: "mda", command: "x %{mda}" }, { wrapper: null }), /unknown token/);
});

Deno.test("planDelivery() does not hide in a wrapper what it would refuse", () => {
  assert.match(plan(maildir("relative")), /Not an absolute path/);
  const root = { name: "root", uid: 0, gid: 0, home: "/root" };
  const settings = settingsOf({ shared: { ...settingsOf().shared, root: true } });
  for (const method of [maildir(null), { type: "mbox" } as const]) {
    const action = localAction({ method, user: "root", wrapper: "%{mda}" });
    const found = planDelivery(settings, action, envelopeOf({ user: "root" }), root, root);
    assert.ok(found.kind === "refused" && /not allowed/.test(found.end.stat));
  }
});
