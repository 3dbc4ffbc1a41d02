/**
 * HTTP/1.1 to one authority, over connections that main makes: requests one after the other on one connection, which is made anew when it was closed.
 * Small on purpose: the isolate has no permission to fetch anything.
 */

import type net from "node:net";
import tls from "node:tls";
import { type Clock, systemClock } from "../clock.ts";
import { withErrorListener } from "../sockets/mod.ts";
import { AcmeFailure } from "./failure.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: string;
  /** Null: none. */
  readonly body: string | null;
}

export interface HttpResponse {
  readonly status: number;
  /** By lower-case names; the first of several of one name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface HttpOptions {
  /** `https://HOST[:PORT]`; no other is asked. */
  readonly origin: string;
  /** PEM text of the authorities that its certificate may lead to; null for the public ones. */
  readonly ca: string | null;
  readonly userAgent: string;
  /** Connects to the origin. Rejects with an AcmeFailure. */
  connect(): Promise<net.Socket>;
  readonly clock?: Pick<Clock, "after">;
}

/** Time for a handshake, and for one answer. */
const REQUEST_MS = 30_000;
/** Octets of an answer. A chain of certificates has some 10,000. */
const MAX_ANSWER_OCTETS = 256 * 1024;
/** Answers before the real one (RFC 9110 §15.2). */
const MAX_INTERIM_ANSWERS = 16;
const JOSE = "application/jose+json";

export class HttpsClient {
  readonly #options: HttpOptions;
  readonly #clock: Pick<Clock, "after">;
  #socket: tls.TLSSocket | null = null;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Rejects with an AcmeFailure when there is no answer, or one that is none of HTTP. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const { origin } = this.#options;
    const url = URL.canParse(request.url) ? new URL(request.url) : null;
    if (url === null || url.origin !== origin || url.username !== "" || url.password !== "") {
      throw new AcmeFailure("refused", `the authority names a URL that is not of ${origin}: it is not asked`);
    }
    const reused = this.#socket !== null && !this.#socket.destroyed;
    try {
      return await this.#exchange(request, url);
    } catch (error) {
      // The authority may have closed it just before: once more, on a new one. A request that is repeated has a nonce that was used, which is noticed.
      if (!reused || !(error instanceof AcmeFailure) || error.kind !== "unreached") throw error;
      return await this.#exchange(request, url);
    }
  }

  /** Closes the connection. */
  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  async #exchange(request: HttpRequest, url: URL): Promise<HttpResponse> {
    if (this.#socket === null || this.#socket.destroyed) this.#socket = await this.#open(url.hostname);
    const socket = this.#socket;
    const answer = this.#answer(socket, request.method);
    socket.write(this.#head(request, url) + (request.body ?? ""));
    const { response, keep } = await answer;
    if (!keep) this.close();
    return response;
  }

  #head({ method, body }: HttpRequest, url: URL): string {
    const lines = [
      `${method} ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      `User-Agent: ${this.#options.userAgent}`,
      "Accept: */*",
      ...body === null ? [] : [`Content-Type: ${JOSE}`, `Content-Length: ${new TextEncoder().encode(body).length}`],
    ];
    return `${lines.join("\r\n")}\r\n\r\n`;
  }

  async #open(host: string): Promise<tls.TLSSocket> {
    const { ca, connect } = this.#options;
    const socket = await connect();
    const bare = host.replace(/^\[(.*)\]$/, "$1");
    return await new Promise((resolve, reject) => {
      const fail = (reason: string) => {
        cancel();
        socket.destroy();
        reject(new AcmeFailure("unreached", `no TLS with ${host}: ${reason}`));
      };
      const cancel = this.#clock.after(REQUEST_MS, () => fail("it takes too long"));
      const literal = /^[\d.]+$|:/.test(bare);
      const secured = withErrorListener(tls.connect({
        socket,
        host: bare,
        minVersion: "TLSv1.2",
        ...literal ? {} : { servername: bare },
        ...ca === null ? {} : { ca },
      }));
      const failed = (error: Error) => fail(error.message);
      const closed = () => fail("the connection was closed");
      secured.on("error", failed).on("close", closed);
      secured.once("secureConnect", () => {
        cancel();
        secured.off("error", failed).off("close", closed);
        resolve(secured);
      });
    });
  }

  #answer(socket: tls.TLSSocket, method: string): Promise<{ response: HttpResponse; keep: boolean }> {
    return new Promise((resolve, reject) => {
      const reader = new AnswerReader(method);
      const finish = () => {
        cancel();
        socket.off("data", data).off("end", ended).off("close", ended).off("error", failed);
      };
      const fail = (reason: string) => {
        finish();
        socket.destroy();
        reject(new AcmeFailure("unreached", `no answer of ${this.#options.origin}: ${reason}`));
      };
      const cancel = this.#clock.after(REQUEST_MS, () => fail("it takes too long"));
      const look = () => {
        if (reader.fault !== null) return fail(reader.fault);
        const response = reader.response;
        if (response === null) return;
        finish();
        resolve({ response, keep: reader.keep });
      };
      const data = (bytes: Uint8Array) => {
        reader.push(bytes);
        look();
      };
      const ended = () => {
        reader.end();
        look();
        if (reader.response === null && reader.fault === null) fail("the connection was closed");
      };
      const failed = (error: Error) => fail(error.message);
      socket.on("data", data).on("end", ended).on("close", ended).on("error", failed);
    });
  }
}

/** One answer from its octets. Exported for tests. */
export class AnswerReader {
  readonly #method: string;
  #octets: Uint8Array = new Uint8Array(0);
  #ended = false;
  #interim = 0;
  /** Not null: this is no answer, or too large a one. */
  fault: string | null = null;
  /** Not null: it is whole. */
  response: HttpResponse | null = null;
  /** The connection can be used again. */
  keep = false;

  constructor(method: string) {
    this.#method = method;
  }

  push(bytes: Uint8Array): void {
    const both = new Uint8Array(this.#octets.length + bytes.length);
    both.set(this.#octets);
    both.set(bytes, this.#octets.length);
    this.#octets = both;
    if (both.length > MAX_ANSWER_OCTETS) this.fault = `it has more than ${MAX_ANSWER_OCTETS} octets`;
    else this.#look();
  }

  /** The other side sends no more. */
  end(): void {
    this.#ended = true;
    if (this.fault === null) this.#look();
  }

  #look(): void {
    if (this.response !== null || this.fault !== null) return;
    const text = new TextDecoder("latin1").decode(this.#octets);
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [first, ...fields] = text.slice(0, end).split("\r\n");
    const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(first!);
    if (status === null) return void (this.fault = "it is no HTTP");
    // RFC 9110 §15.2: an interim answer, the real one follows.
    if (status[1]!.startsWith("1")) {
      if (++this.#interim > MAX_INTERIM_ANSWERS) return void (this.fault = "it has too many interim answers");
      this.#octets = this.#octets.subarray(end + 4);
      return this.#look();
    }
    const headers = new Map<string, string>();
    for (const field of fields) {
      const colon = field.indexOf(":");
      const name = field.slice(0, Math.max(0, colon)).toLowerCase();
      if (name !== "" && !headers.has(name)) headers.set(name, field.slice(colon + 1).trim());
    }
    const body = this.#body(headers, this.#octets.subarray(end + 4), Number(status[1]));
    if (body === null) return;
    this.keep &&= headers.get("connection")?.toLowerCase() !== "close" && first!.startsWith("HTTP/1.1");
    this.response = { status: Number(status[1]), headers, body: new TextDecoder().decode(body) };
  }

  /** Null while it is not whole (RFC 9112 §6.3). */
  #body(headers: ReadonlyMap<string, string>, rest: Uint8Array, status: number): Uint8Array | null {
    this.keep = true;
    if (this.#method === "HEAD" || status === 204 || status === 304) return new Uint8Array(0);
    if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") return this.#chunks(rest);
    const length = headers.get("content-length");
    if (length !== undefined) {
      if (!/^\d{1,9}$/.test(length)) this.fault = "its length is no number";
      return rest.length >= Number(length) ? rest.subarray(0, Number(length)) : null;
    }
    this.keep = false;
    return this.#ended ? rest : null;
  }

  /** RFC 9112 §7.1. */
  #chunks(rest: Uint8Array): Uint8Array | null {
    const pieces: number[] = [];
    const text = new TextDecoder("latin1").decode(rest);
    for (let at = 0;;) {
      const line = text.indexOf("\r\n", at);
      if (line < 0) return null;
      const size = /^([0-9a-fA-F]{1,6})(?:;.*)?$/.exec(text.slice(at, line));
      if (size === null) {
        this.fault = "its chunks are malformed";
        return null;
      }
      const start = line + 2, octets = parseInt(size[1]!, 16);
      if (octets === 0) return text.indexOf("\r\n", start) < 0 ? null : Uint8Array.from(pieces);
      if (rest.length < start + octets + 2) return null;
      for (const octet of rest.subarray(start, start + octets)) pieces.push(octet);
      at = start + octets + 2;
    }
  }
}
