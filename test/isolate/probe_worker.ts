/** Stands in for an isolate's entry file: tries what an isolate must not do and reports to the test what was allowed. */

import net from "node:net";
import type { ToIsolate } from "../../src/protocol/mod.ts";

/** Main takes nothing from an isolate that its role may not say. */
const PROBES_CHANNEL = "probes of the permissions test";

interface Targets {
  readonly outside: string;
  readonly inside: string;
  readonly port: number;
  readonly libc: string;
  readonly libcrypto?: string;
  readonly program: string;
}

const scope = self as unknown as { onmessage: (event: MessageEvent) => void; postMessage(message: unknown): void };

function connects(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port });
    socket.once("connect", () => (socket.destroy(), resolve()));
    socket.once("error", reject);
  });
}

const ATTEMPTS: Readonly<Record<string, (targets: Targets) => unknown>> = {
  "read /etc/passwd": () => Deno.readTextFileSync("/etc/passwd"),
  "read /etc/shadow": () => Deno.readTextFileSync("/etc/shadow"),
  "write outside": ({ outside }) => Deno.writeTextFileSync(`${outside}/planted`, "x"),
  "read the spool": ({ inside }) => Deno.readDirSync(inside)[Symbol.iterator]().next(),
  "write the spool": ({ inside }) => Deno.writeTextFileSync(`${inside}/planted`, "x"),
  connect: ({ port }) => Deno.connect({ hostname: "127.0.0.1", port }).then((connection) => connection.close()),
  "connect by node": ({ port }) => connects(port),
  listen: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  "listen on a socket": ({ inside }) => Deno.listen({ transport: "unix", path: `${inside}/s` }).close(),
  // With an environment of its own: one that has LD_PRELOAD is refused to whom the shell is granted, too.
  spawn: () => new Deno.Command("/bin/sh", { args: ["-c", "true"], clearEnv: true }).outputSync(),
  "start the program of the config": ({ program }) =>
    new Deno.Command(program, { clearEnv: true, cwd: "/" }).outputSync(),
  "start the program with a library": ({ program }) =>
    new Deno.Command(program, { clearEnv: true, env: { LD_PRELOAD: "/x.so" } }).outputSync(),
  "read the environment": () => Deno.env.get("HOME"),
  ffi: () => Deno.dlopen("libm.so.6", { floor: { parameters: ["f64"], result: "f64" } }).close(),
  "use the C library": ({ libc }) => Deno.dlopen(libc, { getpid: { parameters: [], result: "i32" } }).close(),
  "use libcrypto": ({ libcrypto }) => Deno.dlopen(libcrypto ?? "libcrypto.so.3", {}).close(),
  "read the host name": () => Deno.hostname(),
  "import from the network": () =>
    import("data:text/javascript,export default 1" as string).then(() => import("https://127.0.0.1/x.js" as string)),
  "start a worker with more": () => {
    const worker = new Worker(
      new URL("./probe_worker.ts", import.meta.url),
      { type: "module", deno: { permissions: { read: true, run: true } } } as WorkerOptions,
    );
    worker.terminate();
  },
};

scope.onmessage = async (event) => {
  const message = event.data as ToIsolate<{ spool?: string; probe: Targets }>;
  if (message.type === "stop") return scope.postMessage({ type: "stopped" });
  if (message.type !== "start") return;
  const lines = [];
  for (const [name, attempt] of Object.entries(ATTEMPTS)) {
    const outcome = await Promise.resolve().then(() => attempt(message.settings.probe)).then(
      () => "allowed",
      (error) =>
        error instanceof Deno.errors.NotCapable || /requires .* access|NotCapable|escalat/i.test(String(error))
          ? "refused"
          : `failed: ${error}`,
    );
    lines.push(`${name}: ${outcome}`);
  }
  const channel = new BroadcastChannel(PROBES_CHANNEL);
  channel.postMessage({ role: message.role, lines });
  channel.close();
  scope.postMessage({ type: "ready" });
};
