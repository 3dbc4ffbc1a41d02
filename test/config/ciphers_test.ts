/** Lists of ciphers: which are obeyed as they are, which leave out what is always offered, and that OpenSSL reads them as we do. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { VersionRange } from "../../src/config/mod.ts";
import { cipherFault } from "../../src/config/ciphers.ts";
import { ALL_VERSIONS } from "../../src/config/protocols.ts";

const GCM256 = "ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384";
const GCM128 = "ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256";
const CHACHA = "ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-CHACHA20-POLY1305";
const ONLY_12: VersionRange = { min: "TLSv1.2", max: "TLSv1.2" };
const ONLY_13: VersionRange = { min: "TLSv1.3", max: "TLSv1.3" };

/** The suites that the fault names, in the order of the text; none when there is no fault. */
function missing(list: string, versions: VersionRange = ALL_VERSIONS): string[] {
  const fault = cipherFault(list, versions);
  if (fault === null) return [];
  const names = /^ciphers leave out (.*), which cannot be switched off/.exec(fault)?.[1];
  assert.ok(names !== undefined, fault);
  return names.split(", ");
}

const obeyed = [
  "HIGH:!aNULL:!MD5",
  "HIGH:!aNULL",
  "HIGH:!aNULL:!eNULL:!EXPORT:!CAMELLIA:!DES:!3DES:!MD5:!PSK:!RC4:!SRP:!kRSA:!SHA1:!SHA256:!SHA384",
  "HIGH, !aNULL !MD5",
  "ALL:@STRENGTH",
  "DEFAULT:@SECLEVEL=2",
  "DEFAULT:!RSA",
  "EECDH:EDH:!DSS",
  "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM",
  "TLSv1.2:!kRSA",
  "ALL:-ALL:HIGH",
  "HIGH:+AES128",
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" +
  "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" +
  "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DES-CBC3-SHA",
  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:HIGH",
  "TLSv1.3:TLSv1.2+AEAD+ECDHE:TLSv1.2+AEAD+DHE",
  "secure",
  "Default",
  "compat",
  "legacy",
  "insecure",
];
for (const list of obeyed) {
  Deno.test(`cipherFault() has nothing against ${list}`, () => assert.equal(cipherFault(list, ALL_VERSIONS), null));
}

const left: readonly { list: string; versions?: VersionRange; out: string }[] = [
  { list: "HIGH:!CHACHA20", out: `TLS_CHACHA20_POLY1305_SHA256, ${CHACHA}` },
  { list: "AES256:!aNULL", out: `${GCM128}, ${CHACHA}` },
  { list: "EECDH+AESGCM:EDH+AESGCM", out: CHACHA },
  { list: "HIGH:@SECLEVEL=1:!AES128", out: `TLS_AES_128_GCM_SHA256, ${GCM128}` },
  { list: "TLS_AES_256_GCM_SHA384:HIGH", out: "" },
  { list: "TLS_AES_256_GCM_SHA384:TLSv1.2", out: "TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256" },
  { list: "MEDIUM", versions: ONLY_12, out: `${GCM256}, ${GCM128}, ${CHACHA}` },
  { list: "FIPS", out: CHACHA },
  { list: "HIGH:!ECDHE", versions: ONLY_13, out: "" },
  { list: "HIGH:!CHACHA20", versions: ONLY_13, out: "TLS_CHACHA20_POLY1305_SHA256" },
  { list: "AEAD-AES256-GCM-SHA384", versions: ONLY_12, out: `${GCM256}, ${GCM128}, ${CHACHA}` },
  { list: "!aNULL", versions: ONLY_12, out: `${GCM256}, ${GCM128}, ${CHACHA}` },
  { list: "!CHACHA20:ALL:CHACHA20", versions: ONLY_12, out: CHACHA },
];
for (const { list, versions, out } of left) {
  Deno.test(`cipherFault() sees that ${list} leaves out ${out || "nothing"}, ${JSON.stringify(versions ?? "all")}`, () => {
    assert.deepEqual(missing(list, versions).toSorted(), out === "" ? [] : out.split(", ").toSorted());
  });
}

const wrong = [
  { list: "HIHG:!aNULL", want: 'unknown word "HIHG" in the list of ciphers, did you mean "HIGH"?' },
  { list: "HIGH:!aNUL", want: 'unknown word "aNUL" in the list of ciphers, did you mean "aNULL"?' },
  { list: "high", want: 'unknown word "high" in the list of ciphers, did you mean "HIGH"?' },
  {
    list: "ECDHE-RSA-AES265-GCM-SHA384",
    want:
      'unknown word "ECDHE-RSA-AES265-GCM-SHA384" in the list of ciphers, did you mean "ECDHE-RSA-AES256-GCM-SHA384"?',
  },
  { list: "ECDHE+xyzzy", want: 'unknown word "xyzzy" in the list of ciphers' },
  { list: "HIGH:@STRENGHT", want: 'unknown word "@STRENGHT" in the list of ciphers, did you mean "@STRENGTH"?' },
  { list: "HIGH:@SECLEVEL=3", want: 'ciphers "@SECLEVEL=3" is not kept: 0 to 2 is' },
  { list: "HIGH:!", want: 'unknown word "" in the list of ciphers' },
];
for (const { list, want } of wrong) {
  Deno.test(`cipherFault() refuses ${list}`, () => assert.equal(cipherFault(list, ALL_VERSIONS), want));
}

Deno.test("OpenSSL reads a list of ciphers as we do", () => {
  const words = fc.constantFrom(
    ...[
      "ALL",
      "HIGH",
      "MEDIUM",
      "LOW",
      "aNULL",
      "eNULL",
      "MD5",
      "RC4",
      "3DES",
      "kRSA",
      "RSA",
      "aRSA",
      "ECDHE",
      "EECDH",
    ],
    ...["ECDH", "kECDHE", "aECDSA", "ECDSA", "DHE", "AES", "AES128", "AES256", "AESGCM", "AESCCM", "CHACHA20", "SHA1"],
    ...[
      "SHA256",
      "SHA384",
      "TLSv1.2",
      "TLSv1",
      "SSLv3",
      "CAMELLIA",
      "PSK",
      "ECDHE-RSA-AES128-GCM-SHA256",
      "AES128-SHA",
    ],
    ...["ECDHE-ECDSA-CHACHA20-POLY1305"],
  );
  const item = fc.tuple(fc.constantFrom("", "", "", "!", "-", "+"), fc.array(words, { minLength: 1, maxLength: 2 }))
    .map(([sign, parts]) => sign + parts.join("+"));
  const list = fc.tuple(fc.array(item, { minLength: 1, maxLength: 5 }), fc.constantFrom(":", ",", " "))
    .map(([items, mark]) => items.join(mark));
  const all = missing("!ALL", ONLY_12);
  assert.equal(all.length, 6);
  fc.assert(
    fc.property(list, (text) => {
      const { stdout } = new Deno.Command("openssl", {
        args: ["ciphers", "-s", "-tls1_2", `@STRENGTH:${text}`],
        stderr: "null",
      })
        .outputSync();
      const admitted = new TextDecoder().decode(stdout).trim().split(":");
      assert.deepEqual(missing(text, ONLY_12), all.filter((name) => !admitted.includes(name)), text);
    }),
    { seed: 20_261_122, numRuns: 150 },
  );
});
