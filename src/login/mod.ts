/** Front door of the login folder. */
export { serveLogin } from "./serve.ts";
export { verify } from "./verify.ts";
