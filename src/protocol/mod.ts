/**
 * Front door of the protocol folder: the types of what is said at the doors between isolates, and of the settings of each isolate. Values are
 * imported from their files; the checks of one isolate's doors from isolates/.
 */
export type * from "./acme.ts";
export type * from "./check.ts";
export type * from "./control.ts";
export type * from "./control_records.ts";
export type * from "./door.ts";
export type * from "./doors.ts";
export type * from "./events.ts";
export type * from "./files.ts";
export type * from "./filters.ts";
export type * from "./history.ts";
export type * from "./lifecycle.ts";
export type * from "./login.ts";
export type * from "./lookup.ts";
export type * from "./checkup.ts";
export type * from "./lookup_main.ts";
export type * from "./main.ts";
export type * from "./process_walls.ts";
export type * from "./processes.ts";
export type * from "./queue_work.ts";
export type * from "./roles.ts";
export type * from "./settings.ts";
export type * from "./shapes.ts";
export type * from "./signer.ts";
export type * from "./smtp_queue.ts";
export type * from "./table_programs.ts";
