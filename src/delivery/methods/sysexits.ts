/** How a local delivery ends: exit codes of sysexits(3), what they mean for the envelope, and the text of `stat=`. Pure. */

import type { Outcome, Status } from "../../envelope/mod.ts";
import { type AttemptDetail, systemReason } from "../../events/mod.ts";

export const EX = {
  USAGE: 64,
  NOUSER: 67,
  UNAVAILABLE: 69,
  OSERR: 71,
  CANTCREAT: 73,
  IOERR: 74,
  TEMPFAIL: 75,
  NOPERM: 77,
} as const;
/** The exit code of the built-in writers for trouble that another try cannot mend, as `errx(1, …)` of the helpers upstream. */
export const EX_FATAL = 1;

/** What the codes of sysexits(3) say, and which subject and detail of RFC 3463 §3 that is. */
const MEANINGS: Readonly<Record<number, { readonly phrase: string; readonly code: string }>> = {
  64: { phrase: "command line usage error", code: "3.0" },
  65: { phrase: "data format error", code: "6.0" },
  66: { phrase: "cannot open input", code: "3.0" },
  67: { phrase: "user unknown", code: "1.1" },
  68: { phrase: "host name unknown", code: "1.2" },
  69: { phrase: "service unavailable", code: "3.0" },
  70: { phrase: "internal software error", code: "3.0" },
  71: { phrase: "system resource problem", code: "3.0" },
  72: { phrase: "critical OS file missing", code: "3.0" },
  73: { phrase: "can't create user output file", code: "2.0" },
  74: { phrase: "input/output error", code: "3.0" },
  75: { phrase: "temporary failure", code: "3.0" },
  76: { phrase: "remote error in protocol", code: "5.0" },
  77: { phrase: "permission denied", code: "7.1" },
  78: { phrase: "local configuration error", code: "3.5" },
};
/** For a code that says nothing: other or undefined mail system status. */
const NO_MEANING = "3.0";

/** The end of one attempt: the outcome for the queue, and the text of `stat=`. */
export interface DeliveryEnd {
  readonly outcome: Outcome;
  readonly stat: string;
  /** Of an attempt with a server, for the history. */
  readonly attempt?: Partial<AttemptDetail>;
}

/** Trouble of a built-in writer, with the exit code that a helper program would have ended with. */
export class DeliveryError extends Error {
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    this.name = "DeliveryError";
    this.code = code;
  }
}

export const DELIVERED: DeliveryEnd = { outcome: { result: "ok", text: "Delivered" }, stat: "Delivered" };

/** The message went this way before: permanent, RFC 5321 §6.3. */
export const LOOPING: DeliveryEnd = {
  outcome: { result: "loop", text: "Loop detected", status: { class: 5, code: "4.6" } },
  stat: "Loop detected",
};

/** Returns the end of an attempt whose account is unknown, or cannot be looked up now. `text` is the lookup's, "" for the usual words. */
export function lookupFailed({ temporary, text }: { readonly temporary: boolean; readonly text: string }): DeliveryEnd {
  const words = text || `${temporary ? "Temporary" : "Permanent"} failure in user lookup`;
  const outcome: Outcome = temporary
    ? { result: "tempfail", text: words, status: { class: 4, code: "1.0" } }
    : { result: "permfail", text: words, status: { class: 5, code: "1.6" } };
  return { outcome, stat: words };
}

/** Maps an exit code that is not 0 to the end of an attempt: 71 and 75 are temporary, all others permanent. The queue, and so a DSN, has the words of the log. */
export function exited(code: number, text: string): DeliveryEnd {
  const meaning = MEANINGS[code];
  const words = meaning === undefined ? text : `${meaning.phrase}: ${text}`;
  const temporary = code === EX.OSERR || code === EX.TEMPFAIL;
  const status: Status = { class: temporary ? 4 : 5, code: meaning?.code ?? NO_MEANING };
  return { outcome: { result: temporary ? "tempfail" : "permfail", text: words, status }, stat: `Error (${words})` };
}

/**
 * Returns the end of an attempt with a server that has not taken the mail. `text`: its reply, or what happened instead of one. `enhanced`: the code of RFC 3463 for it, `remote`: its
 * name for the DSN. The log has the exit code that a helper program would have ended with, as that of OpenSMTPD.
 */
export function unaccepted(
  result: "tempfail" | "permfail",
  { text, enhanced, remote }: { readonly text: string; readonly enhanced?: string; readonly remote?: string },
): DeliveryEnd {
  const severity = result === "tempfail" ? 4 : 5;
  const status: Status = { class: severity, code: enhanced?.slice(2) ?? NO_MEANING };
  const { stat } = exited(result === "tempfail" ? EX.TEMPFAIL : EX.UNAVAILABLE, text);
  return { outcome: { result, text, status, ...(remote === undefined ? {} : { remote }) }, stat };
}

/** Returns the end of an attempt that did not come to an exit code: a signal, the time limit, a pipe closed too early. It is temporary. */
export function interrupted(text: string): DeliveryEnd {
  return { outcome: { result: "tempfail", text, status: { class: 4, code: "3.0" } }, stat: `Error (${text})` };
}

/** Maps an exception of a writer to the end of an attempt. Unknown ones are temporary: losing mail is never the default. */
export function thrown(error: unknown): DeliveryEnd {
  if (error instanceof DeliveryError) return exited(error.code, error.message);
  return exited(EX.TEMPFAIL, systemReason(error));
}

/** Returns `text` in double quotes and visibly encoded (vis(3), octal), at most 255 characters of it: for output that others wrote. */
export function quoted(text: Uint8Array | string): string {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  let out = "";
  for (const byte of bytes) {
    const next = visible(byte);
    if (out.length + next.length > 255) break;
    out += next;
  }
  return `"${out}"`;
}

function visible(byte: number): string {
  if (byte === 0x5c) return "\\\\";
  if (byte === 0x09) return "\\t";
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return "\\" + byte.toString(8).padStart(3, "0");
}
