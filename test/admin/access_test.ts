/** Who may ask the admin application for what: scopes, logins, other sites, names and limits. Asked without a socket. */

import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import type { AdminActEvent } from "../../src/events/mod.ts";
import type { ConnectionFacts } from "../../src/admin/mod.ts";
import type { AdminToken } from "../../src/protocol/mod.ts";
import { FakeClock } from "../fake_clock.ts";
import { appOf, ENVELOPES, NOW, sourceOf, tokensOf } from "./fakes.ts";

const READ = "vp_read", WRITE = "vp_write", OLD = "vp_old";

/** An application with three tokens, of which one has expired, and what it reports. */
async function withTokens(clock = new FakeClock(NOW)) {
  let tokens: readonly AdminToken[] = await tokensOf({
    [READ]: { name: "reader", scope: "read" },
    [WRITE]: { name: "writer" },
    [OLD]: { name: "old", expiresAt: NOW - 1 },
  });
  const acts: Omit<AdminActEvent, "type">[] = [];
  const asked: string[] = [];
  const ask = appOf(
    sourceOf({
      tokens: () => Promise.resolve(tokens),
      act: (act) => void acts.push(act),
      ask: (request, by) => {
        asked.push(`${by} ${request.do}`);
        return Promise.resolve({ records: [], end: { ok: true, count: 1 } });
      },
    }),
    clock,
  );
  return { ask, acts, asked, clock, revoke: (name: string) => tokens = tokens.filter((one) => one.name !== name) };
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const problemOf = async (response: Response) => {
  equal(response.headers.get("content-type"), "application/problem+json");
  const { type, status, title, detail } = await response.json();
  equal(status, response.status);
  ok(title.length > 0 && /[.!]$/.test(detail), `a sentence on what to do: ${detail}`);
  return type.replace("urn:vaultpost:problem:", "");
};

const [ID] = ENVELOPES;
const WRITES: readonly (readonly [method: string, path: string])[] = [
  ["POST", `/api/v1/queue/${ID}/hold`],
  ["POST", `/api/v1/queue/${ID}/release`],
  ["POST", `/api/v1/queue/${ID}/retry`],
  ["POST", `/api/v1/queue/${ID!.slice(0, 8)}/hold`],
  ["DELETE", `/api/v1/queue/${ID}`],
  ["POST", "/api/v1/pause/mta"],
  ["POST", "/api/v1/resume/smtp"],
];
const READS = [
  "overview",
  "series",
  "queue",
  `queue/${ID}`,
  "lanes",
  "hosts",
  "sessions",
  "certificates",
  "checkup",
  "openapi.json",
];

for (
  const { who, headers, auth, reads, writes } of [
    { who: "nobody", headers: {}, auth: false, reads: 200, writes: 401 },
    { who: "nobody where a login is needed", headers: {}, auth: true, reads: 401, writes: 401 },
    { who: "a token that may read", headers: bearer(READ), auth: true, reads: 200, writes: 403 },
    { who: "a token that may write", headers: bearer(WRITE), auth: true, reads: 200, writes: 200 },
    { who: "a token that has expired", headers: bearer(OLD), auth: false, reads: 401, writes: 401 },
    { who: "a token that is none", headers: bearer("vp_nothing"), auth: false, reads: 401, writes: 401 },
    { who: "a password", headers: { Authorization: "Basic YTpi" }, auth: false, reads: 401, writes: 401 },
  ]
) {
  Deno.test(`${who} gets ${reads} for what is read and ${writes} for what changes something`, async () => {
    for (const path of READS) {
      // Tries to log in have a limit of their own.
      const { ask } = await withTokens();
      const response = await ask(`/api/v1/${path}`, { headers }, { auth });
      equal(response.status, reads, path);
      if (reads === 401) match(response.headers.get("www-authenticate")!, /^Bearer /);
      await response.body?.cancel();
    }
    for (const [method, path] of WRITES) {
      const { ask, asked } = await withTokens();
      const response = await ask(path, { method, headers }, { auth });
      equal(response.status, writes, `${method} ${path}`);
      equal(asked.length, writes === 200 ? 1 : 0);
      if (writes === 200) match(asked[0]!, /^admin:writer /);
      await response.body?.cancel();
    }
  });
}

for (const path of ["/metrics", "/api/queue", "/api/v1/events"]) {
  Deno.test(`${path} wants a token where reading needs a login`, async () => {
    const { ask } = await withTokens();
    equal(await problemOf(await ask(path, {}, { auth: true })), "login-needed");
    const response = await ask(path, { headers: bearer(READ) }, { auth: true });
    equal(response.status, 200);
    await response.body?.cancel();
  });
}

Deno.test("/health says whether all is well to everybody, and why only to who may read", async () => {
  const { ask } = await withTokens();
  deepEqual(await (await ask("/health", {}, { auth: true })).json(), { status: "ok" });
  ok("answers" in await (await ask("/health", { headers: bearer(READ) }, { auth: true })).json());
});

/** Logs in, and returns what a browser would send from then on. */
async function login(ask: Awaited<ReturnType<typeof withTokens>>["ask"], token: string, headers: HeadersInit = {}) {
  const response = await ask("/api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ token }),
  });
  equal(response.status, 200);
  const setCookie = response.headers.get("set-cookie")!;
  const { csrf, scope, name } = await response.json();
  return { setCookie, cookie: { Cookie: setCookie.split(";")[0]! }, csrf, scope, name };
}

Deno.test("a session: a cookie that only the page has, and a CSRF token for each change", async () => {
  const { ask, acts, asked } = await withTokens();
  const { setCookie, cookie, csrf, scope, name } = await login(ask, WRITE);
  deepEqual([scope, name], ["write", "writer"]);
  match(setCookie, /^vaultpost_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  deepEqual(await (await ask("/api/v1/session", { headers: cookie }, { auth: true })).json(), { scope, name, csrf });
  const hold = (headers: HeadersInit) => ask(`/api/v1/queue/${ID}/hold`, { method: "POST", headers });
  for (
    const headers of [cookie, { ...cookie, "X-CSRF-Token": "" }, { ...cookie, "X-CSRF-Token": csrf.slice(1) + "x" }]
  ) {
    equal(await problemOf(await hold(headers)), "csrf");
  }
  deepEqual(asked, []);
  equal((await hold({ ...cookie, "X-CSRF-Token": csrf })).status, 200);
  deepEqual(asked, ["admin:writer pause-envelope"]);
  // Another site cannot log anybody out.
  equal(await problemOf(await ask("/api/v1/session", { method: "DELETE", headers: cookie })), "csrf");
  const out = await ask("/api/v1/session", { method: "DELETE", headers: { ...cookie, "X-CSRF-Token": csrf } });
  match(out.headers.get("set-cookie")!, /^vaultpost_session=; .*Max-Age=0$/);
  equal((await hold({ ...cookie, "X-CSRF-Token": csrf })).status, 401);
  deepEqual(acts.map(({ by, act, what }) => [by, act, what]), [
    ["admin:writer", "login", "from 127.0.0.1"],
    ["admin:writer", "logout", undefined],
  ]);
});

Deno.test("a session by TLS, as the browser's own Origin says, has a cookie for TLS only; X-Forwarded-Proto is not believed", async () => {
  const { ask } = await withTokens();
  const tls = await ask("/api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", Host: "mx.example.org", Origin: "https://mx.example.org" },
    body: JSON.stringify({ token: WRITE }),
  });
  match(tls.headers.get("set-cookie")!, /; Secure$/);
  const { setCookie } = await login(ask, WRITE, { "X-Forwarded-Proto": "https" });
  ok(!setCookie.includes("Secure"));
});

Deno.test("a session ends with its token, after 30 minutes without a request, and after 12 hours", async () => {
  const { ask, clock, revoke } = await withTokens();
  const state = async (headers: HeadersInit) => (await (await ask("/api/v1/session", { headers })).json()).name;
  const [first, second] = [await login(ask, WRITE), await login(ask, READ)];
  clock.advance(29 * 60_000);
  equal(await state(first.cookie), "writer");
  clock.advance(29 * 60_000);
  equal(await state(first.cookie), "writer");
  equal(await state(second.cookie), null, "nothing came for 58 minutes");
  for (let minutes = 58; minutes < 12 * 60; minutes += 29) {
    equal(await state(first.cookie), "writer");
    clock.advance(29 * 60_000);
  }
  equal(await state(first.cookie), null, "12 hours are over");
  const third = await login(ask, WRITE);
  revoke("writer");
  equal(await state(third.cookie), null, "its token was revoked");
});

Deno.test("of one token at most 16 sessions are kept: the oldest ends for a new one", async () => {
  const clock = new FakeClock(NOW);
  const { ask } = await withTokens(clock);
  const cookies = [];
  for (let count = 0; count < 17; count++) {
    cookies.push((await login(ask, WRITE)).cookie);
    clock.advance(10_000);
  }
  const names = [];
  for (const headers of cookies) names.push((await (await ask("/api/v1/session", { headers })).json()).name);
  deepEqual(names, [null, ...Array(16).fill("writer")]);
});

Deno.test("tries to log in are counted, refused ones and others, by client and in all, and reported without the token", async () => {
  const { ask, acts, clock } = await withTokens();
  const attempt = (token: string, client: string) =>
    ask("/api/v1/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    }, { client });
  for (let count = 0; count < 10; count++) equal((await attempt("vp_guess", "192.0.2.1")).status, 401);
  const refused = await attempt(WRITE, "192.0.2.1");
  equal(refused.headers.get("retry-after"), "6");
  equal(await problemOf(refused), "rate");
  equal((await ask("/api/v1/overview", { headers: bearer("vp_guess") }, { client: "192.0.2.1" })).status, 429);
  equal((await ask("/api/v1/overview", { headers: bearer(WRITE) }, { client: "192.0.2.1" })).status, 200);
  equal((await attempt(WRITE, "192.0.2.2")).status, 200, "another client may");
  clock.advance(6_000);
  equal((await attempt(WRITE, "192.0.2.1")).status, 200, "and the same one later");
  ok(!JSON.stringify(acts).includes("vp_"));
  // Ten that were wrong, and that there were too many, once.
  deepEqual(acts.filter(({ act }) => act === "login-refused").length, 11);
  let all = 0;
  for (let count = 0; count < 80; count++) if ((await attempt("vp_guess", `198.51.100.${count}`)).status === 401) all++;
  ok(all >= 48 && all <= 60, `${all} of 80 clients could try`);
});

Deno.test("a client that asks too often gets 429 with Retry-After, and another does not", async () => {
  const { ask, clock } = await withTokens();
  const state = async (client: string) => (await ask("/health", {}, { client })).status;
  for (let count = 0; count < 200; count++) equal(await state("192.0.2.1"), 200);
  const refused = await ask("/api/v1/overview", {}, { client: "192.0.2.1" });
  equal(refused.headers.get("retry-after"), "1");
  equal(await problemOf(refused), "rate");
  equal(await state("192.0.2.2"), 200);
  clock.advance(1_000);
  for (let count = 0; count < 50; count++) equal(await state("192.0.2.1"), 200);
  equal(await state("192.0.2.1"), 429);
});

const SITES: readonly (readonly [because: string, headers: Record<string, string>, reads: number, writes: number])[] = [
  ["no browser", {}, 200, 200],
  ["the page", { "Sec-Fetch-Site": "same-origin", Origin: "http://127.0.0.1:8025" }, 200, 200],
  ["what someone typed", { "Sec-Fetch-Site": "none" }, 200, 200],
  ["another site", { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" }, 403, 403],
  ["another site without its name", { "Sec-Fetch-Site": "cross-site" }, 403, 403],
  ["another port", { "Sec-Fetch-Site": "same-site", Origin: "http://127.0.0.1:9999" }, 403, 403],
  ["an old browser at another site", { Origin: "http://evil.example" }, 403, 403],
  ["a sandbox", { Origin: "null" }, 403, 403],
  ["what is no origin", { Origin: "file:///x" }, 403, 403],
];
for (const [because, headers, reads, writes] of SITES) {
  Deno.test(`a request of ${because} gets ${reads} and ${writes}, whatever its token`, async () => {
    const { ask, asked } = await withTokens();
    const sent = { ...headers, ...bearer(WRITE), Host: "127.0.0.1:8025" };
    equal((await ask("/api/v1/overview", { headers: sent })).status, reads);
    equal((await ask(`/api/v1/queue/${ID}`, { method: "DELETE", headers: sent })).status, writes);
    equal(asked.length, writes === 200 ? 1 : 0);
  });
}

Deno.test("behind a proxy with TLS, Origin and Host have one name", async () => {
  const { ask } = await withTokens();
  const connection: Partial<ConnectionFacts> = { hostname: "admin.example.org", client: "uid:33" };
  const status = async (Host: string, Origin: string) =>
    (await ask(`/api/v1/queue/${ID}/hold`, { method: "POST", headers: { Host, Origin, ...bearer(WRITE) } }, connection))
      .status;
  equal(await status("admin.example.org", "https://admin.example.org"), 200);
  equal(await status("admin.example.org:443", "https://admin.example.org"), 200);
  equal(await status("admin.example.org", "https://admin.example.org:8443"), 403);
  equal(await status("localhost", "https://admin.example.org"), 403);
  equal(await status("other.example.org", "https://other.example.org"), 421);
});

for (
  const [host, status] of [
    ["mx.example.org", 200],
    ["MX.example.org:8025", 200],
    ["192.0.2.9", 200],
    ["[2001:db8::1]:80", 200],
    ["evil.example", 421],
    ["192.0.2.9.evil.example", 421],
    ["1.2.3", 421],
  ] as const
) {
  Deno.test(`on a unix socket, too, Host: ${host} gets ${status}`, async () => {
    const response = await appOf()("/api/v1/overview", { headers: { Host: host } }, { client: "uid:0" });
    equal(response.status, status);
    if (status === 421) equal(await problemOf(response), "wrong-host");
  });
}

const BAD: readonly (readonly [path: string, parameter: string])[] = [
  ["queue?limit=0", "limit"],
  ["queue?limit=1001", "limit"],
  ["queue?limit=1e2", "limit"],
  ["queue?limit=", "limit"],
  ["queue?after=x", "after"],
  ["queue?after=00000001aaaaaaaag", "after"],
  ["queue?message=1", "message"],
  ["queue?message=0000000G", "message"],
  ["queue?state=lost", "state"],
  ["queue?domain=", "domain"],
  [`queue?domain=${"a".repeat(256)}`, "domain"],
  ["queue?colour=red", "colour"],
  ["queue/1", "id"],
  ["queue/00000001AAAAAAAA", "id"],
  ["sessions?after=-1", "after"],
  ["sessions?after=9999999", "after"],
  ["sessions?limit=abc", "limit"],
  ["overview?x=1", "x"],
  ["series?hours=25", "hours"],
  ["series?hours=0", "hours"],
  ["series?minutes=61", "minutes"],
  ["lanes?__proto__=1", "__proto__"],
];
for (const [path, parameter] of BAD) {
  Deno.test(`GET ${path.slice(0, 60)} is 400 and names ${parameter}`, async () => {
    const response = await appOf()(`/api/v1/${path}`);
    equal(response.status, 400);
    const { errors, type } = await response.json();
    equal(type, "urn:vaultpost:problem:bad-request");
    deepEqual(errors.map((one: { parameter: string }) => one.parameter), [parameter]);
  });
}

for (
  const [method, path] of [
    ["POST", "queue/1/hold"],
    ["POST", "queue/00000000/hold"],
    ["POST", "queue/00000000aaaaaaaa/retry"],
    ["DELETE", "queue/all"],
    ["POST", "pause/all"],
    ["POST", "resume/__proto__"],
  ] as const
) {
  Deno.test(`${method} ${path} is 400: nothing is done to what is not named`, async () => {
    const { ask, asked } = await withTokens();
    const response = await ask(`/api/v1/${path}`, { method, headers: bearer(WRITE) });
    equal(response.status, 400);
    equal(await problemOf(response), "bad-request");
    deepEqual(asked, []);
  });
}

const BODIES: readonly (readonly [because: string, type: string, body: string, status: number])[] = [
  ["no body", "application/json", "", 400],
  ["no JSON", "application/json", "{", 400],
  ["no object", "application/json", "[]", 400],
  ["no token", "application/json", "{}", 400],
  ["an empty token", "application/json", '{"token":""}', 400],
  ["a token that is a number", "application/json", '{"token":1}', 400],
  ["a long token", "application/json", JSON.stringify({ token: "x".repeat(201) }), 400],
  ["other fields", "application/json", '{"token":"x","scope":"write"}', 400],
  ["a form", "application/x-www-form-urlencoded", "token=vp_write", 415],
  ["plain text", "text/plain", '{"token":"vp_write"}', 415],
];
for (const [because, type, body, status] of BODIES) {
  Deno.test(`a login with ${because} is ${status}`, async () => {
    const { ask } = await withTokens();
    const response = await ask("/api/v1/session", { method: "POST", headers: { "Content-Type": type }, body });
    equal(response.status, status);
    equal(response.headers.get("set-cookie"), null);
    await problemOf(response);
  });
}

for (
  const [method, path, allow] of [
    ["POST", "/api/v1/overview", "GET, HEAD"],
    ["PUT", `/api/v1/queue/${ID}`, "GET, HEAD, DELETE"],
    ["GET", `/api/v1/queue/${ID}/hold`, "POST"],
    ["PATCH", "/api/v1/session", "POST, GET, HEAD, DELETE"],
    ["OPTIONS", "/api/v1/session", "POST, GET, HEAD, DELETE"],
    ["DELETE", "/metrics", "GET, HEAD"],
  ] as const
) {
  Deno.test(`${method} ${path} is 405 and allows ${allow}`, async () => {
    const { ask } = await withTokens();
    const response = await ask(path, { method, headers: bearer(WRITE) });
    equal(response.status, 405);
    equal(response.headers.get("allow"), allow);
    equal(await problemOf(response), "method");
  });
}

Deno.test("an unknown path is 404 with a problem, and an error is 503 without its text or a stack", async () => {
  equal(await problemOf(await appOf()("/api/v1/nothing")), "not-found");
  const lanes = () => Promise.reject(new Error("secret /path"));
  const response = await appOf(sourceOf({ lanes }))("/api/v1/lanes");
  equal(response.status, 503);
  const text = await response.text();
  ok(!/secret|\bat \//.test(text), text);
});

Deno.test("every answer has the security headers, problems too", async () => {
  for (const path of ["/api/v1/overview", "/api/v1/nothing", "/api/v1/queue?limit=0", "/health"]) {
    const { headers } = await appOf()(path);
    match(headers.get("content-security-policy")!, /default-src 'none'; script-src 'self'; style-src 'self';/);
    ok(!headers.get("content-security-policy")!.includes("unsafe"));
    deepEqual(
      [
        "x-content-type-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "cache-control",
      ]
        .map((name) => headers.get(name)),
      ["nosniff", "no-referrer", "same-origin", "same-origin", "no-store"],
    );
    equal(headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("the value of a cookie is new with each login, and one that somebody made up is nobody's", async () => {
  const { ask } = await withTokens();
  const one = await login(ask, WRITE), other = await login(ask, WRITE, one.cookie);
  notEqual(one.cookie.Cookie, other.cookie.Cookie);
  const headers = { Cookie: "vaultpost_session=made-up" };
  deepEqual(await (await ask("/api/v1/session", { headers })).json(), { scope: "read", name: null, csrf: null });
});

Deno.test("what is not answered in 9 seconds is 503, and says that it may be asked again", async () => {
  const ask = appOf(sourceOf({ lanes: () => new Promise(() => {}) }));
  const waiting = ask("/api/v1/lanes");
  await new Promise((resolve) => setTimeout(resolve));
  ask.clock.advance(9_000);
  const response = await waiting;
  equal(response.status, 503);
  equal(await problemOf(response), "unavailable");
});

Deno.test("HEAD of the events begins no stream", async () => {
  const ask = appOf();
  for (let count = 0; count < 20; count++) {
    const response = await ask("/api/v1/events", { method: "HEAD" });
    deepEqual([response.status, response.body], [200, null]);
    match(response.headers.get("content-type")!, /^text\/event-stream/);
  }
});
