/** Front door of the login folder. */
export { serveLogin } from "./serve.ts";
export { prove, verify } from "./verify.ts";
