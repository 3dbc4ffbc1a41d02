/** The real scheduler isolate, which tries to load libraries: see loading.ts. */

import { sayWhatLoads } from "./loading.ts";
import "../../../workers/scheduler.ts";

sayWhatLoads("scheduler");
