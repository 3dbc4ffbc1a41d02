/** An isolate that never becomes ready. For tests only. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { LOOKUP_DOORS } from "../../src/protocol/isolates/lookup.ts";

runIsolate("lookup", LOOKUP_DOORS, () => new Promise(() => {}));
