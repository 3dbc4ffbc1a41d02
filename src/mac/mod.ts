/** Front door of the mac folder: what only the holder of a key can make, commands of deliveries and addresses of SRS. */
export * from "./command_mac.ts";
export * from "./srs.ts";
