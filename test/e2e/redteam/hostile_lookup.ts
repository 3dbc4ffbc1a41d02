/** The real lookup isolate, which can be turned: see hostile.ts. */

import "./hostile.ts";
import "../../../workers/lookup.ts";
