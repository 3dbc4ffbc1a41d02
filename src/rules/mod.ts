/** Front door of the rules folder. */
export * from "./expand.ts";
export * from "./keys.ts";
export * from "./match.ts";
export * from "./replies.ts";
