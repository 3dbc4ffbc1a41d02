/** HTTP on the connections of the admin address, which main accepts and hands over: how many there may be, and for how long. */

import http from "node:http";
import type net from "node:net";
import { createAdmin } from "./app.ts";
import type { AdminSource } from "./source.ts";

/** A connection without traffic for so long is closed, in milliseconds. */
const IDLE_MS = 10_000;
/** Connections that one client address may have. */
const MAX_SOURCE_CONNECTIONS = 16;

interface Client {
  readonly source: string;
  /** Requests that are being answered. */
  running: number;
}

export interface AdminOptions {
  /** The address of the config: it may stand in the Host field of a request. */
  readonly address: string;
  /** Connections at one time. */
  readonly maxConnections: number;
  readonly source: AdminSource;
}

/** All connections of the admin address. */
export class AdminServer {
  readonly #options: AdminOptions;
  readonly #app: ReturnType<typeof createAdmin>;
  readonly #server: http.Server;
  /** In the order in which they came. */
  readonly #clients = new Map<net.Socket, Client>();

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#app = createAdmin(options.source, options.address);
    this.#server = http.createServer((request, response) => void this.#answer(request, response));
  }

  /** Connections that are open. */
  get size(): number {
    return this.#clients.size;
  }

  /**
   * Serves one connection. When there are too many, of its source or in all, the oldest on which nothing is being answered is closed for
   * it: an idle connection does not keep others out. When all are busy the new one is closed.
   */
  serve(socket: net.Socket, source: string): void {
    socket.on("error", () => {
      // The client went away; `close` follows.
    });
    const own = [...this.#clients].filter(([, client]) => client.source === source);
    if (own.length >= MAX_SOURCE_CONNECTIONS && !closeIdle(own)) return void socket.destroy();
    if (this.#clients.size >= this.#options.maxConnections && !closeIdle([...this.#clients])) {
      return void socket.destroy();
    }
    this.#clients.set(socket, { source, running: 0 });
    socket.on("close", () => this.#clients.delete(socket));
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    this.#server.emit("connection", socket);
    socket.resume();
  }

  /** Closes all of them. */
  close(): void {
    for (const socket of this.#clients.keys()) socket.destroy();
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const client = this.#clients.get(request.socket);
    if (client !== undefined) client.running++;
    // Read-only: no client needs to send more than a head.
    request.resume();
    try {
      const answer = await this.#app.fetch(toRequest(request));
      const body = new Uint8Array(await answer.arrayBuffer());
      response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), "content-length": body.length });
      response.end(request.method === "HEAD" ? undefined : body);
    } catch {
      // A target or a Host that is none.
      if (!response.headersSent) response.writeHead(400, { connection: "close" });
      response.end();
    } finally {
      if (client !== undefined) client.running--;
    }
  }
}

/** Closes the oldest that has no request. Answers whether there was one. */
function closeIdle(clients: readonly (readonly [net.Socket, Client])[]): boolean {
  const idle = clients.find(([socket, { running }]) => running === 0 && !socket.destroyed);
  idle?.[0].destroy();
  return idle !== undefined;
}

function toRequest({ url = "/", method = "GET", headers }: http.IncomingMessage): Request {
  const words = Object.entries(headers).map(([name, value]): [string, string] => [name, [value].flat().join(", ")]);
  return new Request(new URL(url, `http://${headers.host ?? "localhost"}`), { method, headers: words });
}
