/** Front door of the host folder: the program of a process that holds isolates. */
export * from "./host.ts";
