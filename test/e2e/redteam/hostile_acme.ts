/** The real acme isolate, which can be turned: see hostile.ts. */

import "./hostile.ts";
import "../../../workers/acme.ts";
