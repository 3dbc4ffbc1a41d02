/** The admin pages, asked without a socket. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { ASSET_PATHS } from "../../src/admin/assets.ts";
import { appOf, ENVELOPES as all, sourceOf } from "./fakes.ts";

const ask = (path: string, init: RequestInit = {}, source = sourceOf()) => appOf(source)(path, init);

Deno.test("GET /health is 200 and says that all answer", async () => {
  const response = await ask("/health");
  equal(response.status, 200);
  deepEqual(await response.json(), {
    status: "ok",
    uptime: 61,
    paused: { mda: false, mta: false, smtp: false },
    answers: { queue: true, scheduler: true },
    reasons: [],
  });
});

Deno.test("GET /health is 503 with the reasons while mail is paused, the disk is full or an isolate is missing", async () => {
  const response = await ask(
    "/health",
    {},
    sourceOf({
      paused: () => ({ mda: true, mta: false, smtp: true }),
      health: () => Promise.resolve({ queue: true, scheduler: false }),
      refusals: () => Promise.resolve(["disk full: mail is refused with 452", "isolates that do not run: relay"]),
    }),
  );
  equal(response.status, 503);
  const { status, reasons } = await response.json();
  equal(status, "unavailable");
  deepEqual(reasons, [
    "scheduler does not answer",
    "mda is paused",
    "smtp is paused",
    "disk full: mail is refused with 452",
    "isolates that do not run: relay",
  ]);
});

Deno.test("GET /health is 503 when the queue does not answer", async () => {
  const health = () => Promise.resolve({ queue: false, scheduler: true });
  const response = await ask("/health", {}, sourceOf({ health }));
  equal(response.status, 503);
  equal((await response.json()).status, "unavailable");
});

Deno.test("GET /metrics is Prometheus' text: counters end with _total, gauges do not", async () => {
  const response = await ask("/metrics");
  equal(response.status, 200);
  match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  match(text, /^# TYPE vaultpost_scheduler_delivery_ok_total counter$/m);
  match(text, /^vaultpost_scheduler_delivery_ok_total 7$/m);
  match(text, /^# TYPE vaultpost_smtp_session gauge$/m);
  match(text, /^vaultpost_smtp_session 2$/m);
  match(text, /^vaultpost_uptime_seconds 61$/m);
  match(text, /^vaultpost_info\{version="0\.1\.0"\} 1$/m);
});

Deno.test("GET /metrics twice shows the same: nothing is counted by asking", async () => {
  const app = appOf();
  const first = await (await app("/metrics")).text();
  equal(await (await app("/metrics")).text(), first);
});

Deno.test("GET /api/queue gives pages until there is no more", async () => {
  const first = await (await ask("/api/queue?limit=2")).json();
  deepEqual(first.envelopes.map(({ id }: { id: string }) => id), all.slice(0, 2));
  equal(first.next, all[1]);
  equal(first.envelopes[0].sender, "<alice@example.org>");
  equal(first.envelopes[0].createdAt, "2023-11-14T22:13:20.000Z");
  equal(first.envelopes[0].lastTryAt, null);
  const second = await (await ask(`/api/queue?limit=2&after=${first.next}`)).json();
  deepEqual(second.envelopes.map(({ id }: { id: string }) => id), all.slice(2));
  equal(second.next, null);
});

for (const limit of ["0", "1001", "many", "-1", "1.5"]) {
  Deno.test(`GET /api/queue refuses limit=${limit}`, async () => {
    equal((await ask(`/api/queue?limit=${limit}`)).status, 400);
  });
}

Deno.test("GET / is the page: the same for everybody, with nothing of the daemon in it, and what it names is there", async () => {
  const response = await ask("/", {}, sourceOf({ diskErrors: () => Promise.reject(new Error("not asked")) }));
  equal(response.status, 200);
  const page = await response.text();
  const named = [...page.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, path]) => path!);
  ok(named.length > 3);
  const missing = new Set<string>();
  const follow = async (path: string): Promise<void> => {
    if (missing.has(path)) return;
    missing.add(path);
    const file = await ask(path);
    equal(file.status, 200, path);
    match(file.headers.get("content-type")!, /^(text\/(javascript|css)|image\/svg\+xml)/);
    const text = await file.text();
    for (const [, name] of text.matchAll(/\bfrom ?"(\.[^"]+)"/g)) {
      await follow(new URL(name!, `http://x${path}`).pathname);
    }
  };
  for (const path of named) await follow(`/${path}`);
  deepEqual([...missing].toSorted(), ASSET_PATHS.filter((path) => path !== "/").toSorted());
});

Deno.test("a browser keeps the files of the page, and is told by 304 that they are the same", async () => {
  const first = await ask("/page/app.js");
  equal(first.headers.get("cache-control"), "no-cache");
  const tag = first.headers.get("etag")!;
  match(tag, /^"[0-9a-f]{24}"$/);
  const again = await ask("/page/app.js", { headers: { "If-None-Match": `"x", W/${tag}` } });
  deepEqual([again.status, await again.text(), again.headers.get("etag")], [304, "", tag]);
  match(again.headers.get("content-security-policy")!, /script-src 'self'/);
  equal((await ask("/page/app.js", { headers: { "If-None-Match": '"other"' } })).status, 200);
  equal((await ask("/page/mod.ts")).status, 404);
});

const hosts = [
  { host: "127.0.0.1:8025", status: 200, because: "it is the address" },
  { host: "localhost:8025", status: 200, because: "localhost is always this machine" },
  { host: "LOCALHOST", status: 200, because: "names have no case" },
  { host: "[::1]:8025", status: 200, because: "so is ::1" },
  { host: "evil.example", status: 421, because: "a stranger's name may point here" },
  { host: "127.0.0.1.evil.example:8025", status: 421, because: "a name may look like an address" },
];
for (const { host, status, because } of hosts) {
  Deno.test(`Host: ${host} gets ${status}: ${because}`, async () => {
    equal((await ask("/health", { headers: { Host: host } })).status, status);
  });
}

for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
  Deno.test(`${method} gets 405: the pages are read-only`, async () => {
    const response = await ask("/api/queue", { method });
    equal(response.status, 405);
    equal(response.headers.get("allow"), "GET, HEAD");
  });
}

for (const path of ["/", "/health", "/page/style.css", "/nowhere"]) {
  Deno.test(`${path} has the security headers`, async () => {
    const { headers } = await ask(path);
    match(headers.get("content-security-policy")!, /default-src 'none'/);
    equal(headers.get("x-content-type-options"), "nosniff");
    equal(headers.get("x-frame-options"), "DENY");
    equal(headers.get("cache-control"), path === "/" || path.startsWith("/page/") ? "no-cache" : "no-store");
  });
}

Deno.test("an error is 503 and does not show its text", async () => {
  const queuePage = () => Promise.reject(new Error("secret path"));
  const response = await ask("/api/queue", {}, sourceOf({ queuePage }));
  equal(response.status, 503);
  const { type, detail } = await response.json();
  equal(type, "urn:vaultpost:problem:unavailable");
  ok(!detail.includes("secret"));
  equal(response.headers.get("x-frame-options"), "DENY");
});
