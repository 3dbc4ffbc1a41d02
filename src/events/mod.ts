/** Front door of the events folder. */
export * from "./types.ts";
