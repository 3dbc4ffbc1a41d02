/**
 * The requests of the control socket: one table of their fields, from which the type and the reading of a line follow. Nothing is trusted: a line may come
 * from any program. Pure.
 */

import { type Trace, TRACES } from "../events/mod.ts";
import type { Check, Fields, Target } from "../protocol/mod.ts";
import { either, flag, list, matching, nullOr, oneOf, record, text, whole } from "../protocol/check.ts";
import { blocklists } from "../protocol/checkup.ts";
import { ADMIN_TOKEN_NAME } from "../protocol/main.ts";
import { historyQuery, MAX_FOUND_MESSAGES } from "../protocol/history.ts";
import { envelopeId, messageId } from "../protocol/shapes.ts";
import { LEAST_TOP_MS, MAX_DISCOVER_MESSAGES, MOST_TOP_MS } from "./protocol.ts";

/** Characters of what a story is asked for by, a Message-ID at the longest, and of the place where a search goes on. */
const MAX_STORY_ID_CHARS = 1_000, MAX_CURSOR_CHARS = 256;

const domain = matching(/^[^\s@/]{1,255}$/, "a domain");
const adminTokenName = matching(ADMIN_TOKEN_NAME, "the name of a token");
const subsystem = oneOf("mda", "mta", "smtp");
const trace: Check<Trace | "all"> = oneOf("all", ...TRACES);
const target: Check<Target> = either(
  oneOf("all"),
  either(only({ domain }), either(only({ message: messageId }), only({ envelope: envelopeId }))),
);

/** An object with this one field and no others: what it names must be clear. */
function only<T>(field: Fields<T>): Check<T> {
  const check = record<T>(field);
  return (value) => check(value) ?? (Object.keys(value as object).length === 1 ? null : "has other fields");
}

/** The fields of each request beside `do`; where there are several lists of fields, those of one of them. */
const REQUESTS = {
  "show-queue": [{ message: nullOr(messageId) }],
  "show-message": [{ message: messageId }],
  "show-envelope": [{ envelope: envelopeId }],
  "show-stats": [{}],
  "show-status": [{}],
  "show-damaged": [{}],
  "show-certificates": [{}],
  "show-relay": [{ what: oneOf("hosts", "hoststats", "relays", "routes") }],
  /** Messages of the history, newest first. `before`: the `next` of a search before; "" begins. */
  find: [{ query: historyQuery, limit: whole({ least: 1, most: MAX_FOUND_MESSAGES }), before: text(MAX_CURSOR_CHARS) }],
  /** What became of it; with `dialogue` also what was said in its sessions. */
  story: [{ id: text(MAX_STORY_ID_CHARS), dialogue: flag }],
  /** Checks this host, and asks these blocklists. */
  check: [{ blocklists }],
  monitor: [{}],
  top: [{ intervalMs: whole({ least: LEAST_TOP_MS, most: MOST_TOP_MS }) }],
  reload: [{}],
  stop: [{}],
  "update-pki": [{}],
  "update-dkim": [{}],
  "dkim-check": [{}],
  "dkim-rotate": [{ domain }],
  "update-table": [{ table: text() }],
  export: [{}],
  /** `begin` has the database file not written until `end`; `hold` is the number of that, 0 at the beginning. */
  backup: [{ step: oneOf("begin", "keep", "end"), hold: whole() }],
  /** Takes in what lies in the spool's folder `import`: one envelope, or messages. */
  discover: [{ envelope: envelopeId }, { messages: list(messageId, MAX_DISCOVER_MESSAGES) }],
  schedule: [{ target }],
  remove: [{ target }],
  "pause-envelope": [{ target }],
  "resume-envelope": [{ target }],
  pause: [{ what: subsystem }],
  resume: [{ what: subsystem }],
  "resume-route": [{ route: whole({ least: Number.MIN_SAFE_INTEGER }) }],
  log: [{ verbose: flag }],
  trace: [{ what: trace }],
  untrace: [{ what: trace }],
  /** Keep a token of the admin page, of which this is the hash. */
  "admin-token": [{
    name: nullOr(adminTokenName),
    scope: oneOf("read", "write"),
    hash: matching(/^[0-9a-f]{64}$/, "a hash"),
    expiresAt: nullOr(whole()),
  }],
  "admin-tokens": [{}],
  "admin-revoke": [{ name: adminTokenName }],
} as const;

type Passed<Fields> = { readonly [Name in keyof Fields]: Fields[Name] extends Check<infer T> ? T : never };
type RequestOf<Verb extends keyof typeof REQUESTS> = Verb extends unknown
  ? typeof REQUESTS[Verb][number] extends infer Fields
    ? Fields extends unknown ? { readonly do: Verb } & Passed<Fields> : never
  : never
  : never;
/** `json`: the answer is to be in records; what has none ignores it. */
export type ControlRequest = RequestOf<keyof typeof REQUESTS> & { readonly json?: true };

export type Subsystem = "mda" | "mta" | "smtp";

/** Takes a line of the control socket without its end, and returns the request, or null when the line is not one. */
export function parseRequest(line: string): ControlRequest | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const given = value as Readonly<Record<string, unknown>>;
  if (typeof given.do !== "string" || !Object.hasOwn(REQUESTS, given.do)) return null;
  const forms: readonly Readonly<Record<string, Check<unknown>>>[] = REQUESTS[given.do as keyof typeof REQUESTS];
  const fields = forms.find((form) => Object.entries(form).every(([name, check]) => check(given[name]) === null));
  if (fields === undefined) return null;
  const copied = Object.fromEntries(Object.keys(fields).map((name) => [name, given[name]]));
  return { do: given.do, ...copied, ...given.json === true ? { json: true } : {} } as ControlRequest;
}
