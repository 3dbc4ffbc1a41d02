/** Features that the grammar knows and this version does not do: read to the end, then refused by name. */

import assert from "node:assert/strict";
import { complaints, type Input, RULE } from "./helper.ts";

interface Row extends Input {
  readonly text: string;
  /** What is named, in the order of its place, all on the last line of the text. */
  readonly things: readonly string[];
}

const FILTER = `proc p "/x"\nfilter f proc p\n`;

const rows: readonly Row[] = [
  { text: "mda limit task-lowat 1 task-release 2", things: ['mda limit "task-lowat"', 'mda limit "task-release"'] },
  { text: "mta limit task-lowat 1 task-release 2", things: ['mta limit "task-lowat"', 'mta limit "task-release"'] },
  { text: "mta limit for domain a task-hiwat 1", things: ['mta limit "task-hiwat"'] },
  { text: "mta max-deferred 0", things: ['"mta max-deferred"'] },
];

for (const row of rows) {
  Deno.test(`parseConfig() says that it does not do: ${row.text}`, () => {
    assert.deepEqual(complaints(row.text + RULE, row), row.things.map((thing) => `c:1: ${thing} is not supported yet`));
  });
}

const chains = [
  {
    name: "a chain in a chain",
    text: "filter g chain { f }\nfilter h chain { g }",
    line: 4,
    want: 'filter "g" is a chain and cannot be part of a chain',
  },
  {
    name: "a filter twice in a chain",
    text: "filter g chain { f, f }",
    line: 3,
    want: 'filter "f" is already part of this chain',
  },
  {
    name: "two filters of one process in a chain",
    text: "filter g proc p\nfilter h chain { f, g }",
    line: 4,
    want: 'filter "g" shares its process with another filter of this chain',
  },
  { name: "a filter declared twice", text: "filter f proc p", line: 3, want: 'filter "f" is already declared' },
  { name: "a process declared twice", text: 'proc p "/y"', line: 3, want: 'process "p" is already declared' },
];

for (const { name, text, line, want } of chains) {
  Deno.test(`parseConfig() refuses ${name}`, () => {
    assert.equal(complaints(FILTER + text + RULE).at(-1), `c:${line}: ${want}`);
  });
}
