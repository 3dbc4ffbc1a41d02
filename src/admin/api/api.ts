/** The JSON API: what each path does, by the requests that smtpctl makes, too. */

import { OpenAPIHono, type z } from "@hono/zod-openapi";
import type { ControlRequest, JsonRecord } from "../../control/mod.ts";
import type { EnvelopeCursor, EnvelopeId, MessageId } from "../../envelope/mod.ts";
import { isEnvelopeId } from "../../envelope/mod.ts";
import { parseFind } from "../../search/mod.ts";
import { demand, type Identities } from "../identity.ts";
import type { AdminRow, AdminSource, Fault } from "../source.ts";
import type { AdminContext, AdminEnvironment } from "../environment.ts";
import { Problem } from "./problem.ts";
import * as routes from "./routes.ts";
import type * as schemas from "./schemas.ts";
import { EventStreams } from "./streams.ts";

/** Envelopes that are looked at for one page of those that match. */
const MAX_SEARCHED_ENVELOPES = 5_000;

/** What the API goes by. */
export interface ApiDeps {
  readonly source: AdminSource;
  readonly identities: Identities;
  readonly streams: EventStreams;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** Records have the names of their schemas: a test of the running daemon compares them. */
function as<S extends z.ZodType>(record: JsonRecord | readonly JsonRecord[]): z.infer<S> {
  return record as z.infer<S>;
}

/** Makes the part of the application that answers below /api/v1. */
export function createApi(deps: ApiDeps): OpenAPIHono<AdminEnvironment> {
  const app = new OpenAPIHono<AdminEnvironment>({
    defaultHook: (result) => {
      if (!result.success) throw notValid(result.error.issues);
    },
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  app.openAPIRegistry.registerComponent("securitySchemes", "cookie", {
    type: "apiKey",
    in: "cookie",
    name: "vaultpost_session",
  });
  addLooks(app, deps);
  addLive(app, deps);
  addQueue(app, deps);
  addHistory(app, deps);
  addSession(app, deps);
  let description: JsonRecord | null = null;
  app.openapi(routes.description, (c) => {
    description ??= app.getOpenAPI31Document({
      openapi: "3.1.0",
      info: {
        title: "Vaultpost",
        version: "1",
        description:
          "What smtpctl and the admin page do, for programs. Reading needs the scope read, changing the scope write.",
      },
    }) as unknown as JsonRecord;
    return c.json(description as Record<string, unknown>, 200);
  });
  return app;
}

/** What is read only. */
function addLooks(app: OpenAPIHono<AdminEnvironment>, { source }: ApiDeps): void {
  app.openapi(routes.overview, async (c) => c.json(as<typeof schemas.overview>(await overviewOf(source, null)), 200));
  app.openapi(
    routes.series,
    (c) => c.json(as<typeof schemas.series>(source.series(c.req.valid("query"))), 200),
  );
  app.openapi(
    routes.lanes,
    async (c) => c.json({ items: as<z.ZodArray<typeof schemas.lane>>(await source.lanes()), next: null }, 200),
  );
  app.openapi(
    routes.hosts,
    async (c) =>
      c.json({
        items: await recordsOf<typeof schemas.host>(c, source, { do: "show-relay", what: "hosts" }),
        next: null,
      }, 200),
  );
  app.openapi(
    routes.certificates,
    async (c) =>
      c.json(
        { items: await recordsOf<typeof schemas.certificate>(c, source, { do: "show-certificates" }), next: null },
        200,
      ),
  );
  app.openapi(routes.walls, async (c) => {
    const [status] = await recordsOf<z.ZodType<{ processes: z.infer<typeof schemas.walls>[] | null }>>(
      c,
      source,
      { do: "show-status" },
    );
    return c.json({ items: status?.processes ?? [], next: null }, 200);
  });
  app.openapi(routes.stats, async (c) => {
    const [stats] = await recordsOf<typeof schemas.stats>(c, source, { do: "show-stats" });
    return c.json(stats!, 200);
  });
  app.openapi(routes.checkup, (c) => {
    const checked = source.checkup();
    const findings = (checked?.findings ?? []).map(({ check, subject, level, text, advice }) => {
      return { check, subject, level, text, advice: advice ?? null };
    });
    return c.json({ at: checked === null ? null : new Date(checked.at).toISOString(), findings }, 200);
  });
}

/** What goes on just now. */
function addLive(app: OpenAPIHono<AdminEnvironment>, { source, streams }: ApiDeps): void {
  app.openapi(routes.sessions, (c) => {
    const { after, limit } = c.req.valid("query");
    const from = placeOf(after);
    const { records, count } = source.sessions({ from, limit });
    const next = from + records.length;
    return c.json({
      items: as<z.ZodArray<typeof schemas.session>>(records),
      next: records.length > 0 && next < count ? String(next) : null,
    }, 200);
  });
  app.openapi(
    routes.events,
    (c) =>
      c.req.method === "HEAD"
        ? streams.head() as never
        : streams.open(c.env.client, () => c.get("identity").isGood()) as never,
  );
}

function addQueue(app: OpenAPIHono<AdminEnvironment>, { source }: ApiDeps): void {
  app.openapi(routes.queue, async (c) => {
    const { after, limit, message, domain, state } = c.req.valid("query");
    const matches = ({ envelope, state: standing }: AdminRow) =>
      (domain === undefined || envelope.dest.domain.toLowerCase() === domain.toLowerCase()) &&
      (state === undefined || standing?.state === state);
    const { rows, next } = await searchQueue(source, {
      ...{ after: cursorOf(after), limit, matches },
      message: (message ?? null) as MessageId | null,
      some: domain !== undefined || state !== undefined,
    });
    const items = rows.map((row) => as<typeof schemas.queued>(source.recordOf.queued(row)));
    return c.json({ items, next }, 200);
  });
  app.openapi(routes.queued, async (c) => {
    const row = await source.envelope(c.req.valid("param").id as EnvelopeId);
    if (row === null) throw notQueued();
    return c.json(as<typeof schemas.envelope>(source.recordOf.whole(row)), 200);
  });
  const act = async (
    c: AdminContext,
    id: string,
    verb: "pause-envelope" | "resume-envelope" | "schedule" | "remove",
  ) => {
    const target = id.length === 16 ? { envelope: id as EnvelopeId } : { message: id as MessageId };
    const { count = 0, unchanged } = (await asked(c, source, { do: verb, target })).end;
    if (unchanged?.failed === true) {
      if (unchanged.reason.endsWith(" is not in the queue")) throw notQueued();
      throw new Problem("unchanged", `${sentence(unchanged.reason)} Look at it again: its state may have changed.`);
    }
    return { count, note: unchanged?.reason ?? null };
  };
  app.openapi(routes.hold, async (c) => c.json(await act(c, c.req.valid("param").id, "pause-envelope"), 200));
  app.openapi(routes.release, async (c) => c.json(await act(c, c.req.valid("param").id, "resume-envelope"), 200));
  app.openapi(routes.retry, async (c) => c.json(await act(c, c.req.valid("param").id, "schedule"), 200));
  app.openapi(routes.remove, async (c) => c.json(await act(c, c.req.valid("param").id, "remove"), 200));
  for (const verb of ["pause", "resume"] as const) {
    app.openapi(routes[verb], async (c) => {
      const { end } = await asked(c, source, { do: verb, what: c.req.valid("param").what });
      if (!end.ok) throw new Problem("unchanged", `${sentence(end.error ?? "")} Nothing is to be done.`);
      return c.json({ done: true as const }, 200);
    });
  }
}

/** What becomes and became of messages. */
function addHistory(app: OpenAPIHono<AdminEnvironment>, { source, now }: ApiDeps): void {
  app.openapi(routes.messages, async (c) => {
    const { q, before = "", limit, since, until, messageId, ...others } = c.req.valid("query");
    const keys = { ...others, ...messageId === undefined ? {} : { "message-id": messageId } };
    const parsed = parseFind({
      words: (q ?? "").split(/\s+/).filter((word) => word !== ""),
      keys: Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)),
      ...since === undefined ? {} : { since },
      ...until === undefined ? {} : { until },
    }, now());
    if ("wrong" in parsed) {
      throw new Problem("bad-request", sentence(parsed.wrong.replaceAll(/--(?=[a-z])/g, "")));
    }
    const page = await source.find(parsed.query, { limit, before });
    if ("fault" in page) throw source.recording() ? faultOf(page) : new Problem("history-off", sentence(page.fault));
    return c.json(page as z.infer<typeof schemas.foundList>, 200);
  });
  app.openapi(routes.story, async (c) => {
    const story = await source.story(c.req.valid("param").id, { dialogue: c.req.valid("query").dialogue === "1" });
    if ("fault" in story) throw faultOf(story as unknown as Fault);
    return c.json(as<typeof schemas.story>(story), 200);
  });
}

function faultOf({ fault, unavailable }: Fault): Problem {
  return new Problem(unavailable ? "unavailable" : "not-found", sentence(fault));
}

function addSession(app: OpenAPIHono<AdminEnvironment>, { identities }: ApiDeps): void {
  app.openapi(routes.login, async (c) => {
    const { identity, setCookie } = await identities.login(c.req.valid("json").token, c.req.raw.headers, c.env);
    c.header("Set-Cookie", setCookie);
    return c.json(stateOf(identity), 200);
  });
  app.openapi(routes.loginState, (c) => c.json(stateOf(c.get("identity")), 200));
  app.openapi(routes.logout, (c) => {
    const identity = c.get("identity");
    // The page of another site must not log anybody out.
    if (identity.session !== null) demand({ ...identity, scope: "write" }, "write", c.req.raw.headers);
    c.header("Set-Cookie", identities.logout(identity, c.req.raw.headers));
    return c.json({ done: true as const }, 200);
  });
}

function stateOf({ scope, name, session }: AdminContext["var"]["identity"]): z.infer<typeof schemas.loginState> {
  return { scope, name, csrf: session?.csrf ?? null };
}

/** How the server stands now, as one record. */
export async function overviewOf(source: AdminSource, rates: JsonRecord | null): Promise<JsonRecord> {
  const [look, answers, problems, refusals] = await Promise.all([
    source.look(rates),
    source.health(),
    source.diskErrors(),
    source.refusals(),
  ]);
  const paused = Object.entries(source.paused()).filter(([, is]) => is).map(([what]) => what);
  const reasons = [
    ...Object.entries(answers).filter(([, well]) => !well).map(([name]) => `${name} does not answer`),
    ...paused.map((name) => `${name} is paused`),
    ...refusals,
  ];
  const checked = source.checkup();
  const level = (name: string) => checked?.findings.filter((one) => one.level === name).length ?? 0;
  return {
    ...look,
    version: source.version,
    status: reasons.length === 0 ? "ok" : "unavailable",
    reasons,
    problems: problems.map((line) => line.replace(/^QUEUE /, "")),
    paused,
    checkup: checked === null
      ? null
      : { at: new Date(checked.at).toISOString(), errors: level("error"), warnings: level("warning") },
  };
}

/** Has a request answered, as done by whoever asks. Throws a Problem when what it needs does not answer. */
async function asked(c: AdminContext, source: AdminSource, request: ControlRequest) {
  const { name } = c.get("identity");
  return await source.ask(request, `admin:${name ?? "-"}`);
}

/** The records that answer a request. */
async function recordsOf<S extends z.ZodType>(
  c: AdminContext,
  source: AdminSource,
  request: ControlRequest,
): Promise<z.infer<S>[]> {
  const { records, end } = await asked(c, source, { ...request, json: true });
  if (!end.ok) throw new Problem("unavailable", `${sentence(end.error ?? "")} Try again soon.`);
  return records as z.infer<S>[];
}

/** A page of the envelopes that match; where only some do, so many are looked at at most. */
async function searchQueue(
  source: AdminSource,
  { after, limit, message, matches, some }: {
    readonly after: EnvelopeCursor;
    readonly limit: number;
    readonly message: MessageId | null;
    readonly matches: (row: AdminRow) => boolean;
    readonly some: boolean;
  },
): Promise<{ readonly rows: readonly AdminRow[]; readonly next: string | null }> {
  const found: AdminRow[] = [];
  const step = some ? Math.min(MAX_SEARCHED_ENVELOPES, routes.MAX_PAGE_ROWS) : limit;
  for (let from = after, seen = 0;;) {
    const rows = await source.queuePage(from, step, message);
    for (const row of rows) {
      from = row.envelope.id;
      if (matches(row)) found.push(row);
      if (found.length === limit) return { rows: found, next: from };
    }
    if (rows.length < step) return { rows: found, next: null };
    seen += rows.length;
    if (seen >= MAX_SEARCHED_ENVELOPES) return { rows: found, next: from };
  }
}

function cursorOf(after: string | undefined): EnvelopeCursor {
  if (after === undefined) return "";
  if (isEnvelopeId(after)) return after;
  throw badCursor();
}

function placeOf(after: string | undefined): number {
  if (after === undefined) return 0;
  if (/^\d{1,6}$/.test(after)) return Number(after);
  throw badCursor();
}

function badCursor(): Problem {
  return new Problem("bad-request", "Begin at the first page, and use next of each answer as it is.", {
    errors: [{ parameter: "after", reason: "is not what a page gave as next" }],
  });
}

function notQueued(): Problem {
  return new Problem(
    "not-found",
    "It is not in the queue: it was delivered, removed, or never there. GET /api/v1/messages finds what became of it.",
  );
}

function notValid(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string; readonly code?: string }[],
): Problem {
  const errors = issues.slice(0, 20).map((issue) => {
    const keys = "keys" in issue ? (issue as { keys: string[] }).keys : null;
    return keys === null
      ? { parameter: issue.path.map(String).join("."), reason: issue.message }
      : { parameter: keys.map((key) => String(key).slice(0, 80)).join(", "), reason: "is not known here" };
  });
  return new Problem("bad-request", "Mend the parameters that errors names; GET /api/v1/openapi.json describes them.", {
    errors,
  });
}

/** The reason as a sentence. An id at its begin stays as it is. */
function sentence(reason: string): string {
  const text = reason === ""
    ? "It was not done"
    : reason.replace(/^(?![0-9a-f]{8,}\b)[a-z]/, (first) => first.toUpperCase());
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
