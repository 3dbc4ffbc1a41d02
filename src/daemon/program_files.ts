/** Whether the program's files were replaced while it runs: what is loaded from then on need not fit what runs already, or the kernel's walls may hide it. */

import { join } from "node:path";
import { type ProgramPlaces, programPlaces } from "./checks/program_access.ts";

const CHANGED =
  "the files of the program have changed since the daemon was started: start it again, so that all of it is of one version";

export class ProgramFiles {
  readonly #paths: readonly string[];
  /** What has changed since is told of. */
  #since: number;

  /** `now` is the time of the start, in milliseconds since 1970. */
  constructor(now: number, places: Pick<ProgramPlaces, "project"> = programPlaces(null)) {
    const { project } = places;
    this.#paths = project === null ? [] : project.parts.map((part) => join(project.folder, part));
    this.#since = now;
  }

  /** Returns a sentence for the log when something has changed since the start, or since it was last said; else null. */
  takeChange(): string | null {
    const newest = Math.max(...this.#paths.map(newestChange), 0);
    if (newest <= this.#since) return null;
    this.#since = newest;
    return CHANGED;
  }
}

/** When the inode of a file or folder, or of anything in it, was last changed: copies that keep the time of the text count too. 0 for what is gone. */
function newestChange(path: string): number {
  try {
    const { ctime, isDirectory } = Deno.statSync(path);
    const below = isDirectory ? [...Deno.readDirSync(path)].map(({ name }) => newestChange(join(path, name))) : [];
    return Math.max(ctime?.getTime() ?? 0, ...below);
  } catch {
    return 0;
  }
}
