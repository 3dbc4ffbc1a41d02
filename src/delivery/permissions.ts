/** Which permissions the delivery and privileged isolates need, derived from their settings. Pure data: main turns it into Deno's permissions. */

import { hostPort } from "../net/mod.ts";
import type { LocalMethod } from "../config/mod.ts";
import type { DeliverySettings } from "../protocol/mod.ts";
import { SHELL } from "./methods/command.ts";
import { isPrivileged, parseLmtpDestination } from "./planner.ts";

export interface DeliveryNeeds {
  /** Folders and files; `true` when the place is known only once an account is (`~/…`). */
  readonly read: string[] | true;
  readonly write: string[] | true;
  readonly run: string[];
  /** `host:port` and `unix:/path`; `true` when a destination holds a specifier. */
  readonly net: string[] | true;
  /** Only as root, and only the C library: see libcPath(). It is given up as soon as the calls are loaded. */
  readonly ffi: boolean;
}

const NOTHING: DeliveryNeeds = { read: [], write: [], run: [], net: [], ffi: false };

/** Returns the permissions of the delivery isolate: the LMTP servers that the actions name. Files are written in other isolates. */
export function deliveryNeeds({ actions }: DeliverySettings): DeliveryNeeds {
  const net: (string | true)[] = [];
  /** The runtime takes connecting to a socket for reading and writing it, too. */
  const sockets: (string | true)[] = [];
  for (const action of Object.values(actions)) {
    if (isPrivileged(action, "")) continue;
    const { method } = action;
    if (method.type === "lmtp") net.push(lmtpPermission(method.destination, sockets));
  }
  const places = unique(sockets);
  return { ...NOTHING, read: places, write: places, net: unique(net) };
}

/** Returns the permissions of the mailbox isolates: the mail folders that the actions name, used as the recipient. */
export function mailboxNeeds({ actions, shared, mailDirectory }: DeliverySettings): DeliveryNeeds {
  const folders: (string | true)[] = [];
  for (const action of Object.values(actions)) {
    if (isPrivileged(action, "")) continue;
    const { method } = action;
    if (method.type === "maildir") folders.push(maildirFolder(method));
    else if (method.type === "mbox") folders.push(mailDirectory);
  }
  const places = unique(folders);
  return { ...NOTHING, read: places, write: places, ffi: shared.root && folders.length > 0 };
}

/**
 * Returns the permissions of the privileged isolate, which does privileged deliveries: the shell. Every local action reads the `.forward` of its users, who may name any command and any file there: what keeps those in bounds is that they
 * run as the user.
 */
export function privilegedNeeds({ actions }: DeliverySettings): DeliveryNeeds {
  if (Object.keys(actions).length === 0) return NOTHING;
  return { ...NOTHING, run: [SHELL] };
}

/** Returns the permissions of the file isolate: files that users name, used as the user. */
export function fileNeeds({ shared }: DeliverySettings): DeliveryNeeds {
  return { ...NOTHING, read: true, write: true, ffi: shared.root };
}

/** Returns the permissions of the forward isolate: it reads `.forward` in any home, as the user. */
export function forwardNeeds({ shared }: DeliverySettings): DeliveryNeeds {
  return { ...NOTHING, read: true, ffi: shared.root };
}

function unique(places: readonly (string | true)[]): string[] | true {
  return places.includes(true) ? true : [...new Set(places as string[])].sort();
}

function maildirFolder({ path }: Extract<LocalMethod, { type: "maildir" }>): string | true {
  return path === null ? true : literalFolder(path);
}

/** Returns the deepest folder that is certain: up to the last slash before the first specifier; `true` when there is none. */
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
  return hostPort(to);
}
