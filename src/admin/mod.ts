/** Front door of the admin folder. */
export * from "./app.ts";
export * from "./serve.ts";
export * from "./source.ts";
