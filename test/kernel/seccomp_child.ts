/** Puts the filter of a single process up, with all permissions of the runtime, and reports what it and its programs still can. Started by seccomp_test.ts. */

import { installSeccomp } from "../../src/kernel/mod.ts";
import { libc } from "../../src/kernel/libc.ts";

const programs = Deno.args[0] === "programs";
const AF_INET = 2, AF_UNIX = 1, STREAM = 1, NONE = -1;
const kernel = libc();
const failed = (result: number): number => {
  if (result > 2) kernel.call("close", result);
  return result < 0 ? -result : 0;
};

async function run(args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command("/bin/sh", { args: ["-c", ...args] }).output();
    return new TextDecoder().decode(stdout).trim();
  } catch (error) {
    return (error as Error).name;
  }
}

// A thread that is there before.
const worker = new Worker(new URL("./seccomp_worker.ts", import.meta.url), { type: "module" });
const inWorker = async () => {
  const answer = Promise.withResolvers<string>();
  worker.onmessage = ({ data }) => answer.resolve(data);
  worker.postMessage(null);
  return await answer.promise;
};
await inWorker();
installSeccomp({ internet: true, unix: true, listen: true, exec: programs }, { keepsPrivileges: programs });
const report = {
  trace: failed(kernel.call("ptrace", 0x4206, Deno.ppid, 0, 0)),
  ring: failed(kernel.call("io_uring_setup", 0, 0)),
  "a module": failed(kernel.call("delete_module", 0, 0)),
  "signal to the parent": failed(kernel.call("kill", Deno.ppid, 0)),
  "user that it is": failed(kernel.call("setresuid", NONE, NONE, NONE)),
  internet: failed(kernel.call("socket", AF_INET, STREAM, 0)),
  unix: failed(kernel.call("socket", AF_UNIX, STREAM, 0)),
  listen: failed(kernel.call("listen", NONE, 1)),
  "file beside the thread": (await Deno.stat("/")).isDirectory,
  "trace in a worker": await inWorker(),
  "filter of a program": await run(["sed -n 's/^Seccomp:[[:space:]]*//p' /proc/self/status"]),
  "no-new-privs of a program": await run(["sed -n 's/^NoNewPrivs:[[:space:]]*//p' /proc/self/status"]),
};
console.log(JSON.stringify(report));
worker.terminate();
Deno.exit(0);
