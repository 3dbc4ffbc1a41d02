/** The client's socket as a session sees it, in clear and under TLS. The only file of this folder that touches sockets. */

import type { Buffer } from "node:buffer";
import type net from "node:net";
import { READ_BYTES } from "./message/message_buffer.ts";
import { adoptSocket, detachDescriptor } from "../sockets/mod.ts";
import type { ServerTls, TlsSocket } from "../tls/mod.ts";

/** The connection to the client, as far as a session needs it. */
export interface Wire {
  /** Begins to read. Until then the client's bytes stay in the kernel, but for the first few. */
  start(): void;
  /** Something came before `start`. */
  readonly early: boolean;
  /** False: the client does not read; `drained` is called when it does again. */
  write(text: string): boolean;
  pause(): void;
  resume(): void;
  /** Writes `text` in clear and begins the handshake; `secured` is called at its end. */
  secure(text: string): void;
  /** Sends what was written, then closes. `linger`: the client may be sending still, what comes is thrown away. */
  end(how: { readonly linger: boolean }): void;
  /** Closes at once. */
  destroy(): void;
}

/** What a TLS handshake led to. */
export interface SecuredTls {
  /** `VERSION:CIPHER:BITS`. */
  readonly ciphers: string;
  /** The client showed a certificate that was verified. */
  readonly verified: boolean;
  /** Of the client's certificate; null for none. */
  readonly fingerprint: string | null;
  /** Of the certificate that the client was shown, see endPointBinding(); null where there is none. */
  readonly binding: string | null;
}

/** What is called when something happens on the wire. Connection is one. */
export interface Listener {
  data(bytes: Uint8Array): void;
  drained(): void;
  ended(): void;
  /** The TLS handshake is done. */
  secured(tls: SecuredTls): void;
}

/** Octets that a client may send before its session begins. RFC 5321 §4.3.1 has it wait for the greeting; a few commands do no harm. */
const MAX_EARLY_OCTETS = 4096;

/** One buffer for the reads of all sockets in clear: a new one a read would pile up until the collector comes. */
const readBuffer = new Uint8Array(READ_BYTES);

export class SocketWire implements Wire {
  #socket: net.Socket;
  readonly #plain: net.Socket;
  #started = false;
  /** What came before `start`. */
  #early: Uint8Array | null = null;
  #failure: string | null = null;
  #closed = false;
  /** From the client's first octets under TLS until the handshake is done. */
  #handshake = false;
  #listener: Listener | null = null;
  readonly #tls: ServerTls | null;
  readonly #onclose: (reason: string) => void;

  /**
   * Adopts a descriptor. `tlsFirst`: the handshake comes before all else. `onclose` is called once, when the connection is gone, with the
   * reason as the log has it. Throws when the descriptor is no good.
   */
  constructor(
    descriptor: number,
    { tls, tlsFirst }: { readonly tls: ServerTls | null; readonly tlsFirst: boolean },
    onclose: (reason: string) => void,
  ) {
    this.#tls = tls;
    this.#onclose = onclose;
    const socket = tlsFirst
      ? adoptSocket(descriptor)
      : adoptSocket(descriptor, { buffer: readBuffer, callback: (count) => this.#read(count) });
    this.#socket = socket;
    this.#plain = socket;
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

  get early(): boolean {
    return this.#early !== null;
  }

  start(): void {
    const socket = this.#socket;
    const early = this.#early;
    this.#early = null;
    this.#started = true;
    socket.on("drain", this.#drained);
    socket.on("end", this.#ended);
    if (socket === this.#plain) {
      // With a buffer of ours there are no `data` events; this starts the reads, and the end comes as an event still.
      socket.resume();
      if (early !== null) this.#listener?.data(early);
    } else socket.on("data", this.#data);
  }

  /** `count` octets stand in the shared buffer, until this returns. */
  #read(count: number): boolean {
    const bytes = readBuffer.subarray(0, count);
    if (!this.#started) {
      if (count > MAX_EARLY_OCTETS) {
        this.#failure = "io-error: Too much sent before the greeting";
        this.destroy();
        return false;
      }
      // The socket began to read by itself: this waits for `start`, the rest waits in the kernel.
      this.#early = bytes.slice();
      return false;
    }
    this.#listener?.data(bytes);
    return !this.#socket.isPaused();
  }

  write(text: string): boolean {
    // Between the two nothing can be sent: in clear it would be taken for TLS.
    if (this.#handshake) return true;
    return this.#socket.write(text, "latin1");
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  secure(text: string): void {
    if (this.#tls === null) return this.destroy();
    const plain = this.#started ? this.#renewed(text) : this.#socket;
    if (plain === null) return this.destroy();
    this.#handshake = true;
    // Half a connection is no good to a handshake, and TLS itself does not say when the client has left before it.
    const left = () => this.destroy();
    plain.once("end", left);
    this.#tls.accept(plain, (socket) => {
      plain.off("close", this.#gone);
      this.#socket = socket;
      socket.on("error", this.#failed).on("close", this.#gone).once("end", left);
      socket.once("secure", () => {
        plain.off("end", left);
        socket.off("end", left);
        this.#handshakeDone(socket);
      });
    });
  }

  /** STARTTLS: TLS cannot read through the shared buffer, so the descriptor moves to a new socket. Null when the client does not read. */
  #renewed(text: string): net.Socket | null {
    const old = this.#socket;
    old.write(text, "latin1");
    if (old.writableLength > 0) return null;
    old.off("error", this.#failed).off("close", this.#gone).off("drain", this.#drained).off("end", this.#ended);
    const socket = adoptSocket(detachDescriptor(old));
    this.#socket = socket;
    return socket.on("error", this.#failed).on("close", this.#gone);
  }

  #handshakeDone(socket: TlsSocket): void {
    const result = this.#tls!.inspect(socket);
    if (!result.ok) {
      this.#failure = `io-error: ${result.reason}`;
      return this.destroy();
    }
    this.#handshake = false;
    this.start();
    this.#listener?.secured(result);
  }

  end({ linger }: { readonly linger: boolean }): void {
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
