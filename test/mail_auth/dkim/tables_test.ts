import { deepStrictEqual, strictEqual } from "node:assert";
import { createPublicKey } from "node:crypto";
import { base64Octets, parseKeyRecord, parseTagList } from "../../../src/mail_auth/dkim/mod.ts";
import { keyDns, KEYS, NOW, RECORDS, signLoosely, verify } from "./helper.ts";

const lists: readonly { text: string; want: Readonly<Record<string, string>> | null; because: string }[] = [
  { text: "a=1", want: { a: "1" }, because: "one is enough" },
  { text: "a=1;b=2;", want: { a: "1", b: "2" }, because: "the last semicolon is at will" },
  { text: " a = 1 ;\r\n\tb_2= x y \t;\n ", want: { a: "1", b_2: "x y" }, because: "blanks and folds stand around" },
  { text: "a=;b=", want: { a: "", b: "" }, because: "values may be empty" },
  { text: "a=b=c==", want: { a: "b=c==" }, because: "a value may have equals signs" },
  { text: "a=1;A=2", want: { a: "1", A: "2" }, because: "names are compared case by case" },
  { text: "n=ü", want: { n: "ü" }, because: "values may be beyond ASCII, RFC 8616 §5" },
  { text: "__proto__=1", want: null, because: "a name begins with a letter" },
  { text: "constructor=1", want: { constructor: "1" }, because: "any word is a name" },
  { text: "", want: null, because: "there is at least one" },
  { text: ";", want: null, because: "there is at least one" },
  { text: "a=1;;b=2", want: null, because: "an empty one is none" },
  { text: ";a=1", want: null, because: "an empty one is none" },
  { text: "a=1;a=1", want: null, because: "a name stands once" },
  { text: "a", want: null, because: "a value is missing" },
  { text: "=1", want: null, because: "a name is missing" },
  { text: "1a=1", want: null, because: "a name begins with a letter" },
  { text: "a b=1", want: null, because: "a name has no blanks" },
  { text: "a-b=1", want: null, because: "a name has no hyphen" },
  { text: "a=\0", want: null, because: "there are no controls" },
];
for (const { text, want, because } of lists) {
  Deno.test(`parseTagList(${JSON.stringify(text)}) is ${want === null ? "refused" : "taken"}: ${because}`, () => {
    const found = parseTagList(text);
    deepStrictEqual(found && Object.entries(Object.fromEntries(found)), want && Object.entries(want));
  });
}

Deno.test("base64Octets() takes folded base64 and no other text", () => {
  deepStrictEqual(base64Octets("AQ ID\r\n\tBA=="), new Uint8Array([1, 2, 3, 4]));
  deepStrictEqual(base64Octets("AQIDBA"), new Uint8Array([1, 2, 3, 4]));
  for (const text of ["A", "AQIDB", "AQ=ID", "AQ-_", "AQ===", "AQ.", "ü"]) strictEqual(base64Octets(text), null, text);
});

const longExponent = createPublicKey({
  key: { ...createPublicKey(KEYS.rsa1024 as unknown as string).export({ format: "jwk" }), e: "AQAAAAE" },
  format: "jwk",
}).export({ type: "spki", format: "der" });
const RSA = RECORDS.rsa2048!.replace("v=DKIM1; k=rsa; ", ""), ED25519 = RECORDS.ed25519!.replace(/.*p=/, "p=");
const pkcs1 = createPublicKey(KEYS.rsa2048 as unknown as string).export({ type: "pkcs1", format: "der" });
const records: readonly { text: string; want: string; because: string }[] = [
  { text: RECORDS.rsa2048!, want: "rsa 2048", because: "it is the usual record" },
  { text: RECORDS.ed25519!, want: "ed25519 256", because: "RFC 8463 §4" },
  { text: RSA, want: "rsa 2048", because: "all but p= has a default" },
  {
    text: `v=DKIM1; p=${pkcs1.toString("base64")}`,
    want: "rsa 2048",
    because: "RFC 6376 §3.6.1 asks for RSAPublicKey",
  },
  { text: RECORDS.rsa1016!, want: "rsa 1016", because: "its length is judged elsewhere" },
  { text: `K=x; ${RSA}; x=y; g=*`, want: "rsa 2048", because: "unknown tags are ignored" },
  { text: `v=DKIM1; h=sha1 : SHA256; s=other:email; ${RSA}`, want: "rsa 2048", because: "one of a list is enough" },
  { text: `v=DKIM1; s=*; ${RSA}`, want: "rsa 2048", because: "the key is for all" },
  { text: `v=DKIM1; t=y; ${RSA}`, want: "rsa 2048 testing", because: "the domain tries" },
  { text: `v=DKIM1; t=s:x; ${RSA}`, want: "rsa 2048 exact", because: "the key is for the domain itself" },
  { text: `v=DKIM1; n=\xfc; ${RSA}`, want: "rsa 2048", because: "notes are for people" },
  { text: `v=DKIM1; k=rsa; p=`, want: "the key is revoked", because: "RFC 6376 §3.6.1" },
  { text: `v=DKIM1; k=rsa`, want: "the key record has no key", because: "p= must be there" },
  { text: `v=DKIM2; ${RSA}`, want: "unknown version of the key record", because: "there is one version" },
  { text: `${RSA}; v=DKIM1`, want: "unknown version of the key record", because: "v= stands first" },
  { text: `v=DKIM1; k=ec; ${RSA}`, want: "unknown type of key", because: "there are two" },
  { text: `v=DKIM1; h=sha1; ${RSA}`, want: "the key is not for sha256", because: "RFC 8301 forbids sha1" },
  { text: `v=DKIM1; s=tlsrpt; ${RSA}`, want: "the key is not for mail", because: "it is for something else" },
  { text: `v=DKIM1; p=AQAB`, want: "the key cannot be read", because: "that is no key" },
  {
    text: `v=DKIM1; p=${longExponent.toString("base64")}`,
    want: "the key cannot be read",
    because: "its exponent of 33 bits would cost time",
  },
  { text: `v=DKIM1; p=*`, want: "the key cannot be read", because: "that is no base64" },
  { text: `v=DKIM1; ${ED25519}`, want: "the key cannot be read", because: "it is of another type than k= says" },
  { text: `v=DKIM1; k=ed25519; ${RSA}`, want: "the key cannot be read", because: "it is of another type than k= says" },
  { text: `v=DKIM1; k=ed25519; p=AQAB`, want: "the key cannot be read", because: "it has 32 octets" },
  { text: "v=spf1 -all", want: "unknown version of the key record", because: "it is another record" },
  { text: "", want: "syntax error in the key record", because: "it is empty" },
];
for (const { text, want, because } of records) {
  Deno.test(`parseKeyRecord(${text.slice(0, 50)}…) gives ${want}: ${because}`, () => {
    const parsed = parseKeyRecord(text);
    if (!parsed.ok) return strictEqual(parsed.reason, want);
    const { type, bits, testing, exactDomain } = parsed.record;
    strictEqual(`${type} ${bits}${testing ? " testing" : ""}${exactDomain ? " exact" : ""}`, want);
  });
}

const MESSAGE = "From: a@example.org\nSubject: x\nTo: b@example.net\n\nHello.\n";
const AT = Math.floor(NOW / 1000);
const RSA_1016 = { key: KEYS.rsa1016!, tags: { s: "rsa1016" } };

interface Row {
  readonly tags?: Readonly<Record<string, string | null>>;
  /** Of the key; default: Ed25519. */
  readonly key?: (typeof KEYS)[string];
  readonly wrap?: (tags: string) => string;
  /** What happens to the message on its way. */
  readonly change?: (message: string) => string;
  readonly zones?: Parameters<typeof keyDns>[0];
  readonly want: string;
  readonly because: string;
}

const key = (record: string, ...more: string[]) => ({
  "ed25519._domainkey.example.org": [record, ...more].map((TXT) => ({ TXT })),
});
const signatures: readonly Row[] = [
  { want: "pass", because: "all is right" },
  { tags: { c: "simple/simple" }, want: "pass", because: "all is right" },
  { tags: { c: "simple" }, want: "pass", because: "the body is simple when nothing is said" },
  { tags: { c: "relaxed/simple" }, want: "pass", because: "forms can be mixed" },
  { tags: { c: "simple/relaxed" }, want: "pass", because: "forms can be mixed" },
  { key: KEYS.rsa2048!, want: "pass", because: "RSA is allowed" },
  { key: KEYS.rsa1024!, tags: { s: "rsa1024" }, want: "pass", because: "RFC 8301 §3.2 allows 1024 bits" },
  { key: KEYS.rsa4096!, tags: { s: "rsa4096" }, want: "pass", because: "RFC 8301 §3.2 asks for 4096 bits" },
  { ...RSA_1016, want: "policy: the key has only 1016 bits", because: "RFC 8301 §3.2" },
  { tags: { q: "dns/txt:other" }, want: "pass", because: "one way is known" },
  { tags: { i: "joe@sub.EXAMPLE.org" }, want: "pass", because: "the identity may be below the domain" },
  { tags: { i: "@example.org" }, want: "pass", because: "the identity may be the domain" },
  { tags: { t: `${AT}`, x: `${AT + 9}` }, want: "pass", because: "the time has not come" },
  { tags: { t: `${AT - 900}`, x: `${AT - 200}` }, want: "pass", because: "clocks may differ by five minutes" },
  { tags: { z: "From:x|To:y" }, want: "pass", because: "copied fields are for people" },
  { tags: { r: "y", j: "1" }, want: "pass", because: "unknown tags are ignored" },
  { tags: { h: "From:from:FROM:Nothing:To" }, want: "pass", because: "h= may name what is not there" },
  { tags: { h: " From :\n\tTo " }, want: "pass", because: "h= may be folded" },
  { wrap: (tags) => tags.replaceAll("; ", ";\n\t"), want: "pass", because: "the field may be folded" },
  { wrap: (tags) => `\n ${tags} \n `, want: "pass", because: "the field may be folded anywhere" },
  { tags: { c: "simple/simple", s: "ed25519 " }, want: "pass", because: "blanks stand at the ends of a value" },
  { tags: { d: "EXAMPLE.org" }, want: "pass", because: "domains have no case" },
  { zones: key("v=spf1 -all", RECORDS.ed25519!), want: "pass", because: "another record stands beside it" },
  { zones: key(RECORDS.rsa2048!, RECORDS.ed25519!), want: "pass", because: "the key of the right type counts" },
  { zones: key(RECORDS.ed25519! + "; t=y"), want: "pass testing", because: "trying changes nothing" },
  { zones: key(RECORDS.ed25519! + "; t=s"), want: "pass", because: "the identity is of the domain itself" },
  { change: (mail) => mail.replace("b=", "b=\n \n\t "), want: "pass", because: "b= may be folded at will" },

  { change: (mail) => mail + "\n\n", want: "pass", because: "empty lines at the end do not count" },
  { change: (mail) => `Received: x\n${mail}`, want: "pass", because: "a field was added that nothing says of" },
  { change: (mail) => mail.replace("To: b", "to:\n b"), want: "pass", because: "the relaxed form has no folds" },
  { change: (mail) => mail + "x", want: "fail: the body was changed", because: "a line was added" },
  { change: (mail) => mail.replace("Hello", "hello"), want: "fail: the body was changed", because: "a letter changed" },
  {
    change: (mail) => mail.replace("Subject: x", "Subject: y"),
    want: "fail: the header was changed, or the key is another",
    because: "a signed field changed",
  },
  {
    change: (mail) => mail.replace("\nTo:", "\nFrom: d@example.net\nTo:"),
    want: "fail: the header was changed, or the key is another",
    because: "the lowest From is the signed one",
  },
  {
    tags: { h: "from:from:to" },
    change: (mail) => mail.replace("From:", "From: c@example.net\nFrom:"),
    want: "fail: the header was changed, or the key is another",
    because: "From was signed once more than it was there",
  },
  {
    tags: { c: "simple/simple" },
    change: (mail) => mail.replace("Subject: x", "Subject:  x"),
    want: "fail: the header was changed, or the key is another",
    because: "the simple form has all blanks",
  },
  {
    change: (mail) => mail.replace("a=ed25519-sha256", "a=ed25519-sha256; l=0"),
    want: "fail: the body was changed",
    because: "l= was added",
  },
  {
    zones: { "ed25519._domainkey.example.org": [{ TXT: RECORDS.ed25519!.replace(/p=.{4}/, "p=AAAA") }] },
    want: "fail: the header was changed, or the key is another",
    because: "the key is another",
  },

  {
    tags: { l: "8" },
    want: "fail: the body was changed",
    because: "one octet is missing",
    change: (mail) => mail.replace("Hello", "Hell"),
  },
  { tags: { l: "9" }, want: "fail: the body is shorter than l= says", because: "§3.5 forbids it" },
  { tags: { l: "8" }, want: "pass", because: "all of the body is signed" },
  { tags: { l: "0" }, want: "policy: content that is not signed follows", because: "nothing of the body is signed" },
  { tags: { l: "5" }, want: "policy: content that is not signed follows", because: "RFC 6376 §8.2" },
  {
    tags: { l: "8" },
    change: (mail) => mail + "<h1>Buy!</h1>\n",
    want: "policy: content that is not signed follows",
    because: "RFC 6376 §8.2",
  },
  { tags: { l: "9".repeat(76) }, want: "fail: the body is shorter than l= says", because: "it claims too much" },
  { tags: { l: "-1" }, want: "neutral: syntax error in l=", because: "that is no number" },

  { tags: { x: `${AT - 400}` }, want: "policy: the signature has expired", because: "its time is over" },
  { tags: { t: `${AT + 400}` }, want: "policy: the signature is of the future", because: "its time has not come" },
  { tags: { t: `${AT}`, x: `${AT}` }, want: "neutral: syntax error in x=", because: "it was never valid, §3.5" },
  { tags: { t: "soon" }, want: "neutral: syntax error in t=", because: "that is no number" },
  { tags: { x: "1e9" }, want: "neutral: syntax error in x=", because: "that is no number" },

  { tags: { v: null }, want: "neutral: the signature has no v=", because: "§6.1.1" },
  { tags: { v: "2" }, want: "neutral: unknown version of the signature", because: "there is one version" },
  { tags: { d: null }, want: "neutral: the signature has no d=", because: "§6.1.1" },
  { tags: { s: null }, want: "neutral: the signature has no s=", because: "§6.1.1" },
  { tags: { h: null }, want: "neutral: the signature has no h=", because: "§6.1.1" },
  { tags: { bh: null }, want: "neutral: the signature has no bh=", because: "§6.1.1" },
  { tags: { bh: "*" }, want: "neutral: syntax error in bh=", because: "that is no base64" },
  { tags: { b: "" }, want: "neutral: syntax error in b=", because: "nothing is there" },
  { tags: { b: "AQID" }, want: "fail: the header was changed, or the key is another", because: "that is no signature" },
  { tags: { d: "-" }, want: "neutral: syntax error in d=", because: "that is no name" },
  { tags: { s: "a b" }, want: "neutral: syntax error in s=", because: "that is no name" },
  { tags: { h: "From::To" }, want: "neutral: syntax error in h=", because: "a name is missing" },
  { tags: { h: "Subject:To" }, want: "permerror: From is not signed", because: "§5.4" },
  { tags: { i: "joe@other.org" }, want: "permerror: i= is not within d=", because: "§6.1.1" },
  { tags: { i: "joe@notexample.org" }, want: "permerror: i= is not within d=", because: "that is another domain" },
  { tags: { i: "joe" }, want: "neutral: syntax error in i=", because: "the domain is missing" },
  { tags: { q: "dns/http" }, want: "permerror: unknown way to ask for the key", because: "§3.5" },
  { tags: { a: "ed25519-sha512" }, want: "permerror: unknown algorithm", because: "nobody knows it" },
  { tags: { a: "rsa-sha1" }, want: "permerror: rsa-sha1 is no longer accepted", because: "RFC 8301 §3.1" },
  { tags: { a: "rsa-sha256" }, want: "permerror: the key is of another type", because: "§6.1.2" },
  { tags: { c: "relaxed/nowsp" }, want: "permerror: unknown canonicalization", because: "nobody knows it" },
  {
    tags: { d: "example.org; d=example.org" },
    want: "neutral: syntax error in the signature",
    because: "a tag stands twice",
  },

  { tags: { s: "nobody" }, want: "permerror: no key", because: "there is no such name" },
  {
    tags: { s: `${"a.".repeat(100)}a`, d: `${"b.".repeat(50)}org` },
    want: "permerror: the name of the key is too long",
    because: "DNS ends at 253",
  },
  {
    zones: { "ed25519._domainkey.example.org": ["TIMEOUT"] },
    want: "temperror: the key could not be asked for",
    because: "the DNS does not answer",
  },
  { zones: key("v=DKIM1; k=ed25519; p="), want: "permerror: the key is revoked", because: "§6.1.2" },
  { zones: key("v=DKIM1; k=ed25519; s=x; " + ED25519), want: "permerror: the key is not for mail", because: "§6.1.2" },
  {
    zones: key("v=DKIM1; k=ed25519; h=sha1; " + ED25519),
    want: "permerror: the key is not for sha256",
    because: "§6.1.2",
  },
  { zones: key("hello"), want: "permerror: syntax error in the key record", because: "§6.1.2" },
  {
    tags: { i: "@sub.example.org" },
    zones: key(RECORDS.ed25519! + "; t=s"),
    want: "permerror: the key is not for domains below its own",
    because: "§3.6.1",
  },
];
for (const [number, { tags, key, wrap, change, zones, want, because }] of signatures.entries()) {
  Deno.test(`verifier: signature ${number} is ${want}, because ${because}`, async () => {
    const signed = signLoosely(MESSAGE, tags, { ...(key && { key }), ...(wrap && { wrap }) });
    const text = new TextDecoder().decode(signed);
    const verdicts = await verify(change?.(text) ?? text, { dns: keyDns(zones) });
    const [{ result, reason, testing }] = verdicts as [(typeof verdicts)[number]];
    strictEqual(`${result}${reason === null ? "" : `: ${reason}`}${testing ? " testing" : ""}`, want, text);
    strictEqual(verdicts.length, 1);
  });
}

Deno.test("verifier: domains beyond ASCII are asked for and named as A-labels, RFC 8616", async () => {
  const zones = { "xn--s-eha._domainkey.xn--bcher-kva.example": [{ TXT: RECORDS.ed25519! }] };
  const signed = signLoosely(MESSAGE, { d: "bücher.example", s: "sü", i: "jürgen@x.bücher.example" });
  const [verdict] = await verify(signed, { dns: keyDns(zones) });
  strictEqual(verdict?.reason ?? null, null);
  strictEqual(verdict!.domain, "xn--bcher-kva.example");
  strictEqual(verdict!.selector, "xn--s-eha");
  strictEqual(verdict!.identity, "jürgen@x.bücher.example");
});

Deno.test("verifier: of several signatures the first ten count, and a key is asked for once", async () => {
  let signed = signLoosely(MESSAGE);
  for (let n = 1; n < 12; n++) signed = signLoosely(signed, n % 2 === 0 ? { s: "nobody" } : {});
  const dns = keyDns();
  const verdicts = await verify(signed, { dns });
  deepStrictEqual(verdicts.map(({ result }) => result), Array.from({ length: 5 }, () => ["pass", "permerror"]).flat());
  deepStrictEqual(dns.questions, [
    "TXT ed25519._domainkey.example.org",
    "TXT nobody._domainkey.example.org",
  ]);
});

Deno.test("verifier: a message without a signature has no verdicts, and asks nothing", async () => {
  const dns = keyDns();
  deepStrictEqual(await verify(MESSAGE, { dns }), []);
  deepStrictEqual(dns.questions, []);
});

Deno.test("verifier: a header section beyond 1 MiB is a permanent error", async () => {
  const [verdict] = await verify(`X: ${"x".repeat(1 << 20)}\n${MESSAGE}`);
  strictEqual(`${verdict?.result} ${verdict?.reason}`, "permerror the header section is too large");
});
