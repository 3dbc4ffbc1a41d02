/** Front door of the isolate folder: what every isolate is started with: channels and doors. */
export * from "./channel.ts";
export type { DoorPeer } from "./doors.ts";
export * from "./message_port.ts";
export * from "./message_rate.ts";
export * from "./socket_transport.ts";
export * from "./worker.ts";
export * from "./tally.ts";
export * from "./transport.ts";
