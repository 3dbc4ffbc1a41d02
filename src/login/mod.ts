/** Front door of the login folder: passwords and SCRAM proofs, compared with stored hashes. */
export { prove, verify } from "./verify.ts";
