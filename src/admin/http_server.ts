/**
 * HTTP on the connections of the admin listeners, which main accepts and hands over: how many there may be, for how long, and how much a request may bring.
 */

import http from "node:http";
import type net from "node:net";
import type { AdminListener } from "../config/mod.ts";
import { type Clock, systemClock } from "../clock.ts";
import { Problem } from "./api/problem.ts";
import { type AdminApp, createAdmin } from "./app.ts";
import { SECURITY_HEADERS } from "./headers.ts";
import type { ConnectionFacts } from "./identity.ts";
import type { AdminSource } from "./source.ts";

/** A connection without traffic for so long is closed, in milliseconds. */
const IDLE_MS = 10_000;
/** A request, and the pause before it, take no longer: head, then body. So long may the client take to read an answer. */
const HEAD_MS = 10_000, BODY_MS = 10_000, ANSWER_MS = 30_000;
/** Connections that one client may have. */
const MAX_SOURCE_CONNECTIONS = 16;
/** Octets of the body of a request, and of its head. */
const MAX_BODY_OCTETS = 16_384, MAX_HEAD_OCTETS = 16_384;

interface Client {
  readonly source: string;
  readonly place: string;
  /** Requests that are being answered. */
  running: number;
  /** Ends the wait for what is to come next. */
  cancelLimit: () => void;
}

/** A listener, by the place that its connections come with. */
export type ServedListener = AdminListener & { readonly place: string };

export interface AdminOptions {
  readonly listeners: readonly ServedListener[];
  /** Connections at one time. */
  readonly maxConnections: number;
  readonly source: AdminSource;
  /** That of the machine without it. */
  readonly clock?: Clock;
}

/** All connections of the admin listeners. */
export class AdminServer {
  readonly #options: AdminOptions;
  readonly #clock: Clock;
  readonly #app: AdminApp;
  readonly #server: http.Server;
  #listeners: readonly ServedListener[];
  /** In the order in which they came. */
  readonly #clients = new Map<net.Socket, Client>();

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#listeners = options.listeners;
    this.#app = createAdmin({ source: options.source, clock: this.#clock });
    this.#server = http.createServer(
      { maxHeaderSize: MAX_HEAD_OCTETS, keepAliveTimeout: IDLE_MS },
      (request, response) => void this.#answer(request, response),
    );
    // Main listens in its stead. Of a server that does not listen, the runtime closes each connection behind its first answer.
    Object.defineProperty(this.#server, "listening", { value: true });
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      // Nothing is put between the parts of an answer that is being sent.
      if (this.#clients.get(socket as net.Socket)?.running !== 0 || !socket.writable) return void socket.destroy();
      const status = error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    });
  }

  /** Connections that are open. */
  get size(): number {
    return this.#clients.size;
  }

  /** Other listeners hold from now on; connections of those that are gone are closed. */
  configure(listeners: readonly ServedListener[]): void {
    this.#listeners = listeners;
    for (const [socket, { place }] of this.#clients) {
      if (!listeners.some((one) => one.place === place)) socket.destroy();
    }
  }

  /**
   * Serves one connection of the listener at `place`; `source` is whose it is. When there are too many, of its source or in all, the oldest on which nothing is
   * being answered is closed for it: an idle connection does not keep others out. When all are busy the new one is closed.
   */
  serve(socket: net.Socket, { place, source }: { readonly place: string; readonly source: string }): void {
    socket.on("error", () => {
      // The client went away; `close` follows.
    });
    if (!this.#listeners.some((one) => one.place === place)) return void socket.destroy();
    const own = this.#open().filter(([, client]) => client.source === source);
    if (own.length >= MAX_SOURCE_CONNECTIONS && !closeIdle(own)) return void socket.destroy();
    const all = this.#open();
    if (all.length >= this.#options.maxConnections && !closeIdle(all)) return void socket.destroy();
    const client: Client = { source, place, running: 0, cancelLimit: () => {} };
    this.#clients.set(socket, client);
    socket.on("close", () => {
      client.cancelLimit();
      this.#clients.delete(socket);
    });
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    this.#limit(socket, client, HEAD_MS);
    this.#server.emit("connection", socket);
    socket.resume();
  }

  /** Those that are open. One that is being closed stands in the list until it is told so: of many that come at once, none may be closed for it. */
  #open(): (readonly [net.Socket, Client])[] {
    return [...this.#clients].filter(([socket]) => !socket.destroyed);
  }

  /** Closes all of them. */
  close(): void {
    this.#app.close();
    for (const socket of this.#clients.keys()) socket.destroy();
  }

  /** Closes the connection unless something else is waited for before `ms` have passed. */
  #limit(socket: net.Socket, client: Client, ms: number): void {
    client.cancelLimit();
    client.cancelLimit = this.#clock.after(ms, () => socket.destroy());
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { socket } = request, client = this.#clients.get(socket);
    const facts = client === undefined ? null : this.#facts(client);
    if (client === undefined || facts === null) return void socket.destroy();
    client.running++;
    response.on("close", () => {
      if (--client.running === 0 && !socket.destroyed) this.#limit(socket, client, HEAD_MS);
    });
    try {
      this.#limit(socket, client, BODY_MS);
      const body = await readBody(request);
      client.cancelLimit();
      const answer = body === null ? tooLarge() : await this.#app.fetch(toRequest(request, body), facts);
      if (body === null) response.shouldKeepAlive = false;
      await this.#send(answer, { request, response, client });
    } catch {
      // A target or a Host that is none.
      if (!response.headersSent) response.writeHead(400, { ...SECURITY_HEADERS, connection: "close" });
      response.end();
    }
  }

  async #send(
    answer: Response,
    { request, response, client }: {
      readonly request: http.IncomingMessage;
      readonly response: http.ServerResponse;
      readonly client: Client;
    },
  ): Promise<void> {
    const headers = headersOf(answer);
    const head = request.method === "HEAD";
    if (isStream(answer) && !head) {
      response.writeHead(answer.status, headers);
      return await pump(answer.body!, response);
    }
    if (head) await answer.body?.cancel();
    const body = head ? null : new Uint8Array(await answer.arrayBuffer());
    this.#limit(request.socket, client, ANSWER_MS);
    response.writeHead(answer.status, body === null ? headers : { ...headers, "content-length": body.length });
    response.end(body ?? undefined);
  }

  #facts({ place, source }: Client): ConnectionFacts | null {
    const listener = this.#listeners.find((one) => one.place === place);
    if (listener === undefined) return null;
    const { hostname, auth } = listener;
    return { client: source, hostname, auth };
  }
}

/** Closes the oldest that has no request. Answers whether there was one. */
function closeIdle(clients: readonly (readonly [net.Socket, Client])[]): boolean {
  const idle = clients.find(([, { running }]) => running === 0);
  idle?.[0].destroy();
  return idle !== undefined;
}

/** The body; null when it is too large. */
async function readBody(request: http.IncomingMessage): Promise<Uint8Array<ArrayBuffer> | null> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_OCTETS) return null;
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > MAX_BODY_OCTETS) return null;
    pieces.push(piece);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

function tooLarge(): Response {
  const answer = new Problem("too-large", `Send at most ${MAX_BODY_OCTETS} octets.`).toResponse();
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) answer.headers.set(name, value);
  return answer;
}

function isStream(answer: Response): boolean {
  return answer.headers.get("content-type")?.startsWith("text/event-stream") === true && answer.body !== null;
}

/** Sends what comes until the stream ends or the client goes away; waits for a client that reads slowly. */
async function pump(body: ReadableStream<Uint8Array>, response: http.ServerResponse): Promise<void> {
  const reader = body.getReader();
  const gone = new Promise<void>((resolve) => response.once("close", resolve));
  void gone.then(() => reader.cancel().catch(() => {}));
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    if (response.write(value) || response.destroyed) continue;
    await Promise.race([gone, new Promise<void>((resolve) => response.once("drain", resolve))]);
  }
  response.end();
}

function headersOf(answer: Response): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.fromEntries(answer.headers);
  const cookies = answer.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  return headers;
}

function toRequest(
  { url = "/", method = "GET", headers }: http.IncomingMessage,
  body: Uint8Array<ArrayBuffer>,
): Request {
  const words = Object.entries(headers).map(([name, value]): [string, string] => [name, [value].flat().join(", ")]);
  return new Request(new URL(url, `http://${headers.host ?? "localhost"}`), {
    method,
    headers: words,
    ...body.length > 0 && method !== "GET" && method !== "HEAD" ? { body } : {},
  });
}
