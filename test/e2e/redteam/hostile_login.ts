/** The real login isolate, which can be turned: see hostile.ts. */

import "./hostile.ts";
import "../../../workers/login.ts";
