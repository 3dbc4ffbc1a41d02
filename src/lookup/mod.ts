/** Front door of the lookup folder: the isolate that answers from tables, rules, accounts and DNS. */
export * from "./accounts.ts";
export * from "./house.ts";
export * from "./logins.ts";
export * from "./machine.ts";
export * from "./serve.ts";
export * from "./tablefiles.ts";
export * from "./world.ts";
