/** Front door of the admin folder: the read-only HTTP page, `/metrics` and `/health`. */
export * from "./app.ts";
export * from "./http_server.ts";
export * from "./source.ts";
