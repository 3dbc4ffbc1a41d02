/** Front door of the events folder: the types of events, their log lines, and the statistics that are counted from them. */
export * from "./detail.ts";
export * from "./dialogue.ts";
export * from "./duration.ts";
export * from "./histograms.ts";
export * from "./json.ts";
export * from "./log.ts";
export * from "./metrics.ts";
export * from "./noted.ts";
export * from "./observer.ts";
export * from "./reason.ts";
export * from "./recorded.ts";
export * from "./series.ts";
export * from "./stats.ts";
export * from "./types.ts";
export * from "./vis.ts";
