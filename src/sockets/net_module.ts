/** The runtime's node:net, loaded when the first socket is made: an isolate that makes none starts in half the time. */

import type net from "node:net";

/** What is used of the global `process`: to import it would load as much. */
interface Process {
  getBuiltinModule(name: "node:net"): typeof net;
}

let loaded: typeof net | null = null;

/** Returns the module node:net. */
export function netModule(): typeof net {
  return loaded ??= (globalThis as unknown as { readonly process: Process }).process.getBuiltinModule("node:net");
}
