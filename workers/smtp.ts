/** Isolate that speaks SMTP with clients. Runs without any permission. */

import { runIsolate } from "../src/isolate/mod.ts";
import { SMTP_DOORS } from "../src/protocol/isolates/smtp.ts";
import { serveSmtp } from "../src/smtp/serve.ts";

runIsolate("smtp", SMTP_DOORS, serveSmtp);
