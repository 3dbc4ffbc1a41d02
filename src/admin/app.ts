/** The admin web application: routes, headers, who may ask. Read-only; no sockets here, see http_server.ts. */

import { Hono } from "hono";
import { formatPath, isEnvelopeId } from "../envelope/mod.ts";
import { renderPage, STYLE } from "./page.ts";
import { prometheusText } from "./prometheus.ts";
import type { AdminRow, AdminSource } from "./source.ts";

/** Envelopes of one page, and the most that `limit` may ask for. */
const PAGE = 100, MAX_LISTED_ENVELOPES = 1000;
const HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
};

/** The application for the address it will listen on. `now` in ms since the epoch. */
export function createAdmin(source: AdminSource, address: string, now: () => number = Date.now): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    if (!isOwnHost(c.req.header("host") ?? new URL(c.req.url).host, address)) {
      c.res = c.text("Misdirected request: this name is not of this server\n", 421);
    } else if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      c.res = c.text("Read-only\n", 405, { Allow: "GET, HEAD" });
    } else await next();
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value);
  });
  app.get("/", async (c) => {
    const [page, health, diskErrors] = await Promise.all([
      takePage(source, c.req.query("after"), PAGE),
      source.health(),
      source.diskErrors(),
    ]);
    return c.html(await renderPage(source, { ...page, health, diskErrors, now: now() }));
  });
  app.get("/style.css", (c) => c.body(STYLE, 200, { "Content-Type": "text/css; charset=utf-8" }));
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
    return c.json({ status, uptime, paused, answers, reasons }, status === "ok" ? 200 : 503);
  });
  app.get("/metrics", async (c) => {
    const { text, type } = await prometheusText(source);
    return c.body(text, 200, { "Content-Type": type });
  });
  app.get("/api/queue", async (c) => {
    const limit = Number(c.req.query("limit") ?? PAGE);
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED_ENVELOPES) {
      return c.json({ error: `limit must be a number from 1 to ${MAX_LISTED_ENVELOPES}` }, 400);
    }
    const { rows, next } = await takePage(source, c.req.query("after"), limit);
    return c.json({ envelopes: rows.map(toJson), next });
  });
  app.notFound((c) => c.text("Not found\n", 404));
  // The text of an error is for the operator; it may name files.
  app.onError((_error, c) => c.text("Service unavailable\n", 503));
  return app;
}

/**
 * A page of another site may reach this server through a name that its owner points here (DNS rebinding): only an address, localhost, or
 * the address that the config names is served.
 */
function isOwnHost(host: string, address: string): boolean {
  const name = host.replace(/:\d*$/, "").replace(/^\[|\]$/g, "").toLowerCase();
  return name === "localhost" || name === "127.0.0.1" || name === "::1" || name === address.toLowerCase();
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
