/** How a local delivery ends: exit codes of sysexits(3), what they mean for the envelope, and the text of `stat=`. Pure. */

import type { Outcome, Status } from "../envelope/mod.ts";
import { enhancedCode } from "../smtp/client/mod.ts";

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
/** What the built-in writers say for trouble that another try cannot mend, as `errx(1, …)` of the helpers upstream. */
export const EX_FATAL = 1;

const PHRASES: Readonly<Record<number, string>> = {
  64: "command line usage error",
  65: "data format error",
  66: "cannot open input",
  67: "user unknown",
  68: "host name unknown",
  69: "service unavailable",
  70: "internal software error",
  71: "system resource problem",
  72: "critical OS file missing",
  73: "can't create user output file",
  74: "input/output error",
  75: "temporary failure",
  76: "remote error in protocol",
  77: "permission denied",
  78: "local configuration error",
};

/** The end of one attempt: what the queue hears, and the text of `stat=`. */
export interface DeliveryEnd {
  readonly outcome: Outcome;
  readonly stat: string;
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

/** The account is unknown, or it cannot be told. `text` of the lookup, "" for the usual words. */
export function lookupFailed(temporary: boolean, text: string): DeliveryEnd {
  const words = text || `${temporary ? "Temporary" : "Permanent"} failure in user lookup`;
  const outcome: Outcome = temporary
    ? { result: "tempfail", text: words, status: { class: 4, code: "1.0" } }
    : { result: "permfail", text: words, status: { class: 5, code: "1.6" } };
  return { outcome, stat: words };
}

/** An exit code that is not 0: 71 and 75 are worth another try, all others are final. `replyText`: what a server said, of which the enhanced code is told on. */
export function exited(code: number, text: string, replyText = ""): DeliveryEnd {
  const phrase = PHRASES[code];
  const stat = `Error (${phrase === undefined ? "" : `${phrase}: `}${text})`;
  const temporary = code === EX.OSERR || code === EX.TEMPFAIL;
  const severity = temporary ? 4 : 5;
  const status: Status = { class: severity, code: enhancedCode(replyText, severity) ?? "3.0" };
  return { outcome: { result: temporary ? "tempfail" : "permfail", text, status }, stat };
}

/** It did not come to an exit code: a signal, the time limit, a pipe closed too early. Worth another try. */
export function interrupted(text: string): DeliveryEnd {
  return { outcome: { result: "tempfail", text, status: { class: 4, code: "3.0" } }, stat: `Error (${text})` };
}

/** What an exception of a writer means. Unknown ones are temporary: losing mail is never the default. */
export function thrown(error: unknown): DeliveryEnd {
  if (error instanceof DeliveryError) return exited(error.code, error.message);
  return exited(EX.TEMPFAIL, reasonOf(error));
}

/** "Permission denied" of "Permission denied (os error 13): open '/x'": the system's words without the runtime's. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^(.*?) \(os error \d+\)/.exec(message)?.[1] ?? message;
}

/** `text` in double quotes and visibly encoded (vis(3), octal), at most 255 characters of it: for output that others wrote. */
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
