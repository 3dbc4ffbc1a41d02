/** No socket is ever without a listener of its errors: neither by what the code says, nor while one is in use. */

import assert from "node:assert/strict";
import net, { type AddressInfo } from "node:net";
import { walk } from "../isolate/walk.ts";
import { connectSocket, createServer, firstError, withErrorListener } from "../../src/sockets/mod.ts";

const HOME = "src/sockets/sockets.ts";
/** What makes a socket: outside of sockets.ts only as the argument of withErrorListener(). */
const MAKERS =
  /\b(?:builtin\("node:)?(?:net(?:"\))?\.(?:connect|createConnection|createServer|Socket|Server)|tls(?:"\))?\.(?:connect|createServer|TLSSocket)|createSocket)\(/g;
const LISTENED = /withErrorListener\(\s*(?:new\s+)?$/;

Deno.test("every socket is made by sockets.ts or goes through withErrorListener() at once", async () => {
  const wrong: string[] = [];
  let found = 0;
  for await (const { path, text } of walk(["src", "workers"])) {
    if (path === HOME) continue;
    for (const match of text.matchAll(MAKERS)) {
      const before = text.slice(0, match.index);
      if (/(?:\/\/|\*).*$/.test(before.slice(before.lastIndexOf("\n") + 1))) continue;
      found++;
      if (!LISTENED.test(before)) wrong.push(`${path}:${before.split("\n").length}: ${match[0]}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(found >= 4, "the expression finds those that there are");
});

Deno.test("nobody removes the listeners of others: with its own the runtime gives memory back", async () => {
  const wrong: string[] = [];
  for await (const { path, text } of walk(["src", "workers"])) {
    if (text.includes("removeAllListeners(")) wrong.push(path);
  }
  assert.deepEqual(wrong, []);
});

Deno.test("withErrorListener() takes errors that come before and after all others have listened, and keeps the first", () => {
  const socket = withErrorListener(new net.Socket());
  assert.equal(firstError(socket), null);
  const listener = () => {};
  socket.on("error", listener).emit("error", new Error("one"));
  socket.off("error", listener).emit("error", new Error("two"));
  assert.equal(firstError(socket)?.message, "one");
});

Deno.test("connectSocket() and createServer(): both ends of a connection and the server listen for errors", async () => {
  let accepted!: (socket: net.Socket) => void;
  const other = new Promise<net.Socket>((resolve) => accepted = resolve);
  const server = createServer((socket) => accepted(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = connectSocket({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
  const socket = await other;
  for (const one of [server, client, socket]) assert.equal(one.listenerCount("error") > 0, true);
  assert.equal(socket.isPaused(), true);
  client.destroy();
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  // Nobody listens there any more.
  const late = connectSocket({ port: 1, host: "127.0.0.1" });
  await new Promise((resolve) => late.on("close", resolve));
  assert.equal((firstError(late) as NodeJS.ErrnoException).code, "ECONNREFUSED");
});
