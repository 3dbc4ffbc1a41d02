/** Front door of the daemon folder: the main isolate. */
export { type DaemonOptions, runDaemon } from "./daemon.ts";
export type { Reread } from "./reload.ts";
export { checkConfig, machineFaults, regexWarnings, userWarnings } from "./checks/check.ts";
export { advice } from "./checks/advise.ts";
export { checkWithoutDaemon } from "./checkup/checkup.ts";
export { chooseUsers, type ChosenUsers, type ProcessUser, type ProcessUsers } from "./users.ts";
export { Fatal } from "./fatal.ts";
export { filesToKeepOf } from "./named_files.ts";
export { interfaceList } from "./machine/interfaces.ts";
export { inheritedDescriptors } from "./sockets/inherited.ts";
export { describeGrants, grantsFor } from "./permissions.ts";
export { cutSettings, type Surroundings } from "./settings.ts";
export { readQueueInput } from "./queue_keys.ts";
export { Native } from "./machine/native.ts";
export { accessFaults } from "./checks/user_access.ts";
export { type ProgramPlaces, programPlaces } from "./checks/program_access.ts";
export { FileGuard } from "./checks/file_guard.ts";
