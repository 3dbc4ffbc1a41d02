/** Chains of filters, as pure logic. */

import assert from "node:assert/strict";
import type { FilterRegistration, FilterStep } from "../../src/isolate/mod.ts";
import { answered, next, type Query, tested, type View } from "../../src/smtp/filter/chain.ts";

const VIEW: View = {
  rdns: "client.example.net",
  confirmed: "pass",
  address: "192.0.2.7",
  helo: "client.example.net",
  username: "",
  sender: "a@example.net",
  rcpt: "b@example.org",
};

function query(view: Partial<View> = {}, phase: Query["phase"] = "rcpt-to"): Query {
  return { phase, param: "b@example.org", view: { ...VIEW, ...view } };
}

type Builtin = Extract<FilterStep, { kind: "builtin" }>;

function builtin(condition: Builtin["condition"], verdict: Builtin["verdict"], negated = false): Builtin {
  return { kind: "builtin", at: { file: "c", line: 1 }, name: "built", phase: "rcpt-to", negated, condition, verdict };
}

const process = (name: string): FilterStep => ({ kind: "process", name, process: name });

const registered = new Map<string, FilterRegistration>(
  [["p", ["rcpt-to"]], ["q", ["rcpt-to", "data"]], ["r", []]].map(([name, phases]) => [
    name as string,
    {
      process: name as string,
      phases: phases as FilterRegistration["phases"],
      events: { "smtp-in": [], "smtp-out": [] },
    },
  ]),
);

const TABLE = { regex: false, table: "t" } as const;
const NO = { kind: "reject", text: "550 No" } as const;

Deno.test("a phase for which no filter is made passes", () => {
  const end = { reports: [], do: "end", verdict: { kind: "proceed" }, response: "proceed" };
  assert.deepEqual(next([], registered, query()), end);
  assert.deepEqual(next([process("r"), builtin({ kind: "fcrdns" }, NO)], registered, query({}, "data")), end);
});

Deno.test("processes are asked one after the other, those that have not registered are left out", () => {
  const steps = [process("r"), process("p"), process("q")];
  assert.deepEqual(next(steps, registered, query()), { reports: [], do: "ask", at: 1, process: "p" });
  const second = answered(steps, registered, query(), 1, { kind: "proceed" });
  assert.deepEqual(second, { reports: [], do: "ask", at: 2, process: "q" });
  const last = answered(steps, registered, query(), 2, { kind: "proceed" });
  assert.equal(last.do, "end");
});

const CONDITIONS: readonly {
  readonly condition: Builtin["condition"];
  readonly view: Partial<View>;
  readonly want: boolean | { service: string; key: string };
  readonly because: string;
}[] = [
  { condition: { kind: "fcrdns" }, view: {}, want: true, because: "the name leads back" },
  { condition: { kind: "fcrdns" }, view: { confirmed: "fail" }, want: false, because: "the name leads elsewhere" },
  { condition: { kind: "fcrdns" }, view: { confirmed: "error" }, want: false, because: "the name cannot be looked up" },
  { condition: { kind: "rdns", test: null }, view: {}, want: true, because: "it has a name" },
  { condition: { kind: "rdns", test: null }, view: { rdns: "<unknown>" }, want: false, because: "it has none" },
  {
    condition: { kind: "rdns", test: null },
    view: { rdns: "192.0.2.7" },
    want: false,
    because: "an address is no name",
  },
  { condition: { kind: "auth", test: null }, view: {}, want: false, because: "nobody has logged in" },
  { condition: { kind: "auth", test: null }, view: { username: "joe" }, want: true, because: "joe has logged in" },
  { condition: { kind: "auth", test: TABLE }, view: {}, want: false, because: "nobody is in no table" },
  {
    condition: { kind: "auth", test: TABLE },
    view: { username: "joe" },
    want: { service: "auth", key: "joe" },
    because: "is joe in the table?",
  },
  {
    condition: { kind: "src", test: TABLE },
    view: { address: "[2001:db8::1]" },
    want: { service: "netaddr", key: "[2001:db8::1]" },
    because: "is the address in the table?",
  },
  {
    condition: { kind: "helo", test: { regex: true, table: "t" } },
    view: { helo: "x" },
    want: { service: "regex", key: "x" },
    because: "does the name in HELO fit?",
  },
  {
    condition: { kind: "mail-from", test: TABLE },
    view: { sender: "" },
    want: { service: "mailaddr", key: "" },
    because: "the null sender is the empty key",
  },
  {
    condition: { kind: "rcpt-to", test: TABLE },
    view: {},
    want: { service: "mailaddr", key: "b@example.org" },
    because: "is this recipient in the table?",
  },
];
for (const { condition, view, want, because } of CONDITIONS) {
  Deno.test(`a condition of a built-in filter: ${because}`, () => {
    for (const negated of [false, true]) {
      const steps = [builtin(condition, NO, negated)];
      const got = next(steps, registered, query(view));
      if (typeof want === "boolean") {
        assert.equal(got.do === "end" && got.verdict.kind, want === negated ? "proceed" : "refuse");
        continue;
      }
      assert.deepEqual(got, { reports: [], do: "test", at: 0, test: { table: "t", ...want } });
      for (const found of [false, true]) {
        const end = tested(steps, registered, query(view), 0, found);
        assert.equal(end.do === "end" && end.verdict.kind, found === negated ? "proceed" : "refuse");
      }
    }
  });
}

Deno.test("bypass passes by the filters behind it, report does not", () => {
  const behind = process("p");
  const bypassed = next([builtin({ kind: "fcrdns" }, { kind: "bypass" }), behind], registered, query());
  assert.equal(bypassed.do, "end");
  const reported = next([builtin({ kind: "fcrdns" }, { kind: "report", text: "seen" }), behind], registered, query());
  assert.deepEqual(reported, { reports: [{ name: "built", text: "seen" }], do: "ask", at: 1, process: "p" });
});

const REPLIES: readonly (readonly [text: string, disconnect: boolean, said: string, close: boolean])[] = [
  ["550 5.7.1 No", false, "550 5.7.1 No", false],
  ["550", false, "550", false],
  ["421 4.7.0 Later", false, "421 4.7.0 Later", true],
  ["550 No", true, "550 No", true],
  ["no rDNS", true, "550 5.7.1 no rDNS", true],
  ["No", false, "550 5.7.1 No", false],
  ["250 Fine", false, "550 5.7.1 Fine", false],
  ["55 No", false, "550 5.7.1 No", false],
  ["550-No", false, "550 5.7.1 No", false],
  ["5500 times no", false, "550 5.7.1 5500 times no", false],
  ["550 No\r\n250 Yes", false, "550 No", false],
  ["550 a\tb", false, "550 a?b", false],
  ["", true, "550 5.7.1 Refused", true],
];
for (const [text, disconnect, said, close] of REPLIES) {
  Deno.test(`${disconnect ? "disconnect" : "reject"} ${JSON.stringify(text)} says ${said}`, () => {
    const end = answered([process("p")], registered, query(), 0, { kind: disconnect ? "disconnect" : "reject", text });
    assert.deepEqual(end.do === "end" && end.verdict, { kind: "refuse", text: said, close });
  });
}
