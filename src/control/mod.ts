/** Front door of the control folder. */
export * from "./client.ts";
export * from "./listing.ts";
export * from "./protocol.ts";
