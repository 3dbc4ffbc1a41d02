/** The command line of sendmail(8), with the many options that other mailers had. Pure. */

import { getopt } from "./getopt.ts";

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
  | { readonly kind: "send"; readonly options: SendmailOptions }
  /** `-bi`: rebuild the aliases. */
  | { readonly kind: "newaliases" }
  /** `-bp`: print the queue, as mailq(8) does. */
  | { readonly kind: "mailq" }
  /** `-q`: there is no queue run here. */
  | { readonly kind: "queue-run" }
  | { readonly kind: "usage"; readonly text: string };

/** Options that take an argument, that may take one in the same word, and that take none. */
const WITH_ARGUMENT = "ABbeFfLNoprRV", WITH_OPTIONAL = "EJ", PLAIN = "imqStvx";

/** Reads the words behind the program's name. */
export function readSendmailOptions(args: readonly string[]): SendmailCommand {
  if (args.some((arg) => arg.startsWith("-bi"))) return { kind: "newaliases" };
  if (args.includes("-bp")) return { kind: "mailq" };
  const options = getopt(args, PLAIN, WITH_ARGUMENT, WITH_OPTIONAL);
  if (!options.ok) return { kind: "usage", text: options.text };
  const { given, operands } = options;
  return given.has("q") ? { kind: "queue-run" } : judge(given, operands);
}

function judge(given: ReadonlyMap<string, string>, recipients: readonly string[]): SendmailCommand {
  const notify = (given.get("N") ?? "").toUpperCase();
  if (notify !== "" && !/^(NEVER|(SUCCESS|FAILURE|DELAY)(,(SUCCESS|FAILURE|DELAY))*)$/.test(notify)) {
    return { kind: "usage", text: `invalid value of -N: ${notify}` };
  }
  const ret = (given.get("R") ?? "").toUpperCase();
  if (ret !== "" && ret !== "FULL" && ret !== "HDRS") return { kind: "usage", text: `invalid value of -R: ${ret}` };
  const sender = given.get("f") ?? given.get("r");
  return {
    kind: "send",
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
