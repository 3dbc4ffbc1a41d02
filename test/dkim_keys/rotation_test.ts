/** Which keys sign, wait and were replaced, as keys are changed again and again and smtpd.conf follows or does not. */

import assert from "node:assert/strict";
import {
  beginRotation,
  finishRotation,
  formatRotation,
  type NamedKey,
  newSelector,
  parseRotation,
  replacedKeys,
  type Rotation,
  signingKeys,
  waitingKeys,
} from "../../src/dkim_keys/mod.ts";

const keys = (...selectors: string[]): NamedKey[] =>
  selectors.map((selector) => ({ selector, keyFile: `/k/${selector}` }));
const names = (list: readonly NamedKey[]) => list.map(({ selector }) => selector).join(" ");
/** `a signs; b waits; c was replaced` */
const shown = (named: readonly NamedKey[], rotation: Rotation) =>
  `${names(signingKeys(named, rotation))} | ${names(waitingKeys(named, rotation))} | ${
    names(replacedKeys(rotation, 0))
  }`;

Deno.test("a rotation waits, then signs, and goes on until smtpd.conf names the new keys", () => {
  const named = keys("a");
  let rotation: Rotation = [];
  assert.equal(shown(named, rotation), "a |  | ");
  rotation = beginRotation(named, rotation, keys("b"), 1);
  assert.equal(shown(named, rotation), "a | b | ");
  rotation = finishRotation(named, rotation, 2);
  assert.equal(shown(named, rotation), "b |  | a");
  assert.deepEqual(replacedKeys(rotation, 10), [{ selector: "a", keyFile: "/k/a", until: 12 }]);
  // smtpd.conf as it was: once more.
  const again = finishRotation(named, beginRotation(named, rotation, keys("c"), 3), 4);
  assert.equal(shown(named, again), "c |  | a b");
  // smtpd.conf names the new key, or a third one: the file has no say then.
  assert.equal(shown(keys("b"), rotation), "b |  | a");
  assert.equal(shown(keys("x"), rotation), "x |  | a");
  const next = finishRotation(keys("b"), beginRotation(keys("b"), rotation, keys("d"), 5), 6);
  assert.equal(shown(keys("b"), next), "d |  | a b");
});

Deno.test("what waits and is named in smtpd.conf by hand signs at once", () => {
  const rotation = beginRotation(keys("a"), [], keys("b"), 1);
  assert.equal(shown(keys("a", "b"), rotation), "a b |  | ");
});

Deno.test("keys of two kinds change together", () => {
  const named = keys("a", "a-ed25519");
  const rotation = finishRotation(named, beginRotation(named, [], keys("b", "b-ed25519"), 1), 2);
  assert.equal(shown(named, rotation), "b b-ed25519 |  | a a-ed25519");
});

Deno.test("the file of a rotation is read as it was written, and nothing else is", () => {
  const named = keys("a");
  const rotation = finishRotation(named, beginRotation(named, [], keys("b"), 1_000), 86_400_000);
  const text = formatRotation("example.org", rotation);
  assert.equal(
    text,
    `# Which keys sign for example.org: written by smtpd, see "smtpctl dkim rotate".
replaced a 1970-01-02T00:00:00.000Z /k/a
signing b 1970-01-02T00:00:00.000Z /k/b
`,
  );
  assert.deepEqual(parseRotation(text), rotation);
  for (
    const line of [
      "x",
      "signing b 1970-01-02T00:00:00.000Z k/b",
      "signing B 1970-01-02T00:00:00.000Z /k/b",
      "signing b 1970-99-02T00:00:00.000Z /k/b",
      "signing a 1970-01-02T00:00:00.000Z /k/b",
    ]
  ) assert.equal(parseRotation(text + line), "line 4 is not what smtpd has written", line);
});

Deno.test("a new selector is named after the year, and is never one that was used", () => {
  const taken = new Set(["s2026", "s2026b"]);
  assert.equal(newSelector("2026", () => false), "s2026");
  assert.equal(newSelector("2026", (one) => taken.has(one)), "s2026c");
  assert.equal(newSelector("2026", (one) => /^s2026[a-z]?$/.test(one)), "s2026x2");
});
