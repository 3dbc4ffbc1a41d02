/** Front door of the story folder: from events to what a person would tell of a message. */
export type * from "./types.ts";
