/**
 * What the tools print about themselves: a sentence for each, its usage, and a sentence for each option, from which the letters follow that it takes.
 * One table for `--help`, for mistakes and for the tests of the manual pages; smtpctl's commands are in smtpctl/commands.ts.
 */

import { PRODUCT, VERSION } from "../config/paths.ts";
import type { InfoOption, Letters } from "./getopt.ts";
import type { Terminal } from "./terminal.ts";

export interface OptionUsage {
  /** "" for an option that has only a long form. */
  readonly letter: string;
  /** What its argument is called; absent when it takes none. */
  readonly value?: string;
  /** The argument may be missing, and stands in the same word. */
  readonly optional?: true;
  /** The same in long form, as another program has it. */
  readonly long?: string;
  /** A sentence; absent for an option of other programs that means nothing here. */
  readonly about?: string;
}

export interface ToolUsage {
  /** Ways to call it. */
  readonly usage: readonly string[];
  readonly about: string;
  readonly options: readonly OptionUsage[];
  /** Manual page. */
  readonly page: string;
}

/** Options that the tool takes from callers who know other programs, by letter. */
function ignored(plain: string, valued: string, optional = ""): OptionUsage[] {
  return [
    ...Array.from(plain, (letter) => ({ letter })),
    ...Array.from(valued, (letter) => ({ letter, value: "value" })),
    ...Array.from(optional, (letter) => ({ letter, value: "value", optional: true } as const)),
  ];
}

const MAP_OPTIONS: readonly OptionUsage[] = [
  { letter: "d", value: "dbtype", about: "The kind of database: cdb, which is also written for hash, btree and dbm." },
  { letter: "o", value: "dbfile", about: "Writes this file instead of FILE.db." },
  { letter: "O", value: "AliasFile=file", about: "Names the source when there is no argument." },
  { letter: "t", value: "type", about: "What the values are: aliases or set; or the character that ends the keys." },
  { letter: "U", about: "Prints a map file as text." },
];

export const TOOLS = {
  smtpd: {
    usage: ["smtpd [-dFhnv] [--expect directory] [--one-user] [-D macro=value] [-f file] [-P system] [-T trace]"],
    about: "Runs the mail daemon, in the background unless an option says otherwise.",
    options: [
      { letter: "D", value: "macro=value", about: "Defines a macro for the configuration." },
      { letter: "d", about: "Stays in the foreground and logs to standard error." },
      { letter: "F", about: "Stays in the foreground and logs to syslog." },
      { letter: "f", value: "file", about: "Reads this configuration, and looks for none." },
      { letter: "h", about: "Prints version and usage on standard error, and fails." },
      { letter: "n", about: "Checks the configuration and ends." },
      { letter: "P", value: "system", about: "Starts with smtp, mda or mta paused." },
      { letter: "T", value: "trace", about: "Logs the trace lines of a subsystem, or of all." },
      { letter: "v", about: "Logs debug lines; with -n prints what isolates and processes may do." },
      {
        letter: "",
        long: "expect",
        value: "directory",
        about: "With -n, replays the recorded messages of this directory; fails when one fares otherwise.",
      },
      { letter: "", long: "one-user", about: "Runs everything in one process, as the user who starts it." },
    ],
    page: "smtpd(8)",
  },
  smtpctl: {
    usage: ["smtpctl command [argument ...]"],
    about: "Looks into the running mail daemon and controls it.",
    options: [],
    page: "smtpctl(8)",
  },
  mailq: {
    usage: ["mailq [message-id]"],
    about: "Lists the queue, or the envelopes of one message, as smtpctl show queue does.",
    options: [],
    page: "smtpctl(8)",
  },
  sendmail: {
    usage: [
      "sendmail [-tv] [-f from] [-F name] to ...",
      "sendmail -bs | -bv to ... | -bi | -bp",
    ],
    about: "Submits the message on standard input to the mail daemon, as the calling user.",
    options: [
      { letter: "b", value: "mode", about: "m submits; s speaks SMTP; v verifies; i is newaliases; p is mailq." },
      { letter: "F", value: "name", about: "Full name for a From field that is added." },
      { letter: "f", value: "from", about: "Address of the sender, <> for none.", long: "from" },
      { letter: "I", about: "Does what newaliases does, as -bi." },
      {
        letter: "N",
        value: "notify",
        about: "Asks for notices: never, or success, failure and delay in a list.",
        long: "dsn-notify",
      },
      { letter: "q", value: "what", optional: true, about: "Refused: the daemon runs the queue by itself." },
      { letter: "R", value: "ret", about: "What a notice of failure returns: full or hdrs.", long: "dsn-return" },
      { letter: "r", value: "from", about: "The same as -f." },
      { letter: "S", about: "Takes the account of the calling user, whatever the login name is." },
      { letter: "t", about: "Takes recipients from the To, Cc and Bcc fields, too.", long: "read-recipients" },
      { letter: "V", value: "envid", about: "An id that notices repeat." },
      { letter: "v", about: "Shows the dialogue with the daemon." },
      ...ignored("cGimnUx", "aABCDehLOopX", "dEJ"),
      // msmtp's. Without -f the sender is that of the From field anyway.
      { letter: "m", long: "read-envelope-from" },
      { letter: "a", value: "account", long: "account" },
      { letter: "C", value: "file", long: "file" },
      { letter: "X", value: "file", long: "logfile" },
    ],
    page: "sendmail(8)",
  },
  newaliases: {
    usage: ["newaliases [-D macro=value] [-f file]"],
    about: "Checks the aliases and has the mail daemon read them again.",
    options: [
      { letter: "D", value: "macro=value", about: "Defines a macro for the configuration." },
      { letter: "f", value: "file", about: "Reads this configuration, and looks for none." },
    ],
    page: "newaliases(8)",
  },
  makemap: {
    usage: ["makemap [-U] [-d dbtype] [-o dbfile] [-t type] file"],
    about: "Builds a map file of keys and values from text.",
    options: [...MAP_OPTIONS, ...ignored("", "bC")],
    page: "makemap(8)",
  },
  smtp: {
    usage: ["smtp [-Chnv] [-a authfile] [-F from] [-H helo] [-s server] [-S name] [-T params] rcpt ..."],
    about: "Sends the message on standard input straight to an SMTP server.",
    options: [
      { letter: "a", value: "authfile", about: "Logs in with the user:password in this file." },
      { letter: "C", about: "Takes any certificate." },
      { letter: "F", value: "from", about: "Address of the sender." },
      { letter: "H", value: "helo", about: "What it calls itself." },
      { letter: "h", about: "Prints version and usage on standard error." },
      { letter: "n", about: "Connects, greets and leaves, without a message." },
      { letter: "s", value: "server", about: "The server, as [scheme://[user:password@]]host[:port]." },
      { letter: "S", value: "name", about: "The name that the certificate must have." },
      { letter: "T", value: "params", about: "Parameters of TLS, in a list." },
      { letter: "v", about: "Tells what it does; twice, the dialogue." },
    ],
    page: "smtp(1)",
  },
  "mail.maildir": {
    usage: ["mail.maildir [-j] [dir]"],
    about: "Delivers the message on standard input into a Maildir, as the calling user.",
    options: [{ letter: "j", about: "Puts what the header calls spam into the folder Junk." }],
    page: "smtpd.conf(5)",
  },
  "mail.mboxfile": {
    usage: ["mail.mboxfile [-f from] file"],
    about: "Appends the message on standard input to a file in mbox format, as the calling user.",
    options: [{ letter: "f", value: "from", about: "Address of the sender." }],
    page: "smtpd.conf(5)",
  },
  "mail.lmtp": {
    usage: ["mail.lmtp -d dest [-f from] [-l lhlo] -r | -u | rcpt ..."],
    about: "Passes the message on standard input to an LMTP server.",
    options: [
      { letter: "d", value: "dest", about: "The server: host:port, or the path of a socket." },
      { letter: "f", value: "from", about: "Address of the sender, not that in SENDER." },
      { letter: "l", value: "lhlo", about: "What it calls itself." },
      { letter: "r", about: "Delivers to the address in RECIPIENT." },
      { letter: "u", about: "Delivers to the user in USER." },
    ],
    page: "smtpd.conf(5)",
  },
} as const satisfies Readonly<Record<string, ToolUsage>>;

export type Tool = keyof typeof TOOLS;

/** The letters that getopt() reads for a tool. */
export function lettersOf(tool: Tool): Letters {
  const options: readonly OptionUsage[] = TOOLS[tool].options;
  const letters = (wanted: (option: OptionUsage) => boolean) =>
    options.filter(wanted).map(({ letter }) => letter).join("");
  return {
    plain: letters(({ value }) => value === undefined),
    valued: letters(({ value, optional }) => value !== undefined && !optional),
    optional: letters(({ optional }) => optional === true),
    long: Object.fromEntries(options.flatMap(({ letter, long }) => long === undefined ? [] : [[long, letter]])),
  };
}

/** `usage: …`, a line for each way to call the tool, with the last line's end. */
export function usageOf(tool: Tool): string {
  return TOOLS[tool].usage.map((line, index) => `${index === 0 ? "usage:" : "      "} ${line}\n`).join("");
}

/** The version, with the line's end. */
export function versionOf(tool: string): string {
  return `${tool} (${PRODUCT}) ${VERSION}\n`;
}

/** What `--help` prints: usage, sentence, options. `more` is what the tool adds behind them. */
export function helpOf(tool: Tool, more = ""): string {
  const { about, page, options }: ToolUsage = TOOLS[tool];
  const rows = [
    ...options.filter((option) => option.about !== undefined).map((option): [string, string] => [
      `${option.letter === "" ? `--${option.long}` : `-${option.letter}`}${
        option.value === undefined ? "" : option.optional ? `[${option.value}]` : ` ${option.value}`
      }`,
      option.about!,
    ]),
    ["--help", "Prints this text."],
    ["--version", "Prints the version."],
  ] as const;
  return `${usageOf(tool)}${about}\n\n${table(rows)}${more}\nMore is in ${page}.\n`;
}

/** Rows of a term and a sentence, in two columns; a long term has a line of its own. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = 18;
  return rows.map(([term, about]) =>
    term.length < width ? `  ${term.padEnd(width)} ${about}\n` : `  ${term}\n  ${" ".repeat(width)} ${about}\n`
  ).join("");
}

/** Prints the help or the version of a tool on standard output, and returns the exit status 0. */
export function printInfo(tool: Tool, info: InfoOption, terminal: Terminal): number {
  terminal.out(info === "help" ? helpOf(tool) : versionOf(tool));
  return 0;
}
