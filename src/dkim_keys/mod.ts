/** Front door of the dkim_keys folder: the keys of DKIM, their records in the DNS, and the change to other keys. */
export * from "./key_file.ts";
export * from "./record.ts";
export * from "./rotation.ts";
