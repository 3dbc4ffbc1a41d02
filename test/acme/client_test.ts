/** What a client of ACME makes of an authority's answers: a scripted directory, with nothing of a network. */

import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { AccountKey } from "../../src/acme/account_key.ts";
import { AcmeClient } from "../../src/acme/client.ts";
import { AcmeFailure } from "../../src/acme/failure.ts";
import { AnswerReader, type HttpRequest, type HttpResponse, HttpsClient } from "../../src/acme/http.ts";
import { obtain } from "../../src/acme/order.ts";
import { systemClock } from "../../src/clock.ts";

const ORIGIN = "https://ca.example", DIRECTORY = `${ORIGIN}/dir`;
type Answer = {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
};
const decode = (text: string) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(text, { alphabet: "base64url" })));

/** An authority that answers by path; each request is kept. */
function authority(paths: Readonly<Record<string, (request: HttpRequest, count: number) => Answer>>) {
  const requests: HttpRequest[] = [];
  let nonces = 0;
  const usual: typeof paths = {
    "/dir": () => ({
      body: {
        newNonce: `${ORIGIN}/nonce`,
        newAccount: `${ORIGIN}/account`,
        newOrder: `${ORIGIN}/order`,
        renewalInfo: `${ORIGIN}/ari`,
      },
    }),
    "/nonce": () => ({}),
    "/account": () => ({ status: 201, headers: { location: `${ORIGIN}/account/1` }, body: {} }),
    "/account/1": () => ({ body: {} }),
  };
  const request = (request: HttpRequest): Promise<HttpResponse> => {
    requests.push(request);
    const path = new URL(request.url).pathname;
    const count = requests.filter(({ url }) => url === request.url).length;
    const { status = 200, headers = {}, body = "" } =
      ({ ...usual, ...paths }[path] ?? ((): Answer => ({ status: 404 })))(
        request,
        count,
      );
    const all = { "replay-nonce": `n${++nonces}`, ...headers };
    return Promise.resolve({
      status,
      headers: new Map(Object.entries(all)),
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  };
  return { requests, client: new AcmeClient({ request }, DIRECTORY, systemClock) };
}

const problem = (type: string, detail: string) => ({ type: `urn:ietf:params:acme:error:${type}`, detail });

Deno.test("requests are signed by the key of the account, for their URL and with the last nonce", async () => {
  const { client, requests } = authority({});
  const key = await AccountKey.make();
  const account = await client.account(key, ["mailto:a@example.org"]);
  assert.equal(account.url, `${ORIGIN}/account/1`);
  await client.setContact(account, []);
  const [first, second] = requests.filter(({ method }) => method === "POST").map(({ body }) => JSON.parse(body!));
  const header = decode(first.protected);
  assert.deepEqual([header.alg, header.url, header.nonce, header.kid], ["ES256", `${ORIGIN}/account`, "n2", undefined]);
  assert.deepEqual(decode(first.payload), { termsOfServiceAgreed: true, contact: ["mailto:a@example.org"] });
  const later = decode(second.protected);
  assert.deepEqual([later.kid, later.nonce, later.jwk], [account.url, "n3", undefined]);
  const signed = new TextEncoder().encode(`${first.protected}.${first.payload}`);
  const signature = Uint8Array.fromBase64(first.signature, { alphabet: "base64url" });
  const publicKey = createPublicKey({ key: header.jwk, format: "jwk" });
  assert.ok(verify("sha256", signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature));
  assert.equal((await AccountKey.read(key.pem)).pem, key.pem);
});

Deno.test("a nonce that is refused is replaced, some times", async () => {
  const bad = { status: 400, body: problem("badNonce", "stale") };
  const { client, requests } = authority({
    "/account": (_request, count) => count < 4 ? bad : { headers: { location: `${ORIGIN}/account/1` }, body: {} },
  });
  await client.account(await AccountKey.make(), []);
  assert.equal(requests.filter(({ url }) => url.endsWith("/account")).length, 4);
  const never = authority({ "/account": () => bad });
  await assert.rejects(async () => never.client.account(await AccountKey.make(), []), /badNonce: stale/);
});

/** What the failure of an order says. */
const FAILURES: readonly {
  readonly name: string;
  readonly paths: Parameters<typeof authority>[0];
  readonly want: Partial<AcmeFailure>;
}[] = [
  {
    name: "a directory that is none",
    paths: { "/dir": () => ({ body: "<html>" }) },
    want: { kind: "refused", message: "the authority has no directory of ACME" },
  },
  {
    name: "a wrong path",
    paths: { "/dir": () => ({ status: 404, body: "404 page not found" }) },
    want: { kind: "refused", message: "the authority says 404: no reason given" },
  },
  {
    name: "an authority that wants other accounts",
    paths: {
      "/dir": () => ({
        body: { newNonce: "n", newAccount: "a", newOrder: "o", meta: { externalAccountRequired: true } },
      }),
    },
    want: {
      kind: "refused",
      message: "the authority wants accounts that were made elsewhere, which is not offered here",
    },
  },
  {
    name: "a rate limit",
    paths: {
      "/order": () => ({
        status: 429,
        headers: { "retry-after": "7200" },
        body: problem("rateLimited", "too many certificates"),
      }),
    },
    want: {
      kind: "refused",
      type: "rateLimited",
      retryAfterMs: 7_200_000,
      message: "the authority says 429 rateLimited: too many certificates",
    },
  },
  {
    name: "a rate limit that is none of ACME",
    paths: { "/order": () => ({ status: 429 }) },
    want: { kind: "refused", type: "rateLimited", retryAfterMs: null },
  },
  {
    name: "an authority that is out of order",
    paths: { "/order": () => ({ status: 503, headers: { "retry-after": "60" } }) },
    want: { kind: "unreached", retryAfterMs: 60_000 },
  },
  {
    name: "an account that is gone",
    paths: { "/order": () => ({ status: 400, body: problem("accountDoesNotExist", "who?") }) },
    want: { kind: "gone" },
  },
  {
    name: "names that are refused, each with its reason",
    paths: {
      "/order": () => ({
        status: 403,
        body: { ...problem("rejectedIdentifier", "no"), subproblems: [problem("caa", "CAA of a\nforbids it")] },
      }),
    },
    want: { message: "the authority says 403 rejectedIdentifier: no; CAA of a forbids it" },
  },
  {
    name: "an authorization that was revoked",
    paths: {
      "/order": () => ({
        headers: { location: `${ORIGIN}/order/1` },
        body: { status: "pending", authorizations: [`${ORIGIN}/authz`], finalize: `${ORIGIN}/f` },
      }),
      "/authz": () => ({
        body: { status: "deactivated", identifier: { type: "dns", value: "a.example" }, challenges: [] },
      }),
    },
    want: { message: "the authorization of a.example is deactivated: no reason given" },
  },
  {
    name: "a challenge that is not offered",
    paths: {
      "/order": () => ({
        headers: { location: `${ORIGIN}/order/1` },
        body: { status: "pending", authorizations: [`${ORIGIN}/authz`], finalize: `${ORIGIN}/f` },
      }),
      "/authz": () => ({
        body: { status: "pending", identifier: { type: "dns", value: "a.example" }, challenges: [] },
      }),
    },
    want: { message: "the authority does not offer http-01 for a.example" },
  },
  {
    name: "a token that is none",
    paths: {
      "/order": () => ({
        headers: { location: `${ORIGIN}/order/1` },
        body: { status: "pending", authorizations: [`${ORIGIN}/authz`], finalize: `${ORIGIN}/f` },
      }),
      "/authz": () => ({
        body: {
          status: "pending",
          identifier: { type: "dns", value: "a.example" },
          challenges: [{ type: "http-01", url: `${ORIGIN}/c`, token: "../../../etc/passwd", status: "pending" }],
        },
      }),
    },
    want: { message: "the authority answers something that is not of RFC 8555" },
  },
];

for (const { name, paths, want } of FAILURES) {
  Deno.test(`obtain(): ${name}`, async () => {
    const { client } = authority(paths);
    const responder = { present: () => Promise.resolve(), cleanUp: () => Promise.resolve() };
    const wanted = { names: ["a.example"], challenge: "http-01", keyType: "ecdsa", replaces: null } as const;
    const failure = await client.account(await AccountKey.make(), []).then((account) =>
      obtain(client, account, wanted, { responder, clock: systemClock })
    ).then(() => null, (error) => error);
    assert.ok(failure instanceof AcmeFailure, `${failure}`);
    for (const [key, value] of Object.entries(want)) assert.equal(failure[key as keyof AcmeFailure], value, key);
  });
}

Deno.test("the answer to a challenge is taken away when it fails, and a name is not asked about that is valid", async () => {
  const steps: string[] = [];
  let tried = false;
  const { client } = authority({
    "/order": () => ({
      headers: { location: `${ORIGIN}/order/1` },
      body: { status: "pending", authorizations: [`${ORIGIN}/a`, `${ORIGIN}/b`], finalize: `${ORIGIN}/f` },
    }),
    "/a": () => ({ body: { status: "valid", identifier: { type: "dns", value: "a.example" }, challenges: [] } }),
    "/b": () => ({
      body: {
        status: tried ? "invalid" : "pending",
        identifier: { type: "dns", value: "b.example" },
        challenges: [{
          type: "http-01",
          url: `${ORIGIN}/c`,
          token: "t".repeat(20),
          status: "pending",
          ...tried ? { error: problem("connection", "refused") } : {},
        }],
      },
    }),
    "/c": () => {
      steps.push("ready");
      tried = true;
      return { body: {} };
    },
  });
  const key = await AccountKey.make();
  const responder = {
    present: (name: string, _token: string, authorization: string) => {
      steps.push(`present ${name}`);
      assert.match(authorization, /^t{20}\.[A-Za-z0-9_-]{43}$/);
      return Promise.resolve();
    },
    cleanUp: (name: string) => {
      steps.push(`clean up ${name}`);
      return Promise.resolve();
    },
  };
  const wanted = { names: ["a.example", "b.example"], challenge: "http-01", keyType: "ecdsa", replaces: null } as const;
  const account = await client.account(key, []);
  await assert.rejects(
    () => obtain(client, account, wanted, { responder, clock: systemClock }),
    /http-01 for b\.example failed: refused/,
  );
  assert.deepEqual(steps, ["present b.example", "ready", "clean up b.example"]);
});

Deno.test("an order says what it replaces, and goes without that where the authority does not take it", async () => {
  const payloads: unknown[] = [];
  const { client } = authority({
    "/order": ({ body }, count) => {
      payloads.push(decode(JSON.parse(body!).payload).replaces);
      return count === 1
        ? { status: 409, body: problem("alreadyReplaced", "it was") }
        : { status: 403, body: problem("unauthorized", "end") };
    },
  });
  const account = await client.account(await AccountKey.make(), []);
  const responder = { present: () => Promise.resolve(), cleanUp: () => Promise.resolve() };
  const wanted = { names: ["a.example"], challenge: "http-01", keyType: "ecdsa", replaces: "key.serial" } as const;
  await assert.rejects(() => obtain(client, account, wanted, { responder, clock: systemClock }), /unauthorized/);
  assert.deepEqual(payloads, ["key.serial", undefined]);
});

Deno.test("renewalInfo() reads the window and when to ask again", async () => {
  const window = { start: "2026-03-01T00:00:00Z", end: "2026-03-02T00:00:00Z" };
  const { client } = authority({
    "/ari/key.serial": () => ({ headers: { "retry-after": "21600" }, body: { suggestedWindow: window } }),
    "/ari/other": () => ({ body: { suggestedWindow: { start: window.end, end: window.start } } }),
  });
  assert.deepEqual(await client.renewalInfo("key.serial"), {
    start: Date.UTC(2026, 2, 1),
    end: Date.UTC(2026, 2, 2),
    retryAfterMs: 21_600_000,
  });
  await assert.rejects(() => client.renewalInfo("other"), /not of RFC 8555/);
});

Deno.test("only the origin of the directory is asked", async () => {
  const http = new HttpsClient({
    origin: ORIGIN,
    ca: null,
    userAgent: "x",
    connect: () => Promise.reject(new Error("it is asked")),
  });
  for (
    const url of [
      "https://other.example/x",
      "http://ca.example/x",
      "https://ca.example:8443/x",
      "https://u@ca.example/x",
      "nonsense",
    ]
  ) {
    await assert.rejects(
      () => http.request({ method: "GET", url, body: null }),
      /names a URL that is not of https:\/\/ca\.example/,
    );
  }
});

/** Answers as they come: the octets, and what is read of them. */
const ANSWERS: readonly (readonly [name: string, text: string, body: string | null, fault?: string])[] = [
  ["with a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "ab"],
  ["in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", "abc"],
  ["not yet whole", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", null],
  ["behind one that is no answer yet", "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a"],
  ["of another protocol", "SSH-2.0-x\r\n\r\n", null, "it is no HTTP"],
  [
    "with chunks that are none",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    null,
    "its chunks are malformed",
  ],
  [
    "behind too many that are none yet",
    "HTTP/1.1 103 Hints\r\n\r\n".repeat(17),
    null,
    "it has too many interim answers",
  ],
  ["that is too large", "x".repeat(300_000), null, "it has more than 262144 octets"],
];

for (const [name, text, body, fault = null] of ANSWERS) {
  Deno.test(`an answer ${name}`, () => {
    for (const step of [1, text.length]) {
      if (step === 1 && text.length > 1000) continue;
      const reader = new AnswerReader("GET");
      for (let at = 0; at < text.length; at += step) reader.push(new TextEncoder().encode(text.slice(at, at + step)));
      assert.equal(reader.response?.body ?? null, body);
      assert.equal(reader.fault, fault);
    }
  });
}
