/** One TCP, TLS or unix connection to a server: bytes out, groups of replies in, timeouts. Independent of commands. */

import { systemReason } from "../events/mod.ts";
import type net from "node:net";
import { builtin } from "../builtin.ts";
import { connectSocket, firstError } from "../sockets/mod.ts";
import { ClientError } from "./error.ts";
import { formatReply, type Reply, ReplyReader } from "./reply.ts";
import type { Timeouts } from "./timeouts.ts";
import { secure, type TlsInfo, type TlsOptions } from "./tls.ts";
import { type Clock, systemClock } from "../clock.ts";

export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ConnectOptions {
  readonly to: Endpoint;
  /** Local address to connect from. */
  readonly localAddress?: string;
  /** How long each step may take. */
  readonly timeouts: Timeouts;
  /** What the waiting is measured with; the system's unless a test has its own. */
  readonly clock?: Pick<Clock, "steady" | "after">;
  /** TLS before the first byte (smtps). */
  readonly tls?: TlsOptions;
  /** Sees each command and reply, without secrets and without mail. Looked at each time: it may come and go. */
  readonly trace?: Trace | undefined;
  /** Is called with how many bytes came and went. Looked at each time. */
  readonly count?: ByteCount | undefined;
  /** Is called with each command and reply, for reports. */
  readonly witness?: DialogueObserver | undefined;
  /** Keeps what was said for the case that it goes wrong. */
  readonly recorder?: DialogueRecorder | undefined;
}

/** Is given what is said as it is there: one or more command lines in one text, and replies. Secrets are masked, and mail is left out. */
export interface DialogueRecorder {
  sent(lines: string): void;
  answered(reply: Reply): void;
}

/** Secrets are masked, and mail is left out. */
export interface DialogueObserver {
  /** One command line was sent. */
  sent(line: string): void;
  /** One whole reply came. */
  answered(reply: Reply): void;
}

export type Trace = (direction: ">>>" | "<<<", line: string) => void;
export type ByteCount = (what: "read" | "wrote", bytes: number) => void;

/** Replies that are waited for. */
interface Group {
  readonly wanted: number;
  /** How long each of them may take, in ms. */
  readonly limitsMs: readonly number[];
  readonly replies: Reply[];
  readonly resolve: (replies: Reply[]) => void;
  readonly reject: (error: ClientError) => void;
}

/** Opens the connection; the greeting has not been read. Rejects with a ClientError. */
export async function openConnection(options: ConnectOptions): Promise<Connection> {
  const socket = await connected(options);
  if (options.tls === undefined) return new Connection(socket, options, null);
  const secured = await secure(socket, options.tls, options.timeouts.tlsMs, options.clock);
  return new Connection(secured.socket, options, secured.info);
}

function connected(options: ConnectOptions): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const where = "path" in options.to ? { path: options.to.path } : {
      host: options.to.host,
      port: options.to.port,
      ...(options.localAddress ? { localAddress: options.localAddress } : {}),
    };
    const socket = connectSocket(where as net.NetConnectOpts);
    const fail = (reason: string, kind: "connect" | "timeout" = "connect") => {
      cancel();
      socket.destroy();
      reject(new ClientError(kind, reason));
    };
    const failed = (error: NodeJS.ErrnoException) => fail(connectError(error));
    const { after } = options.clock ?? systemClock;
    const cancel = after(options.timeouts.connectMs, () => fail("Connection timeout", "timeout"));
    socket.once("error", failed);
    socket.once("connect", () => {
      cancel();
      socket.off("error", failed);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** What the log has of a connect that failed, by the name of its errno. */
function connectError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "Connection refused";
    case "ETIMEDOUT":
      return "Connection timed out";
    case "EHOSTUNREACH":
      return "No route to host";
    case "ENETUNREACH":
      return "Network is unreachable";
    case "EADDRNOTAVAIL":
      return "Can't assign requested address";
    case "ECONNRESET":
      return "Connection reset by peer";
    case "ENOENT":
      return "No such file or directory";
    default:
      // The runtime has EINVAL for all that can be wrong with a local address.
      if (error.syscall === "bind") return "Can't assign requested address";
      return `Connection failed: ${systemReason(error)}`;
  }
}

export class Connection {
  /** Called when the connection ends while nobody waits for a reply. */
  onclosed: (error: ClientError) => void = () => {};
  tls: TlsInfo | null;
  #socket: net.Socket;
  readonly #timeouts: Timeouts;
  readonly #clock: Pick<Clock, "steady" | "after">;
  readonly #observers: Pick<ConnectOptions, "trace" | "count" | "witness" | "recorder">;
  readonly #replies: ReplyReader = new ReplyReader();
  #secrets: readonly string[] = [];
  #group: Group | null = null;
  #failure: ClientError | null = null;
  #writing = 0;
  /** When the peer last did something that was waited for. */
  #activeAt = 0;
  /** The one timer for all waits, and when it looks. */
  #cancelTimer: (() => void) | null = null;
  #timerAt = 0;
  #drained: (() => void) | null = null;
  /** Nothing has come over this socket yet. */
  #unheard = true;
  readonly #listeners: ReadonlyArray<readonly [string, (argument: Uint8Array & Error) => void]> = [
    ["data", (bytes: Uint8Array) => this.#read(bytes)],
    ["error", (error: Error) => this.#broken(error)],
    ["end", () => this.#hangup()],
    ["close", () => this.#hangup()],
    ["drain", () => this.#drain()],
  ];

  constructor(socket: net.Socket, options: ConnectOptions, tls: TlsInfo | null) {
    this.#observers = options;
    this.#socket = socket;
    this.#timeouts = options.timeouts;
    this.#clock = options.clock ?? systemClock;
    this.tls = tls;
    this.#listen();
  }

  /** Why it ended; null while it is usable. */
  get failure(): ClientError | null {
    return this.#failure;
  }

  /** Where the connection goes and comes from, as the kernel has it; "" for a unix socket. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? "";
  }
  get localAddress(): string {
    return this.#socket.localAddress ?? "";
  }
  /** 0 when it is not known. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /**
   * Sends `bytes` (nothing for null) and waits for as many replies as there are `limitsMs`: each is how long that reply may take, in ms, from
   * the one before. Only one group may be waited for at a time. `shown` is what a trace sees instead of a secret.
   */
  exchange(bytes: Uint8Array | string | null, limitsMs: readonly number[], shown?: string): Promise<Reply[]> {
    const { trace, witness, recorder } = this.#observers;
    if (recorder !== undefined && typeof bytes === "string") recorder.sent(shown ?? bytes);
    if ((trace !== undefined || witness !== undefined) && typeof bytes === "string") {
      for (const line of (shown ?? bytes).trimEnd().split("\r\n")) {
        trace?.(">>>", line);
        witness?.sent(line);
      }
    }
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        const { kind, message, reply } = this.#failure;
        return reject(new ClientError(kind, message, reply));
      }
      this.#group = { wanted: limitsMs.length, limitsMs, replies: [], resolve, reject };
      if (bytes !== null) this.#write(bytes);
      this.#watch();
    });
  }

  /** Texts that replies must not bring back to logs and bounces from now on: a server may repeat what it refuses. */
  mask(secrets: readonly string[]): void {
    this.#secrets = secrets;
  }

  /** The server has answered while `send` is still sending what it answers. */
  get early(): boolean {
    return this.#group !== null && this.#group.replies.length > 0;
  }

  /** Writes and resolves once there is room for more, or when the connection ended. */
  send(bytes: Uint8Array): Promise<void> | void {
    if (this.#failure !== null) return;
    const room = this.#write(bytes);
    this.#watch();
    if (room) return;
    return new Promise((resolve) => this.#drained = resolve);
  }

  /** The handshake of STARTTLS, after the server's 220. Rejects with a ClientError; the connection is then closed. */
  async upgrade(options: TlsOptions): Promise<TlsInfo> {
    const socket = this.#socket;
    this.#mute(socket);
    socket.pause();
    try {
      const secured = await secure(socket, options, this.#timeouts.tlsMs, this.#clock);
      this.#socket = secured.socket;
      this.tls = secured.info;
      this.#listen();
      if (this.#failure !== null) throw this.#failure;
      return secured.info;
    } catch (error) {
      this.#failure = error as ClientError;
      this.close();
      throw error;
    }
  }

  /** Ends it at once. */
  close(): void {
    const group = this.#group;
    this.#group = null;
    this.#failure ??= new ClientError("closed", "Connection closed", null, group?.replies ?? []);
    group?.reject(this.#failure);
    this.#stop();
    this.#mute(this.#socket);
    this.#socket.destroy();
  }

  #listen(): void {
    this.#unheard = true;
    for (const [event, listener] of this.#listeners) this.#socket.on(event, listener);
    // The other side may have ended it before anybody listened: neither event comes again.
    const error = firstError(this.#socket);
    if (error !== null) this.#broken(error);
    else if (this.#socket.destroyed) this.#hangup();
  }

  /** Removes no listeners but those of `#listen`: by its own the runtime gives the memory of TLS back. */
  #mute(socket: net.Socket): void {
    for (const [event, listener] of this.#listeners) socket.off(event, listener);
  }

  /** TLS 1.3: a server that refuses the client's certificate replies so when the handshake is done for the client. */
  #broken(error: NodeJS.ErrnoException): void {
    if (this.tls !== null && this.#unheard) this.#fail("tls", `TLS failed: ${error.message}`);
    else this.#fail("closed", ioError(error));
  }

  #write(bytes: Uint8Array | string): boolean {
    this.#writing++;
    this.#observers.count?.("wrote", bytes.length);
    // Without the copy that socket.write makes of a Uint8Array that is no Buffer.
    const data = typeof bytes === "string"
      ? bytes
      : builtin("node:buffer").Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#socket.write(data as Uint8Array, () => {
      this.#writing--;
      this.#activeAt = this.#clock.steady();
      this.#setTimer();
    });
  }

  #read(bytes: Uint8Array): void {
    this.#unheard = false;
    this.#observers.count?.("read", bytes.length);
    const group = this.#group;
    const replies = group?.replies ?? [];
    const before = replies.length;
    const error = this.#replies.push(bytes, replies);
    if (this.#secrets.length > 0) {
      for (let at = before; at < replies.length; at++) replies[at] = masked(replies[at]!, this.#secrets);
    }
    const { trace, witness, recorder } = this.#observers;
    if (recorder !== undefined) { for (const reply of replies.slice(before)) recorder.answered(reply); }
    if (witness !== undefined) { for (const reply of replies.slice(before)) witness.answered(reply); }
    if (trace !== undefined) {
      for (const reply of replies.slice(before)) {
        for (const line of reply.lines) trace("<<<", `${reply.code} ${line}`);
      }
    }
    if (group === null) return this.#unasked(replies);
    if (replies.length > before) this.#activeAt = this.#clock.steady();
    if (replies.length > group.wanted) return this.#unasked(replies.slice(group.wanted));
    if (error !== null) return this.#fail("protocol", error);
    if (replies.length < group.wanted) return this.#setTimer();
    // Whatever follows the last reply answers nothing that was asked: after STARTTLS it would even be taken for part of the TLS session.
    if (!this.#replies.idle) return this.#fail("protocol", "Remote host sent too much data");
    this.#group = null;
    group.resolve(replies);
  }

  /** Input that nobody asked for. A server that ends the session of its own accord sends 421 first (RFC 5321 §3.8). */
  #unasked(replies: Reply[]): void {
    const reply = replies[0];
    if (reply?.code === 421) return this.#fail("closed", formatReply(reply), reply);
    this.#fail("protocol", "Remote host sent too much data");
  }

  #hangup(): void {
    const last = this.#group?.replies.at(-1);
    // The 421 says more than that the connection is closed.
    if (last?.code === 421) this.#fail("closed", formatReply(last), last);
    else this.#fail("closed", "Connection closed unexpectedly");
  }

  #fail(kind: "closed" | "protocol" | "timeout" | "tls", message: string, reply: Reply | null = null): void {
    if (this.#failure !== null) return;
    const group = this.#group;
    const error = new ClientError(kind, message, reply, group?.replies.slice(0, group.wanted) ?? []);
    this.#failure = error;
    this.#group = null;
    this.close();
    if (group !== null) group.reject(error);
    else this.onclosed(error);
  }

  #stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#drain();
  }

  #drain(): void {
    const drained = this.#drained;
    this.#drained = null;
    drained?.();
  }

  #watch(): void {
    this.#activeAt = this.#clock.steady();
    this.#setTimer();
  }

  /** How long the peer may take for what is waited for now, in ms; null when nothing is. */
  #limitMs(): number | null {
    if (this.#writing > 0) return this.#timeouts.blockMs;
    return this.#group?.limitsMs[this.#group.replies.length] ?? null;
  }

  /** One timer for all waits: what happens in the meantime moves it on when it comes, and only a shorter wait makes it look earlier. */
  #setTimer(): void {
    const limit = this.#limitMs();
    if (limit === null || this.#failure !== null) return;
    const at = this.#activeAt + limit;
    if (this.#cancelTimer !== null && this.#timerAt <= at) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#clock.after(Math.max(0, at - this.#clock.steady()), () => this.#check());
  }

  #check(): void {
    this.#cancelTimer = null;
    const limit = this.#limitMs();
    if (limit === null) return;
    if (this.#activeAt + limit <= this.#clock.steady()) return this.#fail("timeout", "Connection timeout");
    this.#setTimer();
  }
}

function ioError(error: NodeJS.ErrnoException): string {
  return error.code === "ECONNRESET" ? "Connection reset by peer" : `IO Error: ${systemReason(error)}`;
}

function masked({ code, text, lines }: Reply, secrets: readonly string[]): Reply {
  const clean = (line: string) => secrets.reduce((rest, secret) => rest.replaceAll(secret, "********"), line);
  return { code, text: clean(text), lines: lines.map(clean) };
}
