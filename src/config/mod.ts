/** Front door of the config folder: what a configuration is, how it is read, and what holds by default. */
export { cipherFault } from "./ciphers.ts";
export { type ConfigFiles } from "./context.ts";
export { BUILTIN_TABLES, DEFAULT_RELAY_LIMITS, DEFAULTS, LANGUAGE_LIMITS, plainRelay } from "./defaults.ts";
export { splitDefine } from "./macros.ts";
export { formatDiagnostic, parseConfig, type ParseOptions } from "./parser.ts";
export * from "./paths.ts";
export * from "./protocols.ts";
export { mayInclude } from "./table.ts";
export {
  compareKeys,
  scanTableFile,
  scanTableSteps,
  sortEntries,
  splitTableLine,
  tableKey,
  type TableScan,
} from "./tablefile.ts";
export { queueKeyFault } from "./queue.ts";
export * from "./types.ts";
export { isNetwork, parseDelay, parseSize, shown } from "./values.ts";
export { implicitSocket } from "./listen.ts";
