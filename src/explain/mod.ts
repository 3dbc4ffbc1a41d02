/** Front door of the explain folder: what would happen to a message, by the code that would do it. */
export { behindOf } from "./behind_machine.ts";
export { explain, type ExplainDeps, type Explanation, type RecipientResult } from "./explain.ts";
export { formatLetter, isLetter } from "./expectation.ts";
export { Front, type FrontPorts } from "./front.ts";
export { ANY_PASSWORD, envelopeOf, MAX_ORDERED_RECIPIENTS, namerOf, type Order, type PeerName } from "./order.ts";
export { Notes } from "./notes.ts";
export { type RunningPrograms, startPrograms } from "./programs.ts";
export { type DnsRecording, recordingDns } from "./recorded_dns.ts";
export { MAX_LETTER_OCTETS, type Replayed, replayFolder, withoutDelay } from "./replay.ts";
export { offlineMachine, type OfflineSettings, offlineSettings } from "./settings.ts";
export { type Step, stepLines, stepRecord } from "./step.ts";
