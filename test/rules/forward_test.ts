/** `.forward` files in the expansion: who gets the mail, as whom commands run, which replies. Golden cases for nesting, loops, duplicates. */

import assert from "node:assert/strict";
import type { LocalMethod } from "../../src/config/mod.ts";
import type { Forward } from "../../src/protocol/mod.ts";
import { expand, MAX_FORWARD_NODES } from "../../src/rules/mod.ts";
import {
  CLIENT,
  forAny,
  fromAny,
  local,
  mailbox,
  map,
  outcome,
  relay,
  REMOTE,
  rule,
  type Scene,
  test,
  worldOf,
} from "./support.ts";

/** bob, eve, joe and root with these files; aliases; everything else is relayed. */
function home(
  forwards: Record<string, string | Forward>,
  { aliases = {}, method, user = null, delimiter = "+" }: {
    aliases?: Record<string, string>;
    method?: LocalMethod;
    user?: string | null;
    delimiter?: string;
  } = {},
): Scene {
  return {
    rules: [rule({ from: fromAny }), rule({ for: forAny, action: "out" })],
    actions: [local("a", { alias: "al", user, ...(method === undefined ? {} : { method }) }), relay("out")],
    tables: [map("al", aliases)],
    users: ["bob", "eve", "joe", "root"],
    forwards,
    delimiter,
  };
}
const forwardOnly: LocalMethod = { type: "forward-only" };
const expandOnly: LocalMethod = { type: "expand-only" };
const refused = (temporary: boolean): Forward => ({ kind: "refused", temporary, reason: "said the system" });
const BOB = "mda bob for bob@localhost";
const EVE = "mda eve for bob@localhost";
const OUT = "mta x@r.org by out*";
const UNKNOWN = "550 5.1.1 User unknown: <bob@localhost>";
const LATER = "451 4.2.4 Mailing list expansion problem: <bob@localhost>";
const NEVER = "550 5.2.4 Mailing list expansion problem: <bob@localhost>";
const LOOP = "550 5.4.6 Aliases lead back to themselves: <bob@localhost>";
const FAILED = "451 4.3.0 Temporary failure: <bob@localhost>";
const many = (count: number) => Array.from({ length: count }, (_, index) => `u${index}@r.org`).join("\n");

const rows: { because: string; scene: Scene; rcpt?: string; origin?: typeof CLIENT; want: string[] | string }[] = [
  { because: "without a file it is the mailbox", scene: home({}), want: [BOB] },
  { because: "a remote address, and no copy", scene: home({ bob: "x@r.org\n" }), want: [OUT] },
  { because: "what goes out again counts as local", scene: home({ bob: "x@r.org" }), origin: REMOTE, want: [OUT] },
  { because: "another user", scene: home({ bob: "eve" }), want: [EVE] },
  { because: "his own name is his mailbox", scene: home({ bob: "bob" }), want: [BOB] },
  { because: "a backslash before his name changes nothing", scene: home({ bob: "\\bob" }), want: [BOB] },
  { because: "a copy for himself", scene: home({ bob: "\\bob, x@r.org" }), want: [BOB, OUT] },
  { because: "several lines, in their order", scene: home({ bob: "x@r.org\neve,bob\n" }), want: [OUT, EVE, BOB] },
  {
    because: "his own name skips his alias",
    scene: home({ bob: "bob" }, { aliases: { bob: "bob, eve" } }),
    want: [BOB, EVE],
  },
  {
    because: "an alias is asked before the file",
    scene: home({ bob: "x@r.org" }, { aliases: { bob: "eve" } }),
    want: [EVE],
  },
  { because: "an empty list is no file", scene: home({ bob: "\n# nobody\n, ,\n" }), want: [BOB] },
  { because: "comments and continued lines", scene: home({ bob: "eve, # me\n \\\nx@r.org" }), want: [EVE, OUT] },
  { because: "includes are ignored", scene: home({ bob: ":include:/l" }), want: [BOB] },
  { because: "an include beside another", scene: home({ bob: ":include:/l, eve" }), want: [EVE] },
  {
    because: "a command runs as the user",
    scene: home({ bob: '"|/bin/x -y"' }),
    want: ['mda bob "/bin/x -y" for bob@localhost'],
  },
  {
    because: "a file is the user's",
    scene: home({ bob: "/home/bob/box" }),
    want: ['mda bob ">/home/bob/box" for bob@localhost'],
  },
  {
    because: "the command of an alias does not run as the user above it",
    scene: home({ bob: "team" }, { aliases: { team: "|/bin/x" } }),
    want: ['mda _smtpd "/bin/x" for bob@localhost'],
  },
  {
    because: "the next user's command runs as that one",
    scene: home({ bob: "eve", eve: "|cmd" }),
    want: ['mda eve "cmd" for bob@localhost'],
  },
  {
    because: "the same command of two users is two deliveries",
    scene: home({ bob: "eve, joe", eve: "|c", joe: "|c" }),
    want: ['mda eve "c" for bob@localhost', 'mda joe "c" for bob@localhost'],
  },
  {
    because: "a file that names only what is known already is as none: the user keeps his copy",
    scene: home({ bob: "eve, joe", eve: "x@r.org", joe: "x@r.org" }),
    want: ["mda joe for bob@localhost", OUT],
  },
  {
    because: "two users who forward to each other: the second keeps it",
    scene: home({ bob: "eve", eve: "bob" }),
    want: [EVE],
  },
  { because: "each other and themselves", scene: home({ bob: "bob, eve", eve: "eve, bob" }), want: [BOB, EVE] },
  {
    because: "his own address goes through the rules and his file once more, to the end",
    scene: home({ bob: "bob@localhost" }),
    want: LOOP,
  },
  {
    because: "error: speaks for itself",
    scene: home({ bob: "error:550 gone" }),
    want: "550 5.1.0 gone: <bob@localhost>",
  },
  {
    because: "a user who is none",
    scene: home({ bob: "nobody" }),
    want: "550 5.1.1 User unknown: <bob@localhost>",
  },
  {
    because: "with a sub-address its own file",
    scene: home({ "bob+x": "eve", bob: "joe" }),
    rcpt: "bob+x@localhost",
    want: ["mda eve for bob+x@localhost"],
  },
  {
    because: "without that file the usual one",
    scene: home({ "bob+y": "eve", bob: "joe" }),
    rcpt: "bob+x@localhost",
    want: ["mda joe for bob+x@localhost"],
  },
  {
    because: "a sub-address without a file",
    scene: home({}),
    rcpt: "bob+x@localhost",
    want: ["mda bob(x) for bob+x@localhost"],
  },
  {
    because: "his own name in the file of a sub-address is his mailbox",
    scene: home({ "bob+x": "bob" }),
    rcpt: "bob+x@localhost",
    want: ["mda bob for bob+x@localhost"],
  },
  {
    because: "another sub-address of his",
    scene: home({ "bob+x": "bob+y" }),
    rcpt: "bob+x@localhost",
    want: ["mda bob(y) for bob+x@localhost"],
  },
  { because: "with `user` only that user's file is read", scene: home({ bob: "eve" }, { user: "joe" }), want: [BOB] },
  { because: "with `user` that user's file is read", scene: home({ bob: "x@r.org" }, { user: "bob" }), want: [OUT] },
  { because: "the system may refuse for now", scene: home({ bob: refused(true) }), want: LATER },
  { because: "the system may refuse for good", scene: home({ bob: refused(false) }), want: NEVER },
  { because: "a line that is no list", scene: home({ bob: "eve\nnot a list\n" }), want: LATER },
  { because: "a quote that does not end", scene: home({ bob: '"|cmd' }), want: LATER },
  { because: "bytes that are not UTF-8", scene: home({ bob: "x\ufffd@r.org" }), want: LATER },
  { because: "bytes that are not UTF-8 in a comment", scene: home({ bob: "eve # \ufffd" }), want: [EVE] },
  { because: "a NUL", scene: home({ bob: "|cmd\0x" }), want: LATER },
  { because: "too many recipients", scene: home({ bob: many(MAX_FORWARD_NODES - 1) }), want: LATER },
  { because: "a command of root's", scene: home({ bob: "root", root: "|cmd" }), want: FAILED },
  { because: "a file of root's", scene: home({ bob: "root", root: "/f" }), want: FAILED },
  { because: "root may forward to others", scene: home({ bob: "root", root: "x@r.org" }), want: [OUT] },
  { because: "forward-only with a forward", scene: home({ bob: "x@r.org" }, { method: forwardOnly }), want: [OUT] },
  { because: "forward-only without a file", scene: home({}, { method: forwardOnly }), want: LATER },
  { because: "forward-only with an empty list", scene: home({ bob: "#\n" }, { method: forwardOnly }), want: LATER },
  { because: "forward-only has no mailbox", scene: home({ bob: "bob" }, { method: forwardOnly }), want: LATER },
  { because: "forward-only with a command", scene: home({ bob: "|c" }, { method: forwardOnly }), want: FAILED },
  { because: "forward-only with a file", scene: home({ bob: "/f" }, { method: forwardOnly }), want: FAILED },
  {
    because: "forward-only with an error",
    scene: home({ bob: "error:550 no" }, { method: forwardOnly }),
    want: FAILED,
  },
  { because: "expand-only with a forward", scene: home({ bob: "x@r.org" }, { method: expandOnly }), want: [OUT] },
  {
    because: "expand-only with a command",
    scene: home({ bob: "|c" }, { method: expandOnly }),
    want: ['mda bob "c" for bob@localhost'],
  },
  { because: "expand-only without a file", scene: home({}, { method: expandOnly }), want: UNKNOWN },
  { because: "expand-only with an empty list", scene: home({ bob: "#\n" }, { method: expandOnly }), want: UNKNOWN },
];
for (const { because, scene, rcpt = "bob@localhost", origin, want } of rows) {
  const said = typeof want === "string" ? `refuses with ${want.slice(0, 3)}` : "delivers";
  Deno.test(`expand() with .forward ${said}: ${because}`, () => assert.deepEqual(outcome(scene, rcpt, origin), want));
}

Deno.test("expand() takes as many recipients of a .forward as there may be nodes", () => {
  assert.equal(outcome(home({ bob: many(MAX_FORWARD_NODES - 2) }), "bob@localhost").length, MAX_FORWARD_NODES - 2);
});

Deno.test("expand() does not count the members of a list against the .forward of one of them", () => {
  const scene = home({ bob: "x@r.org" }, {
    aliases: { t: `bob, ${many(150).replaceAll("\n", ", ").slice(0, 1500)}@r.org`.replace(/, [^,]*$/, "") },
  });
  const found = outcome(scene, "t@localhost");
  assert.ok(Array.isArray(found) && found.length > MAX_FORWARD_NODES && found.includes(OUT));
});

Deno.test("expand() uses the delimiter of the configuration", () => {
  assert.deepEqual(outcome(home({ "bob+x": "eve" }, { delimiter: "-" }), "bob-x@localhost"), [
    "mda eve for bob-x@localhost",
  ]);
});

Deno.test("expand() logs whose .forward is not used and why, and warns of no privileges for a user's own command", () => {
  const said = (scene: Scene) => {
    const world = worldOf(scene);
    expand(world, { origin: CLIENT, tls: false, sender: null, rcpt: mailbox("bob@localhost") });
    return world.warnings;
  };
  assert.deepEqual(said(home({ bob: refused(true) })), ['.forward of user "bob": said the system']);
  assert.deepEqual(said(home({ bob: "a b" })), [
    '.forward of user "bob": /home/bob/.forward:1: "a b": targets are parted by commas',
  ]);
  assert.deepEqual(said(home({ bob: "|c" })), []);
  const path = "/home/bob/.forward";
  const rows: readonly [file: string, said: string][] = [
    ["# me\neve,\\\n joe\r\ncarol@\n", `.forward of user "bob": ${path}:4: "carol@" is no user, address, /file`],
    ['eve\n"|cat\n', `.forward of user "bob": ${path}:2: a quote is not closed, or "\\" stands at the end`],
    ["eve, \ufffd", `.forward of user "bob": ${path}:1: it has octets that are not UTF-8`],
    ["eve\n|a\0b", `.forward of user "bob": ${path}:2: it has a NUL`],
    ["x@r.org\nnosuch\n", `${path}:2: "nosuch": there is no such user`],
    ["eve\n\n:include:/l\n", `${path}:3: "/l": include files are for aliases, this one is ignored`],
    ["nosuch@localhost", `${path}:1: "nosuch": there is no such user`],
  ];
  for (const [file, want] of rows) {
    const lines = said(home({ bob: file }));
    assert.equal(lines.length, 1, file);
    assert.ok(lines[0]!.startsWith(want), lines[0]);
  }
});

/** The worked examples of the description, with a virtual table where they have one. */
const virtual = (values: Record<string, string>): Scene => ({
  rules: [rule({ from: fromAny, for: test("d") }), rule({ for: forAny, action: "out" })],
  actions: [local("a", { virtual: "vt" }), relay("out")],
  tables: [{ name: "d", kind: "list", entries: [["d", ""]] }, map("vt", values)],
  users: ["bob"],
  forwards: { bob: '"|/bin/false"' },
});
Deno.test("expand() of a virtual user reads his .forward too", () => {
  assert.deepEqual(outcome(virtual({ "@d": "bob" }), "x@d"), ['mda bob "/bin/false" for x@d']);
});
