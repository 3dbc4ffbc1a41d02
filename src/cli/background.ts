/** Puts the daemon in the background. Deno cannot fork, so it starts itself again, detached, and waits until that one serves or fails. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Starts `smtpd -F` with the same arguments. Returns the exit status: 0 once it serves, 1 with its complaint on stderr. */
export function startInBackground(args: string[]): Promise<number> {
  const child = spawn(Deno.execPath(), [...runtimeArguments(), "smtpd", "-F", ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve) => {
    createInterface({ input: child.stdout! }).once("line", () => {
      child.stdout!.destroy();
      child.unref();
      resolve(0);
    });
    child.once("exit", (status) => resolve(status === 0 ? 0 : 1));
  });
}

/** `deno run` with the flags of this process; nothing when this is a compiled binary. */
function runtimeArguments(): string[] {
  if (Deno.build.standalone) return [];
  // The command line is: deno, its flags, the script, then the arguments that this program sees.
  const words = Deno.readTextFileSync("/proc/self/cmdline").split("\0").slice(0, -1);
  return words.slice(1, words.length - Deno.args.length);
}
