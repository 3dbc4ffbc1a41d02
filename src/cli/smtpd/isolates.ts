/** The program of the processes front, out and vault. smtpd starts it with its link; by hand it has nothing to do. */

import { runHost } from "../../host/mod.ts";
import type { Role } from "../../protocol/mod.ts";
import { PROCESS_NAMES } from "../../protocol/processes.ts";

/** Serves the parent until the link ends. Returns 64 (EX_USAGE) when it was not started by smtpd. */
export async function isolatesMain([name = ""]: string[]): Promise<number> {
  if (!(PROCESS_NAMES as readonly string[]).includes(name)) {
    console.error("isolates: smtpd starts this itself, to keep its isolates apart: it is no command");
    return 64;
  }
  return await runHost((role: Role) => new URL(`../../../workers/${role}.ts`, import.meta.url));
}
