/** The real smtp isolate, which can be turned: see hostile.ts. */

import "./hostile.ts";
import "../../../workers/smtp.ts";
