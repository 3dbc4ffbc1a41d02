/** `filter`, `proc` and `admd`: what they become, and mistakes that are only theirs. */

import assert from "node:assert/strict";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { complaints, configOf, RULE } from "./helper.ts";

const AT = (line: number) => ({ file: "c", line });

Deno.test("filters become their steps, chains and lists those of their members", () => {
  const config = configOf(
    `admd "mx.example.org"
proc scanner "scan -v" user a group b chroot "/c"
filter deny phase rcpt-to match !rcpt-to regex { "x" } reject "550 No"
filter scan proc scanner
filter sign proc-exec "sign"
filter all chain { deny, scan
  sign }
listen on lo filter all
listen on socket filter { sign, deny }
action "out" relay filter { scan }${RULE}`,
  );
  const test = { regex: true, table: "<dynamic:0>" };
  const decision = { kind: "reject", text: "550 No" };
  const deny = {
    kind: "builtin",
    at: AT(3),
    name: "deny",
    phase: "rcpt-to",
    negated: true,
    condition: { kind: "rcpt-to", test },
    decision,
  };
  const scan = { kind: "process", name: "scan", process: "scanner" };
  const sign = { kind: "process", name: "sign", process: "proc-exec\nsign" };
  assert.equal(config.admd, "mx.example.org");
  assert.deepEqual(config.filters.all, [deny, scan, sign]);
  const [lo, socket] = config.listen;
  assert.equal(lo?.filter, "all");
  assert.deepEqual(config.filters[socket?.filter ?? ""], [sign, deny]);
  const out = config.actions.out;
  assert.deepEqual(out?.kind === "relay" && config.filters[out.filter ?? ""], [scan]);
  assert.deepEqual(config.processes, {
    scanner: { at: AT(2), name: "scanner", command: "scan -v", user: "a", group: "b", chroot: "/c" },
    "proc-exec\nsign": { at: AT(5), name: "sign", command: "sign", user: null, group: null, chroot: null },
  });
});

const MISTAKES = [
  { text: 'filter "" phase data match fcrdns junk', want: 'invalid name of a filter: ""' },
  { text: 'filter "a|b" phase data match fcrdns junk', want: 'invalid name of a filter: "a|b"' },
  { text: 'filter "<x>" phase data match fcrdns junk', want: 'invalid name of a filter: "<x>"' },
  { text: 'proc p "/x" chroot "y"', want: 'chroot "y" does not start with a slash' },
  { text: 'proc p " "', want: "the command is empty" },
  { text: 'proc p "/x" user a user b', want: '"user" is already specified' },
  { text: "listen on lo filter f", want: 'filter "f" is not defined' },
  { text: "action a relay filter { f }", want: 'filter "f" is not defined' },
  { text: "filter f chain {}", want: 'syntax error: expected the name of a filter, found "}"' },
] as const;
for (const { text, want } of MISTAKES) {
  Deno.test(`parseConfig() finds the mistake in: ${text}`, () => {
    assert.deepEqual(complaints(text + RULE), [`c:1: ${want}`]);
  });
}

Deno.test("parseConfig() has a bound for the filters of a chain", () => {
  const names = Array.from({ length: 33 }, (_, at) => `f${at}`);
  const filters = names.map((name) => `filter ${name} phase data match fcrdns junk\n`).join("");
  assert.deepEqual(complaints(`${filters}filter all chain { ${names.join(", ")} }${RULE}`), [
    "c:34: too many filters in one chain: at most 32",
  ]);
});

for (
  const [reply, warned] of [
    ["550 4.7.1 no", true],
    ["450 5.7.1 no", true],
    ["421 2.0.0 no", true],
    ["550 5.7.1 no", false],
    ["451 4.7.1 no", false],
    ["550 192.0.2.1 is listed", false],
    ["550 No", false],
  ] as const
) {
  Deno.test(`a reply "${reply}" ${warned ? "is warned of: its codes are of two classes" : "is left alone"}`, () => {
    const text = `filter f phase connect match !fcrdns reject "${reply}"\nlisten on lo filter f${RULE}`;
    const parsed = parseConfig("c", { defines: [], files: { readText: () => text } });
    assert.ok(parsed.ok);
    const words = "the reply code and the status code behind it are of two classes";
    assert.equal(parsed.warnings.some((line) => line.startsWith(`c:1: warning: in "${reply}" ${words}`)), warned);
  });
}
