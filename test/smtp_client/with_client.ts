/** A client with a scripted server on loopback, and messages for it. */

import {
  bodyOf,
  type Client,
  connectClient,
  type Timeouts,
  type Trace,
  type Transaction,
  uniformTimeouts,
} from "../../src/smtp_client/mod.ts";
import { type FakeServer, fakeServer, type Script } from "./fake_server.ts";
import type { Clock } from "../../src/clock.ts";

export const tlsFiles = {
  key: Deno.readTextFileSync(new URL("fixtures/key.pem", import.meta.url)),
  cert: Deno.readTextFileSync(new URL("fixtures/cert.pem", import.meta.url)),
};
export const noVerify = { serverName: "mx.example.net", verify: false };
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export async function withClient(
  script: Script,
  act: (client: Client, server: FakeServer) => Promise<void>,
  options: { timeoutMs?: number; timeouts?: Timeouts; clock?: Clock; maxRefusals?: number; trace?: Trace } = {},
): Promise<void> {
  const server = await fakeServer(script);
  const to = script.path === undefined ? { host: "127.0.0.1", port: server.port } : { path: script.path };
  const client = await connectClient({
    to,
    timeouts: options.timeouts ?? uniformTimeouts(options.timeoutMs ?? 30_000),
    trace: options.trace,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    lmtp: script.lmtp ?? false,
    ...(options.maxRefusals === undefined ? {} : { maxRefusals: options.maxRefusals }),
  });
  try {
    await act(client, server);
  } finally {
    client.close();
    await server.close();
  }
}

export function message(recipients: string[], body = "Subject: x\n\nhello\n.\n"): Transaction {
  return { sender: "s@example.org", recipients: recipients.map((address) => ({ address })), body: bodyOf(text(body)) };
}
