/** Puts Landlock around its main thread, as the one process does, and has a worker try what that and a worker of it may. Prints what came of each as JSON. */

import { landlockStands, restrictThread } from "../../src/kernel/mod.ts";

interface Tried {
  readonly who: string;
  readonly what: string;
  readonly how: string;
}

const [inside, outside] = Deno.args as [string, string];
const who = self.name || "main";
const scope = self as unknown as {
  onmessage: (event: MessageEvent<{ readonly inside: string; readonly outside: string }>) => void;
  postMessage(message: unknown): void;
};

/** The runtime permits all of it: what is refused, the kernel refuses. */
function outcome(error: unknown): string {
  return error instanceof Deno.errors.PermissionDenied ? "refused" : String(error);
}

async function attempts(inside: string, outside: string): Promise<Tried[]> {
  const tried: Tried[] = [];
  const attempt = async (what: string, run: () => unknown) => {
    const how = await Promise.resolve().then(run).then(() => "done", outcome);
    tried.push({ who, what, how });
  };
  await attempt("read inside", () => Deno.readTextFileSync(`${inside}/file`));
  await attempt("write inside", () => Deno.writeTextFileSync(`${inside}/${who.replace(" ", "")}`, "x"));
  await attempt("read outside", () => Deno.readTextFileSync(`${outside}/file`));
  await attempt("write outside", () => Deno.writeTextFileSync(`${outside}/file`, "x"));
  await attempt("make outside", () => Deno.mkdirSync(`${outside}/made`));
  await attempt("remove outside", () => Deno.removeSync(`${outside}/file`));
  await attempt("connect", () =>
    Deno.connect({ hostname: "127.0.0.1", port: 1 }).catch((error) => {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }));
  await attempt("listen", () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close());
  // Main's threads for these may be there from before.
  if (who !== "main") {
    await attempt("read outside on another thread", () => Deno.readTextFile(`${outside}/file`));
    await attempt("write outside on another thread", () => Deno.writeTextFile(`${outside}/file`, "x"));
  }
  return tried;
}

/** What a worker of this one finds. */
function ofWorker(name: string, order: { readonly inside: string; readonly outside: string }): Promise<Tried[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(import.meta.url, { type: "module", name });
    worker.onmessage = ({ data }) => (worker.terminate(), resolve(data));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(order);
  });
}

if (who !== "main") {
  scope.onmessage = async ({ data }) => {
    const nested = who === "worker" ? await ofWorker("worker of a worker", data) : [];
    scope.postMessage([
      ...await attempts(data.inside, data.outside),
      ...nested,
    ]);
  };
} else {
  const before = landlockStands();
  const missing = restrictThread({
    read: [new URL("../../", import.meta.url).pathname, "/usr", "/lib", "/etc", "/sys", "/dev"],
    execute: [],
    write: [inside],
    tcp: "any",
    neighbours: true,
  });
  const tried = [...await attempts(inside, outside), ...await ofWorker("worker", { inside, outside })];
  console.log(JSON.stringify({ before, after: landlockStands(), missing, tried }));
  Deno.exit(0);
}
