/** Front door of the tables folder. */
export * from "./domain.ts";
export * from "./error.ts";
export * from "./facts.ts";
export * from "./mailaddr.ts";
export * from "./netaddr.ts";
export * from "./set.ts";
export * from "./table.ts";
export * from "./targets.ts";
export * from "./userinfo.ts";
