/**
 * Both ways against dkimpy, by one process of Python: what is signed here passes there and what is signed there passes here, in every canonical form,
 * and both judge alike what was changed on the way. DKIM_MESSAGES=10000 for more messages.
 */

import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { damage, generateMessage, Random } from "./generate.ts";
import { keyDns, KEYS, PEMS, RECORDS, sign, signLoosely, verify } from "./helper.ts";

const MESSAGES = Number(Deno.env.get("DKIM_MESSAGES") ?? 500);
const FORMS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"];
const library = `${Deno.cwd()}/.deno/tools/python3-dkim/usr/lib/python3/dist-packages`;

/** Whether Python finds dkimpy, unpacked or installed. */
async function hasDkimpy(): Promise<boolean> {
  const command = new Deno.Command("python3", {
    args: ["-c", "import dkim, nacl"],
    env: { PYTHONPATH: library },
    stdout: "null",
    stderr: "null",
  });
  return (await command.output().catch(() => ({ success: false }))).success;
}

interface Answer {
  /** Null for a header section that dkimpy does not read: a blank line that got a blank, so that the body stands in it. */
  readonly results?: readonly boolean[] | null;
  readonly fields?: readonly string[];
}

class Dkimpy implements AsyncDisposable {
  readonly #process = new Deno.Command("python3", {
    args: [new URL("./dkimpy.py", import.meta.url).pathname],
    env: { PYTHONPATH: library },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  readonly #writer = this.#process.stdin.getWriter();
  readonly #lines = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  #rest = "";

  async send(line: unknown): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(JSON.stringify(line) + "\n"));
  }

  async receive(): Promise<Answer> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return JSON.parse(line);
      }
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("dkimpy ended");
      this.#rest += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#lines.cancel();
    await this.#process.status;
  }
}

/** What Vaultpost does not take for passed, though the signature is right: dkimpy has no opinion on `l=`. */
const taken: readonly (string | null)[] = ["content that is not signed follows", "the body is shorter than l= says"];

const base64 = (octets: Uint8Array) => Buffer.from(octets).toString("base64");

/** With the line end that SMTP gives to what has none: dkimpy takes blanks at the end of a line without one for content. */
function asSent(message: Uint8Array): Uint8Array {
  return message.at(-1) === 0x0a ? message : Buffer.concat([message, Buffer.from("\n")]);
}

interface Case {
  readonly message: Uint8Array;
  /** Signed here, in every form and by the signer. */
  readonly signed: Uint8Array;
  readonly damaged: Uint8Array;
}

async function makeCase(random: Random, number: number): Promise<Case> {
  const message = generateMessage(random);
  const key = number % 10 === 0 ? KEYS.rsa1024! : KEYS.ed25519!;
  const names = ["From", "from", "To", "subject", "Subject", "Received", "X-Odd_1!", "Nothing"];
  const tags = { h: names.slice(0, 1 + random.below(names.length)).join(random.pick([":", " : ", ":\n "])) };
  let signatures = Buffer.from(await sign(message, ["ed25519"]));
  for (const c of FORMS) {
    const more = number % 10 === 0 ? { s: "rsa1024" } : random.below(8) === 0 ? { l: `${random.below(40)}` } : {};
    const field = signLoosely(message, { ...tags, ...more, c }, { key });
    signatures = Buffer.concat([field.subarray(0, field.length - message.length), signatures]);
  }
  const damaged = Buffer.concat([signatures, damage(random, message)]);
  return { message, signed: Buffer.concat([signatures, message]), damaged };
}

Deno.test({
  name: `dkimpy and Vaultpost agree on ${MESSAGES} messages in every canonical form, both ways`,
  ignore: !await hasDkimpy(),
  fn: async () => {
    const random = new Random(12);
    await using dkimpy = new Dkimpy();
    const records = Object.fromEntries(
      Object.entries(RECORDS).map(([name, text]) => [`${name}._domainkey.example.org`, text]),
    );
    const seed = KEYS.ed25519!.export({ type: "pkcs8", format: "der" }).subarray(-32).toString("base64");
    await dkimpy.send({ records, rsa: PEMS.rsa1024, ed25519: seed });
    const dns = keyDns();
    let passed = 0, failed = 0;
    const judge = async (message: Uint8Array) => {
      const verdicts = await verify(message, { dns, now: Date.now(), piece: 1 + random.below(5000) });
      return verdicts.map(({ result, reason }) => result === "pass" || taken.includes(reason));
    };
    const check = async (number: number, { message, signed, damaged }: Case) => {
      const where = (text: Uint8Array) => `message ${number}: ${JSON.stringify(Buffer.from(text).toString("latin1"))}`;
      const all = [true, true, true, true, true];
      deepStrictEqual((await dkimpy.receive()).results, all, where(signed));
      deepStrictEqual(await judge(signed), all, where(signed));
      const found = await judge(damaged);
      const { results } = await dkimpy.receive();
      if (results !== null) deepStrictEqual(results, found, where(damaged));
      for (const pass of results ?? []) pass ? passed++ : failed++;
      const { fields } = await dkimpy.receive();
      const theirs = Buffer.concat([...fields!.map((field) => Buffer.from(field, "base64")), message]);
      deepStrictEqual(await judge(theirs), [true, true, true, true], where(theirs));
    };
    // Some ahead, so that both processes work at the same time.
    const waiting: { readonly number: number; readonly made: Case }[] = [];
    for (let number = 0; number < MESSAGES; number++) {
      const made = await makeCase(random, number);
      await dkimpy.send({ verify: base64(asSent(made.signed)), count: 5 });
      await dkimpy.send({ verify: base64(asSent(made.damaged)), count: 5 });
      await dkimpy.send({
        sign: base64(asSent(made.message)),
        forms: FORMS,
        names: ["from", "to", "subject", "subject", "date", "x", "from"],
        rsa: number % 50 === 0,
        length: number % 7 === 0,
      });
      waiting.push({ number, made });
      if (waiting.length < 4) continue;
      const next = waiting.shift()!;
      await check(next.number, next.made);
    }
    for (const { number, made } of waiting) await check(number, made);
    // What was changed on the way is worth nothing as a test if it never, or always, breaks a signature.
    strictEqual(passed > MESSAGES && failed > MESSAGES / 2, true, `${passed} passed, ${failed} failed`);
  },
});
