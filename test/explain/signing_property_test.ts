/** Which keys are explained to sign is which have signed, and which fields: generated sessions through the real smtp, lookup and signer, with keys of their own. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { converse, type Envelope } from "../../src/explain/client.ts";
import { Front } from "../../src/explain/front.ts";
import { ANY_PASSWORD } from "../../src/explain/order.ts";
import { explainSigning } from "../../src/explain/signing.ts";
import type { SigningKeyName } from "../../src/protocol/mod.ts";
import { configOf } from "../config/helper.ts";
import { seeded } from "../crash/random.ts";
import { FixtureDns } from "../mail_auth/fixture_dns.ts";
import { AT, machineOf, settingsOf } from "./support.ts";

const CASES = Number(Deno.env.get("EXPLAIN_CASES") ?? 150);
const FIRST_SEED = 6_376_000;

const CONFIG =
  `table aliases { "list" = "x@out.test, y@plain.test", "away" = "x@out.test", "both" = "alice, x@out.test" }
dkim "example.org" selector "s1" key "/k"
dkim "example.org" selector "s2" key "/k" headers { "from", "to", "subject", "x-own" }
dkim "sub.example.org" selector "s3" key "/k"
listen on 127.0.0.1 port 2525
action "local" maildir alias <aliases>
action "out" relay dkim
action "plain" relay
match from any for domain "example.org" action "local"
match from any for domain "out.test" action "out"
match from any for any action "plain"
`;

function keyName(selector: string, domain: string, headers: readonly string[] | null): SigningKeyName {
  return { domain, selector, algorithm: "ed25519-sha256", headers, expireSeconds: null };
}

const NAMES = [
  keyName("s1", "example.org", null),
  keyName("s2", "example.org", ["from", "to", "subject", "x-own"]),
  keyName("s3", "sub.example.org", null),
];

const tag = (field: string, name: string) => new RegExp(`\\s${name}=([^;]*);`).exec(field)![1]!.replace(/\s+/g, "");

/** Selectors with the fields that they signed, of the fields in front of a stored message. */
function signaturesIn(text: Uint8Array): Record<string, string> {
  const header = new TextDecoder().decode(text).split("\n\n", 1)[0]!;
  const fields = header.split(/\n(?![ \t])/).filter((field) => field.startsWith("DKIM-Signature:"));
  return Object.fromEntries(fields.map((field) => [`${tag(field, "d")} ${tag(field, "s")}`, tag(field, "h")]));
}

Deno.test(`which keys are explained to sign is which have signed, in ${CASES} generated sessions`, async () => {
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const config = configOf(CONFIG);
  const cut = await settingsOf(config);
  const settings = {
    ...cut,
    smtp: { ...cut.smtp, signing: NAMES },
    lookup: { ...cut.lookup, signingMacKey: cut.signer.signingMacKey },
    signer: { ...cut.signer, keys: NAMES.map(({ domain, selector }) => ({ domain, selector, key: pem })) },
  };
  const front = new Front(settings, {
    machine: machineOf(),
    namer: { reverse: () => Promise.resolve({ hostname: "client.example.net", confirmed: "pass" }) },
    dns: new FixtureDns({}),
    now: () => AT,
    anyPassword: ANY_PASSWORD,
  });
  let signed = 0, unsigned = 0;
  try {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed++) {
      const random = seeded(seed);
      const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
      const rcpts = [
        "x@out.test",
        "y@plain.test",
        "alice@example.org",
        "list@example.org",
        "away@example.org",
        "both@example.org",
      ];
      const given = rcpts.filter(() => random() < 0.3);
      const envelope: Envelope = {
        ...one([
          { listener: 0, peer: { address: "local", port: 0, uid: null } },
          { listener: 1, peer: { address: "192.0.2.7", port: 0, uid: null } },
        ]),
        ...{ helo: "client.example.net", tls: false, login: null, sender: "a@example.org" },
        recipients: given.length === 0 ? ["x@out.test"] : given,
      };
      const fields = [
        one([
          "From: a@example.org",
          "From: a@deep.sub.example.org",
          "From: a@example.net",
          "From: a@example.org, b@example.net",
          "",
        ]),
        ...["To: x@out.test", "Subject: s", "X-Own: y", "List-Id: <l>"].filter(() => random() < 0.6),
      ].filter((line) => line !== "");
      const message = new TextEncoder().encode(`${fields.join("\n")}\n\nbody\n`);
      const { taken } = await converse(front, envelope, message);
      assert.ok(taken !== null, `seed ${seed}`);
      const done = signaturesIn(taken.text);
      const step = await explainSigning(taken.envelopes, taken.text, { config, keys: NAMES, now: () => AT });
      const explained = Object.fromEntries(
        (step.children ?? []).map(({ detail }) => {
          const { domain, selector, fields } = detail as { domain: string; selector: string; fields: string[] };
          return [`${domain} ${selector}`, fields.join(":")];
        }),
      );
      assert.deepEqual(explained, done, `seed ${seed}: ${step.text}`);
      if (Object.keys(done).length > 0) signed++;
      else unsigned++;
    }
  } finally {
    await front.close();
  }
  assert.ok(signed > CASES / 10 && unsigned > CASES / 10, `${signed} signed, ${unsigned} not`);
});
