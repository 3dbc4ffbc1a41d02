/**
 * The first part of a DSN, which people read: per kind of failure two sentences, what happened and what to do, then what was said about each recipient. The
 * technical part is in compose.ts. Pure.
 */

import { formatMailbox } from "../../envelope/mod.ts";
import { describe, type Meaning, meaningOf } from "../../reply_class/mod.ts";
import { oneLine } from "./delivery_status.ts";
import { charsetOf, type Dsn, type DsnRecipient } from "./dsn.ts";

/** Columns of the text. */
const MAX_COLUMNS = 72;
/** Kinds of failure that are explained; a message to thousands may fail in many ways. */
const MAX_EXPLAINED_KINDS = 8;

/** Recipients about which the same is to be said. */
interface Group {
  readonly meaning: Meaning;
  readonly host: string;
  readonly recipients: DsnRecipient[];
}

/** Returns the lines of the first part. */
export function explanation(dsn: Dsn): string[] {
  const charset = charsetOf(dsn);
  const groups = dsn.kind === "failed" || dsn.kind === "delayed" ? groupsOf(dsn.recipients) : [];
  const shown = groups.slice(0, MAX_EXPLAINED_KINDS);
  const paragraphs = groups.length > 0
    ? shown.map((group) => failureOf(dsn, group))
    : [SUCCESS[dsn.kind as "delivered" | "relayed"](named(dsn, dsn.recipients))];
  if (groups.length > shown.length) paragraphs.push("What happened to the other recipients is said below.");
  return [
    "Hi!",
    "",
    ...paragraphs.flatMap((text) => [...folded(text), ""]),
    HEADING[dsn.kind],
    "",
    ...dsn.recipients.map(({ dest, text }) => oneLine(`${formatMailbox(dest)}: ${withoutCode(text)}`, charset)),
    "",
    ...folded(oneLine(`This is the mail system at ${dsn.smtpname}. Nobody reads replies to this message.`, charset)),
    "",
    `Below is a copy of the original ${dsn.complete ? "message" : "message's headers"}:`,
  ];
}

/** What stands above what was said about each recipient. */
const HEADING: Readonly<Record<Dsn["kind"], string>> = {
  failed: "This was said about the delivery, last:",
  delayed: "This was said about the delivery, last:",
  delivered: "This was said about the delivery:",
  relayed: "This was said about the delivery:",
};

const SUCCESS: Readonly<Record<"delivered" | "relayed", (recipients: string) => string>> = {
  delivered: (recipients) => `Your message was delivered to ${recipients}. There is nothing left for you to do.`,
  relayed: (recipients) =>
    `Your message to ${recipients} was handed on to a mail system that does not report deliveries. ` +
    "There is nothing for you to do: you will hear of it again only if it fails.",
};

function groupsOf(recipients: readonly DsnRecipient[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const recipient of recipients) {
    const { text, status, remote = "" } = recipient;
    const meaning = meaningOf({ text, status: `${status.class}.${status.code}` });
    const key = `${meaning.class} ${meaning.detail ?? ""} ${remote}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { meaning, host: remote, recipients: [recipient] });
    else group.recipients.push(recipient);
  }
  return [...groups.values()];
}

/** Two sentences about one kind of failure. */
function failureOf(dsn: Dsn, { meaning, host, recipients }: Group): string {
  const waiting = dsn.kind === "delayed";
  const { what, todo } = describe(meaning.class, {
    recipient: named(dsn, recipients),
    several: recipients.length > 1,
    host: oneLine(host),
    reader: "sender",
    state: waiting ? "waiting" : "failed",
    ...(meaning.detail === undefined ? {} : { detail: meaning.detail }),
  });
  const happened = waiting
    ? `Your message has been waiting for more than ${formatAge(dsn.delaySeconds)}`
    : dsn.expired === true
    ? `Your message could not be delivered within ${formatAge(dsn.ttlSeconds)}, and is not tried again`
    : "Your message could not be delivered";
  const next = waiting
    ? `You need not do anything: delivery is tried again and again until the message is ${
      formatAge(dsn.ttlSeconds)
    } old.`
    : todo;
  return `${happened}: ${what[0]!.toLowerCase()}${what.slice(1)} ${next}`;
}

/** One address, or words for several, which are listed below. */
function named(dsn: Dsn, recipients: readonly DsnRecipient[]): string {
  if (recipients.length === 1) return oneLine(formatMailbox(recipients[0]!.dest), charsetOf(dsn));
  return recipients.length === dsn.recipients.length
    ? "the recipients below"
    : `${recipients.length} of the recipients below`;
}

/** "4 hours": the largest unit that fits, in whole numbers. */
function formatAge(seconds: number): string {
  const [count, unit] = seconds < 60
    ? [seconds, "second"]
    : seconds < 3600
    ? [Math.floor(seconds / 60), "minute"]
    : seconds < 86_400
    ? [Math.floor(seconds / 3600), "hour"]
    : [Math.floor(seconds / 86_400), "day"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** Drops the code 1xx or 6xx of a text of our own: no server said it. */
function withoutCode(text: string): string {
  return text.replace(/^[16]\d\d /, "");
}

/** Lines of MAX_COLUMNS at most; a longer word has a line of its own. */
function folded(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > MAX_COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
