/** Copies the files of a spool. For tests only. */

export function copySync(from: string, to: string): void {
  for (const { name, isFile } of Deno.readDirSync(from)) {
    if (isFile) Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}
