/** What the last check of the day found, in a file that root alone may read: so what became worse is known after a new start, too. */

import { dirname } from "node:path";
import type { Environment } from "../../config/mod.ts";
import { statePath } from "../../config/paths.ts";
import type { Checked } from "../../protocol/mod.ts";
import { checked as isChecked } from "../../protocol/checkup.ts";
import { claimState } from "../claim.ts";

const FILE_MODE = 0o600;

/** Where it is kept. */
export function checkupFile(env: Environment): string {
  return `${statePath(env)}/checkup.json`;
}

/** Null where there is none, or none that can be read. */
export function readCheckup(path: string): Checked | null {
  try {
    const value: unknown = JSON.parse(Deno.readTextFileSync(path));
    return isChecked(value) === null ? value as Checked : null;
  } catch {
    return null;
  }
}

/** Writes it in the place of the one before. Throws what the system says. */
export function writeCheckup(path: string, checked: Checked): void {
  claimState(dirname(path));
  const next = `${path}.new`;
  Deno.writeTextFileSync(next, `${JSON.stringify(checked, null, 1)}\n`, { mode: FILE_MODE });
  Deno.chmodSync(next, FILE_MODE);
  Deno.renameSync(next, path);
}
