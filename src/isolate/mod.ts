/** Front door of the isolate folder. */
export * from "./channel.ts";
export * from "./doors.ts";
export * from "./filters.ts";
export * from "./handover.ts";
export * from "./settings.ts";
export * from "./supervisor.ts";
export * from "./worker.ts";
export * from "./tally.ts";
