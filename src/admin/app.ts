/** The admin web application: who may ask, headers, the page, metrics, health and the API. No sockets here, see http_server.ts. */

import { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import type { Clock } from "../clock.ts";
import { formatPath, isEnvelopeId } from "../envelope/mod.ts";
import { createApi, overviewOf } from "./api/api.ts";
import { Problem } from "./api/problem.ts";
import { EventStreams } from "./api/streams.ts";
import { answerAsset, ASSET_PATHS } from "./assets.ts";
import type { AdminContext, AdminEnvironment } from "./environment.ts";
import { SECURITY_HEADERS } from "./headers.ts";
import { demand, Identities } from "./identity.ts";
import { RateLimits } from "./limits.ts";
import { isOwnHost, refuseCrossSite } from "./origin.ts";
import { prometheusText } from "./prometheus.ts";
import type { AdminRow, AdminSource } from "./source.ts";

/** Envelopes of one page, and the most that `limit` may ask for. */
const PAGE = 100, MAX_LISTED_ENVELOPES = 1000;

/** What is not answered in this time is answered with 503. A connection without traffic is closed soon after. */
const LATE_MS = 9_000;

/** Where sessions begin. */
const LOGIN = "/api/v1/session";

/** What of the daemon's the application is made from. */
export interface AdminDeps {
  readonly source: AdminSource;
  readonly clock: Pick<Clock, "now" | "steady" | "every" | "after">;
}

export interface AdminApp {
  /** Answers a request that came by a connection. Never rejects. */
  fetch(request: Request, connection: AdminEnvironment["Bindings"]): Promise<Response>;
  /** Ends the streams of events. */
  close(): void;
  /** The paths that there are, with their methods. */
  readonly routes: readonly { readonly method: string; readonly path: string }[];
}

/** Makes the application. */
export function createAdmin({ source, clock }: AdminDeps): AdminApp {
  const limits = new RateLimits(() => clock.steady());
  const identities = new Identities(source, limits, clock);
  const streams = new EventStreams(source, clock, (rates) => overviewOf(source, rates));
  const app = new OpenAPIHono<AdminEnvironment>();
  app.use(async (c, next) => {
    await admit(c, { source, identities, limits });
    await next();
  });
  addPage(app);
  addMetrics(app, source);
  app.route("/", createApi({ source, identities, streams, now: () => clock.now() }));
  const routes = app.routes.filter(({ method, path }) => method !== "ALL" && !path.includes("*"));
  app.notFound((c) => refused(c, routes).toResponse());
  // The text of an error is for the operator; it may name files.
  app.onError((error) => problemOf(error).toResponse());
  return {
    routes,
    close: () => streams.close(),
    fetch: async (request, connection) => {
      const response = await inTime(clock, app.fetch(request, connection));
      for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
        // Files of the page may be kept, and say so.
        if (name !== "Cache-Control" || !response.headers.has(name)) response.headers.set(name, value);
      }
      return response;
    },
  };
}

/** An answer that does not come in time is a problem: an isolate is being replaced, or a search takes too long. */
async function inTime(clock: AdminDeps["clock"], answer: Response | Promise<Response>): Promise<Response> {
  const late = Promise.withResolvers<Response>();
  const cancel = clock.after(LATE_MS, () => {
    const text = `There was no answer in ${LATE_MS / 1000} seconds: try again soon, or ask for less.`;
    late.resolve(new Problem("unavailable", text).toResponse());
  });
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    cancel();
  }
}

/** Throws a Problem for a request that is not to be answered; else notes who asks. */
async function admit(
  c: AdminContext,
  { source, identities, limits }: {
    readonly source: AdminSource;
    readonly identities: Identities;
    readonly limits: RateLimits;
  },
): Promise<void> {
  const { headers } = c.req.raw;
  const wait = limits.request(c.env.client);
  if (wait > 0) {
    throw new Problem("rate", `Wait ${wait} seconds, then ask less often.`, {
      headers: { "Retry-After": String(wait) },
    });
  }
  const names = { hostname: c.env.hostname, serverName: source.serverName };
  if (!isOwnHost(headers.get("host") ?? new URL(c.req.url).host, names)) {
    throw new Problem(
      "wrong-host",
      `Ask for localhost, for an address or for ${source.serverName}; another name goes into smtpd.conf: admin listen on … hostname NAME.`,
    );
  }
  refuseCrossSite(c.req.method, c.req.path, headers);
  // A form of another site can be of no such type.
  if (c.req.method === "POST" && c.req.path === LOGIN && !isJson(headers)) {
    throw new Problem("media-type", "Send the token as JSON, with Content-Type: application/json.");
  }
  const identity = await identities.of(headers, c.env);
  c.set("identity", identity);
  if (!c.req.path.startsWith("/api/v1/") || c.req.path === LOGIN) return;
  demand(identity, c.req.method === "GET" || c.req.method === "HEAD" ? "read" : "write", headers);
}

/** What is said of an error: hono's own are about requests that it cannot read. */
function problemOf(error: Error): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof HTTPException && error.status < 500) {
    return new Problem("bad-request", "Send a body that is JSON, as GET /api/v1/openapi.json describes it.", {
      errors: [{ parameter: "body", reason: "is no JSON" }],
    });
  }
  return new Problem("unavailable", "A part of the server did not answer: try again soon, and look into the log.");
}

/** Why there is no answer: the path is unknown, or it is not for this method. */
function refused(c: AdminContext, routes: readonly { readonly method: string; readonly path: string }[]): Problem {
  const methods = routes.filter(({ path }) => matches(path, c.req.path)).map(({ method }) => method);
  if (methods.length === 0) {
    return new Problem("not-found", "GET /api/v1/openapi.json lists what there is.");
  }
  const allowed = [...new Set(methods.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]))].join(", ");
  return new Problem("method", `Use ${allowed}.`, { headers: { Allow: allowed } });
}

function isJson(headers: Headers): boolean {
  return /^application\/json\s*(?:;|$)/i.test(headers.get("content-type") ?? "");
}

/** Returns whether a path is of a pattern such as `/api/v1/queue/:id`. */
function matches(pattern: string, path: string): boolean {
  const [one, other] = [pattern.split("/"), path.split("/")];
  return one.length === other.length && one.every((part, at) => part.startsWith(":") || part === other[at]);
}

/** The page itself says nothing of the daemon: who may not read gets it, too, and finds the login in it. */
function addPage(app: OpenAPIHono<AdminEnvironment>): void {
  for (const path of ASSET_PATHS) {
    app.get(path, async (c) => await answerAsset(path, c.req.header("if-none-match") ?? null) ?? c.notFound());
  }
}

function addMetrics(app: OpenAPIHono<AdminEnvironment>, source: AdminSource): void {
  app.get("/health", async (c) => {
    const answers = await source.health();
    const paused = source.paused();
    const reasons = [
      ...named(answers, { value: false }).map((name) => `${name} does not answer`),
      ...named(paused, { value: true }).map((name) => `${name} is paused`),
      ...await source.refusals(),
    ];
    const uptime = Math.floor(source.uptimeSeconds());
    const status = reasons.length === 0 ? "ok" : "unavailable";
    // Who balances the load needs no token to know whether this server works.
    const whole = { status, uptime, paused, answers, reasons };
    return c.json(c.get("identity").scope === "none" ? { status } : whole, status === "ok" ? 200 : 503);
  });
  app.get("/metrics", async (c) => {
    demand(c.get("identity"), "read", c.req.raw.headers);
    const { text, type } = await prometheusText(source);
    return c.body(text, 200, { "Content-Type": type });
  });
  app.get("/api/queue", async (c) => {
    demand(c.get("identity"), "read", c.req.raw.headers);
    const limit = Number(c.req.query("limit") ?? PAGE);
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED_ENVELOPES) {
      return c.json({ error: `limit must be a number from 1 to ${MAX_LISTED_ENVELOPES}` }, 400);
    }
    const { rows, next } = await takePage(source, c.req.query("after"), limit);
    return c.json({ envelopes: rows.map(toJson), next });
  });
}

function named(flags: Readonly<Record<string, boolean>>, { value }: { readonly value: boolean }): string[] {
  return Object.keys(flags).filter((name) => flags[name] === value);
}

async function takePage(source: AdminSource, after: string | undefined, limit: number) {
  const from = isEnvelopeId(after) ? after : "";
  const rows = await source.queuePage(from, limit);
  return { rows, next: rows.length < limit ? null : rows.at(-1)!.envelope.id };
}

function toJson({ envelope, state }: AdminRow) {
  return {
    id: envelope.id,
    agent: envelope.agent,
    action: envelope.action,
    sender: formatPath(envelope.sender),
    rcpt: formatPath(envelope.rcpt),
    dest: formatPath(envelope.dest),
    createdAt: time(envelope.createdAt),
    expiresAt: time(envelope.expiresAt),
    lastTryAt: envelope.lastTryAt === 0 ? null : time(envelope.lastTryAt),
    tries: envelope.tries,
    suspended: envelope.suspended,
    state: state?.state ?? "unknown",
    stateAt: state === null || state.at === 0 ? null : time(state.at),
    error: envelope.errorLine,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
