/** Chains of filters, as pure logic. */

import assert from "node:assert/strict";
import type { FilterRegistration } from "../../src/protocol/mod.ts";
import type { FilterStep } from "../../src/config/mod.ts";
import { answered, next, type Query, tested, type View } from "../../src/smtp/filter/chain.ts";

const VIEW: View = {
  rdns: "client.example.net",
  confirmed: "pass",
  address: "192.0.2.7",
  helo: "client.example.net",
  username: "",
  sender: "a@example.net",
  rcpt: "b@example.org",
  mailAuth: null,
};

function query(view: Partial<View> = {}, phase: Query["phase"] = "rcpt-to"): Query {
  return { phase, param: "b@example.org", view: { ...VIEW, ...view } };
}

type Builtin = Extract<FilterStep, { kind: "builtin" }>;

function builtin(condition: Builtin["condition"], decision: Builtin["decision"], negated = false): Builtin {
  return {
    kind: "builtin",
    at: { file: "c", line: 1 },
    name: "built",
    phase: "rcpt-to",
    negated,
    condition,
    decision,
  };
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
  const end = { reports: [], do: "end", decision: { kind: "proceed" }, response: "proceed" };
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
  { condition: { kind: "fcrdns" }, view: { confirmed: "error" }, want: false, because: "there is no name" },
  { condition: { kind: "rdns", test: null }, view: { confirmed: "temporary" }, want: true, because: "it has a name" },
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
        assert.equal(got.do === "end" && got.decision.kind, want === negated ? "proceed" : "refuse");
        continue;
      }
      assert.deepEqual(got, { reports: [], do: "test", at: 0, test: { table: "t", ...want } });
      for (const found of [false, true]) {
        const end = tested(steps, registered, query(view), { at: 0, found });
        assert.equal(end.do === "end" && end.decision.kind, found === negated ? "proceed" : "refuse");
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
    assert.deepEqual(end.do === "end" && end.decision, { kind: "refuse", text: said, close });
  });
}

const NAMELESS = { rdns: "<unknown>", confirmed: "temporary" } as const;
const NOT_NOW = "4.4.3 The name of your address cannot be looked up now, try again later";
const UNDECIDED: readonly {
  readonly condition: Builtin["condition"];
  readonly view: Partial<View>;
}[] = [
  { condition: { kind: "rdns", test: null }, view: NAMELESS },
  { condition: { kind: "rdns", test: TABLE }, view: NAMELESS },
  { condition: { kind: "fcrdns" }, view: NAMELESS },
  { condition: { kind: "fcrdns" }, view: { confirmed: "temporary" } },
];
const ends: readonly {
  readonly decision: Builtin["decision"];
  readonly phase?: Builtin["phase"];
  readonly want: string;
}[] = [
  { decision: NO, want: `451 ${NOT_NOW}` },
  { decision: { kind: "reject", text: "451 Later" }, want: `451 ${NOT_NOW}` },
  { decision: { kind: "disconnect", text: "550 No" }, want: `421 ${NOT_NOW} and closes` },
  { decision: NO, phase: "connect", want: `421 ${NOT_NOW} and closes` },
  { decision: NO, phase: "auth", want: `454 ${NOT_NOW}` },
  { decision: { kind: "junk" }, want: "proceed" },
  { decision: { kind: "rewrite", text: "x@example.net" }, want: "proceed" },
  { decision: { kind: "report", text: "x" }, want: "proceed" },
  { decision: { kind: "bypass" }, want: "proceed" },
];
const shown = (got: ReturnType<typeof next>) =>
  got.do !== "end"
    ? got.do
    : got.decision.kind === "refuse"
    ? `${got.decision.text}${got.decision.close ? " and closes" : ""}`
    : got.decision.kind;
for (const { decision, phase = "rcpt-to", want } of ends) {
  const text = "text" in decision ? ` ${decision.text}` : "";
  Deno.test(`while name servers fail, ${decision.kind}${text} in ${phase} ends with: ${want}`, () => {
    for (const { condition, view } of UNDECIDED) {
      for (const negated of [false, true]) {
        const got = next([{ ...builtin(condition, decision, negated), phase }], registered, query(view, phase));
        assert.equal(shown(got), want, `${negated ? "!" : ""}${condition.kind}`);
        assert.deepEqual(got.reports, []);
      }
    }
  });
}

Deno.test("a table that cannot answer makes a refusal temporary, with ! or without", () => {
  const condition = { kind: "rcpt-to", test: TABLE } as const;
  for (const negated of [false, true]) {
    const got = tested([builtin(condition, NO, negated)], registered, query(), { at: 0, found: null });
    assert.equal(shown(got), "451 4.3.0 Temporary lookup failure, try again later");
  }
  assert.equal(
    shown(tested([builtin(condition, { kind: "junk" })], registered, query(), { at: 0, found: null })),
    "proceed",
  );
});

Deno.test("who might have passed by the filters behind is not refused by them for good", () => {
  const friend = builtin({ kind: "fcrdns" }, { kind: "bypass" });
  const all = builtin({ kind: "auth", test: null }, NO, true);
  const later = builtin({ kind: "auth", test: null }, { kind: "reject", text: "450 Later" }, true);
  const unsure = query(NAMELESS);
  assert.equal(shown(next([friend, all], registered, unsure)), `451 ${NOT_NOW}`);
  assert.equal(shown(next([friend, later], registered, unsure)), "450 Later");
  assert.equal(shown(next([all, friend], registered, unsure)), "550 No", "that one stands before it");
  const asked = next([friend, process("p"), all], registered, unsure);
  assert.deepEqual(asked, { reports: [], do: "ask", at: 1, process: "p", unsure: "name" });
  const carried = { ...unsure, unsure: "name" } as const;
  const refusal = answered([friend, process("p")], registered, carried, 1, { kind: "reject", text: "550 No" });
  assert.equal(shown(refusal), `451 ${NOT_NOW}`);
  const table = builtin({ kind: "src", test: TABLE }, { kind: "bypass" });
  const test = next([table, all], registered, query());
  assert.equal(test.do, "test");
  assert.equal(
    shown(tested([table, all], registered, query(), { at: 0, found: null })),
    "451 4.3.0 Temporary lookup failure, try again later",
  );
});

const CHECKED = { spf: "softfail", dkim: "pass", arc: "none", dmarc: "fail", policy: "quarantine" } as const;

/** Conditions on what a message was found to be, with the phase commit. */
const CHECKS: readonly {
  readonly condition: Builtin["condition"];
  readonly negated?: true;
  readonly mailAuth: View["mailAuth"];
  /** Whether the filter acts; a reply where that is not known now. */
  readonly want: boolean | RegExp | { readonly key: string; readonly others?: readonly string[] };
  readonly because: string;
}[] = [
  {
    condition: { kind: "spf", words: ["fail", "softfail"] },
    mailAuth: CHECKED,
    want: true,
    because: "one of the words",
  },
  { condition: { kind: "dkim", words: ["fail"] }, mailAuth: CHECKED, want: false, because: "none of the words" },
  { condition: { kind: "dmarc", words: ["quarantine"] }, mailAuth: CHECKED, want: true, because: "the policy" },
  {
    condition: { kind: "dmarc", words: ["fail"] },
    mailAuth: CHECKED,
    want: true,
    because: "the result beside the policy",
  },
  { condition: { kind: "dmarc", words: ["reject"] }, mailAuth: CHECKED, want: false, because: "another policy" },
  {
    condition: { kind: "dmarc", words: ["quarantine"] },
    mailAuth: { ...CHECKED, dmarc: "pass", policy: undefined } as never,
    want: false,
    because: "the policy of a message that passes is none",
  },
  {
    condition: { kind: "dkim", words: ["pass"] },
    negated: true,
    mailAuth: CHECKED,
    want: false,
    because: "! turns it round",
  },
  {
    condition: { kind: "dkim", words: ["fail"] },
    negated: true,
    mailAuth: CHECKED,
    want: true,
    because: "! of another",
  },
  { condition: { kind: "dkim", words: ["pass"] }, mailAuth: null, want: false, because: "what is not checked" },
  {
    condition: { kind: "dkim", words: ["pass"] },
    negated: true,
    mailAuth: null,
    want: false,
    because: "the same, with !",
  },
  {
    condition: { kind: "dmarc", words: ["pass"] },
    negated: true,
    mailAuth: { ...CHECKED, dmarc: "temperror" },
    want: /^451 4\.7\.0 /,
    because: "what could not be checked is not known to be anything else",
  },
  {
    condition: { kind: "dmarc", words: ["pass", "temperror"] },
    negated: true,
    mailAuth: { ...CHECKED, dmarc: "temperror" },
    want: false,
    because: "unless that is named",
  },
  {
    condition: { kind: "dmarc", words: ["reject"] },
    mailAuth: { ...CHECKED, dmarc: "temperror" },
    want: false,
    because: "without !, what could not be checked passes",
  },
  {
    condition: { kind: "dmarc", table: "t" },
    mailAuth: CHECKED,
    want: { key: "quarantine", others: ["fail"] },
    because: "a table is asked for all words",
  },
  { condition: { kind: "spf", table: "t" }, mailAuth: CHECKED, want: { key: "softfail" }, because: "a table" },
];

for (const { condition, negated = false, mailAuth, want, because } of CHECKS) {
  Deno.test(`a filter on the checks of a message: ${because}`, () => {
    const step: FilterStep = { ...builtin(condition, NO, negated), phase: "commit" };
    const found = next([step], registered, query({ mailAuth }, "commit"));
    if (typeof want === "boolean") {
      assert.ok(found.do === "end");
      assert.equal(found.decision.kind, want ? "refuse" : "proceed");
    } else if (want instanceof RegExp) {
      assert.ok(found.do === "end" && found.decision.kind === "refuse");
      assert.match(found.decision.text, want);
    } else {
      assert.ok(found.do === "test");
      assert.deepEqual(found.test, { table: "t", service: "string", ...want });
    }
  });
}
