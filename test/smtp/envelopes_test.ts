/** Which recipients of a transaction share an envelope, and what it reports. */

import assert from "node:assert/strict";
import { type Deliverable, type DsnParameters, formatMailbox, type Mailbox, NO_DSN } from "../../src/envelope/mod.ts";
import { envelopesOf } from "../../src/smtp/session/envelopes.ts";
import type { Accepted } from "../../src/smtp/session/state.ts";
import { evpid, msgid } from "../ids.ts";

function box(address: string): Mailbox {
  const at = address.lastIndexOf("@");
  return { local: address.slice(0, at), domain: address.slice(at + 1) };
}

type Local = Extract<Deliverable, { agent: "mda" }>;

function mda(user: string, dest: string, more: Partial<Local> = {}): Deliverable {
  return { agent: "mda", action: "in", dest: box(dest), user, subAddress: "", exec: "", ...more };
}
function mta(dest: string, action = "out"): Deliverable {
  return { agent: "mta", action, dest: box(dest) };
}
function rcpt(address: string, targets: readonly Deliverable[], dsn: Partial<DsnParameters> = {}) {
  const expansion = { ok: true as const, targets, internal: targets.map(() => false) };
  return { rcpt: box(address), dsn: { ...NO_DSN, ...dsn }, expansion };
}

const origin = {
  address: "local",
  hostname: "h",
  helo: "h",
  smtpname: "s",
  tag: "",
  username: "",
  authenticated: true,
};

function made(rcpts: readonly Omit<Accepted, "before">[]) {
  let serial = 0;
  return envelopesOf({
    message: msgid("0000000a"),
    sender: box("s@x"),
    origin,
    accepted: rcpts.map((one) => ({ ...one, before: null })),
    createdAt: 1,
    handling: null,
    newId: (message) => evpid(message + (++serial).toString(16).padStart(8, "0")),
  });
}

const rows: readonly { because: string; rcpts: Omit<Accepted, "before">[]; want: string[] }[] = [
  {
    because: "a user named three times, once by an alias, gets one copy",
    rcpts: [
      rcpt("alice@a", [mda("alice", "alice@a")]),
      rcpt("Alice@A", [mda("alice", "Alice@A")]),
      rcpt("root@a", [mda("bob", "root@a"), mda("alice", "root@a")]),
    ],
    want: ["alice for alice@a", "bob for root@a"],
  },
  {
    because: "two lists of one recipient may name a user twice",
    rcpts: [rcpt("all@a", [mda("alice", "one@a"), mda("bob", "one@a"), mda("alice", "two@a")])],
    want: ["alice for all@a", "bob for all@a"],
  },
  {
    because: "another action is another mailbox",
    rcpts: [rcpt("a@a", [mda("alice", "a@a")]), rcpt("b@a", [mda("alice", "b@a", { action: "other" })])],
    want: ["alice for a@a", "alice for b@a"],
  },
  {
    because: "a sub-address is another folder where the action knows folders",
    rcpts: [
      rcpt("a@a", [mda("a", "a@a", { oncePer: "sub-address" })]),
      rcpt("a+t@a", [mda("a", "a+t@a", { oncePer: "sub-address", subAddress: "t" })]),
      rcpt("A+t@a", [mda("a", "A+t@a", { oncePer: "sub-address", subAddress: "t" })]),
    ],
    want: ["a for a@a", "a for a+t@a"],
  },
  {
    because: "and the same mailbox where it knows none",
    rcpts: [rcpt("a@a", [mda("a", "a@a")]), rcpt("a+t@a", [mda("a", "a+t@a", { subAddress: "t" })])],
    want: ["a for a@a"],
  },
  {
    because: "a command gets the address, whose case does not matter",
    rcpts: ["list@a", "sub@a", "LIST@a"].map((to) => rcpt(to, [mda("d", to, { exec: "list", oncePer: "address" })])),
    want: ["d list for list@a", "d list for sub@a"],
  },
  {
    because: "in a path its case does matter",
    rcpts: ["x@a", "X@a", "x@a"].map((to) => rcpt(to, [mda("v", to, { oncePer: "spelling" })])),
    want: ["v for x@a", "v for X@a"],
  },
  {
    because: "a file is written once by a user, by others as well",
    rcpts: [
      rcpt("a@a", [mda("u", "a@a", { exec: ">/f" })]),
      rcpt("b@a", [mda("u", "b@a", { exec: ">/f" })]),
      rcpt("c@a", [mda("v", "c@a", { exec: ">/f" })]),
    ],
    want: ["u >/f for a@a", "v >/f for c@a"],
  },
  {
    because: "an address elsewhere is named once; what its local part means is not ours to know",
    rcpts: [
      rcpt("a@a", [mta("x@b")]),
      rcpt("b@a", [mta("x@B")]),
      rcpt("c@a", [mta("X@b")]),
      rcpt("d@a", [mta("x@b", "other")]),
    ],
    want: ["x@b for a@a", "X@b for c@a", "x@b for d@a"],
  },
  {
    because: "RFC 3461 §4.1: who asks for reports gets them",
    rcpts: [
      rcpt("a@a", [mta("x@b")], { notify: 8 }),
      rcpt("b@a", [mta("x@b")], { notify: 2, orcpt: "rfc822;o" }),
      rcpt("c@a", [mta("x@b")]),
    ],
    want: ["x@b for b@a NOTIFY=6 ORCPT=rfc822;o"],
  },
  {
    because: "of success for the recipient that asked",
    rcpts: [
      rcpt("a@a", [mta("x@b")], { orcpt: "rfc822;o" }),
      rcpt("b@a", [mta("x@b")], { notify: 1, orcpt: "rfc822;p" }),
    ],
    want: ["x@b for b@a NOTIFY=7 ORCPT=rfc822;p"],
  },
  {
    because: "and for each that asked",
    rcpts: [rcpt("a@a", [mta("x@b")], { notify: 1 }), rcpt("b@a", [mta("x@b")], { notify: 3 })],
    want: ["x@b for a@a NOTIFY=1", "x@b for b@a NOTIFY=3"],
  },
  {
    because: "but not twice for one",
    rcpts: [rcpt("a@a", [mta("x@b")], { notify: 1 }), rcpt("A@a", [mta("x@b")], { notify: 1 })],
    want: ["x@b for a@a NOTIFY=1"],
  },
  {
    because: "nobody asked for any",
    rcpts: [rcpt("a@a", [mta("x@b")], { notify: 8 }), rcpt("b@a", [mta("x@b")], { notify: 8 })],
    want: ["x@b for a@a NOTIFY=8"],
  },
  {
    because: "those that lead nowhere have none",
    rcpts: [rcpt("a@a", []), rcpt("b@a", [mta("x@b")])],
    want: ["x@b for b@a"],
  },
];
for (const { because, rcpts, want } of rows) {
  Deno.test(`one envelope for each mailbox: ${because}`, () => {
    const { all, last } = made(rcpts);
    const seen = all.map((one) => {
      const who = one.agent === "mda" ? `${one.user}${one.exec ? ` ${one.exec}` : ""}` : formatMailbox(one.dest);
      const { notify, orcpt } = one.dsn;
      return `${who} for ${formatMailbox(one.rcpt)}` + (notify ? ` NOTIFY=${notify}` : "") +
        (orcpt ? ` ORCPT=${orcpt}` : "");
    });
    assert.deepEqual(seen, want);
    const ids = new Set(all.map(({ id }) => id));
    assert.equal(ids.size, all.length);
    assert.deepEqual(
      last.map(({ to }) => to),
      rcpts.filter(({ expansion }) => expansion.targets.length > 0).map((one) => one.rcpt),
      "each recipient has its envelope",
    );
    for (const { id } of last) assert.ok(ids.has(id));
    assert.ok(all.every((one) => !("oncePer" in one)));
  });
}

Deno.test("one envelope for each mailbox: two lists of 50,000 are one", () => {
  const all = Array.from({ length: 50_000 }, (_, at) => mda(`u${at}`, "all@a"));
  assert.equal(made([rcpt("all@a", all), rcpt("every@a", all)]).all.length, 50_000);
});
