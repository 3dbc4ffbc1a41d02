/** From the recipients of a transaction to the envelopes that the queue stores. Pure. */

import type {
  Deliverable,
  EnvelopeFacts,
  EnvelopeId,
  Handling,
  Mailbox,
  MessageId,
  Origin,
  ReversePath,
} from "../envelope/mod.ts";
import type { Accepted, Transaction } from "./state.ts";

export interface Order {
  readonly message: MessageId;
  readonly sender: ReversePath;
  readonly origin: Origin;
  readonly accepted: readonly Accepted[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly handling: Handling | null;
  /** A random id that belongs to the message. */
  newId(message: MessageId): EnvelopeId;
}

export interface Envelopes {
  readonly all: readonly EnvelopeFacts[];
  /** The last envelope of each recipient, for the log. A recipient that expands to nothing has none. */
  readonly last: readonly { readonly id: EnvelopeId; readonly to: Mailbox }[];
}

/** Accepted recipients in the order of their RCPTs. */
export function recipients(transaction: Transaction): readonly Accepted[] {
  const list: Accepted[] = [];
  for (let one = transaction.accepted; one !== null; one = one.before) list.push(one);
  return list.reverse();
}

function localPart({ user, subAddress, exec, seal }: Extract<Deliverable, { agent: "mda" }>) {
  return seal === undefined ? { user, subAddress, exec } : { user, subAddress, exec, seal };
}

export function envelopesOf(order: Order): Envelopes {
  const { message, sender, origin, createdAt, handling } = order;
  const used = new Set<EnvelopeId>();
  const all: EnvelopeFacts[] = [];
  const last: { id: EnvelopeId; to: Mailbox }[] = [];
  for (const { rcpt, dsn, expansion } of order.accepted) {
    const before = all.length;
    for (const [index, target] of expansion.targets.entries()) {
      let id = order.newId(message);
      while (used.has(id)) id = order.newId(message);
      used.add(id);
      const { action, dest } = target;
      const internal = expansion.internal[index] ?? false;
      const told = { id, sender, rcpt, dest, origin, dsn, action, internal, createdAt };
      const common = handling === null ? told : { ...told, handling };
      all.push(
        target.agent === "mta" ? { ...common, agent: "mta" } : { ...common, agent: "mda", ...localPart(target) },
      );
    }
    if (all.length > before) last.push({ id: all[all.length - 1]!.id, to: rcpt });
  }
  return { all, last };
}
