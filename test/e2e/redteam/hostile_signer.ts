/** The real signer isolate, which tries to load libraries: see loading.ts. */

import { sayWhatLoads } from "./loading.ts";
import "../../../workers/signer.ts";

sayWhatLoads("signer");
