/**
 * Front door of the config folder: the types of what a configuration says. Values are imported from their files, so that an isolate loads only
 * those that it uses.
 */
export type * from "./limits.ts";
export type * from "./listen.ts";
export type * from "./paths.ts";
export type * from "./protocols.ts";
export type * from "./source_line.ts";
export type * from "./tablefile.ts";
export type * from "./types.ts";
