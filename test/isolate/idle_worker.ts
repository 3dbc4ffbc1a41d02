/** An isolate that only lives. */

import { runIsolate } from "../../src/isolate/mod.ts";

runIsolate("smtp", () => {});
