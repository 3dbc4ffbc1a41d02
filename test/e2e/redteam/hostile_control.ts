/** The real control isolate, which can be turned: see hostile.ts. */

import "./hostile.ts";
import "../../../workers/control.ts";
