/** A self-signed certificate is what OpenSSL, our reader of pairs, and RFC 5280 take for one. */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { certificateNames, readPair, selfSignedCertificate } from "../../src/tls/mod.ts";

const NOW = Date.UTC(2026, 10, 30, 12);

for (
  const { about, name, days, until } of [
    { about: "a host name", name: "mail.example.org", days: 365, until: Date.UTC(2027, 10, 30, 12) },
    { about: "A-labels", name: "mail.xn--bcher-kva.example", days: 1, until: Date.UTC(2026, 11, 1, 12) },
    { about: "a name that no common name has room for", name: `${"a".repeat(63)}.example.org`, days: 1, until: null },
    { about: "a time that UTCTime does not have", name: "a.example", days: 36_500, until: NOW + 36_500 * 86_400_000 },
  ]
) {
  Deno.test(`a self-signed certificate for ${about} can be read and verified, with its name and its time`, () => {
    const made = selfSignedCertificate({ name, now: NOW, days });
    const certificate = new X509Certificate(made.cert);
    assert.ok(certificate.verify(certificate.publicKey), "its own key has signed it");
    assert.deepEqual(certificateNames(made.cert), [name]);
    assert.equal(certificate.ca, false);
    assert.equal(Date.parse(certificate.validFrom), NOW - 3_600_000);
    if (until !== null) assert.equal(Date.parse(certificate.validTo), until);
    const pair = readPair(made);
    assert.ok(pair.ok, JSON.stringify(pair));
  });
}

Deno.test("OpenSSL takes a self-signed certificate, with an extension of the caller's", async () => {
  const made = selfSignedCertificate({
    name: "mail.example.org",
    now: NOW,
    days: 7,
    extensions: [{ oid: "1.3.6.1.5.5.7.1.31", critical: true, value: Uint8Array.of(4, 2, 7, 9) }],
  });
  const child = new Deno.Command("openssl", { args: ["x509", "-noout", "-text"], stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(made.cert));
  await writer.close();
  const { stdout } = await child.output();
  const text = new TextDecoder().decode(stdout);
  assert.match(text, /Issuer: CN ?= ?mail\.example\.org/);
  assert.match(text, /DNS:mail\.example\.org/);
  assert.match(text, /1\.3\.6\.1\.5\.5\.7\.1\.31: critical|ACME Identifier: critical/i);
});
