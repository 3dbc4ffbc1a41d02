/**
 * The admin listeners of a real daemon: tokens of smtpctl, the API on an address and on a unix socket, acts and their log lines, reload and end. All that it
 * answers is compared with its own description.
 */

import assert from "node:assert/strict";
import http from "node:http";
import { join } from "node:path";
import { freePort } from "../ports.ts";
import { Description } from "../admin/description.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon } from "./harness.ts";

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

type Place = { readonly port: number } | { readonly socketPath: string };
interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function ask(place: Place, path: string, { method = "GET", headers = {}, body }: Asking = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { ...place, host: "127.0.0.1", path, method, headers: { Host: "localhost", ...headers }, agent: false },
      (response) => {
        let text = "";
        response.on("data", (piece) => text += piece).on("end", () => {
          const isJson = /json/.test(response.headers["content-type"] ?? "");
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, text, json: isJson ? JSON.parse(text) : null });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Runs smtpctl, which must succeed. */
async function smtpctl(daemon: Daemon, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.tool("smtpctl", args);
  assert.equal(code, 0, stderr);
  return stdout;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

Deno.test("the admin API of a daemon: tokens, sockets, all routes as described, acts, reload and end", async (t) => {
  const [open, closed] = [{ port: freePort() }, { port: freePort() }];
  let socket = "";
  const config = ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    socket = join(folder, "admin.sock");
    return `admin listen on 127.0.0.1 port ${open.port}
admin listen on 127.0.0.1 port ${closed.port} auth
admin listen on socket "${socket}" mode 0660 hostname admin.${DOMAIN}
history keep 1d
listen on socket
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:1"
match from any for domain "${DOMAIN}" action "inbox"
match from any for any action "out"
`;
  };
  await withDaemon({ config, twoUsers: Deno.uid() === 0 }, async (daemon) => {
    const place = { socketPath: socket };
    const write = (await smtpctl(daemon, "admin", "token", "--write", "--name", "ops")).trim();
    const read = (await smtpctl(daemon, "admin", "token", "--read", "--expires", "1d")).trim();
    const description = new Description((await ask(open, "/api/v1/openapi.json")).json);
    /** Asks and compares the answer with the description. */
    const look = async (at: Place, method: string, path: string, asking: Asking = {}): Promise<Answer> => {
      const answer = await ask(at, `/api/v1/${path}`, { ...asking, method });
      description.check(method, `/api/v1/${path}`, answer);
      return answer;
    };
    const queued = await submit(daemon);

    await t.step("tokens are printed once, kept as hashes for root alone, and listed", async () => {
      assert.match(write, /^vp_[\w-]{43}$/);
      const path = join(daemon.folder, "state/admin-tokens.json");
      assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
      assert.ok(!Deno.readTextFileSync(path).includes(write.slice(3)));
      const [, second] = (await smtpctl(daemon, "admin", "tokens", "--json")).trim().split("\n").map((line) =>
        JSON.parse(line)
      );
      assert.deepEqual([second.name, second.scope, second.expired], ["token-1", "read", false]);
      for (
        const [args, fault] of [
          [["token", "--name", "ops"], /there is a token "ops" already/],
          [["token", "--read", "--write"], /give one of them/],
          [["token", "--name", "a b"], /is no name of a token/],
          [["token", "--expires", "soon"], /is no time/],
          [["revoke", "nobody"], /there is no token "nobody"/],
        ] as const
      ) {
        const { code, stdout, stderr } = await daemon.tool("smtpctl", ["admin", ...args]);
        assert.notEqual(code, 0);
        assert.match(stdout + stderr, fault);
      }
      assert.ok(!daemon.log.some((line) => line.includes("vp_")), "no token is in the log");
    });

    await t.step("every route of reading answers as described, on the socket as on the address", async () => {
      for (const [path, method] of description.routes) {
        if (method !== "get" || path.includes("{") || /events$/.test(path)) continue;
        for (const at of [open, place]) {
          const { status, text } = await look(at, "GET", path.replace("/api/v1/", ""));
          assert.equal(status, 200, `${path}: ${text}`);
        }
      }
      const { items } = (await look(open, "GET", "queue?limit=2")).json;
      assert.equal(items.length, 2);
      assert.equal((await look(open, "GET", `queue/${items[0].envelope}`)).json.sender, `a@${DOMAIN}`);
      const pages = [];
      for (let next: string | null = ""; next !== null;) {
        const page: Answer = await look(open, "GET", `queue?limit=2${next === "" ? "" : `&after=${next}`}`);
        pages.push(page.json.items.length);
        next = page.json.next;
      }
      assert.equal(pages.reduce((sum, one) => sum + one), 3);
      assert.deepEqual((await look(open, "GET", "queue?domain=none.example")).json, { items: [], next: null });
      assert.equal((await look(open, "GET", "queue?domain=FAR.example&state=pending")).json.items.length, 3);
      const [lane] = (await look(open, "GET", "lanes")).json.items;
      assert.match(lane.reason, /^[A-Z0-9].*\.$/);
    });

    await t.step("a session that is open is listed, until it ends", async () => {
      const begin = daemon.log.length;
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.net", "250");
      await client.say("MAIL FROM:<x@example.net> SIZE=x", "5");
      await daemon.logged(/ smtp failed-command /, begin);
      const { items } = (await look(open, "GET", "sessions")).json;
      assert.deepEqual([items.length, items[0].address, items[0].refused], [1, "127.0.0.1", 1]);
      const from = daemon.log.length;
      client.close();
      await daemon.logged(/ smtp disconnected /, from);
      assert.deepEqual((await look(open, "GET", "sessions")).json, { items: [], next: null });
    });

    await t.step("acts change the queue, are in the log by the name of the token, and need the scope", async () => {
      const [first, second] = queued;
      const act = (method: string, path: string, token: string | null, at: Place = place) =>
        look(at, method, path, token === null ? {} : { headers: bearer(token) });
      assert.equal((await act("POST", `queue/${first}/hold`, null)).status, 401);
      assert.equal((await act("POST", `queue/${first}/hold`, read)).status, 403);
      assert.deepEqual((await act("POST", `queue/${first}/hold`, write)).json, { count: 1, note: null });
      assert.equal((await look(open, "GET", `queue/${first}`)).json.state, "suspended");
      assert.equal((await act("POST", `queue/${first}/hold`, write)).status, 409);
      assert.equal((await act("POST", `queue/${first}/release`, write, closed)).json.count, 1);
      assert.equal((await act("POST", `queue/${first}/retry`, write)).status, 200);
      assert.equal((await act("DELETE", `queue/${second}`, write)).json.count, 1);
      assert.equal((await act("DELETE", `queue/${second}`, write)).status, 404);
      assert.equal((await look(open, "GET", `queue/${second}`)).status, 404);
      assert.equal((await act("POST", "pause/mta", write)).status, 200);
      assert.equal((await act("POST", "pause/mta", write)).status, 409);
      assert.deepEqual((await look(open, "GET", "overview")).json.paused, ["mta"]);
      assert.match((await look(open, "GET", "lanes")).json.items[0].reason, /paused/);
      assert.equal((await act("POST", "resume/mta", write)).status, 200);
      await daemon.logged(new RegExp(`^admin: admin:ops hold evpid=${first} envelopes=1$`));
      await daemon.logged(new RegExp(`^admin: admin:ops remove evpid=${second} envelopes=1$`));
      await daemon.logged(/^admin: admin:ops pause mta$/);
      assert.match(await smtpctl(daemon, "admin", "tokens"), /^ops\|write\|[^|]+\|never expires\|20/m);
      // What changes nothing has not happened: it makes no message of an id that nobody has.
      assert.equal((await act("POST", "queue/0123456789abcdef/retry", write)).status, 404);
      assert.deepEqual((await look(open, "GET", "messages?id=01234567")).json.items, []);
      const acts = daemon.log.filter((line) => line.startsWith("admin: admin:ops "));
      assert.deepEqual(acts.map((line) => line.split(" ")[2]), [
        "hold",
        "release",
        "retry",
        "remove",
        "pause",
        "resume",
      ]);
    });

    await t.step("a login, events while it lasts, and its end when the token is revoked", async () => {
      assert.equal((await look(closed, "GET", "overview")).status, 401);
      const login = { headers: { "Content-Type": "application/json" } };
      const refused = await look(closed, "POST", "session", { ...login, body: JSON.stringify({ token: "vp_x" }) });
      assert.equal(refused.status, 401);
      await daemon.logged(/^admin: admin:- login-refused from 127\.0\.0\.1$/);
      const { headers, json } = await look(closed, "POST", "session", {
        ...login,
        body: JSON.stringify({ token: write }),
      });
      const cookie = headers["set-cookie"]![0]!.split(";")[0]!;
      assert.equal((await look(closed, "GET", "overview", { headers: { Cookie: cookie } })).status, 200);
      assert.equal((await look(closed, "GET", "session", { headers: { Cookie: cookie } })).json.csrf, json.csrf);
      const events = listen(closed, cookie);
      assert.equal((await events.until(/event: overview\ndata: (.*)\n/)).includes('"rates":{'), true);
      await smtpctl(daemon, "admin", "revoke", "ops");
      assert.match(await events.until(/event: bye\ndata: (.*)\n/), /logged out/);
      assert.equal((await look(closed, "GET", "overview", { headers: { Cookie: cookie } })).status, 401);
      assert.equal((await look(closed, "GET", "overview", { headers: bearer(write) })).status, 401);
      assert.equal((await look(closed, "GET", "overview", { headers: bearer(read) })).status, 200);
    });

    await t.step("a message is found, and its story told with what was done by whom", async () => {
      const id = queued[0]!.slice(0, 8);
      const found = await until(
        () => look(open, "GET", `messages?from=a@${DOMAIN}&q=far.example&limit=1`),
        ({ json }) => json.items.length === 1,
      );
      assert.deepEqual([found.json.items[0].id, found.json.items[0].rcpts], [id, 3]);
      const story = await look(place, "GET", `messages/${id}?dialogue=1`);
      assert.equal(story.status, 200);
      assert.ok(story.json.headline.length > 0 && story.json.events.length > 5);
      assert.ok(story.json.lines.some(({ text }: { text: string }) => /ops/.test(text)), story.text);
      assert.equal((await look(open, "GET", "messages?from=nobody@none.example")).json.items.length, 0);
      for (
        const [path, status] of [
          ["messages/ffffffff", 404],
          ["messages/%3Cnone@x%3E", 404],
          ["messages/..%2f..", 404],
          [`messages/${id}?dialogue=2`, 400],
          ["messages?outcome=lost", 400],
          ["messages?since=whenever", 400],
          ["messages?limit=1001", 400],
          ["messages?before=made-up", 400],
          [`messages?q=${"x".repeat(1001)}`, 400],
          [`messages?q=${Array(40).fill("a").join("+")}`, 400],
          ["messages?q=*", 200],
        ] as const
      ) assert.equal((await look(open, "GET", path)).status, status, path);
    });

    await t.step("names and sites of others are refused; the name of the line is served", async () => {
      const get = (at: Place, headers: Record<string, string>) => look(at, "GET", "overview", { headers });
      assert.equal((await get(place, { Host: `admin.${DOMAIN}` })).status, 200);
      assert.equal((await get(open, { Host: `admin.${DOMAIN}` })).status, 421);
      assert.equal((await get(place, { Host: "evil.example" })).status, 421);
      assert.equal((await get(open, { "Sec-Fetch-Site": "cross-site" })).status, 403);
    });

    await t.step("a reload gives the socket other rights, and takes listeners away; the rest stays", async () => {
      assert.equal(Deno.lstatSync(socket).mode! & 0o777, 0o660);
      const text = Deno.readTextFileSync(daemon.configFile);
      Deno.writeTextFileSync(
        daemon.configFile,
        text.replace("mode 0660", "mode 0600 auth").replace(/^.*port \d+ auth\n/m, ""),
      );
      await smtpctl(daemon, "reload");
      assert.equal(Deno.lstatSync(socket).mode! & 0o777, 0o600);
      assert.equal((await look(place, "GET", "overview")).status, 401);
      assert.equal((await look(place, "GET", "overview", { headers: bearer(read) })).status, 200);
      await assert.rejects(ask(closed, "/health"));
      Deno.writeTextFileSync(daemon.configFile, text.replace(/^admin .*\n/gm, ""));
      await smtpctl(daemon, "reload");
      await assert.rejects(ask(place, "/health"));
      assert.throws(() => Deno.lstatSync(socket), Deno.errors.NotFound);
      Deno.writeTextFileSync(socket, "mine");
      Deno.writeTextFileSync(daemon.configFile, text);
      const { code, stdout } = await daemon.tool("smtpctl", ["reload"]);
      assert.equal(code, 1);
      assert.match(stdout, /smtpd\.conf:3: cannot listen on \S+: what lies there is no socket/);
      assert.equal(Deno.readTextFileSync(socket), "mine");
      Deno.removeSync(socket);
      // What a daemon that was killed has left.
      const stale = Deno.listen({ transport: "unix", path: `${socket}.stale` });
      Deno.renameSync(`${socket}.stale`, socket);
      stale.close();
      assert.ok(exists(socket));
      await smtpctl(daemon, "reload");
      assert.equal((await look(place, "GET", "overview")).status, 200);
    });
  });
  assert.equal(exists(socket), false, "the socket goes with the daemon");
});

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Queues a message for three recipients that cannot be reached. Returns the ids of its envelopes. */
async function submit(daemon: Daemon): Promise<string[]> {
  const from = daemon.log.length;
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.net", "250");
  await client.say(`MAIL FROM:<a@${DOMAIN}>`, "250");
  for (const user of ["x", "y", "z"]) await client.say(`RCPT TO:<${user}@far.example>`, "250");
  await client.say("DATA", "354");
  await client.say("Subject: x\r\n\r\nx\r\n.", "250");
  client.close();
  const ids = [];
  for (const count of [1, 2, 3]) {
    const line = await daemon.logged(/ smtp envelope evpid=/, from, count);
    ids.push(/evpid=(\w+)/.exec(line)![1]!);
  }
  for (const count of [1, 2, 3]) await daemon.logged(/ mta delivery .*result="TempFail"/, from, count);
  return ids;
}

/** Asks until the answer is as it is to be: the history is written a moment later. */
async function until(ask: () => Promise<Answer>, good: (answer: Answer) => boolean): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Listens to events. */
function listen(place: Place, cookie: string): { until(pattern: RegExp): Promise<string> } {
  let text = "", wake = () => {};
  http.get(
    {
      ...place,
      host: "127.0.0.1",
      path: "/api/v1/events",
      headers: { Host: "localhost", Cookie: cookie },
      agent: false,
    },
    (response) => response.on("data", (piece) => (text += piece, wake())),
  );
  return {
    until: async (pattern) => {
      for (;;) {
        const found = pattern.exec(text);
        if (found !== null) return found[1]!;
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
  };
}
