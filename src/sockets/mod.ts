/** Front door of the sockets folder: how connections are made, watched over, and handed from main to an isolate. */
export * from "./handover.ts";
export * from "./sockets.ts";
export * from "./unix.ts";
