/** The page with a made-up daemon behind it: the same files, headers and paths, and data that tests change. No daemon is needed to see a view. */

import { answerAsset } from "../../../src/admin/assets.ts";
import { SECURITY_HEADERS } from "../../../src/admin/headers.ts";
import * as data from "./fake_data.ts";

export interface FakeOptions {
  /** Reading needs a login. */
  auth: boolean;
  history: boolean;
  /** Streams of events are refused, as when there are too many. */
  streams: boolean;
  /** Nothing is in any list. */
  empty: boolean;
  /** Requests for the API are not answered. */
  silent: boolean;
  /** They are answered by 503. */
  unavailable: boolean;
  paused: string[];
}

const PLAIN: FakeOptions = {
  auth: false,
  history: true,
  streams: true,
  empty: false,
  silent: false,
  unavailable: false,
  paused: [],
};

interface Login {
  readonly name: string;
  readonly scope: "read" | "write";
  readonly csrf: string;
}

export class FakeServer {
  readonly options: FakeOptions = { ...PLAIN, paused: [] };
  /** What was done, such as `POST queue/ID/hold`. */
  readonly acts: string[] = [];
  readonly now: number;
  #envelopes: data.FakeEnvelope[];
  #logins = new Map<string, Login>();
  #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #server: Deno.HttpServer<Deno.NetAddr> | null = null;
  #port = 0;

  constructor(now = Date.now()) {
    this.now = now;
    this.#envelopes = data.envelopes(now);
    this.start();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Listens, on the same port as before. */
  start(): void {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: this.#port, onListen: () => {} },
      (request) => this.#answer(request),
    );
    this.#port = this.#server.addr.port;
  }

  /** Goes away, as a daemon does that is stopped. */
  async stop(): Promise<void> {
    for (const stream of this.#streams) {
      try {
        stream.close();
      } catch {
        // Its client has closed it.
      }
    }
    this.#streams.clear();
    await this.#server?.shutdown();
    this.#server = null;
  }

  get isStopped(): boolean {
    return this.#server === null;
  }

  /** As it was at the start. */
  reset(): void {
    Object.assign(this.options, PLAIN, { paused: [] });
    this.#envelopes = data.envelopes(this.now);
    this.#logins.clear();
    this.acts.length = 0;
  }

  /** Sends an event to all who listen. */
  emit(type: string, value: unknown): void {
    const octets = new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(value)}\n\n`);
    for (const stream of this.#streams) stream.enqueue(octets);
  }

  get listeners(): number {
    return this.#streams.size;
  }

  overview() {
    const now = data.overview(this.now), { empty, history, paused } = this.options;
    return {
      ...now,
      paused,
      history,
      envelopes: empty ? 0 : this.#envelopes.length,
      ...empty ? { inflight: 0, oldestAt: null, sessions: 0, relaySessions: 0, localDeliveries: 0, checkup: null } : {},
    };
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const response = await answerAsset(pathname, request.headers.get("if-none-match")) ??
      await this.#api(request, pathname.replace("/api/v1/", ""));
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!response.headers.has(name)) response.headers.set(name, value);
    }
    return response;
  }

  async #api(request: Request, path: string): Promise<Response> {
    if (this.options.silent) await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    if (this.options.unavailable) {
      return problem(503, "unavailable", "A part of the server did not answer: try again soon, and look into the log.");
    }
    const login = this.#logins.get(/vaultpost_session=([^;]+)/.exec(request.headers.get("cookie") ?? "")?.[1] ?? "") ??
      null;
    if (path === "session") return await this.#session(request, login);
    if (request.method !== "GET") return this.#act(request, path, login);
    if (this.options.auth && login === null) return problem(401, "login-needed", "Log in with a token that may read.");
    return this.#read(path, new URL(request.url).searchParams);
  }

  async #session(request: Request, login: Login | null): Promise<Response> {
    if (request.method === "POST") {
      const { token } = await request.json();
      const scope = token === data.TOKEN_WRITE ? "write" : token === data.TOKEN_READ ? "read" : null;
      if (scope === null) {
        return problem(
          401,
          "login-refused",
          "The token is unknown, was revoked or has expired: smtpctl admin tokens lists those that are good.",
        );
      }
      const cookie = crypto.randomUUID();
      this.#logins.set(cookie, { name: scope === "write" ? "ada" : "screen", scope, csrf: crypto.randomUUID() });
      return json({ done: true }, { "Set-Cookie": `vaultpost_session=${cookie}; Path=/; HttpOnly; SameSite=Strict` });
    }
    if (request.method === "DELETE") {
      this.#logins.clear();
      return json({ done: true }, { "Set-Cookie": "vaultpost_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0" });
    }
    return json(login ?? { name: null, scope: this.options.auth ? "none" : "read", csrf: null });
  }

  #act(request: Request, path: string, login: Login | null): Response {
    if (login === null) return problem(401, "login-needed", "Log in with a token that may write.");
    if (login.scope !== "write") {
      return problem(403, "scope", "Use a token that may write: smtpctl admin token --write makes one.");
    }
    if (request.headers.get("x-csrf-token") !== login.csrf) return problem(403, "csrf", "The CSRF token is missing.");
    this.acts.push(`${request.method} ${path}`);
    const [what, id, verb] = path.split("/");
    if (what === "pause" || what === "resume") {
      const rest = this.options.paused.filter((one) => one !== id);
      this.options.paused = what === "pause" ? [...rest, id!] : rest;
      return json({ done: true });
    }
    const found = this.#envelopes.find(({ envelope }) => envelope === id);
    if (found === undefined) return problem(404, "not-found", `There is no envelope ${id} in the queue.`);
    if (request.method === "DELETE") this.#envelopes = this.#envelopes.filter((one) => one !== found);
    else if (verb === "hold") found.state = "suspended";
    else found.state = "pending";
    return json({ count: 1, note: null });
  }

  #read(path: string, query: URLSearchParams): Response {
    const { now } = this, { empty } = this.options;
    const list = (items: readonly unknown[]) => json({ items: empty ? [] : items, next: null });
    const [what, id] = path.split("/");
    switch (what) {
      case "overview":
        return json(this.overview());
      case "series":
        return json(empty ? { ...data.series(now), items: [] } : data.series(now));
      case "queue":
        return id === undefined ? this.#queue(query) : this.#envelope(id);
      case "lanes":
        return list(data.lanes(now));
      case "hosts":
        return list(data.hosts(now));
      case "sessions":
        return list(data.sessions(now));
      case "certificates":
        return list(data.certificates(now));
      case "walls":
        return list(data.walls());
      case "checkup":
        return json(empty ? { at: null, findings: [] } : data.checkup(now));
      case "messages":
        return this.#messages(id, query);
      case "events":
        return this.#stream();
      default:
        return problem(404, "not-found", "GET /api/v1/openapi.json lists what there is.");
    }
  }

  #queue(query: URLSearchParams): Response {
    const state = query.get("state"), limit = Number(query.get("limit")), after = query.get("after") ?? "";
    const domain = query.get("domain"), message = query.get("message");
    const all = this.options.empty
      ? []
      : this.#envelopes.filter((one) =>
        (state === null || one.state === state) && (message === null || one.message === message) &&
        (domain === null || String(one.rcpt).endsWith(`@${domain}`)) && one.envelope > after
      );
    const items = all.slice(0, limit);
    return json({ items, next: all.length > items.length ? items.at(-1)!.envelope : null });
  }

  #envelope(id: string): Response {
    const found = this.#envelopes.find(({ envelope }) => envelope === id);
    return found === undefined
      ? problem(404, "not-found", `There is no envelope ${id} in the queue.`)
      : json(data.wholeEnvelope(found));
  }

  #messages(id: string | undefined, query: URLSearchParams): Response {
    if (!this.options.history) {
      return problem(404, "history-off", "No history is kept: history keep 30d in smtpd.conf keeps one.");
    }
    const all = data.messages(this.now);
    if (id === undefined) {
      const words = (query.get("q") ?? "").toLowerCase(), outcome = query.get("outcome");
      const items = all.filter((one) =>
        JSON.stringify(one).toLowerCase().includes(words) && (outcome === null || one.outcome === outcome)
      );
      return json({ items: this.options.empty ? [] : items, next: null, stopped: false, notes: [] });
    }
    if (!all.some((one) => one.id === id)) return problem(404, "not-found", `Nothing is known of ${id}.`);
    return json({ ...data.story(this.now, id), ...query.has("dialogue") ? { dialogue: data.dialogue(this.now) } : {} });
  }

  #stream(): Response {
    if (!this.options.streams) return problem(503, "too-many-streams", "Close other windows of the admin page.");
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller;
        this.#streams.add(controller);
        controller.enqueue(
          new TextEncoder().encode(`retry: 500\n\nevent: overview\ndata: ${JSON.stringify(this.overview())}\n\n`),
        );
      },
      cancel: () => void this.#streams.delete(mine),
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }
}

function json(value: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), { headers: { "Content-Type": "application/json", ...headers } });
}

function problem(status: number, kind: string, detail: string): Response {
  const body = { type: `urn:vaultpost:problem:${kind}`, title: kind, status, detail };
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/problem+json" } });
}
