/** Modules of the runtime that are loaded when they are first used: isolates and tools that do not use them start in half the time. */

import type buffer from "node:buffer";
import type fs from "node:fs";
import type net from "node:net";
import type path from "node:path";
import type timers from "node:timers";
import type tls from "node:tls";
import type url from "node:url";

interface Modules {
  readonly "node:buffer": typeof buffer;
  readonly "node:fs": typeof fs;
  readonly "node:net": typeof net;
  readonly "node:path": typeof path;
  readonly "node:timers": typeof timers;
  readonly "node:tls": typeof tls;
  readonly "node:url": typeof url;
}

/** What is used of the global `process`: to import it, or to touch it, loads a good part of them. */
interface Process {
  getBuiltinModule<Name extends keyof Modules>(name: Name): Modules[Name];
}

const loaded: Partial<Modules> = {};

/** Returns a module of the runtime, which is loaded by the first call. */
export function builtin<Name extends keyof Modules>(name: Name): Modules[Name] {
  const known = loaded[name];
  if (known !== undefined) return known as Modules[Name];
  const { process } = globalThis as unknown as { readonly process: Process };
  const module = process.getBuiltinModule(name);
  Object.assign(loaded, { [name]: module });
  return module;
}
