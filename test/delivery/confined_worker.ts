/** Acts as a user in a worker, and then tries to get more of the C library than that. */

import { actAsRootConfined, libcPath } from "../../src/delivery/mod.ts";

const actAs = actAsRootConfined();
const scope = self as unknown as { postMessage(message: unknown): void };

function refusal(attempt: () => unknown): string {
  try {
    attempt();
    return "allowed";
  } catch (error) {
    return (error as Error).name;
  }
}

scope.postMessage({
  actsAsNobody: actAs({ uid: 65534, gid: 65534 }, () => true),
  dlopen: refusal(() => Deno.dlopen(libcPath(), { getpid: { parameters: [], result: "i32" } })),
  pointer: refusal(() => Deno.UnsafePointer.of(new Uint8Array(1))),
  worker: refusal(() =>
    new Worker(
      import.meta.url,
      { type: "module", deno: { permissions: { ffi: [libcPath()] } } } as WorkerOptions,
    )
  ),
  asksForMore: (await Deno.permissions.request({ name: "ffi" })).state,
});
