/** Worker of permissions_test.ts: resolves one name over the server whose port it is given. */

import { Resolver } from "../../src/dns/mod.ts";

const scope = self as unknown as { onmessage: (event: MessageEvent) => void; postMessage(message: unknown): void };
scope.onmessage = async (event) => {
  const servers = [{ address: "127.0.0.1", port: event.data as number }];
  const resolver = new Resolver({ servers, timeoutMs: 1_000, attempts: 1, hosts: [] });
  const found = await resolver.addresses("x.test", 4);
  scope.postMessage(found.ok ? found.records.join(" ") : found.reason);
};
