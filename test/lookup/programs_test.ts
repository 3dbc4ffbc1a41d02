/** What lookup asks of table programs, and what it makes of their answers. */

import assert from "node:assert/strict";
import { NO_OBSERVER } from "../../src/events/mod.ts";
import type { TableAnswer, TableRequest } from "../../src/protocol/mod.ts";
import { Lookups, SystemAccounts } from "../../src/lookup/mod.ts";
import { LookupError } from "../../src/tables/mod.ts";
import { CLIENT, fromAny, local, mailbox, relay, rule, test } from "../rules/support.ts";

const PASSWD = "bob:x:1000:1001::/home/bob:/bin/sh\n";

/** A world whose table `t` is a program that answers with what stands under "op service key". */
function worldWith(known: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const warnings: string[] = [];
  const answerTo = (request: TableRequest): TableAnswer => {
    const key = request.op === "update" ? "" : request.op === "fetch" ? "" : request.key;
    const question = request.op === "update" ? "update" : `${request.op} ${request.service} ${key}`.trim();
    asked.push(question);
    const value = known[question];
    if (value === undefined) return { result: "not-found" };
    if (value === "unserved") return { result: "error", reason: "no such service", unserved: true };
    return value.startsWith("!") ? { result: "error", reason: value.slice(1) } : { result: "found", value };
  };
  const world = new Lookups(
    {
      shared: { serverName: "mail.example.org", version: "0", timeZone: "UTC", root: false },
      tables: {},
      tableFiles: {},
      programTables: ["t"],
      authTables: [],
      saltKey: new Uint8Array(32),
      senderTables: [],
      hostnameTables: [],
      rules: [
        rule({ from: fromAny, for: test("t"), mailFrom: { ...test("t"), regex: true }, action: "aliased" }),
        rule({ from: { kind: "source", ...test("t") }, for: test("t"), rcptTo: test("t"), action: "based" }),
      ],
      actions: {
        aliased: local("aliased", { alias: "t" }),
        based: local("based", { userbase: "t" }),
        smart: relay("smart", { host: "t" }),
        routed: relay("routed", { domain: "t" }),
      },
      subAddressDelimiter: "+",
      localAddresses: ["127.0.0.1"],
      envelopeMacKey: new Uint8Array(32),
      commandUser: "_smtpd",
      resolver: { servers: [], timeoutMs: 1, attempts: 1, hosts: [] },
    },
    {
      accounts: new SystemAccounts({ read: () => PASSWD, stamp: () => "1" }, () => 0),
      readText: () => assert.fail("nothing is included"),
      file: () => assert.fail("no file is a table"),
      sqlite: () => assert.fail("no database is a table"),
      askProgram: (table, request) => (assert.equal(table, "t"), Promise.resolve(answerTo(request))),
    },
    (text) => warnings.push(text),
    NO_OBSERVER,
  );
  const expand = (rcpt: string) =>
    world.expand({ origin: CLIENT, tls: false, sender: mailbox("A@Example.com"), rcpt: mailbox(rcpt) });
  return { world, expand, asked, warnings };
}

Deno.test("expand() asks a program for what the rules and aliases need, each thing once, in lower case", async () => {
  const { expand, asked } = worldWith({
    "check domain example.org": "",
    "check regex a@example.com": "",
    "lookup alias team": "Bob, bob+x",
  });
  const result = await expand("Team@Example.ORG");
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(result.targets.map((target) => target.agent === "mda" && target.user), ["bob", "bob"]);
  assert.deepEqual(asked, [
    "check domain example.org",
    "check regex a@example.com",
    "lookup alias team",
    "lookup alias bob",
    "lookup alias bob+x",
  ]);
});

Deno.test("expand() asks a program for sources, recipients and accounts", async () => {
  const { expand, asked } = worldWith({
    "check domain example.org": "",
    [`check netaddr ${CLIENT.address}`]: "",
    "check mailaddr joe@example.org": "",
    "lookup userinfo joe": "2000:2000:/home/joe",
  });
  const result = await expand("joe@example.org");
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(asked, [
    "check domain example.org",
    "check regex a@example.com",
    `check netaddr ${CLIENT.address}`,
    "check mailaddr joe@example.org",
    "lookup userinfo joe",
  ]);
});

const failures = [
  { known: { "check domain example.org": "!away" }, code: 451, because: "a rule cannot be decided" },
  {
    known: { "check domain example.org": "", "check regex a@example.com": "", "lookup alias bob": "!away" },
    code: 451,
    because: "an alias cannot be looked up",
  },
  {
    known: { "check domain example.org": "", "check regex a@example.com": "", "lookup alias bob": 'a@b@c, "' },
    code: 550,
    because: "an alias is malformed",
  },
  {
    known: {
      "check domain example.org": "",
      [`check netaddr ${CLIENT.address}`]: "",
      "check mailaddr bob@example.org": "",
      "lookup userinfo bob": "no account",
    },
    code: 451,
    because: "an account is malformed",
  },
];
for (const { known, code, because } of failures) {
  Deno.test(`expand() refuses with ${code} when ${because}`, async () => {
    const { expand, warnings } = worldWith(known as unknown as Record<string, string>);
    const result = await expand("bob@example.org");
    assert.ok(!result.ok);
    assert.equal(result.code, code);
    assert.ok(warnings.length > 0, "it is logged for the operator");
  });
}

Deno.test("account() asks a program for the account of a delivery", async () => {
  const { world } = worldWith({ "lookup userinfo joe": "2000:2001:/home/joe" });
  const result = await world.account("based", "joe");
  assert.ok(result.ok);
  assert.deepEqual(result.account, { name: "joe", uid: 2000, gid: 2001, home: "/home/joe" });
});

Deno.test("smarthost() fetches the next host, or looks a domain up; an error is no URL", async () => {
  const known = { "fetch relayhost": "smtp://a.example.net", "lookup relayhost example.com": "smtps://b.example.net" };
  const { world, asked } = worldWith({ ...known, "lookup relayhost broken.example": "!away" });
  assert.deepEqual(await world.smarthosts("smart", "example.com"), ["smtp://a.example.net"]);
  assert.deepEqual(await world.smarthosts("smart", "example.com"), ["smtp://a.example.net"]);
  assert.deepEqual(await world.smarthosts("routed", "Example.com"), ["smtps://b.example.net"]);
  assert.deepEqual(await world.smarthosts("routed", "broken.example"), []);
  assert.deepEqual(await world.smarthosts("routed", "other.example"), []);
  assert.equal(
    asked.filter((question) => question === "fetch relayhost").length,
    2,
    "the program goes round by itself",
  );
});

Deno.test("updateTable() asks the program, and reports why it cannot", async () => {
  assert.equal(await worldWith({}).world.updateTable("t"), null);
  assert.equal(await worldWith({ update: "!locked" }).world.updateTable("t"), "locked");
});

Deno.test("authenticate() asks a program for the password as it was given, and gets an error when it has no such service", async () => {
  const { world, asked } = worldWith({
    "check auth carol:Se|same": "",
    "check auth broken:x": "!away",
    "check auth other:x": "unserved",
  });
  assert.equal(await world.authenticate("t", "Carol", "Se|same"), true);
  assert.equal(await world.authenticate("t", "Carol", "se|same"), false);
  assert.ok(await world.authenticate("t", "broken", "x") instanceof LookupError);
  assert.equal(await world.authenticate("t", "other", "x"), null);
  const before = asked.length;
  assert.equal(await world.authenticate("t", "carol:Se", "same"), false, "the program would part it elsewhere");
  assert.equal(await world.authenticate("t", "carol", "a\nb"), false, "a stranger would speak to the program");
  assert.equal(asked.length, before);
});
