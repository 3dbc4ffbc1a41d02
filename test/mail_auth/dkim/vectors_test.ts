import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { BodyCanonicalizer } from "../../../src/mail_auth/dkim/canonicalize_body.ts";
import { SignedHeader } from "../../../src/mail_auth/dkim/mod.ts";
import { headerFields } from "../../../src/mail_auth/header_fields.ts";
import { FixtureDns } from "../fixture_dns.ts";
import { octets, verify } from "./helper.ts";

/** RFC 6376 §A.2, with the line starts and the single space of errata 4926 and 3192. */
const RFC_6376 = `DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
`;
/** RFC 8463 §A.3. */
const RFC_8463 = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.

`;
const dns = new FixtureDns({
  "brisbane._domainkey.example.com": [{
    TXT: [
      "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ",
      "KBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt",
      "IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v",
      "/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi",
      "tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB",
    ],
  }],
  "brisbane._domainkey.football.example.com": [{
    TXT: "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
  }],
  "test._domainkey.football.example.com": [{
    TXT: "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" +
      "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC" +
      "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3" +
      "Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
  }],
});

Deno.test("verifier: the message of RFC 6376 appendix A passes", async () => {
  const [verdict] = await verify(RFC_6376, { dns });
  deepStrictEqual(verdict, {
    result: "pass",
    domain: "example.com",
    selector: "brisbane",
    identity: "joe@football.example.com",
    algorithm: "rsa-sha256",
    signature: "AuUoFEfD",
    reason: null,
    keyBits: 1024,
    testing: false,
  });
});

Deno.test("verifier: both signatures of RFC 8463 appendix A pass, and no longer once anything is changed", async () => {
  const results = async (message: string) =>
    (await verify(message, { dns })).map(({ selector, result, keyBits }) => `${selector} ${keyBits} ${result}`).join();
  strictEqual(await results(RFC_8463), "brisbane 256 pass,test 1024 pass");
  const failed = "brisbane 256 fail,test 1024 fail";
  strictEqual(await results(RFC_8463.replace("hungry", "angry")), failed);
  strictEqual(await results(RFC_8463.replace("dinner", "supper")), failed);
  strictEqual(await results(RFC_8463.replace("From:", "From: eve@example.net\nFrom:")), failed);
  // A blank more where one is, and a field that nothing speaks of, are no change.
  strictEqual(
    await results(RFC_8463.replace("game. ", "game.\t ").replace("To:", "X-Any: x\nTo:  ")),
    "brisbane 256 pass,test 1024 pass",
  );
});

function canonicalBody(form: "simple" | "relaxed", body: string): string {
  const pieces: Buffer[] = [];
  const canonicalizer = new BodyCanonicalizer(form, (octets) => pieces.push(Buffer.from(octets)));
  canonicalizer.update(octets(body));
  canonicalizer.finish();
  return Buffer.concat(pieces).toString();
}

Deno.test("canonical forms: the examples of RFC 6376 §3.4.5", () => {
  const header = octets("A: X\nB : Y\t\n\tZ  \n"), body = " C \nD \t E\n\n\n";
  const fields = (form: "simple" | "relaxed") =>
    Buffer.concat(new SignedHeader(headerFields(header)).select(["a", "b"], form)).toString();
  strictEqual(fields("relaxed"), "a:X\r\nb:Y Z\r\n");
  strictEqual(canonicalBody("relaxed", body), " C\r\nD E\r\n");
  strictEqual(fields("simple"), "A: X\r\nB : Y\t\r\n\tZ  \r\n");
  strictEqual(canonicalBody("simple", body), " C \r\nD \t E\r\n");
});

const bodies: readonly { body: string; simple: string; relaxed: string; because: string }[] = [
  { body: "", simple: "\r\n", relaxed: "", because: "an empty body has its own rule, §3.4.3 and §3.4.4" },
  { body: "\n\n\n", simple: "\r\n", relaxed: "", because: "empty lines at the end do not count" },
  { body: " \n\t\n", simple: " \r\n\t\r\n", relaxed: "", because: "lines of blanks are empty in the relaxed form" },
  { body: "a", simple: "a\r\n", relaxed: "a\r\n", because: "a line end is added" },
  { body: "a ", simple: "a \r\n", relaxed: "a\r\n", because: "blanks at the end of the last line end a line" },
  {
    body: "\n\na\n\nb\n\n",
    simple: "\r\n\r\na\r\n\r\nb\r\n",
    relaxed: "\r\n\r\na\r\n\r\nb\r\n",
    because: "only at the end",
  },
  { body: "a \t b\t\n", simple: "a \t b\t\r\n", relaxed: "a b\r\n", because: "blanks become one or none" },
  { body: "\ta\n", simple: "\ta\r\n", relaxed: " a\r\n", because: "a blank at the start stays" },
  { body: "ü\u00a0\n", simple: "ü\u00a0\r\n", relaxed: "ü\u00a0\r\n", because: "only SP and TAB are blanks" },
  { body: "a\rb\f\v\0\n", simple: "a\rb\f\v\0\r\n", relaxed: "a\rb\f\v\0\r\n", because: "other controls stay" },
  { body: ".\n..a\n", simple: ".\r\n..a\r\n", relaxed: ".\r\n..a\r\n", because: "dots mean nothing here" },
];
for (const { body, simple, relaxed, because } of bodies) {
  Deno.test(`canonical forms of the body ${JSON.stringify(body)}: ${because}`, () => {
    strictEqual(canonicalBody("simple", body), simple);
    strictEqual(canonicalBody("relaxed", body), relaxed);
  });
}
