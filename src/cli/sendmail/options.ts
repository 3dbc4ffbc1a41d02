/** The command line of sendmail(8), with the many options that other mailers had. Pure. */

import { getopt, guessOption, type InfoOption } from "../getopt.ts";
import { lettersOf } from "../usage.ts";

export interface SendmailOptions {
  /** `-f`: envelope sender, "" for the null reverse-path; null when not given. */
  readonly sender: string | null;
  /** `-F`: full name for a generated From. */
  readonly fullName: string | null;
  /** `-N`, upper-case words of RFC 3461 §4.1; "" when not given. */
  readonly notify: string;
  /** `-R`. */
  readonly ret: "FULL" | "HDRS" | "";
  /** `-V`, as xtext. */
  readonly envid: string;
  /** `-t`: recipients from the header too. */
  readonly fromHeader: boolean;
  readonly verbose: boolean;
  /** `-S`: the name of the real user counts, not that of the login session. */
  readonly realUser: boolean;
  /** As written; each may be a comma list. */
  readonly recipients: readonly string[];
}

export type SendmailCommand =
  /** `-bv`: only print for each recipient whether it would be accepted. */
  | { readonly kind: "send" | "verify"; readonly options: SendmailOptions }
  /** `-bs`: SMTP on standard input and output. */
  | { readonly kind: "session" }
  /** `--help`, `--version`. */
  | { readonly kind: "info"; readonly info: InfoOption }
  /** `-bi`, `-I`: rebuild the aliases. */
  | { readonly kind: "newaliases" }
  /** `-bp`: print the queue, as mailq(8) does. */
  | { readonly kind: "mailq" }
  /** `-q`: there is no queue run here. */
  | { readonly kind: "queue-run" }
  | { readonly kind: "usage"; readonly text: string };

/** Modes of -b that other mailers have, and what does that here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  d: "the daemon is smtpd(8)",
  D: "the daemon is smtpd(8)",
  l: "the daemon is smtpd(8)",
  t: "which rules an address meets, smtpctl trace rules tells",
};

/** Reads the words behind the program's name. Options end at the first recipient or at `--`. */
export function readSendmailOptions(args: readonly string[]): SendmailCommand {
  const options = getopt(args, { ...lettersOf("sendmail"), hasMore: isEximPair });
  if (!options.ok) {
    return options.info === null ? { kind: "usage", text: options.text } : { kind: "info", info: options.info };
  }
  const { given, operands, literal } = options;
  const mode = given.get("b") ?? (given.has("I") ? "i" : "m");
  if (mode.startsWith("i")) return { kind: "newaliases" };
  if (mode === "p") return { kind: "mailq" };
  if (mode === "s") return { kind: "session" };
  if (mode !== "m" && mode !== "v") {
    const hint = ELSEWHERE[mode] ?? "known are -bi, -bm, -bp, -bs and -bv";
    return { kind: "usage", text: `there is no mode -b${mode}: ${hint}` };
  }
  if (given.has("q")) return { kind: "queue-run" };
  const hops = given.get("h") ?? "0";
  if (!/^\d+$/.test(hops)) {
    return { kind: "usage", text: `invalid value of -h: ${hops}${guessOption(`--h${hops}`, "", "")}` };
  }
  const misplaced = literal ? undefined : operands.find((operand) => operand.startsWith("-"));
  if (misplaced !== undefined) {
    return { kind: "usage", text: `${misplaced} stands behind a recipient: options come first, and -- ends them` };
  }
  return judge(given, operands, mode === "v" ? "verify" : "send");
}

/** Exim's options with an argument in the next word, which must not be taken for a recipient: who hands in the mail, and files of the daemon. */
function isEximPair(letter: string, value: string): boolean {
  return letter === "o" && /^(?:M(?:a|aa|ai|as|i|m|r|s|t|M)|[PX])$/.test(value);
}

function judge(
  given: ReadonlyMap<string, string>,
  recipients: readonly string[],
  kind: "send" | "verify",
): SendmailCommand {
  const notify = (given.get("N") ?? "").toUpperCase();
  if (notify !== "" && !/^(NEVER|(SUCCESS|FAILURE|DELAY)(,(SUCCESS|FAILURE|DELAY))*)$/.test(notify)) {
    return { kind: "usage", text: `invalid value of -N: ${notify}` };
  }
  const ret = (given.get("R") ?? "").toUpperCase();
  if (ret !== "" && ret !== "FULL" && ret !== "HDRS") return { kind: "usage", text: `invalid value of -R: ${ret}` };
  const sender = given.get("f") ?? given.get("r");
  return {
    kind,
    options: {
      sender: sender === undefined ? null : sender.trim().replace(/^<(.*)>$/, "$1"),
      fullName: given.get("F") ?? null,
      notify,
      ret,
      envid: xtext(given.get("V") ?? ""),
      fromHeader: given.has("t"),
      verbose: given.has("v"),
      realUser: given.has("S"),
      recipients,
    },
  };
}

/** RFC 3461 §4: everything but printable ASCII without `+` and `=` is written as `+HH`. Text that is xtext already stays. */
function xtext(text: string): string {
  if (/^([!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text)) return text;
  let out = "";
  for (const octet of new TextEncoder().encode(text)) {
    const plain = octet >= 33 && octet <= 126 && octet !== 43 && octet !== 61;
    out += plain ? String.fromCharCode(octet) : `+${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}
