/** smtpd whose accounts of the system stand in a made-up file: the first argument. */

import { TRACES } from "../../src/events/mod.ts";
import { runOwnDaemon } from "./own_daemon.ts";

await runOwnDaemon({ name: "shadow", verbose: true, traces: TRACES, shadow: Deno.args[0]! });
