/** What was promised and what became of it. Every message has an id of its own, and says its own digest. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

/** `local` and `relay` arrive, `bounce` comes back to its sender, `held` waits until it is removed. */
export type Kind = "local" | "relay" | "bounce" | "held";

export interface Promised {
  readonly kind: Kind;
  /** The queue's id, from the 250. */
  readonly message: string;
  /** Somebody asked to remove it; `sure` when the daemon said that it did. */
  removal: "none" | "asked" | "sure";
}

/** What is where, seen at one time. */
export interface Sight {
  readonly queued: ReadonlySet<string>;
  /** Ids of originals in notices that are still queued. */
  readonly noticed: ReadonlySet<string>;
}

const HEAD = /^X-Id: (\S+)\r?$/m;

/** The message of an id, ready for DATA. `size` in octets, about. */
export function compose(id: string, size: number): string {
  const body = `${id} ${"x".repeat(60)}\r\n`.repeat(Math.ceil(size / (id.length + 63)));
  const digest = createHash("sha256").update(body.replaceAll("\r\n", "\n")).digest("hex");
  return `From: sender@example.org\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <${id}@example.org>\r\n` +
    `X-Id: ${id}\r\nX-Digest: ${digest}\r\n\r\n${body}`;
}

/** The id of a message that arrived; throws when it is not whole. */
export function identify(text: string): string {
  const lines = text.replaceAll("\r\n", "\n");
  const [, id, digest, body] = /^X-Id: (\S+)\nX-Digest: (\S+)\n\n([^]*)$/m.exec(lines) ?? [];
  assert.ok(
    id !== undefined && digest !== undefined && body !== undefined,
    `a message is whole: ${text.slice(0, 300)}`,
  );
  assert.equal(createHash("sha256").update(body).digest("hex"), digest, `${id} is whole`);
  return id;
}

/** The id of the message that a notice speaks of; null when the text is none. */
export function originalOf(notice: string): string | null {
  return HEAD.exec(notice)?.[1] ?? null;
}

export class SentMail {
  readonly promised = new Map<string, Promised>();
  /** Files in the Maildir with this id. */
  readonly delivered = new Map<string, number>();
  readonly bounced = new Map<string, number>();
  /** Lives of the daemon in which the next host took it. */
  readonly relayed = new Map<string, number[]>();

  acknowledge(id: string, kind: Kind, message: string): void {
    this.promised.set(id, { kind, message, removal: "none" });
  }

  relay(id: string, life: number): void {
    const lives = this.relayed.get(id) ?? [];
    assert.ok(!lives.includes(life), `${id} is relayed twice by one daemon that was not killed in between`);
    this.relayed.set(id, [...lives, life]);
  }

  /** Throws when a promise is broken: neither arrived, nor queued, nor bounced, nor removed. */
  check(sight: Sight): void {
    for (const [id, { kind, message, removal }] of this.promised) {
      const accounted = this.delivered.has(id) || this.relayed.has(id) || this.bounced.has(id) ||
        sight.queued.has(message) || sight.noticed.has(id) || removal !== "none";
      assert.ok(accounted, `${id} (${kind}, ${message}) was acknowledged and is nowhere`);
      if (removal === "sure") assert.ok(!sight.queued.has(message), `${id} was removed and is queued again`);
    }
    for (const [what, counts] of [["delivered", this.delivered], ["bounced", this.bounced]] as const) {
      for (const [id, count] of counts) assert.equal(count, 1, `${id} is ${what} once`);
    }
  }

  /** As `check`, when nothing is queued any more. */
  checkEnd(): Totals {
    this.check({ queued: new Set(), noticed: new Set() });
    const totals = { ...NOTHING, acknowledged: this.promised.size };
    for (const [id, { kind, removal }] of this.promised) {
      const arrived = kind === "local" ? this.delivered : kind === "bounce" ? this.bounced : this.relayed;
      if (kind === "held") assert.notEqual(removal, "none", `${id} left the queue without having been removed`);
      else assert.ok(arrived.has(id), `${id} ended as a ${kind} message must`);
      totals[
        kind === "local" ? "delivered" : kind === "bounce" ? "bounced" : kind === "relay" ? "relayed" : "removed"
      ]++;
    }
    for (const lives of this.relayed.values()) totals.relayedAgain += lives.length - 1;
    return totals;
  }
}

export const NOTHING = { acknowledged: 0, delivered: 0, relayed: 0, relayedAgain: 0, bounced: 0, removed: 0 };
export type Totals = typeof NOTHING;

/** The sum of two. */
export function add(a: Totals, b: Totals): Totals {
  const sum = { ...a };
  for (const key of Object.keys(sum) as (keyof Totals)[]) sum[key] += b[key];
  return sum;
}

export function describe(totals: Totals): string {
  const { acknowledged, delivered, relayed, relayedAgain, bounced, removed } = totals;
  return `${acknowledged} acknowledged = ${delivered} delivered + ${relayed} relayed + ${bounced} bounced + ` +
    `${removed} removed; 0 lost; ${relayedAgain} relayed again because the kill met them in flight, 0 delivered twice`;
}
