/** Who has messages signed: waits for the signer for a bounded time, asks again where it must, and never goes on without a signature. */

import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import type { Channel } from "../../src/isolate/mod.ts";
import { signHash } from "../../src/mail_auth/dkim/mod.ts";
import type { FromSigner, SigningKeyName, ToSigner } from "../../src/protocol/mod.ts";
import { keysOf, MessageSigner, SIGN_MS, SignerClient } from "../../src/signer_client/mod.ts";
import { FakeClock } from "../fake_clock.ts";
import { msgid } from "../ids.ts";
import { latin1, shownResults, verifyDkim } from "../e2e/kept_mail.ts";
import { readKeyFile } from "../../src/dkim_keys/mod.ts";

const granted = { message: msgid("0a0b0c0d"), grant: "0" };
const order = { ...granted, domain: "example.org", selector: "s", hash: new Uint8Array(32) };

/** The other side of the door. */
function signerDoor() {
  const asked: ToSigner[] = [];
  const channel: Channel<ToSigner, FromSigner> = {
    send: (question) => void asked.push(question),
    onmessage: () => {},
    onreset: () => {},
  };
  const answer = (fields: Omit<FromSigner, "type" | "call">) =>
    channel.onmessage({ type: "signed", call: asked.shift()!.call, ...fields });
  return { asked, channel, answer };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("a signer that was replaced is asked again, and one that has no such key yet a little later", async () => {
  const clock = new FakeClock(0), { asked, channel, answer } = signerDoor();
  const client = new SignerClient(channel, clock);
  const signed = client.sign(order, client.deadline());
  channel.onreset();
  await turn();
  assert.equal(asked.length, 2);
  asked.shift();
  answer({ signature: null, refusal: "key" });
  await turn();
  clock.advance(50);
  await turn();
  answer({ signature: new Uint8Array([1]) });
  assert.deepEqual(await signed, new Uint8Array([1]));
});

Deno.test("there is no signature from a signer that stays away, or refuses", async () => {
  const clock = new FakeClock(0), { channel, answer } = signerDoor();
  const client = new SignerClient(channel, clock);
  const late = client.sign(order, client.deadline());
  clock.advance(SIGN_MS);
  assert.equal(await late, null);
  const refused = new SignerClient(signerDoor().channel, clock);
  void refused;
  const spent = client.sign(order, client.deadline());
  answer({ signature: new Uint8Array([9]) });
  answer({ signature: null, refusal: "spent" });
  assert.equal(await spent, null);
});

const name = (domain: string, selector: string): SigningKeyName => {
  return { domain, selector, algorithm: "ed25519-sha256", headers: null, expireSeconds: null };
};

Deno.test("the keys are those of the domain, or of its nearest parent that has some", () => {
  const keys = [name("example.org", "a"), name("sub.example.org", "b"), name("example.org", "c"), name("org", "d")];
  const rows: readonly (readonly [string, string])[] = [
    ["example.org", "a c"],
    ["EXAMPLE.org", "a c"],
    ["x.y.example.org", "a c"],
    ["sub.example.org", "b"],
    ["a.sub.example.org", "b"],
    ["notexample.org", "d"],
    ["example.net", ""],
    ["", ""],
  ];
  for (const [domain, expected] of rows) {
    assert.equal((keysOf(domain, keys) ?? []).map(({ selector }) => selector).join(" "), expected, domain);
  }
});

Deno.test("keys with options of their own sign apart, and a message that cannot be signed fails", async () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const text = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const read = readKeyFile(text);
  assert.ok(read.ok);
  const keys = [
    name("example.org", "a"),
    { ...name("example.org", "b"), headers: ["from", "x-own"], expireSeconds: 86_400 },
  ];
  const now = () => Date.now();
  const key = createPrivateKey(text);
  const client = { deadline: () => 0, sign: (one: { hash: Uint8Array }) => Promise.resolve(signHash(key, one.hash)) };
  const header = "From: a@example.org\nX-Own: 1\nSubject: s\n";
  const sign = async (client: unknown) => {
    const signer = new MessageSigner({ keys: () => keys, client: client as SignerClient, now });
    signer.header(new TextEncoder().encode(header));
    signer.body(new TextEncoder().encode("body\n"));
    return await signer.finish(granted);
  };
  const result = await sign(client);
  assert.ok(result.kind === "signed");
  assert.deepEqual([result.domain, result.selectors], ["example.org", ["a", "b"]]);
  const octets = new TextEncoder().encode(`${result.fields}${header}\nbody\n`);
  const txt = () => Promise.resolve({ kind: "records", records: [read.record] } as const);
  assert.equal(shownResults(await verifyDkim(octets, { txt })), "example.org/a pass, example.org/b pass");
  assert.match(latin1(octets).replace(/\s/g, ""), /s=b;t=\d+;x=\d+;h=From:From:x-own;/);
  assert.deepEqual(await sign({ deadline: () => 0, sign: () => Promise.resolve(null) }), { kind: "failed" });
});
