/** Front door of the control folder. */
export * from "./client.ts";
export * from "./listing.ts";
export type { ControlRequest, Subsystem } from "./parse.ts";
export * from "./protocol.ts";
