/** Entry of the control isolate: keeps the log and the statistics, answers smtpctl and the admin page. */

import { serveControl } from "../src/control/serve.ts";
import { runIsolate } from "../src/isolate/mod.ts";
import { CONTROL_DOORS } from "../src/protocol/isolates/control.ts";

runIsolate("control", CONTROL_DOORS, serveControl);
