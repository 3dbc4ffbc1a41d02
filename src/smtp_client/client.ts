/** A client's side of one SMTP or LMTP session: greeting, hello, TLS, AUTH, transactions, quit. When to do what is the caller's. */

import { type Capabilities, NO_CAPABILITIES, parseCapabilities } from "./capabilities.ts";
import { type Connection, type ConnectOptions, openConnection } from "./connection.ts";
import { ClientError, refusedBy } from "./error.ts";
import type { Reply } from "./reply.ts";
import type { Timeouts } from "./timeouts.ts";
import type { TlsInfo, TlsOptions } from "./tls.ts";
import { outcomeOf, type TransactionResult } from "./results.ts";
import { requireTlsObstacle } from "./prepare.ts";
import { runTransaction, type Session, type Transaction } from "./transaction.ts";

/** Shorter texts stand in replies without being the secret. */
const MIN_MASKED_CHARS = 4;

export interface ClientOptions extends ConnectOptions {
  /** LHLO instead of EHLO, and one reply for each recipient after the data (RFC 2033). */
  readonly lmtp?: boolean;
  /** Refused recipients in a row that end the session; 0, the default, for any number. */
  readonly maxRefusals?: number;
}

/** Connects, with TLS when asked for. The greeting is read by `greeting` or `hello`. Rejects with a ClientError. */
export async function connectClient(options: ClientOptions): Promise<Client> {
  return new Client(await openConnection(options), options);
}

/** Every method but `transaction`, `quit` and `close` rejects with a ClientError when it cannot do its work. */
export class Client {
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #timeouts: Timeouts;
  #capabilities: Capabilities = NO_CAPABILITIES;
  #greeted = false;
  #peerName = "";

  constructor(connection: Connection, { timeouts, lmtp = false, maxRefusals = 0 }: ClientOptions) {
    this.#connection = connection;
    this.#timeouts = timeouts;
    const capabilities = () => this.#capabilities;
    this.#session = {
      connection,
      timeouts,
      lmtp,
      maxRefusals,
      refusals: 0,
      get capabilities() {
        return capabilities();
      },
    };
  }

  /** What the last hello brought. */
  get capabilities(): Capabilities {
    return this.#capabilities;
  }
  /** null without TLS. */
  get tls(): TlsInfo | null {
    return this.#connection.tls;
  }
  /** Why a message with REQUIRETLS must not go by this session (RFC 8689 §4.2.1); null when it may. */
  get requireTlsObstacle(): string | null {
    return requireTlsObstacle(this.tls, this.#capabilities);
  }
  get localAddress(): string {
    return this.#connection.localAddress;
  }
  get localPort(): number {
    return this.#connection.localPort;
  }
  /** What the server calls itself in its answer to EHLO, LHLO or HELO (RFC 5321 §4.1.1.1), in lower case; "" before that. */
  get peerName(): string {
    return this.#peerName;
  }
  /** False once the connection has ended. */
  get usable(): boolean {
    return this.#connection.failure === null;
  }
  /** Called when the server ends the connection while nothing is asked of it. */
  set onclosed(listener: (error: ClientError) => void) {
    this.#connection.onclosed = listener;
  }

  /** Reads the server's greeting, once. */
  async greeting(): Promise<void> {
    if (this.#greeted) return;
    this.#greeted = true;
    const reply = await this.#reply(null, this.#timeouts.greetingMs);
    if (outcomeOf(reply) !== "ok") throw refusedBy(reply);
  }

  /** EHLO or LHLO. With `fallback` a server that refuses EHLO is greeted with HELO, RFC 5321 §3.2. */
  async hello(name: string, { fallback = false }: { readonly fallback?: boolean } = {}): Promise<Capabilities> {
    await this.greeting();
    const reply = await this.command(`${this.#session.lmtp ? "LHLO" : "EHLO"} ${name}`);
    this.#peerName = firstWord(reply);
    if (outcomeOf(reply) === "ok") return this.#capabilities = parseCapabilities(reply);
    if (!fallback || this.#session.lmtp || reply.code === 421) throw refusedBy(reply);
    const second = await this.command(`HELO ${name}`);
    if (outcomeOf(second) !== "ok") throw refusedBy(second);
    this.#peerName = firstWord(second);
    return this.#capabilities = NO_CAPABILITIES;
  }

  /** STARTTLS and the handshake, RFC 3207. Everything learnt before is forgotten: say hello again. `refused` leaves the session usable. */
  async startTls(options: TlsOptions): Promise<TlsInfo> {
    const reply = await this.command("STARTTLS");
    if (outcomeOf(reply) !== "ok") throw refusedBy(reply);
    this.#capabilities = NO_CAPABILITIES;
    return await this.#connection.upgrade(options);
  }

  /** AUTH PLAIN, else LOGIN (RFC 4954). Refuses to send a secret without TLS. */
  async authenticate(user: string, password: string): Promise<void> {
    const mechanisms = this.#capabilities.auth;
    if (this.#connection.tls === null) throw new ClientError("refused", "AUTH requires TLS");
    if (mechanisms === null) throw new ClientError("refused", "AUTH not advertised");
    const plain = base64(`\0${user}\0${password}`);
    this.#connection.mask([plain, base64(password), password].filter((secret) => secret.length >= MIN_MASKED_CHARS));
    if (mechanisms.includes("PLAIN")) {
      expect(await this.command(`AUTH PLAIN ${plain}`, "AUTH PLAIN ********"), 235);
    } else {
      if (!mechanisms.includes("LOGIN")) throw new ClientError("refused", "no supported AUTH method");
      expect(await this.command("AUTH LOGIN"), 334);
      expect(await this.command(base64(user), "********"), 334);
      expect(await this.command(base64(password), "********"), 235);
    }
    this.#connection.mask([]);
  }

  /** Sends one message. Never rejects. One at a time. */
  transaction(transaction: Transaction): Promise<TransactionResult> {
    return runTransaction(this.#session, transaction);
  }

  /** Sends a line and waits for its reply, whatever it is. `shown` is what a trace sees instead of a secret. */
  async command(line: string, shown?: string): Promise<Reply> {
    // deno-lint-ignore no-control-regex
    if (/[\x00-\x1f\x7f]/.test(line)) throw new ClientError("protocol", "Control character in a command");
    return await this.#reply(line + "\r\n", this.#timeouts.commandMs, shown);
  }

  /** One reply. A refusal counts though what follows it makes no sense; of anything else that is an error. */
  async #reply(bytes: string | null, limitMs: number, shown?: string): Promise<Reply> {
    try {
      return (await this.#connection.exchange(bytes, [limitMs], shown))[0]!;
    } catch (error) {
      const [reply] = error instanceof ClientError ? error.partial : [];
      if (reply !== undefined && reply.code >= 400) return reply;
      throw error;
    }
  }

  /** Sends QUIT and closes. Waits a few seconds for the server's answer at most; never rejects. */
  async quit(): Promise<void> {
    if (this.#connection.failure !== null) return;
    await this.#reply("QUIT\r\n", this.#timeouts.quitMs).catch(() => {});
    this.#connection.close();
  }

  /** Ends the connection at once. */
  close(): void {
    this.#connection.close();
  }
}

function expect(reply: Reply, code: number): void {
  if (reply.code !== code) throw refusedBy(reply);
}

function base64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

function firstWord({ lines }: Reply): string {
  return (lines[0] ?? "").split(" ", 1)[0]!.toLowerCase();
}
