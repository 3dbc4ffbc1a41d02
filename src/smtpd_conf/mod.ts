/** Front door of the smtpd_conf folder: the language of smtpd.conf(5), read into what src/config describes. */
export { type ConfigFiles } from "./context.ts";
export { splitDefine } from "./macros.ts";
export { formatDiagnostic, parseConfig, type ParseOptions } from "./parser.ts";
export { queueKeyFault } from "./queue.ts";
