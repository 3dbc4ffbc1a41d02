/** Keys of alias and virtual tables. */

import assert from "node:assert/strict";
import { virtualKeys } from "../../src/rules/keys.ts";

Deno.test("virtualKeys() has a domain of A-labels in U-labels as well, each key next to its twin (RFC 5890 §2.3.2.1)", () => {
  assert.deepEqual(virtualKeys({ local: "José+tag", domain: "XN--bcher-kva.example" }, "+"), [
    "josé+tag@xn--bcher-kva.example",
    "josé+tag@bücher.example",
    "josé@xn--bcher-kva.example",
    "josé@bücher.example",
    "josé+tag",
    "josé",
    "@xn--bcher-kva.example",
    "@bücher.example",
    "@",
  ]);
});
