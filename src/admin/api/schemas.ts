/** The answers of the API, as schemas: the description of the API follows from them, and a test checks all answers by them. Names stay as they are. */

import { z } from "@hono/zod-openapi";
import { HISTORY_OUTCOMES } from "../../protocol/history.ts";

// Compiling schemas saves little here, and takes eval.
z.config({ jitless: true });

const time = z.iso.datetime().openapi({ description: "RFC 3339" });
const maybeTime = time.nullable();
const text = z.string();
const maybeText = text.nullable();
const count = z.number().int().nonnegative();
const agent = z.enum(["mda", "mta", "bounce"]);

/** A page of a list: `next` goes into `after` (or `before`) of the next request, and is null at the end. */
export function listOf<T extends z.ZodType>(item: T, name: string) {
  return z.object({ items: z.array(item), next: maybeText.openapi({ description: "Opaque; null on the last page" }) })
    .openapi(name);
}

export const problem = z.object({
  type: text,
  title: text,
  status: z.number().int(),
  detail: text.openapi({ description: "What is wrong, and what to do" }),
  errors: z.array(z.object({ parameter: text, reason: text })).optional(),
}).openapi("Problem");

const rates = z.object({
  accepted: z.number(),
  delivered: z.number(),
  relayed: z.number(),
  deferred: z.number(),
  failed: z.number(),
  refused: z.number(),
}).openapi("Rates", { description: "Per second" });

export const overview = z.object({
  serverName: text,
  version: text,
  at: time,
  uptimeSeconds: count,
  status: z.enum(["ok", "unavailable"]),
  reasons: z.array(text).openapi({ description: "Why mail is refused or stands still" }),
  problems: z.array(text).openapi({ description: "What is wrong with the spool" }),
  paused: z.array(z.enum(["mda", "mta", "smtp"])),
  rates: rates.nullable().openapi({ description: "Null in a single look: only who listens to events has a before" }),
  sessions: count.openapi({ description: "SMTP sessions" }),
  relaySessions: count,
  localDeliveries: count,
  envelopes: count.openapi({ description: "In the queue" }),
  inflight: count,
  oldestAt: maybeTime,
  laneCount: count,
  history: z.boolean().openapi({ description: "Whether a history of messages is kept" }),
  checkup: z.object({ at: time, errors: count, warnings: count }).nullable(),
}).openapi("Overview");

const identity = {
  envelope: text,
  message: text,
  agent,
  sender: maybeText.openapi({ description: "Null for the null sender" }),
  rcpt: maybeText,
  dest: maybeText,
};
const standing = {
  state: z.enum(["pending", "inflight", "held", "suspended", "unknown", "offline"]),
  dueAt: maybeTime,
  inflightSince: maybeTime,
};

export const queued = z.object({
  ...identity,
  source: text,
  flags: z.array(text),
  createdAt: maybeTime,
  expiresAt: maybeTime,
  lastTryAt: maybeTime,
  tries: count,
  ...standing,
  error: maybeText,
  errorClass: maybeText,
}).openapi("QueuedEnvelope");
export const queueList = listOf(queued, "QueueList");

export const envelope = z.object({
  ...identity,
  action: text,
  user: maybeText,
  subAddress: maybeText,
  exec: maybeText,
  internal: z.boolean(),
  suspended: z.boolean(),
  origin: z.object({
    address: text,
    hostname: maybeText,
    helo: maybeText,
    smtpname: maybeText,
    tag: maybeText,
    username: maybeText,
    authenticated: z.boolean(),
  }),
  dsn: z.object({ notify: z.array(text), ret: maybeText, envid: maybeText, orcpt: maybeText }),
  createdAt: maybeTime,
  expiresAt: maybeTime,
  lastTryAt: maybeTime,
  lastBounceAt: maybeTime,
  tries: count,
  error: maybeText,
  errorClass: maybeText,
  status: maybeText,
  remote: maybeText,
  smtpUtf8: z.boolean(),
  requireTls: z.boolean(),
  tlsOptional: z.boolean(),
  mailAuth: z.record(text, z.unknown()).nullable(),
  bounce: z.object({ kind: text, text: text }).nullable(),
  ...standing,
  flags: z.array(text),
}).openapi("Envelope");

export const changed = z.object({
  count: count.openapi({ description: "Envelopes that were changed" }),
  note: maybeText.openapi({ description: "Why nothing was to be done" }),
}).openapi("Changed");
export const done = z.object({ done: z.literal(true) }).openapi("Done");

export const lane = z.object({
  agent,
  action: text,
  name: text.openapi({ description: "The destination, or the user" }),
  envelopes: count,
  inflight: count,
  jobs: count,
  maxJobs: count,
  limit: z.enum(["open", "paused", "jobs", "envelopes", "low-water", "room"]),
  oldestAt: maybeTime,
  reason: text.openapi({ description: "How it stands, in a sentence" }),
}).openapi("Lane");
export const laneList = listOf(lane, "LaneList");

export const host = z.object({
  address: text,
  name: text,
  references: count,
  connections: count,
  lastConnectAt: maybeTime,
  transactionMs: z.number().nullable(),
  failedAt: maybeTime,
  failureClass: maybeText,
  failure: maybeText,
}).openapi("Host");
export const hostList = listOf(host, "HostList");

export const session = z.object({
  session: text,
  since: time,
  lastAt: time,
  address: text,
  host: text,
  tls: maybeText.openapi({ description: "Version and cipher; null without TLS" }),
  login: maybeText,
  messages: count,
  refused: count,
  lastRefusal: maybeText,
}).openapi("SmtpSession");
export const sessionList = listOf(session, "SmtpSessionList");

export const certificate = z.object({
  name: text,
  source: z.enum(["file", "acme", "temporary"]),
  notAfter: maybeTime,
  names: z.array(text),
  issuer: text,
  failures: count,
  retryAt: maybeTime,
}).openapi("Certificate");
export const certificateList = listOf(certificate, "CertificateList");

export const checkup = z.object({
  at: maybeTime.openapi({ description: "Null before the first check" }),
  findings: z.array(z.object({
    check: text,
    subject: text,
    level: z.enum(["ok", "info", "warning", "error", "unknown"]),
    text: text,
    advice: maybeText,
  })),
}).openapi("Checkup");

export const walls = z.object({
  process: text,
  pid: z.number().int().nullable().openapi({ description: "Null: it does not run now" }),
  stands: z.array(text),
  says: z.array(text),
  missing: z.array(text),
  isolates: z.array(text),
}).openapi("Walls");
export const wallsList = listOf(walls, "WallsList");

export const stats = z.object({ uptimeSeconds: count, stats: z.record(text, z.number()) }).openapi("Stats");

export const login = z.strictObject({ token: text.min(1).max(200) }).openapi("Login");
export const loginState = z.object({
  scope: z.enum(["none", "read", "write"]),
  name: maybeText.openapi({ description: "Of the token; null for nobody" }),
  csrf: maybeText.openapi({ description: "For the field X-CSRF-Token; null without a session" }),
}).openapi("Session");

export const found = z.object({
  id: text.openapi({ description: "Of the message; of the session where it brought none" }),
  session: maybeText,
  at: time,
  lastAt: time,
  from: maybeText.openapi({ description: "`<>` for the null sender" }),
  to: z.array(text).openapi({ description: "The first 10" }),
  rcpts: count,
  peer: maybeText,
  login: maybeText,
  messageId: maybeText,
  bytes: count,
  outcome: z.enum(HISTORY_OUTCOMES),
  reply: maybeText,
  replyClass: maybeText,
}).openapi("FoundMessage");
export const foundList = z.object({
  items: z.array(found),
  next: maybeText.openapi({ description: "Opaque: `before` of the next page; null on the last" }),
  stopped: z.boolean().openapi({
    description: "The search ended before all was looked at: narrow it, or go on at `next`",
  }),
  notes: z.array(text).openapi({ description: "What is wrong with the history" }),
}).openapi("FoundMessageList");

const seconds = z.number().nullable().openapi({ description: "Seconds; null where nothing was delivered" });
export const series = z.object({
  items: z.array(z.object({
    at: time,
    accepted: count,
    delivered: count,
    relayed: count,
    deferred: count,
    failed: count,
    refused: count,
    delayP50: seconds,
    delayP95: seconds,
    queue: z.array(count).nullable().openapi({ description: "Envelopes in the queue, by `ages`" }),
  })).openapi({ description: "Oldest first; times before the start of the daemon are left out or null" }),
  next: z.null(),
  bucketSeconds: count,
  ages: z.array(text).openapi({ description: "What the numbers of `queue` are of" }),
}).openapi("Series");

const level = z.enum(["ok", "info", "warn", "bad"]);
export const story = z.object({
  id: text,
  headline: text.openapi({ description: "The reason first, in one sentence" }),
  level,
  facts: z.object({
    message: maybeText,
    session: maybeText,
    from: maybeText,
    to: z.array(text),
    recipients: count,
    peer: maybeText,
    login: maybeText,
    messageId: maybeText,
    bytes: count.nullable(),
    firstAt: maybeTime,
    lastAt: maybeTime,
  }),
  lines: z.array(z.object({ at: time, kind: text, level, text: text, detail: z.array(text) })),
  now: z.array(text).openapi({ description: "How it stands in the queue" }),
  notes: z.array(text),
  events: z.array(z.object({ at: time, isolate: text, event: z.looseObject({ type: text }) })),
  dialogue: z.array(z.object({
    session: text,
    side: text,
    at: time,
    before: count.openapi({ description: "Lines that are not kept" }),
    lines: z.array(z.object({ ms: z.number(), from: text, text: text })),
  })).optional(),
}).openapi("Story");

/** Of requests. */
export const envelopeParam = z.object({
  id: z.string().regex(/^[0-9a-f]{16}$/, "must be an envelope id: 16 hexadecimal digits").openapi({
    param: { name: "id", in: "path" },
    example: "5f3a1b2c00000001",
  }),
});
export const targetParam = z.object({
  id: z.string().regex(
    /^(?!0{8})(?:[0-9a-f]{8}|[0-9a-f]{16})$/,
    "must be an envelope id (16 hexadecimal digits) or a message id (8)",
  ).openapi({ param: { name: "id", in: "path" }, example: "5f3a1b2c00000001" }),
});
/** A number of a query, `most` at most. */
export function numberOf({ usual, most }: { readonly usual: number; readonly most: number }) {
  return z.string().regex(/^[1-9]\d{0,4}$/, `must be a number from 1 to ${most}`).transform(Number).pipe(
    z.number().max(most, `must be a number from 1 to ${most}`),
  ).default(usual).openapi({ type: "integer", minimum: 1, maximum: most, default: usual });
}
