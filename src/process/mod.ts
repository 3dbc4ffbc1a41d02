/** Front door of the process folder: workers of this process and of others, as the supervisor uses them. */
export * from "./given_sockets.ts";
export * from "./hosted_worker.ts";
export * from "./remote_host.ts";
