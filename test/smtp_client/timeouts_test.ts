/** How long the client waits for each step, by a clock that the test turns: RFC 5321 §4.5.3.2. */

import assert from "node:assert/strict";
import net from "node:net";
import { connectClient, TIMEOUTS, type Timeouts } from "../../src/smtp_client/mod.ts";
import { type Script, until } from "./fake_server.ts";
import { message, text, withClient } from "./with_client.ts";
import { FakeClock } from "../fake_clock.ts";

/** The kernel has what was written, and the client knows. */
const written = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
};

Deno.test("TIMEOUTS are those of RFC 5321 §4.5.3.2", () => {
  const { greetingMs, mailMs, rcptMs, dataMs, blockMs, endOfDataMs } = TIMEOUTS;
  const minutes = [greetingMs, mailMs, rcptMs, dataMs, blockMs, endOfDataMs].map((ms) => ms / 60_000);
  assert.deepEqual(minutes, [5, 5, 5, 2, 3, 10]);
});

const steps: { step: string; silent: string; limit: keyof Timeouts; messages?: number; lmtp?: boolean }[] = [
  { step: "EHLO", silent: "EHLO", limit: "commandMs" },
  { step: "MAIL", silent: "MAIL", limit: "mailMs" },
  { step: "RCPT", silent: "RCPT TO:<b@", limit: "rcptMs" },
  { step: "DATA", silent: "DATA", limit: "dataMs" },
  { step: "the end of the data", silent: ".", limit: "endOfDataMs", messages: 1 },
  { step: "the end of the data, of LMTP", silent: ".", limit: "endOfDataMs", messages: 1, lmtp: true },
];
for (const { step, silent, limit, messages = 0, lmtp = false } of steps) {
  for (const keywords of [[], ["PIPELINING"]]) {
    Deno.test(`the reply to ${step} may take ${limit}${keywords.length > 0 ? ", with PIPELINING" : ""}`, async () => {
      const clock = new FakeClock(0);
      let mute = false, answered = 0, read = 0;
      const script: Script = {
        keywords,
        lmtp,
        reply: (line) => {
          mute ||= line.startsWith(silent);
          if (!mute) answered++;
          return mute ? "" : undefined;
        },
        ...(silent === "." ? { dataReply: () => lmtp ? (answered++, "250 2.0.0 one") : "" } : {}),
      };
      await withClient(script, async (client, server) => {
        const done = client.hello("me").then(() => client.transaction(message(["a@x.net", "b@x.net"])), () => null);
        if (messages > 0) await until(() => server.messages().length === messages, "the message");
        else await until(() => server.lines().some((line) => line.startsWith(silent)), silent);
        await until(() => read === answered + 1 + (silent === "EHLO" ? 0 : keywords.length), "what it answered");
        await written();
        clock.advance(TIMEOUTS[limit] - 1);
        assert.equal(client.usable, true);
        clock.advance(1);
        assert.equal(client.usable, false);
        const result = await done;
        if (result !== null) assert.equal(result.error!.kind, "timeout");
        // What was answered stands.
        if (lmtp) assert.deepEqual(result!.recipients.map(({ outcome }) => outcome), ["ok", "tempfail"]);
      }, { timeouts: TIMEOUTS, clock, trace: (way) => read += way === "<<<" ? 1 : 0 });
    });
  }
}

Deno.test("the greeting may take greetingMs, the answer to QUIT quitMs", async () => {
  const clock = new FakeClock(0);
  const sockets: net.Socket[] = [];
  const received: string[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on("data", (bytes) => received.push(String(bytes)));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const connect = () => connectClient({ to: { host: "127.0.0.1", port }, timeouts: TIMEOUTS, clock });
  const silent = await connect();
  const greeting = silent.greeting();
  greeting.catch(() => {});
  clock.advance(TIMEOUTS.greetingMs - 1);
  assert.equal(silent.usable, true);
  clock.advance(1);
  await assert.rejects(greeting, { kind: "timeout" });

  const leaving = await connect();
  await until(() => sockets.length === 2, "the connection");
  sockets[1]!.write("220 hello\r\n");
  await leaving.greeting();
  const left = leaving.quit();
  await until(() => received.length === 1, "QUIT");
  await written();
  clock.advance(TIMEOUTS.quitMs - 1);
  assert.equal(leaving.usable, true);
  clock.advance(1);
  await left;
  assert.equal(leaving.usable, false);
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("a peer that stops reading in the middle of the data has blockMs, not endOfDataMs", async () => {
  const clock = new FakeClock(0);
  let deaf: net.Socket | null = null;
  const server = net.createServer((socket) => {
    deaf = socket;
    socket.on("error", () => {});
    socket.write("220 hello\r\n");
    socket.on("data", (bytes) => {
      if (String(bytes).includes("DATA")) {
        socket.pause();
        socket.write("354 go on\r\n");
      } else socket.write("250 ok\r\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const client = await connectClient({ to: { host: "127.0.0.1", port }, timeouts: TIMEOUTS, clock });
  await client.hello("me");
  const chunk = text("0123456789abcde\n".repeat(16 * 1024));
  const body = { bytes: chunk.length * 200, chunks: 200, chunk: () => chunk };
  let ended = false;
  const sent = client.transaction({ ...message(["a@x.net"]), body }).finally(() => ended = true);
  await until(() => deaf !== null, "the connection");
  // As long as the kernel takes blocks they count as progress.
  while (!ended) {
    await written();
    clock.advance(1_000);
  }
  const { error, recipients } = await sent;
  assert.equal(error!.kind, "timeout");
  assert.equal(recipients[0]!.outcome, "tempfail");
  assert.ok(clock.now() < TIMEOUTS.endOfDataMs, String(clock.now()));
  deaf!.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
