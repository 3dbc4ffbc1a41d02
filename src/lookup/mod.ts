/** Front door of the lookup folder: the isolate that answers from tables, rules, accounts and DNS. */
export * from "./accounts.ts";
export { signingActions, type SigningObstacle, signingObstacle } from "./authorise.ts";
export * from "./main_client.ts";
export * from "./logins.ts";
export * from "./machine.ts";
export * from "./tablefiles.ts";
export * from "./lookup_engine.ts";
