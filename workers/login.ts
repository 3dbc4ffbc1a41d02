/** Entry of the login isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { LOGIN_DOORS } from "../src/protocol/isolates/login.ts";
import { serveLogin } from "../src/login/serve.ts";

runIsolate("login", LOGIN_DOORS, (isolate) => serveLogin(isolate));
