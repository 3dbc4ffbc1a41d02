/** Front door of the daemon folder: the main isolate. */
export { type DaemonOptions, runDaemon } from "./daemon.ts";
export { checkConfig, machineFaults, regexWarnings, userWarnings } from "./check.ts";
export { advice } from "./advise.ts";
export { Fatal } from "./fatal.ts";
export { interfaceList } from "./interfaces.ts";
export { inheritedDescriptors } from "./inherited.ts";
export { describeGrants, grantsFor } from "./permissions.ts";
export { cutSettings, type Surroundings } from "./settings.ts";
export { readQueueInput } from "./queue_keys.ts";
export { Native } from "./native.ts";
export { FileGuard } from "./file_guard.ts";
