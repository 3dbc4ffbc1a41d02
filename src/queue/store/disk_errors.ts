/** What is wrong with the spool: kept for `smtpctl show status` and the admin page. The log has it as well. */

/** SQLite's primary result codes. */
const IO_ERROR = 10, CORRUPT = 11, FULL = 13, NOT_A_DATABASE = 26;

/** Returns what is wrong with the disk or the file after an error of the database; null for an error of another kind. */
export function databaseFault(error: unknown): "full" | "io" | "corrupt" | "other" | null {
  const { errcode, message = "" } = (error ?? {}) as { errcode?: number; message?: string };
  const code = errcode ?? byMessage(message);
  if (code === null) return null;
  switch (code & 0xff) {
    case IO_ERROR:
      return "io";
    case FULL:
      return "full";
    case CORRUPT:
    case NOT_A_DATABASE:
      return "corrupt";
    default:
      return "other";
  }
}

/** Errors of `exec` have no code. These are SQLite's own texts. */
function byMessage(message: string): number | null {
  const texts: Readonly<Record<string, number>> = {
    "disk I/O error": IO_ERROR,
    "database disk image is malformed": CORRUPT,
    "database or disk is full": FULL,
    "file is not a database": NOT_A_DATABASE,
  };
  return Object.hasOwn(texts, message) ? texts[message]! : null;
}

interface DiskError {
  readonly text: string;
  readonly at: number;
  readonly count: number;
}

export class DiskErrors {
  /** The last error that was not for lack of room; it stays until the isolate is replaced: the disk should be checked. */
  #error: DiskError | null = null;

  /** A statement failed. */
  note(error: unknown, now: number): void {
    if (databaseFault(error) === "full") return;
    const text = error instanceof Error ? error.message : String(error);
    this.#error = { text, at: now, count: (this.#error?.count ?? 0) + 1 };
  }

  /** `room` as in space.ts, `damaged`: how much is in quarantine. */
  lines({ room, damaged }: { readonly room: number; readonly damaged: number }): string[] {
    const lines: string[] = [];
    if (room === 0) lines.push("QUEUE disk full: mail is refused with 452");
    if (this.#error !== null) {
      const { text, at, count } = this.#error;
      const times = count === 1 ? "1 error" : `${count} errors`;
      lines.push(`QUEUE disk failing: ${times}, the last at ${new Date(at).toISOString()}: ${text}`);
    }
    if (damaged > 0) lines.push(`QUEUE damaged: ${damaged} set aside, see "smtpctl show damaged"`);
    return lines;
  }
}
