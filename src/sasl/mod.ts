/** Front door of the sasl folder. */
export * from "./exchange.ts";
export * from "./prepare.ts";
export * from "./stored.ts";
export * from "./verifier.ts";
