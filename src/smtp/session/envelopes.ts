/**
 * From the recipients of a transaction to the envelopes that the queue stores. Recipients that lead to the same mailbox share one: it gets one
 * copy of the message. Pure.
 */

import {
  type Deliverable,
  type DsnParameters,
  type EnvelopeContent,
  type EnvelopeId,
  formatMailbox,
  type Handling,
  type MailAuth,
  type Mailbox,
  type MessageId,
  NOTIFY,
  type Origin,
  type ReversePath,
} from "../../envelope/mod.ts";
import type { Accepted, Transaction } from "./state.ts";

export interface Order {
  readonly message: MessageId;
  readonly sender: ReversePath;
  readonly origin: Origin;
  readonly accepted: readonly Accepted[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly handling: Handling | null;
  /** Of a message that was checked. */
  readonly mailAuth?: MailAuth | null;
  /** A random id that belongs to the message. Asked for once for each target, in their order. */
  newId(message: MessageId): EnvelopeId;
}

export interface Envelopes {
  readonly all: readonly EnvelopeContent[];
  /** The last envelope of each recipient, for the log. A recipient that expands to nothing has none. */
  readonly last: readonly { readonly id: EnvelopeId; readonly to: Mailbox }[];
  /** Targets that share the envelope of another one. */
  readonly shared: readonly { readonly rcpt: Mailbox; readonly dest: Mailbox; readonly by: EnvelopeId }[];
}

/** Returns the accepted recipients of a transaction in the order of their RCPTs. */
export function recipients(transaction: Transaction): readonly Accepted[] {
  const list: Accepted[] = [];
  for (let one = transaction.accepted; one !== null; one = one.before) list.push(one);
  return list.reverse();
}

/**
 * Returns the envelopes of a message, each with an id of its own: one per target of each accepted recipient, and one for recipients that lead to
 * the same mailbox.
 */
export function envelopesOf(order: Order): Envelopes {
  const { message, sender, origin, createdAt, handling, mailAuth = null } = order;
  const known = { ...handling === null ? {} : { handling }, ...mailAuth === null ? {} : { mailAuth } };
  const used = new Set<EnvelopeId>();
  const all: EnvelopeContent[] = [];
  /** Index in `all` of what goes to a mailbox. */
  const places = new Map<string, number>();
  const last: { id: EnvelopeId; to: Mailbox }[] = [];
  const shared: { rcpt: Mailbox; dest: Mailbox; by: EnvelopeId }[] = [];
  for (const { rcpt, dsn, expansion } of order.accepted) {
    let id: EnvelopeId | null = null;
    for (const [index, target] of expansion.targets.entries()) {
      let own = order.newId(message);
      while (used.has(own)) own = order.newId(message);
      used.add(own);
      const { action, dest, mac } = target;
      const internal = expansion.internal[index] ?? false;
      const content = { id: own, sender, rcpt, dest, origin, dsn, action, internal, createdAt };
      const common = { ...content, ...known, ...mac === undefined ? {} : { mac } };
      const envelope: EnvelopeContent = target.agent === "mta"
        ? { ...common, agent: "mta" }
        : { ...common, agent: "mda", user: target.user, subAddress: target.subAddress, exec: target.exec };
      const key = mailboxKey(target, rcpt);
      const place = places.get(key);
      const both = place === undefined ? null : merged(all[place]!, envelope);
      if (both !== null) {
        all[place!] = both;
        shared.push({ rcpt, dest, by: both.id });
      } else {
        if (place === undefined) places.set(key, all.length);
        all.push(envelope);
      }
      id = (both ?? envelope).id;
    }
    if (id !== null) last.push({ id, to: rcpt });
  }
  return { all, last, shared };
}

/** The same for targets that lead to the same mailbox. What no mailbox is known of (a relay, a command) goes by its address. */
function mailboxKey(target: Deliverable, rcpt: Mailbox): string {
  const { agent, action, dest } = target;
  if (agent === "mta") return JSON.stringify([agent, action, dest.local, dest.domain.toLowerCase()]);
  const { user, subAddress, exec, oncePer } = target;
  const mailbox = [agent, action, user, exec];
  if (oncePer === undefined) return JSON.stringify(mailbox);
  if (oncePer === "sub-address") return JSON.stringify([...mailbox, subAddress]);
  const addresses = [formatMailbox(rcpt), formatMailbox(dest)];
  const recipients = oncePer === "address" ? addresses.map((address) => address.toLowerCase()) : addresses;
  return JSON.stringify([...mailbox, subAddress, ...recipients]);
}

/**
 * One envelope for two that lead to the same mailbox, with the id of the first. It reports whatever one of them was to report, for the recipient that
 * asks for more. Null when both are to report success for recipients of their own (RFC 3461 §4.1): each has a DSN of its own.
 */
function merged(first: EnvelopeContent, second: EnvelopeContent): EnvelopeContent | null {
  const [wanted, more] = [wantsOf(first.dsn), wantsOf(second.dsn)];
  const same = first.dsn.orcpt === second.dsn.orcpt &&
    formatMailbox(first.rcpt).toLowerCase() === formatMailbox(second.rcpt).toLowerCase();
  if (wanted & more & NOTIFY.SUCCESS && !same) return null;
  const leader = rank(more) > rank(wanted) ? second : first;
  return { ...leader, id: first.id, dsn: { ...leader.dsn, notify: union(first.dsn.notify, second.dsn.notify) } };
}

/** Bits of what is to be reported: without NOTIFY that is failure, and delay (RFC 3461 §4.1). */
function wantsOf({ notify }: DsnParameters): number {
  return notify === 0 ? NOTIFY.FAILURE | NOTIFY.DELAY : notify & ~NOTIFY.NEVER;
}

function rank(wants: number): number {
  return wants === 0 ? 0 : wants & NOTIFY.SUCCESS ? 2 : 1;
}

function union(one: number, other: number): number {
  if (one === other) return one;
  if (one === NOTIFY.NEVER) return other;
  if (other === NOTIFY.NEVER) return one;
  const byDefault = NOTIFY.FAILURE | NOTIFY.DELAY;
  return (one || byDefault) | (other || byDefault);
}
