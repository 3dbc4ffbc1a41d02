/** Finds the programs that the config names by their back-end. Starts none. */

/** `FOLDER/NAME` when it is a file that may be executed. Throws an Error whose message says why it is not. */
export function findProgram(folder: string, name: string): string {
  const path = `${folder}/${name}`;
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    throw new Error(
      `${path}: ${error instanceof Deno.errors.NotFound ? "No such file or directory" : "Permission denied"}`,
    );
  }
  if (!info.isFile || ((info.mode ?? 0) & 0o111) === 0) throw new Error(`${path} is not an executable file`);
  return path;
}
