/** Front door of the control folder: smtpctl's requests, their answers, and the order of the log. */
export * from "./client.ts";
export * from "./history_records.ts";
export * from "./listing.ts";
export type { ControlRequest, Subsystem } from "./parse.ts";
export * from "./protocol.ts";
export * from "./records.ts";
