/** Messages that are to be signed: never committed unsigned while the signer does not answer, nor signed without a grant. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { Event } from "../../src/events/mod.ts";
import { signHash } from "../../src/mail_auth/dkim/mod.ts";
import type { SignerClient } from "../../src/signer_client/mod.ts";
import type { ConnectionFacts, Session } from "../../src/smtp/session/state.ts";
import { signingBy } from "../../src/smtp/signing.ts";
import { msgid } from "../ids.ts";

const MESSAGE = msgid("0a0b0c0d"), SESSION = "0000000000000001";
const { privateKey } = generateKeyPairSync("ed25519");
const sessionWith = (...grants: readonly (string | undefined)[]) => {
  let accepted: unknown = null;
  for (const grant of grants) {
    const expansion = { ok: true, targets: [], internal: [], ...grant === undefined ? {} : { grant } };
    accepted = { expansion, before: accepted };
  }
  return { transaction: { accepted } } as unknown as Session;
};
const factsOf = (mailAuth: object | null) => ({ session: SESSION, mailAuth }) as unknown as ConnectionFacts;

function signing(options: { signs?: boolean; decidesLater?: boolean; keys?: number } = {}) {
  const { signs = true, decidesLater = false, keys = 1 } = options;
  const events: Event[] = [];
  const name = {
    domain: "example.org",
    selector: "s",
    algorithm: "ed25519-sha256",
    headers: null,
    expireSeconds: null,
  };
  const source = signingBy({
    keys: () => Array.from({ length: keys }, () => name as never),
    client: {
      deadline: () => 0,
      sign: ({ hash }: { hash: Uint8Array }) => Promise.resolve(signs ? signHash(privateKey, hash) : null),
    } as unknown as SignerClient,
    now: () => 0,
    emit: (event) => void events.push(event),
    decidesLater,
  });
  return { source, events };
}

async function finished(
  { source }: ReturnType<typeof signing>,
  before: Session,
  after: Session,
  header: string | null = "From: a@example.org\n",
) {
  const one = source(MESSAGE, before, factsOf({ trusted: null }))!;
  one.header(header === null ? null : new TextEncoder().encode(header));
  one.body(new TextEncoder().encode("body\n"));
  const result = await one.finish(after);
  return result.kind === "refused" ? `${result.code} ${result.text}` : new TextDecoder().decode(result.fields);
}

Deno.test("a message with a grant among its recipients is signed", async () => {
  const session = sessionWith(undefined, "0"), one = signing();
  assert.match(await finished(one, session, session), /^DKIM-Signature: v=1; a=ed25519-sha256; /);
  assert.deepEqual(one.events, [
    { type: "smtp-signed", session: SESSION, message: MESSAGE, domain: "example.org", selectors: ["s"] },
  ]);
});

Deno.test("a message that cannot be signed now is refused for now", async () => {
  const session = sessionWith("0"), one = signing({ signs: false });
  assert.equal(
    await finished(one, session, session),
    "451 4.7.0 Temporary Error: the message cannot be signed now",
  );
  assert.deepEqual(one.events.map((event) => "deferred" in event && event.deferred), [true]);
});

Deno.test("a message with a header that is too long goes unsigned, with a reason", async () => {
  const session = sessionWith("0"), one = signing();
  assert.equal(await finished(one, session, session, null), "");
  assert.deepEqual(one.events.map((event) => "reason" in event && event.reason), ["its header section is too long"]);
});

Deno.test("without a grant or a key nothing is looked at; where rules see what was found, the last word counts", async () => {
  const none = sessionWith(undefined), granted = sessionWith("0");
  assert.equal(signing().source(MESSAGE, none, factsOf({ trusted: null })), null);
  assert.equal(signing({ keys: 0 }).source(MESSAGE, granted, factsOf(null)), null);
  const later = signing({ decidesLater: true });
  assert.equal(later.source(MESSAGE, none, factsOf(null)), null, "this listener checks nothing");
  assert.match(await finished(later, none, granted), /^DKIM-Signature: /);
  assert.equal(await finished(signing({ decidesLater: true }), granted, none), "", "a grant that was taken back");
});
