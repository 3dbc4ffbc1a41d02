/** What the entry of an isolate does with what main says, without a worker. */

import assert from "node:assert/strict";
import type { Isolate } from "../../src/isolate/mod.ts";
import type { PostPort } from "../../src/isolate/message_port.ts";
import { IsolateRuntime } from "../../src/isolate/worker.ts";
import type { Settings, ToIsolate } from "../../src/protocol/mod.ts";

Deno.test("settings that change while others are tried in vain are not lost", async () => {
  const sent: unknown[] = [];
  const port: PostPort = { postMessage: (message) => void sent.push(message), onmessage: null };
  const say = (message: ToIsolate) => port.onmessage!({ data: message, ports: [] } as unknown as MessageEvent);
  const reloading = Promise.withResolvers<void>();
  let isolate: Isolate<"signer"> | undefined;
  const main = (its: Isolate<"signer">) => {
    isolate = its;
    its.onreload = () => reloading.promise;
  };
  new IsolateRuntime({ role: "signer", doors: {} as never, main }, port);
  const settings = { keys: ["old"], libcrypto: "old" } as unknown as Settings["signer"];
  say({ type: "start", role: "signer", index: 0, settings, verbose: false, traces: [] });
  say({ type: "reload", call: 1, generation: 1, settings: { keys: ["tried"], libcrypto: "tried" } as never });
  await new Promise((resolve) => setTimeout(resolve));
  say({ type: "settings", changes: { keys: ["renewed"] } as never });
  assert.deepEqual(isolate!.settings, { keys: ["renewed"], libcrypto: "tried" });
  reloading.reject(new Error("no"));
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(isolate!.settings, { keys: ["renewed"], libcrypto: "old" });
  assert.deepEqual(sent, [{ type: "ready" }, { type: "reloaded", call: 1, fault: "no" }]);
});
