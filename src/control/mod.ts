/** Front door of the control folder. */
export * from "./client.ts";
export * from "./listing.ts";
export * from "./protocol.ts";
import type { Isolate } from "../isolate/mod.ts";

/**
 * Runs the control isolate: log, statistics, control socket, admin page. Loaded on demand: smtpctl shares this folder's protocol and should
 * not wait for the libraries of the server.
 */
export async function serveControl(isolate: Isolate<"control">): Promise<void> {
  const { startControl } = await import("./service.ts");
  startControl(isolate);
}
