/** Front door of the admin folder. */
export * from "./app.ts";
export * from "./http_server.ts";
export * from "./source.ts";
