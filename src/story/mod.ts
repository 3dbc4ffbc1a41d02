/** Front door of the story folder: from events to what a person would tell of a message. */
export * from "./dialogue.ts";
export * from "./lane_reason.ts";
export * from "./span.ts";
export * from "./story.ts";
export * from "./tree.ts";
export type * from "./types.ts";
