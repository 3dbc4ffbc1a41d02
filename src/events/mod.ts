/** Front door of the events folder. */
export * from "./duration.ts";
export * from "./log.ts";
export * from "./metrics.ts";
export * from "./observer.ts";
export * from "./reason.ts";
export * from "./stats.ts";
export * from "./types.ts";
export * from "./vis.ts";
