/** Front door of the mac folder: the MAC of commands that deliveries run, and SRS addresses. */
export * from "./command_mac.ts";
export * from "./srs.ts";
