/** Aggregate reports of DMARC, RFC 9990: what is counted of a message, how a report is written, whom it goes to. Reading those of others is in src/cli. */
export * from "./destinations.ts";
export * from "./format.ts";
export * from "./result.ts";
