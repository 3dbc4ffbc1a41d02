/** The private handle of node:net still does what the handover needs of it. */

import assert from "node:assert/strict";
import net, { type AddressInfo } from "node:net";
import { adoptSocket, detachDescriptor } from "../../src/sockets/mod.ts";

Deno.test("detachDescriptor() and adoptSocket() move a live connection", async () => {
  const descriptors: number[] = [];
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    descriptors.push(detachDescriptor(socket));
    assert.equal(socket.destroyed, true, "this side let go");
    const adopted = adoptSocket(descriptors[0]!);
    adopted.on("data", (bytes) => adopted.end(`heard ${bytes}`));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.write("hello");
  let received = "";
  client.setEncoding("utf8");
  for await (const text of client) received += text;
  assert.equal(received, "heard hello");
  server.close();
});
