/** Front door of the schedule folder: the retry back-off, when a mail is tried again (smtpd.conf(5), "retry"). */
export { firstDue, nextDue, RETRY_MINUTES } from "./backoff.ts";
export type { Limits } from "./limits.ts";
