/** The paths of the API: methods, parameters, answers, scopes. What each does is in api.ts; the description of the API follows from these. */

import { createRoute, z } from "@hono/zod-openapi";
import * as schemas from "./schemas.ts";

/** Rows of one page, and the most that may be asked for. */
export const PAGE_ROWS = 100, MAX_PAGE_ROWS = 1000;

export type NeededScope = "none" | "read" | "write";

const json = <T extends z.ZodType>(schema: T, description: string) => ({
  content: { "application/json": { schema } },
  description,
});
const problem = (description: string) => ({
  content: { "application/problem+json": { schema: schemas.problem } },
  description,
});
/** What every path may answer. */
const ANY = {
  400: problem("Not valid: `errors` names the parameters"),
  401: problem("A token is needed, or is not good"),
  403: problem("The token may not do that, or the request comes from another site"),
  421: problem("The Host field has a name that is not of this server"),
  429: problem("Too many requests: `Retry-After` says when to come again"),
  503: problem("A part of the server does not answer"),
};
const NOT_FOUND = { 404: problem("There is no such thing") };
const UNCHANGED = { 409: problem("Nothing was changed, and why") };
const security = [{ token: [] }, { cookie: [] }];

const path = <P extends string>(rest: P): `/api/v1/${P}` => `/api/v1/${rest}`;

const after = z.string().max(200).optional().openapi({ description: "`next` of the page before" });
const queueQuery = z.strictObject({
  after,
  limit: schemas.numberOf({ usual: PAGE_ROWS, most: MAX_PAGE_ROWS }),
  message: z.string().regex(/^[0-9a-f]{8}$/, "must be a message id: 8 hexadecimal digits").optional(),
  domain: z.string().min(1).max(255).optional().openapi({ description: "Of the recipient after expansion" }),
  state: z.enum(["pending", "inflight", "held", "suspended", "unknown"]).optional(),
});
const pageQuery = z.strictObject({ after, limit: schemas.numberOf({ usual: PAGE_ROWS, most: MAX_PAGE_ROWS }) });
const noQuery = z.strictObject({});

/** A path that is read. */
function read<P extends string, S extends z.ZodType>(rest: P, summary: string, schema: S) {
  return createRoute({
    method: "get",
    path: path(rest),
    summary,
    security,
    request: { query: noQuery },
    responses: { 200: json(schema, summary), ...ANY },
  });
}

/** What is done to an envelope, or to all of a message. */
function act<P extends string>(verb: P, summary: string) {
  return createRoute({
    method: "post",
    path: path(`queue/{id}/${verb}`),
    summary,
    security,
    request: { params: schemas.targetParam, query: noQuery },
    responses: { 200: json(schemas.changed, summary), ...ANY, ...NOT_FOUND, ...UNCHANGED },
  });
}

const subsystem = z.object({
  what: z.enum(["mda", "mta", "smtp"]).openapi({ param: { name: "what", in: "path" } }),
});

function pausing<P extends "pause" | "resume">(verb: P, summary: string) {
  return createRoute({
    method: "post",
    path: path(`${verb}/{what}`),
    summary,
    security,
    request: { params: subsystem, query: noQuery },
    responses: { 200: json(schemas.done, summary), ...ANY, ...UNCHANGED },
  });
}

export const overview = read("overview", "How the server stands now", schemas.overview);
export const series = createRoute({
  method: "get",
  path: path("series"),
  summary: "What happened in the last hours, for plots: counted since the daemon serves this API",
  security,
  request: {
    query: z.strictObject({
      hours: schemas.numberOf({ usual: 24, most: 24 }),
      minutes: schemas.numberOf({ usual: 10, most: 60 }).openapi({ description: "Of one bucket" }),
    }),
  },
  responses: { 200: json(schemas.series, "Buckets"), ...ANY },
});
export const queue = createRoute({
  method: "get",
  path: path("queue"),
  summary: "Envelopes in the queue, in order of id",
  description:
    "With `domain` or `state` a page may have fewer rows than `limit`, even none, while `next` is not null: " +
    "so many envelopes are looked at for one page at most.",
  security,
  request: { query: queueQuery },
  responses: { 200: json(schemas.queueList, "A page"), ...ANY },
});
export const queued = createRoute({
  method: "get",
  path: path("queue/{id}"),
  summary: "All that is known of an envelope",
  security,
  request: { params: schemas.envelopeParam, query: noQuery },
  responses: { 200: json(schemas.envelope, "The envelope"), ...ANY, ...NOT_FOUND },
});
export const hold = act("hold", "Suspends delivery, as smtpctl pause envelope does");
export const release = act("release", "Ends the suspension, as smtpctl resume envelope does");
export const retry = act("retry", "Makes it due now, as smtpctl schedule does");
export const remove = createRoute({
  method: "delete",
  path: path("queue/{id}"),
  summary: "Removes it from the queue for good, as smtpctl remove does; nobody gets a notice",
  security,
  request: { params: schemas.targetParam, query: noQuery },
  responses: { 200: json(schemas.changed, "It is removed"), ...ANY, ...NOT_FOUND, ...UNCHANGED },
});
function word(description: string) {
  return z.string().min(1).max(320).optional().openapi({ description });
}

const findQuery = z.strictObject({
  q: z.string().max(1_000).optional().openapi({
    description:
      "Words: each matches an address, a domain, a Message-ID, an id, a peer, a login or a reply; `*` stands for any text",
  }),
  from: word("Of the sender; `<>` is the null sender"),
  to: word("Of a recipient"),
  domain: word("Of the sender or a recipient"),
  messageId: word("The field Message-ID"),
  id: word("Of a message, an envelope, a session or a refusal"),
  peer: word("Address of the client"),
  login: word("Who had logged in"),
  reply: word("A part of what was answered"),
  outcome: word("What became of it"),
  since: word("RFC 3339, or 2h, 3d, today; without it the last 30 days are searched"),
  until: word("As `since`"),
  limit: schemas.numberOf({ usual: 50, most: MAX_PAGE_ROWS }),
  // The history begins anew with what is none of its places.
  before: z.string().regex(/^\d{1,8}\.\d{1,7}$/, "is not what a page gave as next").optional().openapi({
    description: "`next` of the page before",
  }),
});

export const messages = createRoute({
  method: "get",
  path: path("messages"),
  summary: "Messages and refusals of the history, newest first, as smtpctl find",
  security,
  request: { query: findQuery },
  responses: { 200: json(schemas.foundList, "A page"), ...ANY, 404: problem("No history is kept") },
});
export const story = createRoute({
  method: "get",
  path: path("messages/{id}"),
  summary: "The story of a message, an envelope, a session or a refusal, as smtpctl story",
  security,
  request: {
    params: z.object({ id: z.string().min(1).max(1_000).openapi({ param: { name: "id", in: "path" } }) }),
    query: z.strictObject({
      dialogue: z.enum(["0", "1"]).default("0").openapi({ description: "1: with what client and server said" }),
    }),
  },
  responses: { 200: json(schemas.story, "The story"), ...ANY, ...NOT_FOUND },
});
export const lanes = read("lanes", "What waits, by user or destination, and why", schemas.laneList);
export const hosts = read("hosts", "The hosts that mail is relayed to", schemas.hostList);
export const sessions = createRoute({
  method: "get",
  path: path("sessions"),
  summary: "SMTP sessions that are open now",
  security,
  request: { query: pageQuery },
  responses: { 200: json(schemas.sessionList, "A page"), ...ANY },
});
export const certificates = read("certificates", "The certificates in use", schemas.certificateList);
export const checkup = read("checkup", "What the last check of this host found", schemas.checkup);
export const walls = read("walls", "What stands around each process, and what its isolates may do", schemas.wallsList);
export const stats = read("stats", "All counters", schemas.stats);
export const pause = pausing("pause", "Stops local deliveries (mda), relaying (mta) or accepting of sessions (smtp)");
export const resume = pausing("resume", "Ends a pause");

export const login = createRoute({
  method: "post",
  path: path("session"),
  summary: "Logs in: the answer sets a cookie",
  request: {
    query: noQuery,
    body: { content: { "application/json": { schema: schemas.login } }, required: true },
  },
  responses: {
    200: json(schemas.loginState, "Logged in"),
    ...ANY,
    413: problem("The body is too large"),
    415: problem("The body is not JSON"),
  },
});
export const loginState = createRoute({
  method: "get",
  path: path("session"),
  summary: "Who is logged in, and the CSRF token",
  request: { query: noQuery },
  responses: { 200: json(schemas.loginState, "What may be done"), ...ANY },
});
export const logout = createRoute({
  method: "delete",
  path: path("session"),
  summary: "Logs out",
  security,
  request: { query: noQuery },
  responses: { 200: json(schemas.done, "Logged out"), ...ANY },
});
export const events = createRoute({
  method: "get",
  path: path("events"),
  summary: "Server-sent events",
  description:
    "`overview` every 2 seconds, as `GET overview` answers; `message` for what became of messages; `more` with the number " +
    "of those that are left out; `bye` at the end, after 10 minutes at most.",
  security,
  request: { query: noQuery },
  responses: { 200: { content: { "text/event-stream": { schema: z.string() } }, description: "The stream" }, ...ANY },
});
export const description = createRoute({
  method: "get",
  path: path("openapi.json"),
  summary: "This description",
  security,
  request: { query: noQuery },
  responses: { 200: json(z.record(z.string(), z.unknown()), "OpenAPI 3.1"), ...ANY },
});
