/** The tree of an expansion: what stands in it, and its bounds. */

import assert from "node:assert/strict";
import { MAX_ROUTED_NODES, type Routed } from "../../src/envelope/mod.ts";
import { routed } from "../../src/protocol/routed.ts";
import { expand } from "../../src/rules/mod.ts";
import { CLIENT, forAny, local, mailbox, map, relay, rule, type Scene, worldOf } from "./support.ts";

const at = (line: number) => ({ at: { file: "smtpd.conf", line } });
function scene(values: Record<string, string>, parts: Partial<Scene> = {}): Scene {
  return {
    rules: [rule(at(3)), rule({ ...at(4), for: forAny, action: "out" })],
    actions: [local("a", { alias: "al" }), relay("out", { host: "hub" })],
    tables: [map("al", values)],
    users: ["bob", "eve"],
    ...parts,
  };
}

function treeOf(of: Scene, rcpt: string): Routed {
  const { routed: tree } = expand(worldOf(of), {
    origin: CLIENT,
    tls: false,
    sender: null,
    rcpt: mailbox(rcpt),
    explain: true,
  });
  assert.ok(tree !== undefined);
  assert.equal(routed(tree), null, "passes the door");
  return tree;
}

/** One line per node, indented by its level. */
function lines(tree: Routed, indent = ""): string[] {
  const { address, how, table, rule: by, result, action, goal, reason, more } = tree;
  const parts = [
    `${indent}${how} ${address}`,
    table === undefined ? "" : `(${table})`,
    by === null ? "" : `${by.file}:${by.line}`,
    result,
    action ?? "",
    goal === undefined ? "" : `${goal.kind}/${goal.user ?? ""}/${goal.text}`,
    reason === undefined ? "" : `"${reason}"`,
    more === undefined ? "" : `and ${more}`,
  ];
  return [parts.filter((part) => part !== "").join(" "), ...tree.children.flatMap((one) => lines(one, `${indent}  `))];
}

const rows: { because: string; of: Scene; rcpt: string; want: string[] }[] = [
  {
    because: "a user: the rule that took the address, and the mailbox",
    of: scene({}),
    rcpt: "bob@localhost",
    want: ["recipient bob@localhost smtpd.conf:3 action a", "  user bob action a maildir/bob/"],
  },
  {
    because: "a relay by a table of hosts",
    of: scene({}),
    rcpt: "x@far.test",
    want: ["recipient x@far.test smtpd.conf:4 action out relay//host <hub>"],
  },
  {
    because: "an alias with a command, a file, a user with a .forward, and an address that another rule takes",
    of: scene({ team: "|/bin/x y, /var/log/mail, eve, x@far.test" }, { forwards: { eve: "eve, bob\n" } }),
    rcpt: "team@localhost",
    want: [
      "recipient team@localhost smtpd.conf:3 action a",
      "  user team expanded",
      "    alias eve (al) expanded",
      "      forward eve (/home/eve/.forward:1) action a maildir/eve/",
      "      forward bob (/home/eve/.forward:1) action a maildir/bob/",
      "    alias /var/log/mail (al) action a file/_smtpd//var/log/mail",
      "    alias /bin/x y (al) action a command/_smtpd//bin/x y",
      "    alias x@far.test (al) smtpd.conf:4 action out relay//host <hub>",
    ],
  },
  {
    because: "nobody of that name",
    of: scene({}),
    rcpt: "no@localhost",
    want: ["recipient no@localhost smtpd.conf:3 action a", '  user no unknown "there is no such user"'],
  },
  {
    because: "a rule that rejects",
    of: scene({}, { rules: [rule({ ...at(2), reject: true })] }),
    rcpt: "bob@localhost",
    want: ["recipient bob@localhost smtpd.conf:2 reject"],
  },
  {
    because: "no rule",
    of: scene({}, { rules: [rule(at(3))] }),
    rcpt: "x@far.test",
    want: ["recipient x@far.test none"],
  },
  {
    because: "what stands there already is dropped, and what leads back to itself is a loop",
    of: scene({ a: "b", b: "bob, bob, a" }),
    rcpt: "a@localhost",
    want: [
      "recipient a@localhost smtpd.conf:3 action a",
      "  user a expanded",
      "    alias b (al) expanded",
      "      alias a (al) looped",
      "      alias bob (al) action a maildir/bob/",
      "      alias bob (al) dropped",
    ],
  },
  {
    because: "a table that cannot be asked",
    of: scene({}, { broken: ["al"] }),
    rcpt: "bob@localhost",
    want: ["recipient bob@localhost smtpd.conf:3 action a", '  user bob error "Table "al": down"'],
  },
  {
    because: "a text that an alias asks to be sent",
    of: scene({ old: "error:550 moved" }),
    rcpt: "old@localhost",
    want: [
      "recipient old@localhost smtpd.conf:3 action a",
      "  user old expanded",
      '    alias 550 moved (al) reject "550 moved"',
    ],
  },
];
for (const { because, of, rcpt, want } of rows) {
  Deno.test(`tree of an expansion: ${because}`, () => assert.deepEqual(lines(treeOf(of, rcpt)), want));
}

Deno.test("a long list is cut in the tree, and all of it gets the mail", () => {
  const names = Array.from({ length: 1000 }, (_, i) => `u${i}@far.test`);
  const of = scene({ all: names.join(", ") });
  const tree = treeOf(of, "all@localhost");
  assert.equal(lines(tree).length, MAX_ROUTED_NODES);
  assert.equal(tree.children[0]!.more, 1000 - (MAX_ROUTED_NODES - 2));
  const result = expand(worldOf(of), { origin: CLIENT, tls: false, sender: null, rcpt: mailbox("all@localhost") });
  assert.ok(result.ok && result.targets.length === 1000);
  assert.ok(!("routed" in result), "who does not ask gets no tree");
});

Deno.test("a tree that a hostile isolate sends is refused for its depth, its width and its size", () => {
  const leaf: Routed = { address: "a", how: "user", rule: null, result: "action", children: [] };
  let deep = leaf;
  for (let level = 0; level < 20; level++) deep = { ...leaf, children: [deep] };
  assert.match(routed(deep) ?? "", /levels/);
  assert.match(routed({ ...leaf, children: Array(1000).fill(leaf) }) ?? "", /nodes/);
  assert.match(routed({ ...leaf, address: "x".repeat(2000) }) ?? "", /2000 characters/);
  const circle = { ...leaf, children: [] as Routed[] };
  circle.children.push(circle);
  assert.match(routed(circle) ?? "", /levels/);
  assert.equal(routed({ ...leaf, children: null }), "has no list of children");
});
