import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { BodyCanonicalizer } from "../../../src/mail_auth/dkim/canonicalize_body.ts";
import {
  BodyHashes,
  DkimVerifier,
  parseKeyRecord,
  parseTagList,
  verifySignature,
} from "../../../src/mail_auth/dkim/mod.ts";
import { keyDns, NOW, octets, RECORDS, sign, signLoosely, verify } from "./helper.ts";

const MESSAGE = "From: a@example.org\nSubject: x\nTo: b@example.net\n\nHello.\n";

/** The canonical form of RFC 6376 §3.4.3 and §3.4.4, written as the text says and for whole bodies. */
function reference(form: "simple" | "relaxed", body: string): string {
  let text = body.replaceAll("\n", "\r\n");
  if (text !== "" && !text.endsWith("\r\n")) text += "\r\n";
  if (form === "relaxed") text = text.replace(/[ \t]+/g, " ").replaceAll(" \r\n", "\r\n");
  while (text.endsWith("\r\n\r\n")) text = text.slice(0, -2);
  if (text === "\r\n") text = "";
  return text === "" && form === "simple" ? "\r\n" : text;
}

function canonical(form: "simple" | "relaxed", pieces: readonly Uint8Array[]): string {
  const found: Buffer[] = [];
  const canonicalizer = new BodyCanonicalizer(form, (octets) => found.push(Buffer.from(octets)));
  for (const piece of pieces) canonicalizer.update(piece);
  canonicalizer.finish();
  return Buffer.concat(found).toString("latin1");
}

Deno.test("canonical bodies: what comes in pieces comes out as the whole", () => {
  const piece = fc.array(fc.constantFrom("a", "b", " ", " ", "\t", "\n", "\n", "\r", "\0", "\xfc"), { maxLength: 12 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const given = pieces.map((text) => Buffer.from(text, "latin1"));
      for (const form of ["simple", "relaxed"] as const) {
        strictEqual(canonical(form, given), reference(form, pieces.join("")));
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("canonical bodies: runs longer than a piece are one run", () => {
  for (const run of [" ", "\t", "\n", " \n", "\n ", "a", "a\n", "a \n\n"]) {
    const body = "x" + run.repeat(66_000) + "y" + run.repeat(66_000);
    for (const form of ["simple", "relaxed"] as const) {
      strictEqual(
        canonical(form, [Buffer.from(body)]) === reference(form, body),
        true,
        `${form} ${JSON.stringify(run)}`,
      );
    }
  }
});

Deno.test("canonical bodies: empty lines that may be the end are not kept", () => {
  let octets = 0;
  for (const form of ["simple", "relaxed"] as const) {
    const canonicalizer = new BodyCanonicalizer(form, (piece) => octets += piece.length);
    const piece = new Uint8Array(1 << 20).fill(0x0a);
    const before = Deno.memoryUsage().rss;
    for (let n = 0; n < 24; n++) canonicalizer.update(piece);
    strictEqual(octets, 0);
    strictEqual(Deno.memoryUsage().rss - before < 16 << 20, true, "24 MB of empty lines were kept");
    canonicalizer.update(Buffer.from("x"));
    canonicalizer.finish();
    strictEqual(octets, 2 * 24 * (1 << 20) + 3);
    octets = 0;
  }
});

Deno.test("body hashes: a form is shared, a limit has its own hash", () => {
  const hashes = new BodyHashes();
  strictEqual(hashes.want("relaxed"), hashes.want("relaxed", null));
  const [whole, part, exact, longer] = [null, 3, 4, 5].map((limit) => hashes.want("simple", limit));
  strictEqual(part === whole, false);
  hashes.update(octets("ab"));
  hashes.update(octets("\n\n\n"));
  hashes.finish();
  hashes.finish();
  deepStrictEqual([whole, part, exact, longer].map((hash) => hash!.extent), ["whole", "part", "whole", "longer"]);
  deepStrictEqual(whole!.digest, exact!.digest);
  strictEqual(part!.matches(whole!.digest), false);
});

const PIECES =
  "v=1;a=rsa-sha256;ed25519-;b=;bh=;c=relaxed/simple;d=;example.org;h=from:;i=@;l=1;q=;s=;ed25519;t=0;x=9;\n ;\t;AQID;=;:;\0;ü"
    .split(";");
const tags = fc.array(fc.oneof(fc.constantFrom(...PIECES, ";", ";", "; "), fc.string({ maxLength: 4 })), {
  maxLength: 40,
})
  .map((parts) => parts.join(""));

Deno.test("tag lists, key records and signatures of any text are judged", async () => {
  await fc.assert(
    fc.asyncProperty(tags, tags, async (text, record) => {
      parseTagList(text);
      parseKeyRecord(record);
      parseKeyRecord(`${RECORDS.ed25519}${record}`);
      const zones = { "ed25519._domainkey.example.org": [{ TXT: record }] };
      for (const field of [text, `v=1; a=ed25519-sha256; d=example.org; s=ed25519; b=AQID; bh=AQID; h=from;${text}`]) {
        for (const verdict of await verify(`DKIM-Signature:${field}\n${MESSAGE}`, { dns: keyDns(zones) })) {
          strictEqual(["fail", "neutral", "permerror", "policy"].includes(verdict.result), true, verdict.result);
        }
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("key records with any change of their octets are judged, and what they verify", () => {
  const keys = ["rsa1024", "rsa2048", "ed25519"] as const;
  const change = fc.tuple(fc.nat(300), fc.nat(255));
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.array(change, { minLength: 1, maxLength: 4 }), (name, changes) => {
      const [start, data] = RECORDS[name]!.split("p=");
      const der = Buffer.from(data!, "base64");
      for (const [at, octet] of changes) der[at % der.length] = octet;
      const parsed = parseKeyRecord(`${start}p=${der.toString("base64")}`);
      if (parsed.ok) strictEqual(verifySignature(parsed.record, [der], new Uint8Array(128)), false);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("verifier: a DNS that fails against its word is a temporary error", async () => {
  const dns = { txt: () => Promise.reject(new Error("broken")) };
  const [verdict] = await verify(signLoosely(MESSAGE), { dns });
  strictEqual(verdict?.result, "temperror");
});

Deno.test("messages of any octets are judged, and what is signed passes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), async (header, body) => {
      const message = Buffer.concat([Buffer.from("From: x\n"), header, Buffer.from("\n\n"), body]);
      const signed = Buffer.concat([Buffer.from(await sign(message, ["ed25519"])), message]);
      deepStrictEqual((await verify(signed)).map(({ result }) => result), ["pass"]);
      const verifier = new DkimVerifier({ now: NOW, dns: keyDns() });
      verifier.header(Buffer.concat([header, signed]));
      verifier.body(body);
      await verifier.finish();
    }),
    { numRuns: 300 },
  );
});

Deno.test("one octet more or less, of the message or of its signature, does not pass", async () => {
  const signed = signLoosely(MESSAGE, { c: "simple/simple", h: "From:From:Subject:Subject:To:To" });
  const passed: string[] = [];
  for (let at = 0; at < signed.length; at++) {
    const changed = Buffer.from(signed);
    changed[at] = changed[at]! ^ 0x01;
    const [verdict] = await verify(changed);
    if (verdict?.result === "pass") {
      passed.push(Buffer.from(changed).toString("latin1").slice(Math.max(0, at - 5), at + 5));
    }
  }
  deepStrictEqual(passed, []);
});

Deno.test("what a sender may make long takes time in proportion to its length", async () => {
  const long = 1 << 18;
  const fields = [
    ["h=from", ":x"],
    ["h=from", ": \t"],
    ["h=", " "],
    ["", ";"],
    ["", "a=1;"],
    ["b=", "AQID\n "],
    ["", "\n\t"],
    ["i=", "@a."],
    ["d=", "a."],
    ["l=", "9"],
  ];
  for (const [start, part] of fields) {
    const field = start + part!.repeat(long / part!.length);
    const began = performance.now();
    await verify(`DKIM-Signature: v=1; a=ed25519-sha256; s=x; ${field}\n`.repeat(3) + MESSAGE);
    parseKeyRecord(field);
    const ms = performance.now() - began;
    strictEqual(ms < 5000, true, `${JSON.stringify(start! + part)} took ${ms} ms`);
  }
});

Deno.test("ten signatures over a large header section make each canonical form once", async () => {
  const header = `X: ${"a\t b \n\t".repeat(30_000)}\n`;
  let signed: Uint8Array = octets(`From: a@example.org\n${header}\nbody\n`);
  for (let n = 0; n < 10; n++) signed = signLoosely(signed, { h: "From:X" });
  const began = performance.now();
  const verdicts = await verify(signed);
  strictEqual(verdicts.filter(({ result }) => result === "pass").length, 10);
  strictEqual(performance.now() - began < 5000, true);
});

Deno.test("DKIM works in an isolate without permissions", async () => {
  const worker = new Worker(new URL("./confined_worker.ts", import.meta.url), {
    type: "module",
    deno: { permissions: "none" },
  });
  try {
    const answer = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => (event.preventDefault(), reject(new Error(event.message)));
      worker.postMessage(RECORDS.ed25519);
    });
    deepStrictEqual(answer, { result: "permerror", bits: 256 });
  } finally {
    worker.terminate();
  }
});
