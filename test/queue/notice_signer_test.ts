/** Notices that go by an action with `dkim`: signed in front, as they are without a grant or a key, and put off when there is no signature. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { Event } from "../../src/events/mod.ts";
import { signHash } from "../../src/mail_auth/dkim/mod.ts";
import { NoticeSigner } from "../../src/queue/notice_signer.ts";
import type { SignerClient } from "../../src/signer_client/mod.ts";
import { msgid } from "../ids.ts";

const MESSAGE = msgid("0a0b0c0d");
const { privateKey } = generateKeyPairSync("ed25519");
const notice = (domain: string) => new TextEncoder().encode(`From: MAILER-DAEMON@${domain}\nSubject: s\n\nbody\n`);

function signerWith(sign: (hash: Uint8Array) => Uint8Array | null) {
  const events: Event[] = [];
  const client = { deadline: () => 0, sign: ({ hash }: { hash: Uint8Array }) => Promise.resolve(sign(hash)) };
  const keys = [
    { domain: "example.org", selector: "s", algorithm: "ed25519-sha256" as const, headers: null, expireSeconds: null },
  ];
  const signer = new NoticeSigner({
    keys: () => keys,
    client: client as unknown as SignerClient,
    now: () => 0,
    emit: (event) => void events.push(event),
  });
  return { signer, events };
}

Deno.test("a notice with a grant is signed, and one without or without a key is left as it is", async () => {
  const { signer, events } = signerWith((hash) => signHash(privateKey, hash));
  const octets = notice("mx.example.org");
  const signed = new TextDecoder().decode(await signer.sign(MESSAGE, "0", octets));
  assert.match(signed, /^DKIM-Signature: v=1; a=ed25519-sha256; [^]*\nFrom: MAILER-DAEMON@mx\.example\.org\n/);
  assert.ok(signed.endsWith(new TextDecoder().decode(octets)));
  assert.equal(await signer.sign(MESSAGE, undefined, octets), octets);
  const other = notice("example.net");
  assert.equal(await signer.sign(MESSAGE, "0", other), other);
  assert.deepEqual(events, [
    { type: "queue-signed", message: MESSAGE, domain: "example.org", selectors: ["s"] },
    { type: "queue-unsigned", message: MESSAGE, deferred: false, reason: "there is no key for example.net" },
  ]);
});

Deno.test("a notice that cannot be signed now is put off", async () => {
  const { signer, events } = signerWith(() => null);
  await assert.rejects(signer.sign(MESSAGE, "0", notice("example.org")), /cannot be signed now/);
  assert.deepEqual(events, [
    { type: "queue-unsigned", message: MESSAGE, deferred: true, reason: "the isolate signer does not answer" },
  ]);
});
