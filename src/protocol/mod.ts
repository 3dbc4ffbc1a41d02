/** Front door of the protocol folder: the doors between isolates, the messages of each with their checks, and the settings of each isolate. Plain data only. */
export * from "./check.ts";
export * from "./control.ts";
export * from "./doors.ts";
export * from "./events.ts";
export * from "./files.ts";
export * from "./filters.ts";
export * from "./lifecycle.ts";
export * from "./login.ts";
export * from "./lookup.ts";
export * from "./main.ts";
export * from "./queue_work.ts";
export * from "./roles.ts";
export * from "./settings.ts";
export * from "./shapes.ts";
export * from "./smtp_queue.ts";
export * from "./table_programs.ts";
