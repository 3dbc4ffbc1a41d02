/** What went wrong, in the operating system's words: Deno puts an error number, its own call and the path behind them. Opens no file. */

/** "Permission denied" of "Permission denied (os error 13): open '/x'". Other messages are as they are. */
export function systemReason(error: unknown): string {
  return parts(error).reason;
}

/** The same with the file in front, "/x: Permission denied", for messages that do not name it themselves. */
export function systemReasonAt(error: unknown): string {
  const { reason, path } = parts(error);
  return path === null ? reason : `${path}: ${reason}`;
}

/** A fault of the program, whose stack is logged; other errors say what is wrong with the machine or its files. */
export function isDefect(error: unknown): boolean {
  return [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
}

function parts(error: unknown): { reason: string; path: string | null } {
  const message = error instanceof Error ? error.message : String(error);
  const system = /^(.*?) \(os error \d+\)(?:: \w+ '([^']*)')?/.exec(message);
  if (system !== null) return { reason: system[1]!, path: system[2] ?? null };
  // The advice of the runtime, to allow everything, is not ours.
  const refused = /^Requires \w+ access to (?:"(.*?)"|.*?), run again with/.exec(message);
  if (refused !== null) return { reason: "This program has no permission for it", path: refused[1] ?? null };
  return { reason: message, path: null };
}
