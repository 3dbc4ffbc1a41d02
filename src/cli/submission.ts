/** One message through the local submission socket: a plain SMTP dialogue, all recipients or none. */

import net from "node:net";
import { DataEncoder, formatReply, parseCapabilities, type Reply, ReplyReader, TIMEOUTS } from "../smtp/client/mod.ts";

export interface Submission {
  /** "" for the null reverse-path. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Lines end with LF. */
  readonly message: Uint8Array<ArrayBuffer>;
  readonly notify: string;
  readonly ret: string;
  readonly envid: string;
}

export type Submitted =
  | { readonly result: "accepted" }
  /** Nobody listens on the socket. */
  | { readonly result: "not-running" }
  /** The connection ended before it was decided, or is about to (421): part of the daemon has died, and is back in a moment. */
  | { readonly result: "lost"; readonly text: string }
  /** It listens, but takes no mail now. */
  | { readonly result: "unavailable"; readonly text: string }
  | { readonly result: "refused"; readonly text: string };

const CLOSING = 421;
/** Tries, and the pause before each, while more connect than the daemon has accepted yet: 10 s. */
const BUSY_TRIES = 500, BUSY_PAUSE_MS = 20;

/** Submits through the socket at `path`. `show` gets each line of the dialogue as `<<< …` or `>>> …`. */
export async function submit(path: string, mail: Submission, show: (line: string) => void): Promise<Submitted> {
  const socket = await connect(path);
  if (socket === null) return { result: "not-running" };
  const dialogue = new Dialogue(socket, show);
  try {
    const greeting = await dialogue.reply();
    if (greeting.code !== 220) {
      return { result: greeting.code === CLOSING ? "lost" : "unavailable", text: formatReply(greeting) };
    }
    return await converse(dialogue, mail);
  } catch (error) {
    return { result: error instanceof Lost ? "lost" : "refused", text: (error as Error).message };
  } finally {
    socket.destroy();
  }
}

/** A step was answered by something else than 2xx or 3xx. */
class Refused extends Error {}
/** The connection is gone, or 421 says that it will be (RFC 5321 §3.8). */
class Lost extends Error {}

async function converse(dialogue: Dialogue, mail: Submission): Promise<Submitted> {
  try {
    const offers = parseCapabilities(await dialogue.ask("EHLO localhost"));
    const eightBit = offers.eightBitMime && mail.message.some((octet) => octet > 127) ? " BODY=8BITMIME" : "";
    // deno-lint-ignore no-control-regex
    const international = /[^\x00-\x7f]/.test(mail.sender + mail.recipients.join(""));
    const utf8 = offers.smtpUtf8 && international ? " SMTPUTF8" : "";
    const ret = offers.dsn && mail.ret !== "" ? ` RET=${mail.ret}` : "";
    const envid = offers.dsn && mail.envid !== "" ? ` ENVID=${mail.envid}` : "";
    const notify = offers.dsn && mail.notify !== "" ? ` NOTIFY=${mail.notify}` : "";
    await dialogue.ask(`MAIL FROM:<${mail.sender}>${eightBit}${utf8}${ret}${envid}`);
    for (const recipient of mail.recipients) await dialogue.ask(`RCPT TO:<${recipient}>${notify}`);
    await dialogue.ask("DATA");
    await dialogue.askData(mail.message);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    await dialogue.quit();
    return { result: "refused", text: error.message };
  }
  await dialogue.quit();
  return { result: "accepted" };
}

/** Null when nobody listens. A line in front of the socket that is full (EAGAIN) moves on: it is waited for. */
async function connect(path: string): Promise<net.Socket | null> {
  for (let tries = 0;; tries++) {
    try {
      return await connectOnce(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || tries >= BUSY_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
    }
  }
}

function connectOnce(path: string): Promise<net.Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(null);
      else reject(error);
    });
  });
}

class Dialogue {
  readonly #socket: net.Socket;
  readonly #show: (line: string) => void;
  readonly #reader = new ReplyReader();
  readonly #replies: Reply[] = [];
  #failure: Error | null = null;
  #wake: () => void = () => {};

  constructor(socket: net.Socket, show: (line: string) => void) {
    this.#socket = socket;
    this.#show = show;
    const fail = (error: Error) => {
      this.#failure ??= error;
      this.#wake();
    };
    socket.on("error", (error) => fail(new Lost(error.message)));
    socket.on("close", () => fail(new Lost("the server closed the connection")));
    socket.on("data", (bytes: Uint8Array) => {
      const wrong = this.#reader.push(bytes, this.#replies);
      if (wrong !== null) fail(new Error(wrong));
      this.#wake();
    });
  }

  /** Sends one command and waits for its reply. Rejects with Refused when that is neither 2xx nor 3xx. */
  async ask(command: string): Promise<Reply> {
    this.#show(`>>> ${command}`);
    this.#socket.write(`${command}\r\n`);
    return await this.#agreed();
  }

  /** Sends the message in the form of the wire, and waits for the reply. */
  async askData(message: Uint8Array<ArrayBuffer>): Promise<Reply> {
    this.#socket.write(new DataEncoder().encode(message, true));
    this.#show(">>> .");
    return await this.#agreed(TIMEOUTS.endOfDataMs);
  }

  /** What was decided stands: how the server says goodbye, or that it is gone already, changes nothing. */
  async quit(): Promise<void> {
    await this.ask("QUIT").catch(() => {});
  }

  /** The next reply. `limitMs` is how long it may take. */
  async reply(limitMs: number = TIMEOUTS.commandMs): Promise<Reply> {
    const limit = setTimeout(() => {
      this.#failure ??= new Error("no reply in time");
      this.#socket.destroy();
    }, limitMs);
    try {
      while (this.#replies.length === 0) {
        if (this.#failure !== null) throw this.#failure;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      clearTimeout(limit);
    }
    const reply = this.#replies.shift()!;
    for (const line of reply.lines) this.#show(`<<< ${reply.code} ${line}`);
    return reply;
  }

  async #agreed(limitMs?: number): Promise<Reply> {
    const reply = await this.reply(limitMs);
    if (reply.code === CLOSING) throw new Lost(formatReply(reply));
    if (reply.code < 200 || reply.code >= 400) throw new Refused(formatReply(reply));
    return reply;
  }
}
