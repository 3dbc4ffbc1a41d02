/** Front door of the programs folder: the protocols of filters (smtpd-filters(7)) and of table programs. */
export * from "./filter_protocol.ts";
export * from "./child_process.ts";
export * from "./table_program.ts";
