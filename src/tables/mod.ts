/** Front door of the tables folder. */
export * from "./bdb.ts";
export * from "./cdb.ts";
export * from "./dbfile.ts";
export * from "./domain.ts";
export * from "./error.ts";
export * from "./facts.ts";
export * from "./mailaddr.ts";
export * from "./netaddr.ts";
export * from "./opendb.ts";
export * from "./regex.ts";
export * from "./program.ts";
export * from "./set.ts";
export * from "./table.ts";
export * from "./targets.ts";
export * from "./userinfo.ts";
