/** Where the admin page is served, as text. */

import { hostPort } from "../net/mod.ts";
import type { AdminListener } from "./types.ts";

/** Returns the place of a line `admin listen on …`: the path of its socket, or its address and port. No two lines have the same. */
export function adminPlace(listener: AdminListener): string {
  return "path" in listener ? listener.path : hostPort({ host: listener.address, port: listener.port });
}

/** The key of such a line in `Config.declared`. */
export function adminKey(listener: AdminListener): string {
  return `admin listen ${adminPlace(listener)}`;
}
