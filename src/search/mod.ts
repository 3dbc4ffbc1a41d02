/** Front door of the search folder: from what a person typed to what is looked for in the history. */
export * from "./query.ts";
export * from "./times.ts";
