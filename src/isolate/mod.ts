/** Front door of the isolate folder: what every isolate is started with: channels, doors, and the pools of isolates for users' files. */
export * from "./channel.ts";
export * from "./file_pool.ts";
export * from "./message_port.ts";
export * from "./worker.ts";
export * from "./tally.ts";
export * from "./transport.ts";
