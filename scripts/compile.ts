/**
 * Makes one binary of the program, with all isolates, the admin page and all names inside: `deno task compile [--output FILE]`. It needs the runtime denort, of
 * $DENORT_BIN or from where Deno loads it; where that cannot be had, it says that it was skipped.
 */

import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const MAIN = "src/main.ts";
/** Where Deno loads its runtime from. */
const RELEASES = "https://dl.deno.land";
/** Who does not answer in this time is not there. */
const PROBE_MS = 10_000;

/** A file of the project, by its path below the project. */
export interface Source {
  readonly file: string;
  readonly text: string;
}

/**
 * Takes the project's files and returns those that no import names, and that are loaded all the same: the entries of the isolates, the tools of main.ts, and what
 * tools load at need by `import.meta.resolve`. What these import comes along by itself.
 */
export function entriesOf(sources: readonly Source[]): string[] {
  const entries = new Set<string>();
  for (const { file, text } of sources) {
    if (/^workers\/\w+\.ts$/.test(file)) entries.add(file);
    const named = file === MAIN ? /["'](\.\/[^"']+\.ts)["']/g : /import\.meta\.resolve\(\s*["'](\.[^"']+)["']/g;
    for (const [, path] of text.matchAll(named)) entries.add(normalize(join(dirname(file), path!)));
  }
  return [...entries].sort();
}

/** What goes into the binary, and what does not. */
export interface Contents {
  /** Files besides main.ts that nothing imports, see `entriesOf`. */
  readonly entries: readonly string[];
  /** Folders of packages that stay out. */
  readonly left: readonly string[];
}

/**
 * Returns the arguments of Deno: the binary may what all of its programs may together, since they are one file. Its isolates have their own permissions, as
 * without it.
 */
export function compileArguments({ entries, left }: Contents, output: string): string[] {
  return [
    "compile",
    "--cached-only",
    "--frozen",
    "--no-check",
    // Of the packages only what is imported: others are for tests.
    "--exclude-unused-npm",
    ...["--config", "deno.json", "--output", output],
    ...["--v8-flags=--max-semi-space-size=4", "--no-prompt"],
    ...["--allow-read", "--allow-write", "--allow-net", "--allow-run", "--allow-ffi", "--allow-env"],
    "--allow-sys=uid,gid,hostname,networkInterfaces,cpus,statfs,userInfo",
    ...left.flatMap((folder) => ["--exclude", folder]),
    ...entries.flatMap((file) => ["--include", file]),
    MAIN,
  ];
}

/** Returns the folders of tests in the packages below `folder`: what is not code may be in them, which Deno 2.9 reads as code until its stack overflows. */
export function testFolders(folder: string): string[] {
  return [...Deno.readDirSync(folder)].filter(({ isDirectory }) => isDirectory).flatMap(({ name }) => {
    const path = join(folder, name);
    return name === "test" || name === "tests" ? [path] : testFolders(path);
  }).sort();
}

/** Every file of the program. */
export function sourcesOf(root: string): Source[] {
  const walk = (folder: string): string[] =>
    [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
      const path = join(folder, name);
      return isDirectory ? walk(path) : name.endsWith(".ts") ? [path] : [];
    });
  return ["src", "workers"].flatMap((part) => walk(join(root, part)))
    .map((path) => ({ file: relative(root, path), text: Deno.readTextFileSync(path) }));
}

/** Returns why the runtime for binaries cannot be had here; null when Deno has it, or can load it. Throws when DENORT_BIN names no file. */
async function obstacle(): Promise<string | null> {
  const named = Deno.env.get("DENORT_BIN");
  if (named !== undefined && named !== "") {
    if (Deno.statSync(named).isFile) return null;
    throw new Error(`DENORT_BIN is ${named}, which is no file`);
  }
  const loaded = join(Deno.env.get("DENO_DIR") ?? "", "dl");
  if (await Deno.stat(loaded).then(({ isDirectory }) => isDirectory, () => false)) return null;
  return await fetch(RELEASES, { method: "HEAD", signal: AbortSignal.timeout(PROBE_MS) }).then(
    async ({ body }) => (await body?.cancel(), null),
    (error: Error) => (error.cause as Error | undefined)?.message ?? error.message,
  );
}

async function compile(args: readonly string[]): Promise<number> {
  let output = join(ROOT, "dist/vaultpost");
  if (args[0] === "--output" && args.length === 2) output = args[1]!;
  else if (args.length > 0) {
    console.error("usage: deno task compile [--output FILE]");
    return 1;
  }
  const why = await obstacle();
  if (why !== null) {
    console.error(
      `SKIPPED: no binary was made, for it needs denort, the runtime for binaries, which cannot be had here: ${why}.
Name the file of denort ${Deno.version.deno} for this machine with DENORT_BIN, or let Deno reach ${RELEASES}`,
    );
    return 0;
  }
  await Deno.mkdir(dirname(output), { recursive: true });
  const command = new Deno.Command(Deno.execPath(), {
    args: compileArguments(
      { entries: entriesOf(sourcesOf(ROOT)), left: testFolders(join(Deno.env.get("DENO_DIR")!, "npm")) },
      output,
    ),
    cwd: ROOT,
  });
  const { code } = await command.spawn().status;
  if (code !== 0) return code;
  console.error(
    `Made ${output}: call it as "${output} smtpctl show queue", or by a link that has the name of a program`,
  );
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await compile(Deno.args));
  } catch (error) {
    console.error(`compile: ${(error as Error).message}`);
    Deno.exit(1);
  }
}
