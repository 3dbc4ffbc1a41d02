/** The real relay isolate, which can be turned: see hostile.ts. */

import "./hostile.ts";
import "../../../workers/relay.ts";
