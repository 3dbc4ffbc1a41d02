/** A relay isolate with scripted servers where its mail goes. */

import { freePort } from "../ports.ts";
import { type FakeServer, fakeServer, type Script } from "../smtp_client/fake_server.ts";
import { relayWorld, type World, type WorldOptions } from "./world.ts";

export const tlsFiles = {
  key: Deno.readTextFileSync(new URL("../smtp_client/fixtures/key.pem", import.meta.url)),
  cert: Deno.readTextFileSync(new URL("../smtp_client/fixtures/cert.pem", import.meta.url)),
};

/** A smarthost with this script, and a relay isolate that sends everything there. */
export async function viaSmarthost(
  script: Script,
  act: (world: World, server: FakeServer) => Promise<void>,
  options: WorldOptions & { scheme?: string } = {},
): Promise<void> {
  const server = await fakeServer(script);
  const world = relayWorld({
    actions: { out: { host: "hosts" } },
    addresses: { "mx.example.net": ["127.0.0.1"] },
    smarthost: () => `${options.scheme ?? "smtp"}://mx.example.net:${server.port}`,
    ...options,
  });
  try {
    await act(world, server);
  } finally {
    await world.stop();
    await server.close();
  }
}

/** Servers at 127.0.0.1, 127.0.0.2, … on one port; the domain `x.test` has them as MX of the given preferences (null: nobody listens). */
export async function viaMx(
  hosts: readonly { preference: number; script: Script | null }[],
  act: (world: World, servers: (FakeServer | null)[]) => Promise<void>,
  options: WorldOptions = {},
): Promise<void> {
  const servers: (FakeServer | null)[] = [];
  const port = freePort();
  for (const [at, { script }] of hosts.entries()) {
    servers.push(script === null ? null : await fakeServer({ ...script, host: `127.0.0.${at + 1}`, port }));
  }
  const world = relayWorld({
    mx: { "x.test": hosts.map(({ preference }, at) => [preference, `mx${at + 1}.test`] as [number, string]) },
    addresses: Object.fromEntries(hosts.map((_, at) => [`mx${at + 1}.test`, [`127.0.0.${at + 1}`]])),
    ...options,
    tools: { mxPort: port, ...options.tools },
  });
  try {
    await act(world, servers);
  } finally {
    await world.stop();
    for (const server of servers) await server?.close();
  }
}
