/** Front door of the config folder: what a configuration says, and what holds by default. */
export { BUILTIN_TABLES, DEFAULT_RELAY_LIMITS, DEFAULTS, plainRelay } from "./defaults.ts";
export * from "./limits.ts";
export * from "./listen.ts";
export * from "./paths.ts";
export * from "./protocols.ts";
export {
  compareKeys,
  mayInclude,
  scanTableFile,
  scanTableSteps,
  sortEntries,
  splitTableLine,
  tableKey,
  type TableScan,
} from "./tablefile.ts";
export * from "./source_line.ts";
export * from "./types.ts";
export * from "./refusal.ts";
export * from "./words.ts";
export * from "./ciphers.ts";
export * from "./values.ts";
