/** Entry of the login isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { serveLogin } from "../src/login/serve.ts";

runIsolate("login", (isolate) => serveLogin(isolate));
