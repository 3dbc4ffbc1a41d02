/** An isolate that never becomes ready. For tests only. */

import { runIsolate } from "../../src/isolate/mod.ts";

runIsolate("lookup", () => new Promise(() => {}));
