/** Front door of the sasl folder: SCRAM (RFC 5802), SASLprep (RFC 4013), and the forms in which credentials are stored. */
export * from "./exchange.ts";
export * from "./prepare.ts";
export * from "./stored.ts";
export * from "./verifier.ts";
