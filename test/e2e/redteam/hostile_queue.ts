/** The real queue isolate, which tries to load libraries: see loading.ts. */

import { sayWhatLoads } from "./loading.ts";
import "../../../workers/queue.ts";

sayWhatLoads("queue");
