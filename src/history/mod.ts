/** Front door of the history folder, for what makes a store without the isolate: scripts/bench history. */
export * from "./assembler.ts";
export * from "./search.ts";
export * from "./store.ts";
