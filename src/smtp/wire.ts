/** The client's socket as a session sees it, in clear and under TLS. The only file of this folder that touches sockets. */

import type { Buffer } from "node:buffer";
import type net from "node:net";
import type { ServerTls, TlsSocket } from "../tls/mod.ts";
import type { Wire } from "./connection.ts";

/** Who hears what happens on the wire. Connection is one. */
export interface Listener {
  data(bytes: Uint8Array): void;
  drained(): void;
  ended(): void;
  secured(ciphers: string, verified: boolean): void;
}

export class SocketWire implements Wire {
  #socket: net.Socket;
  readonly #plain: net.Socket;
  #failure: string | null = null;
  #closed = false;
  #listener: Listener | null = null;
  readonly #tls: ServerTls | null;
  readonly #onclose: (reason: string) => void;

  /** `onclose` is called once, when the connection is gone, with the reason as the log has it. */
  constructor(socket: net.Socket, tls: ServerTls | null, onclose: (reason: string) => void) {
    this.#socket = socket;
    this.#plain = socket;
    this.#tls = tls;
    this.#onclose = onclose;
    // A client that has sent everything and closed its side still gets its replies.
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    socket.on("error", this.#failed);
    socket.on("close", this.#gone);
  }

  /** To be called before anything else. */
  listen(listener: Listener): void {
    this.#listener = listener;
  }

  start(): void {
    this.#socket.on("data", this.#data);
    this.#socket.on("drain", this.#drained);
    this.#socket.on("end", this.#ended);
  }

  write(text: string): boolean {
    return this.#socket.write(text, "latin1");
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  secure(text: string): void {
    const plain = this.#socket;
    if (this.#tls === null) return this.destroy();
    plain.removeListener("data", this.#data);
    plain.removeListener("drain", this.#drained);
    plain.removeListener("end", this.#ended);
    plain.removeListener("close", this.#gone);
    // Without the pause the ClientHello would be read as plain text.
    plain.pause();
    if (text !== "") plain.write(text, "latin1");
    const socket = this.#tls.accept(plain);
    this.#socket = socket;
    socket.on("error", this.#failed);
    socket.on("close", this.#gone);
    socket.on("secure", () => this.#handshakeDone(socket));
  }

  #handshakeDone(socket: TlsSocket): void {
    const result = this.#tls!.inspect(socket);
    if (!result.ok) {
      this.#failure = `io-error: ${result.reason}`;
      return this.destroy();
    }
    this.start();
    this.#listener?.secured(result.ciphers, result.verified);
  }

  end(linger: boolean): void {
    const socket = this.#socket;
    // Closing while the client still sends would make its kernel throw our last words away (RFC 1122 §4.2.2.13).
    if (linger) socket.end();
    else if (socket.writableLength === 0 && socket === this.#plain) socket.destroy();
    else socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #data = (bytes: Buffer): void => this.#listener?.data(bytes);
  readonly #drained = (): void => this.#listener?.drained();
  readonly #ended = (): void => this.#listener?.ended();
  readonly #failed = (error: Error): void => {
    const { code } = error as { code?: string };
    // A client that resets has left, as one that closes has.
    if (code !== "ECONNRESET" && code !== "EPIPE") this.#failure ??= `io-error: ${error.message}`;
    this.#socket.destroy();
  };
  readonly #gone = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener = null;
    this.#onclose(this.#failure ?? "disconnect");
  };
}
