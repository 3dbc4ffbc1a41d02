/** Which permissions the delivery isolate needs, derived from its settings. Pure data: main turns it into Deno's permissions. */

import type { DeliverySettings } from "../isolate/mod.ts";
import { SHELL } from "./command.ts";
import { parseLmtpDestination } from "./plan.ts";

export interface DeliveryNeeds {
  readonly read: true | [];
  readonly write: true | [];
  readonly run: string[];
  /** `host:port` and `unix:/path`; `true` when a destination holds a specifier. */
  readonly net: string[] | true;
  /** Only as root, and only the C library: see libcPath(). It must be said plainly that FFI is a power without bounds. */
  readonly ffi: boolean;
}

/**
 * The least that these settings get along with. Every local action reads the `.forward` of its users, who may name any file and any command
 * there: what keeps those in bounds is that they run as the user.
 */
export function deliveryNeeds({ actions, house }: DeliverySettings): DeliveryNeeds {
  const methods = Object.values(actions).map(({ method }) => method);
  if (methods.length === 0) return { read: [], write: [], run: [], net: [], ffi: false };
  const net = methods.flatMap((method) => method.type === "lmtp" ? [lmtpPermission(method.destination)] : []);
  return {
    read: true,
    write: true,
    run: [SHELL],
    net: net.includes(true) ? true : [...new Set(net as string[])].sort(),
    ffi: house.root,
  };
}

function lmtpPermission(destination: string): string | true {
  const to = destination.includes("%") ? null : parseLmtpDestination(destination);
  if (to === null) return true;
  return "path" in to ? `unix:${to.path}` : `${to.host.includes(":") ? `[${to.host}]` : to.host}:${to.port}`;
}
