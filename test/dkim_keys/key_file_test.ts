/** Key files that can sign and those that cannot, and what the DNS must have of them. */

import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { makeKey, publishedAs, readKeyFile, zoneLine } from "../../src/dkim_keys/mod.ts";
import { parseKeyRecord } from "../../src/mail_auth/dkim/mod.ts";
import type { DnsAnswer } from "../../src/mail_auth/dns.ts";

const pem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }) as string;
const ed25519 = pem(generateKeyPairSync("ed25519").privateKey);
const pair = generateKeyPairSync("rsa", { modulusLength: 1024 });

const REFUSED: readonly { readonly about: string; readonly text: string; readonly fault: RegExp }[] = [
  { about: "nothing", text: "", fault: /^it is not in PEM format/ },
  { about: "the beginning of a key", text: ed25519.slice(0, 60), fault: /^its end is missing$/ },
  {
    about: "no key",
    text: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    fault: /^it cannot be read/,
  },
  {
    about: "a public key",
    text: pair.publicKey.export({ type: "spki", format: "pem" }) as string,
    fault: /^it is no private key but a public key/,
  },
  {
    about: "a key with a passphrase",
    text: ed25519.replaceAll("PRIVATE", "ENCRYPTED PRIVATE"),
    fault: /^it has a passphrase/,
  },
  {
    about: "RSA of 1024 bits",
    text: pem(pair.privateKey),
    fault: /^it is RSA of 1024 bits, use RSA of 2048 to 4096 bits, or Ed25519$/,
  },
  {
    about: "an elliptic curve",
    text: pem(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey),
    fault: /of the kind ec/,
  },
];
for (const { about, text, fault } of REFUSED) {
  Deno.test(`a dkim key file is refused: ${about}`, () => {
    const read = readKeyFile(text);
    assert.match(read.ok ? "" : read.fault, fault);
  });
}

Deno.test("keys that are made can sign, and their records are those of the keys", async () => {
  for (const algorithm of ["rsa-sha256", "ed25519-sha256"] as const) {
    const read = readKeyFile(await makeKey(algorithm));
    assert.ok(read.ok);
    assert.equal(read.algorithm, algorithm);
    const parsed = parseKeyRecord(read.record);
    assert.ok(parsed.ok);
    assert.equal(parsed.record.bits, algorithm === "rsa-sha256" ? 2048 : 256);
    const line = zoneLine("s._domainkey.example.org", read.record);
    const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, text]) => text!);
    assert.equal(strings.join(""), read.record);
    assert.ok(strings.every(({ length }) => length <= 255));
    assert.match(line, /^s\._domainkey\.example\.org\. IN TXT \( ".*" \)$/);
  }
});

Deno.test("what the DNS has is compared with the key, whatever its form", () => {
  const read = readKeyFile(ed25519);
  assert.ok(read.ok);
  const { record } = read;
  const key = record.slice(record.indexOf("p=") + 2);
  const other = readKeyFile(pem(generateKeyPairSync("ed25519").privateKey));
  const rows: readonly (readonly [string, DnsAnswer<string>])[] = [
    ["ok", { kind: "records", records: [record] }],
    ["ok", { kind: "records", records: [`k=ed25519; n=note; t=y; p= ${key.slice(0, 9)} ${key.slice(9)} ;`] }],
    ["differs", { kind: "records", records: [other.ok ? other.record : ""] }],
    ["differs", { kind: "records", records: [`v=DKIM1; p=${key}`] }],
    ["differs", { kind: "records", records: ["v=DKIM1; k=ed25519; p="] }],
    ["differs", { kind: "records", records: [`${record}; h=sha1`] }],
    ["differs", { kind: "records", records: [`${record}; s=tlsrpt`] }],
    ["differs", { kind: "records", records: ["v=spf1 -all"] }],
    ["several", { kind: "records", records: [record, record] }],
    ["missing", { kind: "none", exists: false }],
    ["missing", { kind: "none", exists: true }],
    ["unknown", { kind: "temporary" }],
  ];
  for (const [expected, answer] of rows) assert.equal(publishedAs(answer, record), expected, JSON.stringify(answer));
});
