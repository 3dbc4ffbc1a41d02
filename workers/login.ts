/** Entry of the login isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { serveLogin } from "../src/login/mod.ts";

runIsolate("login", (isolate) => serveLogin(isolate));
