/** Front door of the isolate folder. */
export * from "./channel.ts";
export * from "./doors.ts";
export * from "./doors/control.ts";
export * from "./doors/events.ts";
export * from "./doors/intake.ts";
export * from "./doors/login.ts";
export * from "./doors/lookup.ts";
export * from "./doors/main.ts";
export * from "./doors/tables.ts";
export * from "./doors/work.ts";
export * from "./doors/filters.ts";
export * from "./handover.ts";
export * from "./settings.ts";
export * from "./sockets.ts";
export * from "./supervisor.ts";
export * from "./worker.ts";
export * from "./tally.ts";
