/** Mailboxes and reverse-paths as values. Parsing of what a client typed is in src/smtp; this file is independent of the protocol. */

/** `local@domain`, RFC 5321 §2.3.11. Case is kept as it was received; an address literal keeps its brackets in `domain`. */
export interface Mailbox {
  readonly local: string;
  readonly domain: string;
}

/** The reverse-path of a transaction. `null` is the null reverse-path `<>` of RFC 5321 §4.5.5, a value of its own. */
export type ReversePath = Mailbox | null;

/** `local@domain`, as written in headers, logs and tables. */
export function formatMailbox(mailbox: Mailbox): string {
  return `${mailbox.local}@${mailbox.domain}`;
}

/** `<local@domain>` or `<>`, as written on the wire and in log lines. */
export function formatPath(path: ReversePath): string {
  return path === null ? "<>" : `<${path.local}@${path.domain}>`;
}
