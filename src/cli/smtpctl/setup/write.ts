/** Writes files all or none: what was made is removed again when one of them cannot be, or when a signal asks for the end. Overwrites nothing. */

import { dirname } from "node:path";
import { systemReason } from "../../../events/mod.ts";
import { sleep, systemClock } from "../../../clock.ts";
import { exists } from "./machine.ts";
import type { PlannedFile } from "./plan.ts";

/** Folders that hold keys are for their owner alone. */
const FOLDER_MODE = 0o755, SECRET_FOLDER_MODE = 0o700;

/** `interrupted`: a signal came meanwhile. */
export type Written = { readonly ok: true } | {
  readonly ok: false;
  readonly fault: string;
  readonly interrupted: boolean;
};

/** Files that are there already, and may not be. `replaces` tells whether what is there may go: an example that nobody has changed. */
export function takenFiles(files: readonly PlannedFile[], replaces: (path: string) => boolean): readonly string[] {
  return files.filter(({ path, optional }) => optional !== true && exists(path) && !replaces(path)).map(({ path }) =>
    path
  );
}

/** Writes the files in their order. A signal that comes while it writes is heeded at the end: then all is taken back. */
export async function writeFiles(
  files: readonly PlannedFile[],
  replaces: (path: string) => boolean,
): Promise<Written> {
  let signal: string | null = null;
  const watch = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((name) => {
    const note = () => signal ??= name;
    Deno.addSignalListener(name, note);
    return () => Deno.removeSignalListener(name, note);
  });
  const undo: (() => void)[] = [];
  try {
    for (const file of files) {
      if (file.optional === true && exists(file.path)) continue;
      try {
        writeOne(file, undo, replaces);
      } catch (error) {
        takeBack(undo);
        return {
          ok: false,
          interrupted: false,
          fault: `cannot write ${file.path}: ${systemReason(error)}; nothing was set up`,
        };
      }
      // Signals are heard between two files.
      await sleep(0, systemClock);
      if (signal !== null) break;
    }
    if (signal === null) return { ok: true };
    takeBack(undo);
    return { ok: false, interrupted: true, fault: `${signal}: what was written is removed again` };
  } finally {
    watch.forEach((stop) => stop());
  }
}

function writeOne(file: PlannedFile, undo: (() => void)[], replaces: (path: string) => boolean): void {
  makeFolder(dirname(file.path), file.secret ? SECRET_FOLDER_MODE : FOLDER_MODE, undo);
  if (exists(file.path) && replaces(file.path)) {
    const before = Deno.readFileSync(file.path), { mode } = Deno.statSync(file.path);
    Deno.removeSync(file.path);
    undo.push(() => Deno.writeFileSync(file.path, before, { mode: mode ?? 0o644 }));
  }
  // With the rights that it will have: a key is nobody's for a moment either.
  const open = Deno.openSync(file.path, { write: true, createNew: true, mode: file.mode });
  undo.push(() => Deno.removeSync(file.path));
  try {
    const octets = new TextEncoder().encode(file.text);
    for (let at = 0; at < octets.length;) at += open.writeSync(octets.subarray(at));
    open.syncSync();
  } finally {
    open.close();
  }
  Deno.chmodSync(file.path, file.mode);
}

function makeFolder(path: string, mode: number, undo: (() => void)[]): void {
  if (exists(path)) return;
  makeFolder(dirname(path), FOLDER_MODE, undo);
  Deno.mkdirSync(path, { mode });
  undo.push(() => Deno.removeSync(path));
  Deno.chmodSync(path, mode);
}

/** The last first; what cannot be taken back stays, and keeps nothing else. */
function takeBack(undo: (() => void)[]): void {
  for (const one of undo.splice(0).reverse()) {
    try {
      one();
    } catch {
      // A folder that somebody else has put something into.
    }
  }
}
