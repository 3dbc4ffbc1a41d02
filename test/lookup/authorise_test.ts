/** Which messages lookup lets the signer sign: those that an action with `dkim` sends, unless a stranger wrote them and an alias passes them on. */

import assert from "node:assert/strict";
import { plainRelay } from "../../src/config/defaults.ts";
import { SigningMac } from "../../src/mac/mod.ts";
import { Authoriser } from "../../src/lookup/authorise.ts";
import type { Expansion } from "../../src/protocol/mod.ts";
import { msgid } from "../ids.ts";

const key = new Uint8Array(32).fill(1), signingMacKey = new Uint8Array(32).fill(2);
const actions = { out: { ...plainRelay("out"), dkim: true }, plain: plainRelay("plain") };
const origin = {
  ...{ address: "192.0.2.1", hostname: "h", helo: "h", smtpname: "s", tag: "", username: "", authenticated: false },
};
const mailbox = { local: "a", domain: "example.net" };
const target = (action: string) => ({ agent: "mta", action, dest: mailbox }) as const;

interface Row {
  readonly about: string;
  readonly actions: readonly string[];
  readonly internal?: readonly boolean[];
  readonly authenticated?: true;
  readonly own?: true;
  readonly granted: boolean;
}
const ROWS: readonly Row[] = [
  { about: "a stranger's mail that a rule lets out", actions: ["out"], granted: true },
  { about: "an action without dkim", actions: ["plain"], granted: false },
  { about: "one of several targets", actions: ["plain", "out"], granted: true },
  { about: "a stranger's mail that an alias passes on", actions: ["out"], internal: [true], granted: false },
  {
    about: "of its targets only that of the alias signs",
    actions: ["out", "plain"],
    internal: [true, false],
    granted: false,
  },
  { about: "an alias, for who has logged in", actions: ["out"], internal: [true], authenticated: true, granted: true },
  { about: "a notice that an alias passes on", actions: ["out"], internal: [true], own: true, granted: true },
  { about: "a notice by an action without dkim", actions: ["plain"], own: true, granted: false },
];
for (const { about, granted, ...row } of ROWS) {
  Deno.test(`a grant to sign: ${about}: ${granted ? "yes" : "no"}`, async () => {
    const message = msgid("0a0b0c0d");
    const expansion: Expansion = {
      ok: true,
      targets: row.actions.map(target),
      internal: row.internal ?? row.actions.map(() => false),
    };
    const question = {
      ...{ type: "expand" as const, call: 1, message, tls: false, sender: mailbox, rcpt: mailbox },
      origin: { ...origin, authenticated: row.authenticated ?? false },
    };
    const own = row.own ?? false;
    const authorise = (settings: object) =>
      new Authoriser({ envelopeMacKey: key, actions, ...settings }).authorise(question, expansion, { own });
    const result = await authorise({ signingMacKey });
    assert.ok(result.ok);
    assert.equal(result.grant, granted ? new SigningMac(signingMacKey).of(message) : undefined);
    const without = await authorise({});
    assert.equal(without.ok && without.grant, undefined, "no daemon without keys grants anything");
  });
}
