/** A thread that ran before the filter was put up tries what it refuses. Started by seccomp_child.ts. */

import { libc } from "../../src/kernel/libc.ts";

interface Scope {
  onmessage: () => void;
  postMessage(message: string): void;
}
const scope = self as unknown as Scope;
scope.onmessage = () => scope.postMessage(String(libc().call("io_uring_setup", 0, 0)));
