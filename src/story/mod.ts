/** Front door of the story folder: from events to what a person would tell of a message. */
export * from "./lane_reason.ts";
export * from "./span.ts";
export type * from "./types.ts";
