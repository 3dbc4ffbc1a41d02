/**
 * smtpd with isolates that die on demand: the queue when a file named `die` appears in its spool, filter when the log's verbosity changes,
 * smtp and control when `smtp` and `stat` are traced, the first signer when it is asked to sign, the first history when it is to record.
 */

import { runOwnDaemon } from "./own_daemon.ts";

const MORTAL = ["queue", "filter", "smtp", "control", "signer", "history"];

await runOwnDaemon({
  name: "mortal",
  paused: { smtp: false, mda: Deno.args.includes("-P"), mta: false },
  entry: (role) => MORTAL.includes(role) ? new URL(`./mortal_${role}.ts`, import.meta.url) : undefined,
});
