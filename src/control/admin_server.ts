/**
 * The admin server, which is loaded when the configuration has an admin listener, and not before: its libraries take time and memory that most servers do
 * without. The name of the module stands in quotes, so that the runtime knows it from the start and asks for no permission.
 */

import type { AdminOptions, AdminServer } from "../admin/mod.ts";

/** Loads the server, and makes it. Rejects when it cannot be loaded. */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const { AdminServer } = await import("../admin/mod.ts");
  return new AdminServer(options);
}
