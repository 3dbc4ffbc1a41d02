/** Deliveries to an LMTP server, scripted, over TCP and over a unix socket. */

import assert from "node:assert/strict";
import net from "node:net";
import { DEFAULT_DEPS, type DeliveryDeps } from "../../src/delivery/attempt.ts";
import { TIMEOUTS, uniformTimeouts } from "../../src/smtp_client/mod.ts";
import { envelopeOf, withWorld, type World } from "./harness.ts";

const BODY = "Subject: hello\n\n.dot\nHi\n";

/** A server that answers by the verb, null for hanging up and undefined for silence; DATA's content is answered by `END`. Records what it receives. */
class LmtpServer {
  readonly lines: string[] = [];
  #awaited = new Map<string, () => void>();
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  constructor(answers: Record<string, string | null | undefined>) {
    const replies: Record<string, string | null | undefined> = {
      greeting: "220 ready",
      LHLO: "250-here\r\n250 8BITMIME",
      MAIL: "250 2.1.0 ok",
      RCPT: "250 2.1.5 ok",
      DATA: "354 go on",
      END: "250 2.0.0 kept",
      QUIT: "221 bye",
      RSET: "250 ok",
      ...answers,
    };
    this.#server = net.createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      // null: hangs up.
      const say = (reply: string | null | undefined) => {
        if (reply === null) socket.destroy();
        else if (reply !== undefined) socket.write(`${reply}\r\n`);
      };
      say(replies["greeting"]);
      let rest = "";
      let data = false;
      socket.on("data", (bytes) => {
        const lines = (rest + bytes).split("\r\n");
        rest = lines.pop()!;
        for (const line of lines) {
          this.lines.push(line);
          this.#awaited.get(line)?.();
          const verb = data ? (line === "." ? "END" : "") : line.slice(0, 4).toUpperCase();
          if (verb === "") continue;
          if (verb === "END") data = false;
          if (verb === "DATA" && replies["DATA"]?.startsWith("354")) data = true;
          if (verb in replies) say(replies[verb]);
        }
      });
    });
  }

  /** Resolves when it has received this line. */
  received(line: string): Promise<void> {
    return new Promise((resolve) => this.lines.includes(line) ? resolve() : this.#awaited.set(line, resolve));
  }

  listen(where: { port: number; host: string } | { path: string }): Promise<string> {
    return new Promise((resolve) => {
      this.#server.listen(where, () => {
        const address = this.#server.address();
        resolve(typeof address === "string" ? address : `${where_host(where)}:${(address as net.AddressInfo).port}`);
      });
    });
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
function where_host(where: { host: string } | { path: string }): string {
  return "host" in where ? (where.host.includes(":") ? `[${where.host}]` : where.host) : "";
}

async function withServer(
  answers: Record<string, string | null | undefined>,
  where: { port: number; host: string } | { path: string },
  rcptTo: boolean,
  work: (world: World, server: LmtpServer) => Promise<void>,
  tools?: Partial<DeliveryDeps>,
): Promise<void> {
  const server = new LmtpServer(answers);
  const destination = await server.listen(where);
  try {
    await withWorld(
      { method: { type: "lmtp", destination, rcptTo } },
      (world) => work(world, server),
      tools === undefined ? {} : { tools },
    );
  } finally {
    await server.close();
  }
}
const TCP = { port: 0, host: "127.0.0.1" };

Deno.test("LMTP over TCP: one dialogue, the account's name as recipient, the two lines in front", () =>
  withServer({}, TCP, false, async (world, server) => {
    const { outcome, event } = await world.send(envelopeOf(), BODY);
    assert.deepEqual(outcome, { result: "ok", text: "Delivered" });
    assert.equal(event.stat, "Delivered");
    assert.equal(server.lines[0], "LHLO localhost");
    assert.match(server.lines[1]!, /^MAIL FROM:<alice@example\.net>/);
    assert.deepEqual(server.lines.slice(2, server.lines.indexOf(".") + 1), [
      "RCPT TO:<bob>",
      "DATA",
      "Return-Path: <alice@example.net>",
      "Delivered-To: Bob@Example.org",
      "Subject: hello",
      "",
      "..dot",
      "Hi",
      ".",
    ]);
  }));

Deno.test("what the history is told: where it went, the reply, and of a refusal what was said", () =>
  withServer({ RCPT: "550-5.1.1 no\r\n550 5.1.1 such user" }, TCP, false, async (world) => {
    world.recording = true;
    const { event } = await world.send(envelopeOf(), BODY);
    const { session, durationMs, port, ...rest } = event.detail!;
    const status = { class: 5, code: "1.1" };
    assert.deepEqual(rest, { method: "lmtp", host: "127.0.0.1", code: 550, status, tries: 1 });
    assert.ok(durationMs! >= 0 && port! > 0);
    const dialogues = world.events.filter((one) => one.type === "dialogue");
    assert.deepEqual([dialogues[0]?.session, dialogues[0]?.message], [session, event.envelope.slice(0, 8)]);
    const lines = dialogues[0]!.lines.map(({ from, text }) => `${from[0]} ${text}`);
    assert.deepEqual(lines.slice(0, 2), ["s 220 ready", "c LHLO localhost"]);
    const at = lines.indexOf("c RCPT TO:<bob>");
    assert.deepEqual(lines.slice(at + 1, at + 3), ["s 550-5.1.1 no", "s 550 5.1.1 such user"]);
  }));

Deno.test("LMTP over IPv6 with rcpt-to: the recipient after expansion, the null sender as <>", () =>
  withServer({}, { port: 0, host: "::1" }, true, async (world, server) => {
    assert.equal((await world.send(envelopeOf({ sender: null }), BODY)).outcome.result, "ok");
    assert.match(server.lines[1]!, /^MAIL FROM:<>/);
    assert.equal(server.lines[2], "RCPT TO:<bob@example.org>");
  }));

Deno.test("LMTP over a unix socket, a body of several chunks", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    await withServer({}, { path: `${folder}/lmtp.sock` }, false, async (world, server) => {
      const chunks = ["A: b\n\n", "x".repeat(99) + "\n", ".y\n"].map((chunk) => new TextEncoder().encode(chunk));
      assert.equal((await world.send(envelopeOf(), chunks)).outcome.result, "ok");
      assert.deepEqual(server.lines.slice(server.lines.indexOf("A: b"), server.lines.indexOf(".") + 1), [
        "A: b",
        "",
        "x".repeat(99),
        "..y",
        ".",
      ]);
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

interface Failure {
  readonly answers: Record<string, string | null | undefined>;
  readonly result: string;
  /** Of the notice; 4.3.0 where nothing is said. */
  readonly status?: string;
  readonly stat: RegExp;
  readonly because: string;
}

const failures: Failure[] = [
  {
    answers: { RCPT: "550 5.1.1 no such user" },
    result: "permfail",
    status: "5.1.1",
    stat: /^Error \(service unavailable: 550 5\.1\.1 no such user\)$/,
    because: "a 5xx for the recipient is final",
  },
  {
    answers: { RCPT: "452 4.2.2 over quota" },
    result: "tempfail",
    status: "4.2.2",
    stat: /^Error \(temporary failure: 452 4\.2\.2 over quota\)$/,
    because: "a 4xx for the recipient is temporary",
  },
  {
    answers: { END: "554 5.7.1 spam" },
    result: "permfail",
    status: "5.7.1",
    stat: /^Error \(service unavailable: 554 5\.7\.1 spam\)$/,
    because: "a 5xx after the data is final",
  },
  {
    answers: { END: "450 4.2.0 later" },
    result: "tempfail",
    status: "4.2.0",
    stat: /450 4\.2\.0 later/,
    because: "a 4xx after the data is temporary",
  },
  {
    answers: { LHLO: "500 what" },
    result: "permfail",
    status: "5.3.0",
    stat: /500 what/,
    because: "it is no LMTP server",
  },
  { answers: { greeting: "421 busy" }, result: "tempfail", stat: /421 busy/, because: "it is too busy to talk" },
  { answers: { MAIL: "451 no" }, result: "tempfail", stat: /451 no/, because: "the sender is refused for now" },
  {
    answers: { END: null },
    result: "tempfail",
    status: "4.4.2",
    stat: /^Error \(temporary failure: /,
    because: "it hung up after the data",
  },
  {
    answers: { greeting: null },
    result: "tempfail",
    status: "4.4.2",
    stat: /^Error \(temporary failure: /,
    because: "it hung up at once",
  },
];
for (const { answers, result, status = "4.3.0", stat, because } of failures) {
  Deno.test(`LMTP with ${JSON.stringify(answers)} ends as ${result}: ${because}`, () =>
    withServer(answers, TCP, false, async (world) => {
      const { outcome, event } = await world.send(envelopeOf(), BODY);
      assert.equal(outcome.result, result);
      assert.ok("status" in outcome);
      assert.equal(`${outcome.status.class}.${outcome.status.code}`, status);
      assert.match(event.stat, stat);
      assert.equal(outcome.remote, "127.0.0.1", "RFC 3464 §2.3.5: who said so");
    }));
}

Deno.test("RFC 6531 §3.5: LMTP to a server that does not know SMTPUTF8 ends as 5.6.7", () =>
  withServer({}, TCP, false, async (world) => {
    const { outcome } = await world.send(
      envelopeOf({ handling: { smtpUtf8: true }, sender: { local: "josé", domain: "example.net" } }),
      BODY,
    );
    assert.ok(outcome.result === "permfail");
    assert.deepEqual(outcome.status, { class: 5, code: "6.7" });
  }));

Deno.test("LMTP to a socket that is not there is tried again later", () =>
  withWorld((home) => ({ method: { type: "lmtp", destination: `${home}/none`, rcptTo: false } }), async (world) => {
    const { outcome, event } = await world.send(envelopeOf(), BODY);
    assert.match(event.stat, /^Error \(temporary failure: .*none: No such file or directory\)$/);
    assert.ok(outcome.result === "tempfail");
    assert.deepEqual([outcome.status, outcome.remote], [{ class: 4, code: "4.1" }, undefined]);
  }));

Deno.test("LMTP to a port where nobody listens is 4.4.1, as of a relay, and names the server", () =>
  withWorld({ method: { type: "lmtp", destination: "127.0.0.1:1", rcptTo: false } }, async (world) => {
    const { outcome } = await world.send(envelopeOf(), BODY);
    assert.deepEqual(outcome, {
      result: "tempfail",
      text: "127.0.0.1 port 1: Connection refused",
      status: { class: 4, code: "4.1" },
      remote: "127.0.0.1",
    });
  }));

Deno.test("Who traces mta sees the dialogue of LMTP, who traces nothing sees nothing", () =>
  withServer({}, TCP, false, async (world) => {
    const traces = () => world.events.flatMap((event) => event.type === "trace" ? [event.text] : []);
    await world.send(envelopeOf(), BODY);
    assert.deepEqual(traces(), []);
    world.traced.add("mta");
    await world.send(envelopeOf(), BODY);
    for (const said of ["LHLO localhost", "MAIL FROM:<alice@example.net>", "RCPT TO:<bob>", "250 2.0.0 kept"]) {
      assert.ok(
        traces().some((line) => /^mta: [0-9a-f]{16}: /.test(line) && line.endsWith(` ${said}`)),
        traces().join("\n"),
      );
    }
    assert.ok(!traces().some((line) => line.includes("Hi")), "no content");
  }));

for (const [verb, step] of [["LHLO", "commandMs"], ["RCPT", "rcptMs"], ["END", "endOfDataMs"]] as const) {
  Deno.test(`LMTP that does not answer ${verb} is given up after ${step}, whatever the other steps may take`, () =>
    withServer({ [verb]: undefined }, TCP, false, async (world) => {
      const { outcome, event } = await world.send(envelopeOf(), BODY);
      assert.ok(outcome.result === "tempfail");
      assert.deepEqual([outcome.status, outcome.remote], [{ class: 4, code: "4.1" }, "127.0.0.1"]);
      assert.match(outcome.text, /^127\.0\.0\.1 port \d+: terminated; timeout$/);
      assert.equal(event.stat, "Error (terminated; timeout)");
    }, { timeouts: { ...uniformTimeouts(3_600_000), [step]: 20 } }));
}

Deno.test("LMTP may take all the time of RFC 5321 for each step: no limit for the whole cuts it short", () => {
  assert.equal(DEFAULT_DEPS.timeouts, TIMEOUTS);
});

for (const destination of ["localhost", "/run/x", "host:0", "host:99999", "[::1]:24", "[IPv6:::1]:24", "a b:24", ""]) {
  const good = !["host:0", "host:99999", "a b:24", ""].includes(destination);
  Deno.test(`An LMTP destination ${JSON.stringify(destination)} is ${good ? "understood" : "not understood"}`, async () => {
    const { parseLmtpDestination } = await import("../../src/delivery/planner.ts");
    assert.equal(parseLmtpDestination(destination) !== null, good);
  });
}
