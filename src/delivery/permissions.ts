/** Which permissions the delivery isolate needs, derived from its settings. Pure data: main turns it into Deno's permissions. */

import type { Action, LocalAction, StaticTable } from "../config/types.ts";
import type { DeliverySettings } from "../isolate/mod.ts";
import { parseTargets } from "../tables/mod.ts";
import { SHELL } from "./command.ts";
import { parseLmtpDestination } from "./plan.ts";

export interface DeliveryNeeds {
  /** Folders and files; `true` when the place is known only once an account is (`~/…`). */
  readonly read: string[] | true;
  readonly write: string[] | true;
  readonly run: string[];
  /** `host:port` and `unix:/path`; `true` when a destination holds a specifier. */
  readonly net: string[] | true;
  /** Only as root, and only the C library: see libcPath(). It must be said plainly that FFI is a power without bounds. */
  readonly ffi: boolean;
}

/** What aliases may turn a recipient into besides addresses. */
export interface ExpansionTargets {
  readonly pipes: boolean;
  /** Paths of file targets; `true` when they cannot be told. */
  readonly files: readonly string[] | true;
}

const ANYTHING: ExpansionTargets = { pipes: true, files: true };
const NOTHING: ExpansionTargets = { pipes: false, files: [] };

/**
 * The least that these settings get along with. `targets` tells what the alias and virtual tables hold (see expansionTargets); without
 * it anything is possible as soon as an action has such a table.
 */
export function deliveryNeeds(settings: DeliverySettings, targets?: ExpansionTargets): DeliveryNeeds {
  const actions = Object.values(settings.actions);
  const expanding = actions.some(({ alias, virtual }) => alias !== null || virtual !== null);
  const { pipes, files } = targets ?? (expanding ? ANYTHING : NOTHING);
  const paths: (string | true)[] = files === true ? [true] : files.map(literalFolder);
  const net: (string | true)[] = [];
  /** The runtime takes connecting to a socket for reading and writing it, too. */
  const sockets: (string | true)[] = [];
  let run = pipes;
  for (const { method } of actions) {
    if (method.type === "maildir") paths.push(method.path === null ? true : literalFolder(method.path));
    else if (method.type === "mbox") paths.push(settings.mailDirectory);
    else if (method.type === "lmtp") net.push(lmtpPermission(method.destination, sockets));
    else if (method.type === "mda") run = true;
  }
  const all = [...paths, ...sockets];
  const places = all.includes(true) ? true : [...new Set(all as string[])].sort();
  return {
    read: places,
    write: places === true ? true : [...places],
    run: run ? [SHELL] : [],
    net: net.includes(true) ? true : [...new Set(net as string[])].sort(),
    ffi: settings.house.root && paths.length > 0,
  };
}

/** What stands in the tables that local actions expand recipients with. An include can hold anything. */
export function expansionTargets(
  actions: Readonly<Record<string, Action>>,
  tables: Readonly<Record<string, StaticTable>>,
): ExpansionTargets {
  let pipes = false;
  let anyFile = false;
  const files: string[] = [];
  const local = Object.values(actions).filter((action): action is LocalAction => action.kind === "local");
  for (const name of new Set(local.flatMap(({ alias, virtual }) => [alias, virtual]))) {
    if (name === null) continue;
    for (const [, value] of tables[name]?.entries ?? []) {
      for (const target of parseTargets(value).targets) {
        if (target.type === "pipe") pipes = true;
        else if (target.type === "file") files.push(target.path);
        else if (target.type === "include") pipes = anyFile = true;
      }
    }
  }
  return { pipes, files: anyFile ? true : files };
}

/** The deepest folder that is certain: up to the last slash before the first specifier; `true` when there is none. */
function literalFolder(path: string): string | true {
  if (!path.startsWith("/")) return true;
  const specifier = path.indexOf("%");
  const literal = specifier < 0 ? path : path.slice(0, path.lastIndexOf("/", specifier));
  const folder = literal.replace(/\/+$/, "");
  return folder === "" ? true : folder;
}

function lmtpPermission(destination: string, sockets: (string | true)[]): string | true {
  if (destination.includes("%")) {
    if (destination.startsWith("/")) sockets.push(literalFolder(destination));
    return true;
  }
  const to = parseLmtpDestination(destination);
  if (to === null) return true;
  if ("path" in to) {
    sockets.push(to.path);
    return `unix:${to.path}`;
  }
  return `${to.host.includes(":") ? `[${to.host}]` : to.host}:${to.port}`;
}
