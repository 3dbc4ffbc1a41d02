/** What the signer puts its name to: which fields, how often, and what may still be added on the way. */

import { match, strictEqual, throws } from "node:assert";
import { signHash } from "../../../src/mail_auth/dkim/mod.ts";
import { KEYS, NOW, octets, sign, verify } from "./helper.ts";

const MESSAGE = "From: a@example.org\nSubject: x\nSender: a@example.org\nList-Id: <l.example.org>\n\nHello.\n";

const signedNames = (fields: string) => /;h=([^;]*);/.exec(fields.replace(/\s/g, ""))![1]!.split(":");

const ADDED: readonly { readonly field: string; readonly want: "pass" | "fail" }[] = [
  ...["From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version"]
    .map((name) => ({ field: name, want: "fail" } as const)),
  { field: "Content-Type", want: "fail" },
  { field: "Content-Transfer-Encoding", want: "fail" },
  { field: "Sender", want: "pass" },
  { field: "List-Unsubscribe", want: "pass" },
  { field: "Received", want: "pass" },
];
for (const { field, want } of ADDED) {
  Deno.test(`signer: a ${field} that is added on the way is a ${want}`, async () => {
    const signature = await sign(MESSAGE, ["ed25519"]);
    const [verdict] = await verify(`${field}: added\n${signature}${MESSAGE}`);
    strictEqual(verdict!.result, want);
  });
}

Deno.test("signer: a Sender or List-Id that was there cannot be changed", async () => {
  const signed = await sign(MESSAGE, ["ed25519"]) + MESSAGE;
  for (const changed of [signed.replace("Sender: a", "Sender: b"), signed.replace("<l.", "<m.")]) {
    strictEqual((await verify(changed))[0]!.result, "fail");
  }
});

Deno.test("signer: From is signed whatever fields are asked for, and each signature says when it was made", async () => {
  const fields = await sign(MESSAGE, ["ed25519"], { oversigned: ["Subject"], signed: [], expiresInS: 60 });
  strictEqual(signedNames(fields).join(), "From,From,Subject,Subject");
  const seconds = Math.floor(NOW / 1000);
  match(fields.replace(/\s/g, ""), new RegExp(`;t=${seconds};x=${seconds + 60};`));
});

Deno.test("signer: of a message with a thousand fields some 250 are signed, and every name that is oversigned", async () => {
  const message = "To: b@example.net\n".repeat(1000) + MESSAGE;
  const names = signedNames(await sign(message, ["ed25519"]));
  strictEqual(names.length <= 270 && names.includes("Content-Type") && names.includes("From"), true, `${names.length}`);
  strictEqual((await verify(await sign(message, ["ed25519"]) + message))[0]!.result, "pass");
});

Deno.test("signHash() signs nothing but a SHA-256", () => {
  for (const name of ["rsa2048", "ed25519"]) {
    for (const text of ["", "x".repeat(20), "x".repeat(64)]) {
      throws(() => signHash(KEYS[name]!, octets(text)), /32 octets/);
    }
  }
});
