/**
 * What the authority is answered on the port of a challenge while an order is under way: HTTP (RFC 8555 §8.3) or TLS (RFC 8737), on connections that main
 * accepts and hands over. Anybody may connect: few connections at one time, for a short time, and few octets of each.
 */

import type net from "node:net";
import { type Clock, systemClock } from "../clock.ts";
import { base64url } from "./base64url.ts";
import { type ChallengeCertificate, challengeCertificate, ChallengeHandshake } from "./tls_challenge.ts";

/** Connections at one time; more are closed. */
const MAX_CONNECTIONS = 64;
/** How long one lasts. */
const CONNECTION_MS = 10_000;
/** Octets of a request's head, or of a client's handshake. */
const MAX_OCTETS = 16_384;
const PATH = "/.well-known/acme-challenge/";

/** The answers that are expected now. */
export class ChallengeAnswers {
  /** Key authorizations by their tokens. */
  readonly #tokens = new Map<string, string>();
  /** Certificates by the names that they are for. */
  readonly #certificates = new Map<string, ChallengeCertificate>();
  readonly #clock: Pick<Clock, "after" | "now">;
  readonly #open = new Set<net.Socket>();

  constructor(clock: Pick<Clock, "after" | "now"> = systemClock) {
    this.#clock = clock;
  }

  /** Connections that are open. */
  get size(): number {
    return this.#open.size;
  }

  addToken(token: string, authorization: string): void {
    this.#tokens.set(token, authorization);
  }

  /** Makes the certificate that shows the key authorization (RFC 8737 §3). */
  async addName(name: string, authorization: string): Promise<void> {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(authorization));
    this.#certificates.set(name, challengeCertificate(name, new Uint8Array(digest), this.#clock.now()));
  }

  remove(name: string, token: string): void {
    this.#tokens.delete(token);
    this.#certificates.delete(name);
  }

  /** Serves one connection and closes it. */
  serve(socket: net.Socket, kind: "http-01" | "tls-alpn-01"): void {
    if (this.#open.size >= MAX_CONNECTIONS) return void socket.destroy();
    this.#open.add(socket);
    const cancel = this.#clock.after(CONNECTION_MS, () => socket.destroy());
    socket.on("close", () => {
      cancel();
      this.#open.delete(socket);
    });
    socket.on("end", () => socket.destroy());
    if (kind === "http-01") this.#serveHttp(socket);
    else this.#serveTls(socket);
    socket.resume();
  }

  /** Closes all connections. */
  close(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #serveHttp(socket: net.Socket): void {
    let head = "";
    let answered = false;
    socket.on("data", (bytes) => {
      if (answered) return;
      head += new TextDecoder("latin1").decode(bytes as Uint8Array);
      if (head.length > MAX_OCTETS) return void socket.destroy();
      if (!/\r?\n\r?\n/.test(head)) return;
      answered = true;
      socket.end(answerTo(head, this.#tokens));
    });
  }

  #serveTls(socket: net.Socket): void {
    const handshake = new ChallengeHandshake((name) => this.#certificates.get(name) ?? null);
    let octets = 0;
    socket.on("data", (bytes) => {
      octets += bytes.length;
      if (octets > MAX_OCTETS) return void socket.destroy();
      const { send, over } = handshake.push(bytes as Uint8Array);
      if (over) socket.end(send);
      else if (send.length > 0) socket.write(send);
    });
  }
}

/** Returns what is sent for the head of a request: the key authorization of its token, or an error of few octets. */
export function answerTo(head: string, tokens: ReadonlyMap<string, string>): string {
  const request = /^(GET|HEAD) (\S+) HTTP\/1\.[01]\r?\n/.exec(head);
  if (request === null) return response("400 Bad Request", "");
  const path = request[2]!.replace(/^http:\/\/[^/]+/i, "");
  const authorization = path.startsWith(PATH) ? tokens.get(path.slice(PATH.length)) : undefined;
  if (authorization === undefined) return response("404 Not Found", "");
  return response("200 OK", authorization).slice(0, request[1] === "HEAD" ? -authorization.length : undefined);
}

function response(status: string, body: string): string {
  const head = [
    `HTTP/1.1 ${status}`,
    "Content-Type: application/octet-stream",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** Returns the text of the record for dns-01 (RFC 8555 §8.4). */
export async function recordOf(authorization: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(authorization))));
}
