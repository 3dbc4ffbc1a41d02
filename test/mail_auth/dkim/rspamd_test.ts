/** Both ways against rspamd: messages that are signed here pass there, and those signed there pass here. */

import { deepStrictEqual, ok } from "node:assert";
import { Buffer } from "node:buffer";
import { generateMessage, Random } from "./generate.ts";
import { keyDns, sign, verify } from "./helper.ts";
import { hasRspamd, Rspamd } from "./rspamd.ts";

const MESSAGES = 60;

/**
 * With a line end as SMTP gives, and the domain of From whose keys sign. Without what rspamd 3.4 reads in another way, and dkimpy does not: two fields of one
 * name, lines of blanks in the header section, a body of blanks alone.
 */
function messages(): readonly Uint8Array[] {
  const random = new Random(9);
  return Array.from({ length: MESSAGES }, () => {
    const text = Buffer.from(generateMessage(random)).toString("latin1").replaceAll("\0", "0");
    const whole = text.includes("\n\n") || text.startsWith("\n") ? text : `${text}\n`;
    const end = whole.startsWith("\n") ? 0 : whole.indexOf("\n\n") + 1;
    let fields = 0;
    const header = whole.slice(0, end).replace(/^[ \t]+\n/gm, "").replace(
      /^(?=[^\s:]+[ \t]*:)/gm,
      () => `X${fields++}-`,
    );
    const own = `From: a@example.org\nSubject:  a \t b \n ÿ \n${header}${whole.slice(end)}`;
    const seen = whole.slice(end).trim() === "" ? `${own}body` : own;
    return Buffer.from(seen.endsWith("\n") ? seen : `${seen}\n`, "latin1");
  });
}

for (const key of ["rsa2048", "ed25519"]) {
  Deno.test({
    name: `what is signed here with ${key} passes at rspamd, and what rspamd signs passes here`,
    ignore: !hasRspamd(),
    fn: async () => {
      await using rspamd = await Rspamd.start(key);
      for (const [number, message] of messages().entries()) {
        const where = `message ${number}: ${JSON.stringify(Buffer.from(message).toString("latin1").slice(0, 5000))}`;
        const signed = Buffer.concat([Buffer.from(await sign(message, [key])), message]);
        const { passed, refused } = await rspamd.scan(signed, "stranger");
        deepStrictEqual({ passed, refused }, { passed: [`example.org:s=${key}`], refused: [] }, where);
        const changed = Buffer.from(signed.toString("latin1").replace("\nFrom: a@", "\nFrom: x@"), "latin1");
        deepStrictEqual((await rspamd.scan(changed, "stranger")).passed, [], where);
        const { signature } = await rspamd.scan(message, "user");
        ok(signature !== null, where);
        const field = Buffer.from(`DKIM-Signature: ${signature.replaceAll("\r\n", "\n").trimEnd()}\n`);
        const verdicts = await verify(Buffer.concat([field, message]), { dns: keyDns(), now: Date.now() });
        deepStrictEqual(verdicts.map(({ result, reason }) => `${result} ${reason}`), ["pass null"], where);
      }
    },
  });
}
