/** Front door of the admin folder: the page, its API, `/metrics` and `/health` by HTTP. */
export * from "./app.ts";
export * from "./http_server.ts";
export type { ConnectionFacts } from "./identity.ts";
export * from "./source.ts";
