/** Front door of the envelope folder. */
export * from "./address.ts";
export * from "./envelope.ts";
export * from "./idn.ts";
export * from "./ids.ts";
