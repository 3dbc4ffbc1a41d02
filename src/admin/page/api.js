/** What is asked of the daemon: requests of its API, and what they may end with. */

/** Beside the page, wherever that is: a proxy may have put it below a path. */
const API = new URL("../api/v1/", import.meta.url);
/** A request without an answer for so long has failed. */
const TIMEOUT_MS = 20_000;

/** What the API answered instead of what was asked: problem details, see RFC 9457. `kind` is the end of its type, or `gone` where nobody answers. */
export class Problem extends Error {
  constructor({ kind, status = 0, detail }) {
    super(detail);
    this.kind = kind;
    this.status = status;
  }
}

/** Who is logged in: what GET session says. Sent along with what changes something. */
let csrf = null;

export async function get(path, query = {}, signal = undefined) {
  return await ask("GET", path, { query, signal });
}

/** Does something: POST or DELETE, with a body as JSON if there is one. */
export async function act(method, path, body = undefined) {
  return await ask(method, path, { body });
}

export async function readSession(signal = undefined) {
  const session = await get("session", {}, signal);
  csrf = session.csrf ?? null;
  return session;
}

export async function login(token) {
  await act("POST", "session", { token });
  return await readSession();
}

export async function logout() {
  await act("DELETE", "session");
  csrf = null;
}

export function eventsUrl() {
  return new URL("events", API).href;
}

async function ask(method, path, { query = {}, body, signal }) {
  const url = new URL(path, API);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf !== null) headers["X-CSRF-Token"] = csrf;
  const patience = AbortSignal.timeout(TIMEOUT_MS);
  let response, text;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ kind: "gone", detail: "Vaultpost does not answer." });
  }
  const json = parsed(text);
  if (response.ok && json !== undefined) return json;
  throw problemOf(response.status, json);
}

function problemOf(status, json) {
  const kind = typeof json?.type === "string" ? json.type.split(":").at(-1) : null;
  // A proxy says so of a server that does not answer.
  if (kind === null && status >= 502 && status <= 504) {
    return new Problem({ kind: "gone", status, detail: "Vaultpost does not answer." });
  }
  return new Problem({ kind: kind ?? "unknown", status, detail: json?.detail ?? `The answer was ${status}.` });
}

function parsed(text) {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
