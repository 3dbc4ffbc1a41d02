/** SCRAM and SASLprep by themselves: the examples of the RFCs, and what is malformed. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  checkProof,
  expectedBinding,
  isPasswordOf,
  makeVerifier,
  parseClientFinal,
  parseClientFirst,
  parseVerifier,
  prepare,
  scramShape,
  serverFirst,
  verifierIn,
} from "../../src/sasl/mod.ts";

/** RFC 7677 §3: user "user", password "pencil". */
const SALT = "W22ZaJ0SNY7soEsUEjb6gQ==";
const NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const VERIFIER =
  `SCRAM-SHA-256$4096:${SALT}$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=`;
const salt = Uint8Array.from(atob(SALT), (letter) => letter.charCodeAt(0));

Deno.test("the exchange of RFC 7677 §3 comes out as it stands there", async () => {
  const made = await makeVerifier("pencil", salt, 4096);
  assert.equal(made, VERIFIER);
  const first = parseClientFirst("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")!;
  assert.equal(first.user, "user");
  const said = serverFirst(NONCE, SALT, 4096);
  assert.equal(said, `r=${NONCE},s=${SALT},i=4096`);
  const final = parseClientFinal(`c=biws,r=${NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`)!;
  assert.equal(final.binding, expectedBinding(first.header, null));
  const message = `${first.bare},${said},${final.withoutProof}`;
  assert.deepEqual(checkProof(parseVerifier(VERIFIER)!, message, final.proof), {
    ok: true,
    signature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  });
});

Deno.test("a verifier answers for its password in every form that SASLprep makes one", async () => {
  const verifier = parseVerifier((await makeVerifier("\u2168 caf\u00e9", salt, 4096))!)!;
  for (const same of ["IX caf\u00e9", "IX cafe\u0301", "I\u00adX\u00a0caf\u00e9"]) {
    assert.equal(await isPasswordOf(same, verifier), true, same);
  }
  for (const other of ["IX cafe", "ix caf\u00e9", "", "IX caf\u00e9\u0007"]) {
    assert.equal(await isPasswordOf(other, verifier), false, other);
  }
});

/** The first rows are of RFC 4013 §3. */
const prepared = [
  { text: "I\u00adX", want: "IX", because: "SOFT HYPHEN is mapped to nothing" },
  { text: "user", want: "user", because: "nothing changes" },
  { text: "USER", want: "USER", because: "case is preserved" },
  { text: "\u00aa", want: "a", because: "NFKC" },
  { text: "\u2168", want: "IX", because: "NFKC" },
  { text: "\u0007", want: null, because: "a prohibited character" },
  { text: "\u0627\u0031", want: null, because: "right-to-left text that ends left-to-right" },
  { text: "\u0627\u0628", want: "\u0627\u0628", because: "right-to-left text" },
  { text: "a\u00a0b", want: "a b", because: "another space" },
  { text: "a\ud800b", want: null, because: "half a surrogate pair" },
  { text: "\u00ad", want: null, because: "nothing is left" },
  { text: "", want: null, because: "nothing is nothing" },
  { text: "\u007f", want: null, because: "DEL is prohibited" },
  { text: "\ue000", want: null, because: "private use is prohibited" },
];

for (const { text, want, because } of prepared) {
  Deno.test(`prepare() makes ${JSON.stringify(want)} of ${JSON.stringify(text)}: ${because}`, () => {
    assert.equal(prepare(text, "query"), want);
    assert.equal(prepare(text, "stored"), want);
  });
}

Deno.test("prepare() takes code points that are not assigned only where they are compared", () => {
  assert.equal(prepare("\u0378", "query"), "\u0378");
  assert.equal(prepare("\u0378", "stored"), null);
  assert.equal(prepare("\u{1f600}", "stored"), "\u{1f600}", "assigned after RFC 3454");
});

const firsts = [
  { text: "n,,n=a,r=x", user: "a" },
  { text: "y,,n=a,r=x", user: "a" },
  { text: "p=tls-server-end-point,,n=a,r=x", user: "a" },
  { text: "n,a=a,n=a,r=x", user: "a" },
  { text: "n,,n=a=2Cb=3Dc,r=x", user: "a,b=c" },
  { text: "n,,n=\u00aa,r=x", user: "a" },
  { text: "n,,n=a,r=x,e=later", user: "a" },
  { text: "n,,m=x,n=a,r=x", user: null, because: "an extension that must be understood" },
  { text: "n,,n=a=2cb,r=x", user: null, because: "an escape that is none" },
  { text: "n,,n=a=b,r=x", user: null, because: "a bare equals sign" },
  { text: "n,,n=,r=x", user: null, because: "no user" },
  { text: "n,,n=a,r=", user: null, because: "no nonce" },
  { text: "n,,n=a,r=x y", user: null, because: "a blank in the nonce" },
  { text: "n,,n=\u0007,r=x", user: null, because: "a name that SASLprep refuses" },
  { text: "n,,n=a", user: null, because: "it breaks off" },
  { text: "n,n=a,r=x", user: null, because: "half a header" },
  { text: "p=,,n=a,r=x", user: null, because: "a binding without a name" },
  { text: "q,,n=a,r=x", user: null, because: "an unknown flag" },
  { text: "", user: null, because: "nothing" },
];

for (const { text, user, because } of firsts) {
  Deno.test(`parseClientFirst() of ${JSON.stringify(text)}: ${because ?? user}`, () => {
    assert.equal(parseClientFirst(text)?.user ?? null, user);
  });
}

Deno.test("parseClientFirst() tells who wants to act as somebody else (RFC 5802 §5.1)", () => {
  const wants = (text: string) => parseClientFirst(text)?.actsAsOther;
  for (const text of ["n,,n=a,r=x", "n,a=,n=a,r=x", "n,a=a,n=a,r=x", "n,a=\u00aa,n=a,r=x"]) {
    assert.equal(wants(text), false, text);
  }
  for (const text of ["n,a=b,n=a,r=x", "n,a=A,n=a,r=x", "n,a==,n=a,r=x"]) assert.equal(wants(text), true, text);
});

const PROOF = btoa("\x01".repeat(32));
for (
  const [text, good] of [
    [`c=biws,r=x,p=${PROOF}`, true],
    [`c=biws,r=x,e=later,p=${PROOF}`, true],
    [`c=biws,r=x,m=now,p=${PROOF}`, false],
    [`c=biws,r=x,p=AAAA`, false],
    [`c=biws,r=x`, false],
    [`r=x,c=biws,p=${PROOF}`, false],
    [`c=!,r=x,p=${PROOF}`, false],
    ["", false],
  ] as const
) {
  Deno.test(`parseClientFinal() ${good ? "reads" : "refuses"} "${text}"`, () =>
    assert.equal(parseClientFinal(text) !== null, good));
}

const verifiers = [
  { name: "as it is", value: VERIFIER, good: true },
  { name: "behind a user", value: `carol:${VERIFIER}`, good: true },
  { name: "too few iterations", value: VERIFIER.replace("4096", "4095"), good: false },
  { name: "too many iterations", value: VERIFIER.replace("4096", "10000001"), good: false },
  { name: "a key cut short", value: VERIFIER.slice(0, -5), good: false },
  { name: "SHA-1", value: VERIFIER.replace("-256", "-1"), good: false },
  { name: "another scheme", value: "$6$salt$hash", good: false },
];

for (const { name, value, good } of verifiers) {
  Deno.test(`parseVerifier(): ${name}: ${good ? "taken" : "refused"}`, () => {
    const text = verifierIn(value);
    assert.equal(text !== null && parseVerifier(text) !== null, good);
  });
}

Deno.test("scramShape() is the most common shape, and none where one value is no verifier", () => {
  const strong = VERIFIER.replace("4096", "50000");
  assert.deepEqual(scramShape([VERIFIER, strong, `u:${strong}`]), { iterations: 50000, saltBytes: 16 });
  assert.equal(scramShape([VERIFIER, "$6$salt$hash"]), null);
  assert.equal(scramShape([]), null);
  assert.equal(scramShape(Array<string>(100_001).fill(VERIFIER)), null, "too many to look at");
  assert.equal(scramShape([VERIFIER.replace("4096", "1")]), null);
});

Deno.test("no input makes the readers of messages and verifiers throw", () => {
  const piece = fc.constantFrom(
    "n,,",
    "y,,",
    "p=x,,",
    "n=",
    "r=",
    "c=",
    "p=",
    "m=",
    "=2C",
    ",",
    "a",
    "biws",
    PROOF,
    "\u00ad",
    "\ufffd",
  );
  fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.array(piece).map((all) => all.join(""))), (text) => {
    const first = parseClientFirst(text), final = parseClientFinal(text);
    if (first !== null) assert.equal(first.header + first.bare, text);
    if (final !== null) assert.equal(`${final.withoutProof},p=${final.proof}`, text);
    const verifier = verifierIn(text);
    if (verifier !== null) parseVerifier(verifier);
    prepare(text, "query");
  }));
});

Deno.test("an exchange in which one octet is another is not proved", () => {
  const verifier = parseVerifier(VERIFIER)!;
  const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${NONCE},s=${SALT},i=4096,c=biws,r=${NONCE}`;
  const proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
  assert.ok(checkProof(verifier, message, proof).ok);
  for (let at = 0; at < message.length; at++) {
    const other = message.slice(0, at) + (message[at] === "x" ? "y" : "x") + message.slice(at + 1);
    assert.equal(checkProof(verifier, other, proof).ok, false, other);
  }
  for (let at = 0; at < 32; at++) {
    const octets = Uint8Array.fromBase64(proof);
    octets[at]! ^= 1;
    assert.deepEqual(checkProof(verifier, message, octets.toBase64()), { ok: false, signature: "" });
  }
});
