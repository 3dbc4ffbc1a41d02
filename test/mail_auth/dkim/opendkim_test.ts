/** Both ways against opendkim: messages that are signed here pass there, and those signed there pass here. */

import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { generateMessage, Random } from "./generate.ts";
import { keyDns, sign, signLoosely, verify } from "./helper.ts";
import { hasOpendkim, Opendkim } from "./opendkim.ts";

const MESSAGES = 60;
const FORMS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"];

/** Without NUL, which ends a header field in the protocol of milters; with a body, and a line end as SMTP gives. */
function messages(): readonly Uint8Array[] {
  const random = new Random(8);
  return Array.from({ length: MESSAGES }, () => {
    const text = Buffer.from(generateMessage(random)).toString("latin1").replaceAll("\0", "0");
    const whole = text.includes("\n\n") || text.startsWith("\n") ? text : `${text}\n`;
    // It looks for the domain of From.
    const own = whole.replace(/^From:/m, "From: a@example.org,");
    return Buffer.from(own.endsWith("\n") ? own : `${own}\n`, "latin1");
  });
}

/** What Authentication-Results say of each signature. */
function results(value: string): string[] {
  return [...value.matchAll(/dkim=(\w+)/g)].map((match) => match[1]!);
}

Deno.test({
  name: "opendkim passes what is signed here, and refuses what was changed",
  ignore: !hasOpendkim(),
  fn: async () => {
    await using opendkim = await Opendkim.start({ mode: "verify" });
    for (const [number, message] of messages().entries()) {
      let signed = Buffer.concat([Buffer.from(await sign(message, ["rsa2048", "ed25519"])), message]);
      const form = FORMS[number % FORMS.length]!;
      signed = Buffer.from(signLoosely(signed, { c: form, h: "From:To:Subject:Subject:X:From" }));
      const judged = async (text: Uint8Array) =>
        results((await opendkim.filter(text)).find(({ name }) => name === "Authentication-Results")?.value ?? "");
      const where = `message ${number}: ${JSON.stringify(signed.toString("latin1").slice(0, 5000))}`;
      deepStrictEqual(await judged(signed), ["pass", "pass", "pass"], where);
      const changed = Buffer.from(signed.toString("latin1").replace("\nFrom:", "\nFrom: x"), "latin1");
      deepStrictEqual((await judged(changed)).includes("pass"), false, where);
    }
  },
});

// Its signatures with a simple header pass neither with dkimpy nor with opendkim itself (2.11.0).
for (const form of ["relaxed/simple", "relaxed/relaxed"]) {
  for (const key of form === "relaxed/relaxed" ? ["rsa2048", "ed25519"] : ["ed25519"]) {
    Deno.test({
      name: `what opendkim signs as ${form} with ${key} passes here`,
      ignore: !hasOpendkim(),
      fn: async () => {
        await using opendkim = await Opendkim.start({ mode: "sign", key, form });
        for (const [number, message] of messages().entries()) {
          const fields = (await opendkim.filter(message)).filter(({ name }) => name === "DKIM-Signature");
          strictEqual(fields.length, 1, `message ${number} was not signed`);
          const signed = Buffer.concat([
            Buffer.from(`DKIM-Signature:${fields[0]!.value.replace(/^ ?/, " ")}\n`),
            message,
          ]);
          const verdicts = await verify(signed, { dns: keyDns(), now: Date.now() });
          deepStrictEqual(
            verdicts.map(({ result, reason }) => `${result} ${reason}`),
            ["pass null"],
            `message ${number}: ${JSON.stringify(signed.toString("latin1").slice(0, 5000))}`,
          );
        }
      },
    });
  }
}
