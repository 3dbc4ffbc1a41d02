/** Puts the daemon in the background. Deno cannot fork, so it starts itself again, detached, and waits until that one serves or fails. */

import type { Environment } from "../../config/mod.ts";
import { Fatal, Native } from "../../daemon/mod.ts";

/**
 * Starts `smtpd -F` with the same arguments, and `input` for it to read where it would otherwise prompt for a key. Returns the exit status: 0 once
 * it serves, 1 with its complaint on stderr.
 */
export async function startInBackground(
  args: readonly string[],
  env: Environment,
  input: string | null,
  printed: readonly string[] = [],
): Promise<number> {
  const [program, ...first] = ownCommand(env);
  // The daemon must not inherit what the calling process has left open.
  new Native().closeAllOnExec();
  const child = new Deno.Command(program, {
    args: [...first, "-F", ...args],
    detached: true,
    stdin: input === null ? "null" : "piped",
    stdout: "piped",
    // Not ours: a reader of our stderr must not wait for the end of the daemon's.
    stderr: "piped",
  }).spawn();
  child.unref();
  if (input !== null) {
    // It may have failed already: then it says so itself.
    await new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  }
  const complaints = forward(child.stderr, new Set(printed));
  // It prints one line once it serves; when it fails, its output ends without one.
  const { done } = await child.stdout.getReader().read();
  if (done) await complaints;
  return done ? 1 : 0;
}

/** Passes on whole lines, but for those in `printed`: this process has printed them itself. */
async function forward(stream: ReadableStream<Uint8Array<ArrayBuffer>>, printed: ReadonlySet<string>): Promise<void> {
  let rest = "";
  const write = async (lines: readonly string[]) => {
    const text = lines.filter((line) => !printed.has(line)).map((line) => `${line}\n`).join("");
    if (text !== "") await Deno.stderr.write(new TextEncoder().encode(text));
  };
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    await write(lines);
  }
  if (rest !== "") await write([rest]);
}

/** What starts this program with the same permissions: a compiled binary does, and the script that named itself in the environment. */
function ownCommand(env: Environment): [string, ...string[]] {
  if (Deno.build.standalone) return [Deno.execPath(), "--as", "smtpd"];
  const script = env.get("SMTPD_SCRIPT");
  // A program cannot ask Deno for its own flags, and /proc/self/cmdline would ask for every permission.
  if (!script) throw new Fatal("only scripts/smtpd can go into the background: start that, or use -d or -F");
  return [script];
}
