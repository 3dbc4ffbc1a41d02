/** Front door of the file client: how delivery, privileged and main have users' files touched by the isolates for it. */
export * from "./file_pool.ts";
