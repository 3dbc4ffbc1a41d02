/** Front door of the login folder. */
export { prove, verify } from "./verify.ts";
