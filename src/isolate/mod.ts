/** Front door of the isolate folder. */
export * from "./channel.ts";
export * from "./file_pool.ts";
export * from "./message_port.ts";
export * from "./worker.ts";
export * from "./tally.ts";
export * from "./transport.ts";
