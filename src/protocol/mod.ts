/** Front door of the protocol folder: which doors there are, what is said at each, and what each isolate is given at start. Plain data only. */
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
