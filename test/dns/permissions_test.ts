/** The resolver in a worker that may reach nothing but its name server. */

import assert from "node:assert/strict";
import { a, fakeDns } from "./fake_dns.ts";

async function resolveInWorker(net: string[], port: number): Promise<string> {
  const worker = new Worker(new URL("./resolver_worker.ts", import.meta.url), {
    type: "module",
    deno: {
      permissions: { net, read: false, write: false, env: false, sys: false, run: false, ffi: false, import: false },
    },
  });
  try {
    return await new Promise((resolve) => {
      worker.onmessage = (event) => resolve(String(event.data));
      worker.onerror = (event) => {
        event.preventDefault();
        resolve(`worker died: ${event.message}`);
      };
      worker.postMessage(port);
    });
  } finally {
    worker.terminate();
  }
}

Deno.test("with the server and 0.0.0.0:0 in its net list a worker asks over UDP", async () => {
  const dns = await fakeDns({ "x.test": [a("192.0.2.1")] });
  assert.equal(await resolveInWorker([`127.0.0.1:${dns.port}`, "0.0.0.0:0"], dns.port), "192.0.2.1");
  assert.deepEqual(dns.queries, ["udp A x.test"]);
  await dns.close();
});

Deno.test("with the server alone in its net list a worker asks over TCP", async () => {
  const dns = await fakeDns({ "x.test": [a("192.0.2.1")] });
  assert.equal(await resolveInWorker([`127.0.0.1:${dns.port}`], dns.port), "192.0.2.1");
  assert.deepEqual(dns.queries, ["tcp A x.test"]);
  await dns.close();
});
