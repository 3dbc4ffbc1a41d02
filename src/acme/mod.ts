/** Front door of the acme folder: what others need to know of certificates that are obtained. */
export { covers, renewalTime, type Validity, validityOf } from "./renewal.ts";
