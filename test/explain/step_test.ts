import assert from "node:assert/strict";
import { type Step, stepLines, stepRecord } from "../../src/explain/mod.ts";

const STEPS: readonly Step[] = [
  {
    kind: "rcpt",
    text: "RCPT TO:<bob@example.org>",
    children: [
      { kind: "rule", text: "for domain <other>: does not match", where: { file: "smtpd.conf", line: 3 }, minor: true },
      { kind: "rule", text: "matches", where: { file: "smtpd.conf", line: 4 }, detail: { action: "local" } },
    ],
  },
  { kind: "reply", text: "550 5.1.1 \u001b[31mno" },
];

Deno.test("steps are printed as a tree with their places; what was not chosen only when asked for, and no control characters", () => {
  assert.deepEqual(stepLines(STEPS, { verbose: false }), [
    "RCPT TO:<bob@example.org>",
    "  matches [smtpd.conf:4]",
    "550 5.1.1 \\^[[31mno",
  ]);
  assert.equal(stepLines(STEPS, { verbose: true })[1], "  for domain <other>: does not match [smtpd.conf:3]");
});

Deno.test("a list of very many is cut, and says how many are left out", () => {
  const children = Array.from({ length: 1002 }, (_, n): Step => ({ kind: "alias", text: `member ${n}` }));
  const lines = stepLines([{ kind: "alias", text: "list", children }], { verbose: false });
  assert.equal(lines.length, 1002);
  assert.equal(lines.at(-1), "  ... and 2 more");
});

Deno.test("what becomes of each recipient is told, however much was cut before", () => {
  const steps = Array.from({ length: 1500 }, (_, n): Step => ({ kind: "command", text: `RCPT ${n}` }));
  const results = Array.from({ length: 1500 }, (_, n): Step => ({ kind: "result", text: `recipient ${n}` }));
  const lines = stepLines([...steps, ...results], { verbose: false });
  assert.equal(lines.length, 1000 + 1 + 1500);
  assert.equal(lines[1000], "... and 500 more");
  assert.equal(lines.at(-1), "recipient 1499");
});

Deno.test("a step as JSON has null where no line of the configuration says so", () => {
  const [rcpt] = STEPS.map(stepRecord);
  assert.deepEqual(rcpt, {
    kind: "rcpt",
    text: "RCPT TO:<bob@example.org>",
    file: null,
    line: null,
    steps: [
      { kind: "rule", text: "for domain <other>: does not match", file: "smtpd.conf", line: 3 },
      { kind: "rule", text: "matches", file: "smtpd.conf", line: 4, detail: { action: "local" } },
    ],
  });
});
