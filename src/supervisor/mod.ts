/** Front door of the supervisor folder: main's side of the isolates, which starts, joins, watches and replaces them. */
export * from "./plan.ts";
export * from "./supervisor.ts";
