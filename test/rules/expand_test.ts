/** Expansion of recipients: deliverables, replies, order, duplicates, loops. Long on purpose: one row per case. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { expand, MAX_NODES } from "../../src/rules/mod.ts";
import {
  CLIENT,
  forAny,
  fromAny,
  list,
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

const forD = { from: fromAny, for: test("d") };
const domainD = { name: "d", kind: "list", entries: [["d", ""]] } as const;

/** `maildir` for local, with system users bob and eve. */
const plain: Scene = { rules: [rule()], actions: [local("a")], users: ["bob", "eve", "root"] };
/** An alias table for local, and a relay for the rest. */
function aliased(values: Record<string, string>, parts: Partial<Scene> = {}): Scene {
  return {
    ...plain,
    rules: [rule(), rule({ for: forAny, action: "out" })],
    actions: [local("a", { alias: "al" }), relay("out")],
    tables: [map("al", values)],
    ...parts,
  };
}
/** A virtual table for the domain d, from anywhere. */
function virtual(values: Record<string, string>, parts: Partial<Scene> = {}): Scene {
  return {
    ...plain,
    rules: [rule(forD), rule({ for: forAny, action: "out" })],
    actions: [local("a", { virtual: "vt" }), relay("out")],
    tables: [domainD, map("vt", values)],
    ...parts,
  };
}
const withMethod = (type: "forward-only" | "expand-only", values: Record<string, string>) =>
  aliased(values, { actions: [local("a", { alias: "al", method: { type } }), relay("out")] });

interface Row {
  because: string;
  scene: Scene;
  rcpt: string;
  want: string[] | string;
  origin?: typeof CLIENT;
}

const deliveries: Row[] = [
  { because: "a user of the system", scene: plain, rcpt: "Bob@localhost", want: ["mda bob for Bob@localhost"] },
  {
    because: "a tag is not part of the user",
    scene: plain,
    rcpt: "Bob+Tag@localhost",
    want: ["mda bob(tag) for Bob+Tag@localhost"],
  },
  {
    because: "the first delimiter splits",
    scene: plain,
    rcpt: "bob+a+b@localhost",
    want: ["mda bob(a+b) for bob+a+b@localhost"],
  },
  {
    because: "another delimiter",
    scene: { ...plain, delimiter: "-" },
    rcpt: "bob-x@localhost",
    want: ["mda bob(x) for bob-x@localhost"],
  },
  { because: "the null tag is none", scene: plain, rcpt: "bob+@localhost", want: ["mda bob for bob+@localhost"] },
  {
    because: "a relay keeps the address as it is",
    scene: aliased({}),
    rcpt: "Alice+X@Remote.org",
    want: ["mta Alice+X@Remote.org by out"],
  },
  {
    because: "a list of a user, a command and an address",
    scene: aliased({ team: "bob, |/bin/x, alice@remote.org" }),
    rcpt: "team@localhost",
    want: [
      "mda bob for team@localhost",
      'mda _smtpd "/bin/x" for team@localhost',
      "mta alice@remote.org by out*",
    ],
  },
  {
    because: "what a remote client's mail is forwarded to is routed as local",
    scene: virtual({ "team@d": "alice@remote.org" }),
    rcpt: "team@d",
    origin: REMOTE,
    want: ["mta alice@remote.org by out*"],
  },
  {
    because: "an alias of an alias",
    scene: aliased({ a: "b", b: "bob" }),
    rcpt: "a@localhost",
    want: ["mda bob for a@localhost"],
  },
  {
    because: "alias keys ignore case",
    scene: aliased({ team: "bob" }),
    rcpt: "TEAM@localhost",
    want: ["mda bob for TEAM@localhost"],
  },
  {
    because: "an alias with the tag comes first",
    scene: aliased({ "team+x": "eve", team: "bob" }),
    rcpt: "team+x@localhost",
    want: ["mda eve for team+x@localhost"],
  },
  {
    because: "an alias without the tag is taken for one with it, and the tag is used up",
    scene: aliased({ team: "bob" }),
    rcpt: "team+x@localhost",
    want: ["mda bob for team+x@localhost"],
  },
  {
    because: "an alias may name a tag",
    scene: aliased({ t: "bob+x" }),
    rcpt: "t@localhost",
    want: ["mda bob(x) for t@localhost"],
  },
  {
    because: "a user who is in the list of his own alias gets one copy",
    scene: aliased({ bob: "bob, eve" }),
    rcpt: "bob@localhost",
    want: ["mda bob for bob@localhost", "mda eve for bob@localhost"],
  },
  {
    because: "a backslash changes nothing",
    scene: aliased({ bob: "\\bob" }),
    rcpt: "bob@localhost",
    want: ["mda bob for bob@localhost"],
  },
  {
    because: "a recipient who is named twice gets one copy",
    scene: aliased({ t: "bob, x", x: "bob, eve" }),
    rcpt: "t@localhost",
    want: ["mda bob for t@localhost", "mda eve for t@localhost"],
  },
  {
    because: "an address that is named twice gets one copy",
    scene: aliased({ t: "x@r.org, u", u: "x@r.org" }),
    rcpt: "t@localhost",
    want: ["mta x@r.org by out*"],
  },
  {
    because: "one file of two users is two deliveries",
    scene: aliased({ t: "u, v", u: "/f", v: "/f" }),
    rcpt: "t@localhost",
    want: ['mda _smtpd ">/f" for t@localhost', 'mda _smtpd ">/f" for t@localhost'],
  },
  {
    because: "aliases of each other with a way out",
    scene: aliased({ u: "v, bob", v: "u" }),
    rcpt: "u@localhost",
    want: ["mda bob for u@localhost"],
  },
  {
    because: "an include file",
    scene: aliased({ t: ":include:/l" }, { includes: { "/l": "eve # hi\nbob, x@r.org\n" } }),
    rcpt: "t@localhost",
    want: ["mda eve for t@localhost", "mda bob for t@localhost", "mta x@r.org by out*"],
  },
  {
    because: "an include file that is missing leaves the others",
    scene: aliased({ t: ":include:/l, bob" }),
    rcpt: "t@localhost",
    want: ["mda bob for t@localhost"],
  },
  {
    because: "an alias of only a missing include file is no alias",
    scene: aliased({ bob: ":include:/l" }),
    rcpt: "bob@localhost",
    want: ["mda bob for bob@localhost"],
  },
  {
    because: "an alias of an empty include file is an alias of nobody",
    scene: aliased({ bob: ":include:/l" }, { includes: { "/l": "# nobody left\n" } }),
    rcpt: "bob@localhost",
    want: "550 5.2.4 Mailing list expansion problem: <bob@localhost>",
  },
  {
    because: "an alias to an address of a local domain goes through the rules again",
    scene: aliased({ t: "Bob@localhost" }),
    rcpt: "t@localhost",
    want: ["mda bob for Bob@localhost*"],
  },
  {
    because: "the demo: everything to one owner",
    scene: { ...virtual({ "@": "root" }), actions: [local("a", { virtual: "vt", user: "root" }), relay("out")] },
    rcpt: "who.ever+x@d",
    origin: REMOTE,
    want: ["mda root for who.ever+x@d"],
  },
  { because: "a catch-all of the domain", scene: virtual({ "@d": "bob" }), rcpt: "x@D", want: ["mda bob for x@D"] },
  {
    because: "expand-only delivers to commands",
    scene: withMethod("expand-only", { t: "|cmd" }),
    rcpt: "t@localhost",
    want: ['mda _smtpd "cmd" for t@localhost'],
  },
  {
    because: "forward-only forwards",
    scene: withMethod("forward-only", { t: "x@r.org" }),
    rcpt: "t@localhost",
    want: ["mta x@r.org by out*"],
  },
];
for (const { because, scene, rcpt, want, origin } of deliveries) {
  Deno.test(`expand() delivers ${rcpt}: ${because}`, () => assert.deepEqual(outcome(scene, rcpt, origin), want));
}

const order = ["bob+z@d", "bob@d", "bob+z", "bob", "@d", "@"];
for (const [index, key] of order.entries()) {
  Deno.test(`expand() looks a virtual recipient up in this order: ${order.slice(index).join(", ")}`, () => {
    const values = Object.fromEntries(order.slice(index).map((name, at) => [name, at === 0 ? "x@hit" : "x@miss"]));
    assert.deepEqual(outcome(virtual(values), "Bob+Z@D"), ["mta x@hit by out*"], `key ${key}`);
  });
}

Deno.test("expand() asks no catch-all for a user that came out of the mapping", () => {
  assert.deepEqual(outcome(virtual({ "@d": "eve", "@": "root" }), "x@d"), ["mda eve for x@d"]);
});

Deno.test("expand() asks for a user of the mapping by user@ and user", () => {
  assert.deepEqual(outcome(virtual({ "@d": "list", list: "bob" }), "x@d"), ["mda bob for x@d"]);
  assert.deepEqual(outcome(virtual({ "@d": "list", "list@": "eve" }), "x@d"), ["mda eve for x@d"]);
});

const refused: Row[] = [
  { because: "no rule", scene: plain, rcpt: "bob@else.where", want: "550 5.7.1 Relaying denied: <bob@else.where>" },
  {
    because: "a rule that rejects",
    scene: { ...plain, rules: [rule({ reject: true })] },
    rcpt: "bob@localhost",
    want: "550 5.7.1 Recipient rejected: <bob@localhost>",
  },
  {
    because: "no such user",
    scene: plain,
    rcpt: "Nobody@localhost",
    want: "550 5.1.1 User unknown: <Nobody@localhost>",
  },
  {
    because: "no user at all",
    scene: plain,
    rcpt: "+x@localhost",
    want: "550 5.1.1 User unknown: <+x@localhost>",
  },
  {
    because: "one of several is no user",
    scene: aliased({ t: "bob, nobody" }),
    rcpt: "t@localhost",
    want: "550 5.1.1 User unknown: <t@localhost>",
  },
  {
    because: "accounts cannot be read",
    scene: { ...plain, broken: ["accounts"] },
    rcpt: "bob@localhost",
    want: "451 4.3.0 Temporary failure: <bob@localhost>",
  },
  {
    because: "a rule cannot be decided",
    scene: { ...plain, rules: [rule({ helo: test("x") })], tables: [list("x", "a")] },
    rcpt: "bob@localhost",
    origin: { ...CLIENT, helo: "x".repeat(1024) },
    want: "451 4.3.0 Temporary failure: <bob@localhost>",
  },
  {
    because: "the action of a rule is gone",
    scene: { ...plain, actions: [] },
    rcpt: "bob@localhost",
    want: "451 4.3.0 Temporary failure: <bob@localhost>",
  },
  {
    because: "the alias table cannot be asked",
    scene: aliased({}, { broken: ["al"] }),
    rcpt: "bob@localhost",
    want: "451 4.2.4 Mailing list expansion problem: <bob@localhost>",
  },
  {
    because: "the virtual table cannot be asked",
    scene: virtual({}, { broken: ["vt"] }),
    rcpt: "bob@d",
    want: "451 4.2.4 Mailing list expansion problem: <bob@d>",
  },
  {
    because: "a value is no list",
    scene: aliased({ t: "bob, and more" }),
    rcpt: "t@localhost",
    want: "550 5.2.4 Mailing list expansion problem: <t@localhost>",
  },
  {
    because: "the virtual table has no key for it",
    scene: virtual({ "bob@d": "bob" }),
    rcpt: "x@d",
    want: "550 5.1.1 User unknown: <x@d>",
  },
  {
    because: "a virtual list is empty",
    scene: virtual({ "x@d": ", ," }),
    rcpt: "x@d",
    want: "550 5.1.1 User unknown: <x@d>",
  },
  {
    because: "aliases of each other lead nowhere",
    scene: aliased({ u: "v", v: "u" }),
    rcpt: "u@localhost",
    want: "550 5.4.6 Aliases lead back to themselves: <u@localhost>",
  },
  {
    because: "addresses of each other end at the depth limit",
    scene: virtual({ "a@d": "b@d", "b@d": "a@d" }),
    rcpt: "a@d",
    want: "550 5.4.6 Aliases lead back to themselves: <a@d>",
  },
  {
    because: "a longer circle, of which one way out is empty",
    scene: aliased({ t: "u, e", u: "v", v: "u", e: ":include:/l" }, { includes: { "/l": "" } }),
    rcpt: "t@localhost",
    want: "550 5.4.6 Aliases lead back to themselves: <t@localhost>",
  },
  {
    because: "who is named twice and is nobody is no circle",
    scene: aliased({ t: "u, v", u: "e", v: "e", e: ":include:/l" }, { includes: { "/l": "" } }),
    rcpt: "t@localhost",
    want: "550 5.2.4 Mailing list expansion problem: <t@localhost>",
  },
  {
    because: "an error target speaks for itself",
    scene: virtual({ "@d": "bob", "bob@d": "error:550 gone" }),
    rcpt: "bob@d",
    want: "550 5.1.0 gone: <bob@d>",
  },
  {
    because: "an error target holds for the address with a tag",
    scene: virtual({ "@d": "bob", "bob@d": "error:550 gone" }),
    rcpt: "bob+z@d",
    want: "550 5.1.0 gone: <bob+z@d>",
  },
  {
    because: "an error target with an enhanced code",
    scene: aliased({ t: "error:451 4.2.1 asleep" }),
    rcpt: "t@localhost",
    want: "451 4.2.1 asleep: <t@localhost>",
  },
  {
    because: "an error target whose enhanced code is of another class",
    scene: aliased({ t: "error:550 2.1.5 fine" }),
    rcpt: "t@localhost",
    want: "550 5.1.0 fine: <t@localhost>",
  },
  {
    because: "an error target fails the others too",
    scene: aliased({ t: "bob, error:451 later" }),
    rcpt: "t@localhost",
    want: "451 4.1.0 later: <t@localhost>",
  },
  {
    because: "forward-only would end locally",
    scene: withMethod("forward-only", {}),
    rcpt: "bob@localhost",
    want: "451 4.2.4 Mailing list expansion problem: <bob@localhost>",
  },
  {
    because: "expand-only has no mailbox for who is no alias",
    scene: withMethod("expand-only", {}),
    rcpt: "bob@localhost",
    want: "550 5.1.1 User unknown: <bob@localhost>",
  },
  ...["|cmd", "/file", "error:550 no"].map((target) => ({
    because: `forward-only does not take ${target}`,
    scene: withMethod("forward-only", { t: target }),
    rcpt: "t@localhost",
    want: "451 4.3.0 Temporary failure: <t@localhost>",
  })),
];
for (const { because, scene, rcpt, want, origin } of refused) {
  Deno.test(`expand() refuses ${rcpt}: ${because}`, () => assert.deepEqual(outcome(scene, rcpt, origin), want));
}

/** `u0: u1`, `u1: u2`, … until `u{length-1}: bob`. */
function chain(length: number): Scene {
  const names = Array.from({ length }, (_, index) => [`u${index}`, index === length - 1 ? "bob" : `u${index + 1}`]);
  return aliased(Object.fromEntries(names));
}

Deno.test("expand() follows a chain of eight aliases and refuses one of nine, whose end has depth 10", () => {
  assert.deepEqual(outcome(chain(8), "u0@localhost"), ["mda bob for u0@localhost"]);
  assert.equal(outcome(chain(9), "u0@localhost"), "550 5.2.4 Mailing list expansion problem: <u0@localhost>");
  assert.equal(outcome(chain(11), "u0@localhost"), "550 5.2.4 Mailing list expansion problem: <u0@localhost>");
});

Deno.test("expand() logs what is wrong with aliases that lead nowhere", () => {
  const warnings = (scene: Scene, rcpt: string) => {
    const world = worldOf(scene);
    expand(world, { origin: CLIENT, tls: false, sender: null, rcpt: mailbox(rcpt) });
    return world.warnings;
  };
  assert.deepEqual(warnings(aliased({ root: "bob, alcie" }), "root@localhost"), [
    'Table "al": The value of "root": "alcie": there is no such user',
  ]);
  const noRelay = aliased({ root: "x@elsewhere" }, { rules: [rule()] });
  assert.deepEqual(warnings(noRelay, "root@localhost"), [
    'Table "al": The value of "root": "x@elsewhere": no rule takes it',
  ]);
  assert.deepEqual(warnings(plain, "nosuch@localhost"), [], "the client's mistake");
  assert.deepEqual(warnings(chain(9), "u0@localhost"), ["The aliases of u0@localhost go on for more than 10 steps"]);
  assert.deepEqual(warnings(aliased({ a: "b", b: "a" }), "a@localhost"), [
    "The aliases of a@localhost lead back to themselves",
  ]);
  const nobody = aliased({ a: ":include:/l" }, { includes: { "/l": "" } });
  assert.deepEqual(warnings(nobody, "a@localhost"), ["The aliases of a@localhost lead to nobody"]);
});

Deno.test("expand() delivers a list of 5,000 from an include file", () => {
  const includes = { "/l": Array.from({ length: 5000 }, (_, index) => `user${index}@r.org\n`).join("") };
  assert.equal(outcome(aliased({ t: ":include:/l" }, { includes }), "t@localhost").length, 5000);
});

Deno.test(`expand() refuses for now what has more than ${MAX_NODES} nodes, and logs it`, () => {
  const names = Array.from({ length: 20 }, (_, index) => `u${index}@d`);
  const world = worldOf(virtual(Object.fromEntries(names.map((name) => [name, names.join(",")]))));
  const result = expand(world, { origin: CLIENT, tls: false, sender: null, rcpt: mailbox("u0@d") });
  assert.ok(!result.ok && result.code === 451);
  assert.deepEqual(world.warnings, [`Expansion of a recipient has more than ${MAX_NODES} nodes`]);
});

Deno.test("expand() logs that a command of an alias runs as _smtpd, and which include file is missing", () => {
  const world = worldOf(aliased({ t: "|cmd, :include:/l" }));
  expand(world, { origin: CLIENT, tls: false, sender: null, rcpt: mailbox("t@localhost") });
  assert.deepEqual(world.warnings, ["Cannot read /l", "Commands from aliases run with the privileges of _smtpd"]);
});

Deno.test("expand() logs, and does not tell the client, why a lookup failed", () => {
  const world = worldOf(aliased({ t: "not a list" }));
  const result = expand(world, { origin: CLIENT, tls: false, sender: null, rcpt: mailbox("t@localhost") });
  assert.deepEqual(world.warnings, [
    'Table "al": The value of "t" cannot work: "not a list": targets are parted by commas',
  ]);
  assert.ok(!result.ok && !result.text.includes("not a list"));
});

const name = fc.integer({ min: 0, max: 7 });
const item = fc.oneof(
  name.map((number) => `u${number}`),
  name.map((number) => `u${number}@d`),
  name.map((number) => `U${number}+t@d`),
  fc.constantFrom("bob", "|cmd", "/file", "x@r.org", ":include:/l", "error:550 no"),
);
const graph = fc.dictionary(
  fc.oneof(name.map((number) => `u${number}`), name.map((number) => `u${number}@d`), fc.constantFrom("@d", "@")),
  fc.array(item, { maxLength: 4 }).map((items) => items.join(",")),
  { maxKeys: 12 },
);
for (const kind of ["alias", "virtual"] as const) {
  Deno.test(`expand() ends on any ${kind} graph, with deliverables or a reply`, () => {
    fc.assert(
      fc.property(graph, name, (values, start) => {
        const scene = kind === "virtual"
          ? virtual(values)
          : aliased(values, { rules: [rule(forD), ...aliased({}).rules] });
        const tables = [domainD, map(kind === "virtual" ? "vt" : "al", values)];
        const world = worldOf({ ...scene, tables, includes: { "/l": "u1, u2@d\nbob" } });
        const result = expand(world, { origin: CLIENT, tls: false, sender: null, rcpt: mailbox(`u${start}@d`) });
        if (result.ok) {
          assert.ok(result.targets.length > 0 && result.targets.length <= MAX_NODES);
          assert.equal(result.internal.length, result.targets.length);
        } else {
          assert.ok(result.code >= 400 && result.code < 600);
          assert.match(result.text, /^[45]\.\d\.\d .*: <u\d@d>$/);
          assert.equal(result.text[0], String(result.code)[0]);
        }
      }),
      { numRuns: 200 },
    );
  });
}

Deno.test("expand(): time of a plain recipient and of one in a virtual table (printed, not judged)", () => {
  for (const [what, scene] of [["plain", plain], ["virtual", virtual({ "@": "bob" })]] as const) {
    const world = worldOf(scene);
    const rcpt = mailbox(what === "plain" ? "bob@localhost" : "bob@d");
    const count = 20_000;
    const started = performance.now();
    for (let index = 0; index < count; index++) {
      assert.ok(expand(world, { origin: CLIENT, tls: false, sender: null, rcpt }).ok);
    }
    console.log(`${what}: ${((performance.now() - started) * 1000 / count).toFixed(2)} µs a recipient`);
  }
});

const forwarder: Scene = { rules: [rule({ for: forAny, action: "out" })], actions: [relay("out")] };

Deno.test("expand() sends a bounce to a rewritten sender on to the original one, as mail from here", () => {
  assert.deepEqual(outcome(forwarder, "SRS0=good@d", REMOTE), ["mta alice@example.net by out*"]);
  assert.equal(outcome(forwarder, "SRS0=bad@d", REMOTE), "550 5.7.1 Relaying denied: <SRS0=bad@d>");
  assert.deepEqual(outcome(forwarder, "SRS0=bad@d"), ["mta SRS0=bad@d by out"]);
});

Deno.test("expand() takes back no rewritten sender for mail that is no bounce", () => {
  const request = { origin: CLIENT, tls: false, sender: mailbox("eve@example.com"), rcpt: mailbox("SRS0=good@d") };
  const result = expand(worldOf(forwarder), request);
  assert.ok(result.ok);
  assert.deepEqual(result.targets.map(({ dest }) => dest), [mailbox("SRS0=good@d")]);
});
