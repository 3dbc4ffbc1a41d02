/** The relay isolate in the real runtime: a worker that has the network and nothing else. */

import assert from "node:assert/strict";
import { DEFAULT_RELAY_LIMITS } from "../../src/config/defaults.ts";
import { type Envelope, type EnvelopeId, NO_DSN } from "../../src/envelope/mod.ts";
import { a, fakeDns, mx, ptr } from "../dns/fake_dns.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { ACTION } from "./world.ts";

const tlsFiles = {
  key: Deno.readTextFileSync(new URL("../smtp_client/fixtures/key.pem", import.meta.url)),
  cert: Deno.readTextFileSync(new URL("../smtp_client/fixtures/cert.pem", import.meta.url)),
};

interface Sent {
  readonly type: string;
  readonly call: number;
  readonly ids: EnvelopeId[];
  readonly outcome: { readonly result: string; readonly text: string };
}

Deno.test("a worker with net alone resolves, connects, does STARTTLS and delivers", async () => {
  const server = await fakeServer({ keywords: ["STARTTLS", "PIPELINING"], tls: tlsFiles });
  // The smarthost is a name, so that DNS over UDP is needed too.
  const dns = await fakeDns({ "mx.example.net": [a("127.0.0.1"), mx(1, "x")], "1.0.0.127.in-addr.arpa": [ptr("x")] });
  const worker = new Worker(new URL("../../workers/relay.ts", import.meta.url), {
    type: "module",
    deno: {
      permissions: {
        net: true,
        read: false,
        write: false,
        env: false,
        sys: ["networkInterfaces"],
        run: false,
        ffi: false,
        import: false,
      },
    },
  });
  const door = (name: string) => {
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ type: "door", name, peer: 0, life: 1, port: port2 }, [port2]);
    return port1;
  };
  try {
    const settings = {
      shared: { serverName: "me.example.org", version: "1", timeZone: "UTC", root: false },
      actions: { out: { ...ACTION, host: "hosts", tls: "verify", ca: "own" } },
      pki: {},
      ca: { own: tlsFiles.cert },
      limits: DEFAULT_RELAY_LIMITS,
      domainLimits: {},
      resolver: { servers: [{ address: "127.0.0.1", port: dns.port }], timeoutMs: 2_000, attempts: 1, hosts: [] },
      own: { names: [], listeners: [] },
    };
    const outcome = await new Promise<Sent["outcome"]>((resolve, reject) => {
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      const queue = door("relay-queue"), lookup = door("relay-lookup"), scheduler = door("scheduler-relay");
      queue.onmessage = (event) => {
        for (const message of event.data as Sent[]) {
          if (message.type === "outcome") return resolve(message.outcome);
          if (message.type === "open") queue.postMessage([opened(message)]);
        }
      };
      lookup.onmessage = (event) => {
        const url = `smtp://mx.example.net:${server.port}`;
        for (const { call } of event.data as Sent[]) lookup.postMessage([{ type: "smarthost", call, url }]);
      };
      worker.onmessage = (event) => {
        if (event.data.type !== "ready") return;
        scheduler.postMessage([{
          type: "job",
          mac: "",
          message: "00000001",
          action: "out",
          lane: "x.test",
          ids: ["0000000100000001"],
        }]);
      };
      worker.postMessage({ type: "start", role: "relay", index: 0, settings, verbose: false, traces: [] });
    });
    assert.deepEqual(outcome, { result: "ok", text: "250 2.0.0 queued" });
    assert.equal(server.sessions[0]!.secure, true);
    assert.equal(server.sessions[0]!.serverName, "mx.example.net");
    assert.ok(dns.queries.includes("udp A mx.example.net"));
  } finally {
    worker.terminate();
    await server.close();
    await dns.close();
  }
});

function opened({ call, ids }: Sent): unknown {
  const box = { local: "a", domain: "x.test" };
  const first = new TextEncoder().encode("Subject: x\n\nbody\n");
  const envelopes = ids.map((id): Envelope => ({
    id,
    sender: null,
    rcpt: box,
    dest: box,
    origin: {
      address: "192.0.2.1",
      hostname: "x.test",
      helo: "x.test",
      smtpname: "me.example.org",
      tag: "",
      username: "",
      authenticated: false,
    },
    dsn: NO_DSN,
    action: "out",
    agent: "mta",
    internal: false,
    createdAt: Date.now(),
    tries: 0,
    lastTryAt: 0,
    lastBounceAt: 0,
    errorLine: "",
    status: null,
    suspended: false,
  }));
  return { type: "opened", call, envelopes, bytes: first.length, chunks: 1, first };
}
