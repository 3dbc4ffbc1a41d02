/** A daemon for the admin application that answers what a test says, and an application that is asked without a socket. */

import {
  type AdminApp,
  type AdminSource,
  type ConnectionFacts,
  createAdmin,
  type RequestResult,
} from "../../src/admin/mod.ts";
import { envelopeRecord, queueRecord } from "../../src/control/mod.ts";
import type { AdminToken } from "../../src/protocol/mod.ts";
import { envelope } from "../control/harness.ts";
import { FakeClock } from "../fake_clock.ts";
import { evpid } from "../ids.ts";

export const NOW = 1_700_000_100_000;
export const ENVELOPES = ["00000001aaaaaaaa", "00000001bbbbbbbb", "00000002cccccccc"].map(evpid);

export function sourceOf(changes: Partial<AdminSource> = {}): AdminSource {
  const rows = ENVELOPES.map((id) => ({
    envelope: envelope(id, { errorLine: "<script>alert(1)</script>" }),
    state: { id, state: "pending" as const, at: NOW + 60_000 },
  }));
  return {
    serverName: "mx.example.org",
    version: "0.1.0",
    uptimeSeconds: () => 61.5,
    stats: () => [
      { key: "scheduler.delivery.ok", value: 7, kind: "counter" },
      { key: "smtp.session", value: 2, kind: "gauge" },
    ],
    histogram: () => ({ counts: [], sum: 0 }),
    measure: () =>
      Promise.resolve({
        queueAges: null,
        queueOldest: 60,
        diskFree: 5000,
        diskSize: 9000,
        certificateExpiry: null,
      }),
    series: () => ({ items: [], next: null, bucketSeconds: 600, ages: [] }),
    queuePage: (after, limit, message = null) =>
      Promise.resolve(
        rows.filter(({ envelope: { id } }) => id > after && id.startsWith(message ?? "")).slice(0, limit),
      ),
    envelope: (id) => Promise.resolve(rows.find((row) => row.envelope.id === id) ?? null),
    recordOf: {
      queued: ({ envelope, state }) => queueRecord(envelope, state, () => "unknown"),
      whole: ({ envelope, state }) => {
        const { state: standing, dueAt, inflightSince, flags } = queueRecord(envelope, state, () => "unknown");
        return {
          ...envelopeRecord(envelope, () => "unknown"),
          state: standing!,
          dueAt: dueAt!,
          inflightSince: inflightSince!,
          flags: flags!,
        };
      },
    },
    health: () => Promise.resolve({ queue: true, scheduler: true }),
    diskErrors: () => Promise.resolve([]),
    checkup: () => null,
    refusals: () => Promise.resolve([]),
    paused: () => ({ mda: false, mta: false, smtp: false }),
    recording: () => false,
    find: () => Promise.resolve({ fault: "the history is off", unavailable: true }),
    story: (id) => Promise.resolve({ fault: `nothing is known of ${id}`, unavailable: false }),
    ask: () => Promise.resolve({ records: [], end: { ok: true, count: 1 } } satisfies RequestResult),
    look: (rates) =>
      Promise.resolve({
        ...{ serverName: "mx.example.org", at: new Date(NOW).toISOString(), uptimeSeconds: 61, rates },
        ...{ sessions: 0, relaySessions: 0, localDeliveries: 0, envelopes: 3, inflight: 0, laneCount: 1 },
        ...{ oldestAt: null, history: false },
      }),
    watch: () => ({ rates: () => NO_RATES, end: () => {} }),
    lanes: () => Promise.resolve([]),
    sessions: () => ({ records: [], count: 0 }),
    tokens: () => Promise.resolve([]),
    tokenUsed: () => {},
    act: () => {},
    ...changes,
  };
}

export const NO_RATES = { accepted: 0, delivered: 0, relayed: 0, deferred: 0, failed: 0, refused: 0 };
export const LOOPBACK: ConnectionFacts = { client: "127.0.0.1", hostname: null, auth: false };

/** What asks an application as a client at the loopback address does. */
export interface Asking {
  (path: string, init?: RequestInit, connection?: Partial<ConnectionFacts>): Promise<Response>;
  readonly app: AdminApp;
  readonly clock: FakeClock;
}

/** An application of its own. */
export function appOf(source: AdminSource = sourceOf(), clock = new FakeClock(NOW)): Asking {
  const app = createAdmin({ source, clock });
  const ask = (path: string, init: RequestInit = {}, connection: Partial<ConnectionFacts> = {}) =>
    app.fetch(new Request(`http://127.0.0.1:8025${path}`, init), { ...LOOPBACK, ...connection });
  return Object.assign(ask, { app, clock });
}

/** Tokens by their texts. */
export async function tokensOf(
  texts: Readonly<Record<string, Partial<AdminToken>>>,
): Promise<readonly AdminToken[]> {
  return await Promise.all(
    Object.entries(texts).map(async ([text, changes], at): Promise<AdminToken> => {
      const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
      return {
        name: `t${at}`,
        scope: "write",
        hash: new Uint8Array(digest).toHex(),
        createdAt: NOW,
        expiresAt: null,
        usedAt: null,
        ...changes,
      };
    }),
  );
}
