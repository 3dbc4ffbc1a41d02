/** Front door of the filter folder: the isolate that runs the programs of the config. */
export * from "./filter_dialogue.ts";
export * from "./process.ts";
export * from "./serve.ts";
export * from "./table.ts";
