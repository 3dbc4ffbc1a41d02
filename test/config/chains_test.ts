/** Mistakes in the declaration of filters. */

import assert from "node:assert/strict";
import { complaints, RULE } from "./helper.ts";

const FILTER = `proc p "/x"\nfilter f proc p\n`;

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
