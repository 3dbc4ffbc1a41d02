/** Front door of the rules folder: which rule matches an envelope, and what a recipient expands to. */
export * from "./expand.ts";
export * from "./keys.ts";
export * from "./match.ts";
export * from "./replies.ts";
