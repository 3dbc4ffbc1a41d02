/** What a refusal can mean: the classes that log readers, DSNs, metrics and back-off go by. Data about them is in rules.ts. */

export const REPLY_CLASSES = [
  "no-such-user",
  "mailbox-full",
  "policy",
  "reputation",
  "rate",
  "greylisted",
  "content",
  "authentication",
  "temporary",
  "unreachable",
  "tls",
  "too-large",
  "protocol",
  "unknown",
] as const;

/** Why a host did not take a message, or why this server could not offer it. */
export type ReplyClass = typeof REPLY_CLASSES[number];

/** Narrows a class where that changes what a person should do. */
export type ReplyDetail =
  /** The domain of the address is wrong, not only its local part. */
  | "domain"
  /** The mailbox was there and is closed. */
  | "closed"
  /** This server's login at the host is refused, nothing about the message. */
  | "login"
  /** The name of this server's address in the DNS is missing or does not match. */
  | "reverse-dns"
  /** The domain of the sender's address cannot be found or used. */
  | "sender"
  /** The time of the message was over before it was tried. */
  | "expired"
  /** The message goes in a circle. */
  | "loop"
  /** More recipients than the host takes at once. */
  | "recipients"
  /** The host asks for a relay permission that this server does not have. */
  | "relay"
  /** The message is of a form that the host does not take. */
  | "form";
