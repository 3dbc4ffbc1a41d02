/**
 * One message through the local submission socket: a plain SMTP dialogue, all recipients or none, as long as they are no more than the daemon
 * takes in one transaction.
 */

import { closeConnection, connectUnix, writeAll } from "../../sockets/mod.ts";
import {
  type Capabilities,
  DataEncoder,
  formatReply,
  parseCapabilities,
  type Reply,
  ReplyReader,
  TIMEOUTS,
  tooManyRecipients,
} from "../../smtp_client/mod.ts";
import { type Clock, systemClock } from "../../clock.ts";

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
  /**
   * The connection ended before it was decided, or is about to (421): part of the daemon has ended, and is restarted in a moment. `rest` are the
   * recipients of a message that it has not taken.
   */
  | { readonly result: "lost"; readonly text: string; readonly rest?: readonly string[] }
  /** It listens, but takes no mail now. */
  | { readonly result: "unavailable"; readonly text: string }
  /** A 4xx reply to some step: another try may do better. */
  | { readonly result: "deferred"; readonly text: string }
  | { readonly result: "refused"; readonly text: string };

const CLOSING = 421;
/** Octets that are read at a time: replies are short. */
const PIECE_OCTETS = 4096;

/** Submits through the socket at `path`. `show` gets each line of the dialogue as `<<< …` or `>>> …`. */
export async function submit(path: string, mail: Submission, show: (line: string) => void): Promise<Submitted> {
  let rest = mail.recipients;
  const submitted = await converseWith(path, show, async (dialogue) => {
    const offers = parseCapabilities(await dialogue.ask("EHLO localhost"));
    while (rest.length > 0) rest = await transact(dialogue, offers, { ...mail, recipients: rest });
  });
  if (submitted.result === "lost") return { ...submitted, rest };
  const done = mail.recipients.length - rest.length;
  if ((submitted.result !== "refused" && submitted.result !== "deferred") || done === 0) return submitted;
  return { ...submitted, text: `${submitted.text} (the first ${done} recipients have the message)` };
}

/** One session: `talk` between the greeting and QUIT. Resolves with how it ended. */
async function converseWith(
  path: string,
  show: (line: string) => void,
  talk: (dialogue: Dialogue) => Promise<void>,
): Promise<Submitted> {
  const connection = await connectSubmission(path);
  if (connection === null) return { result: "not-running" };
  const dialogue = new Dialogue(connection, show);
  try {
    const greeting = await dialogue.reply();
    if (greeting.code !== 220) {
      return { result: greeting.code === CLOSING ? "lost" : "unavailable", text: formatReply(greeting) };
    }
    await talk(dialogue);
    await dialogue.quit();
    return { result: "accepted" };
  } catch (error) {
    if (error instanceof Refused) await dialogue.quit();
    const result = error instanceof Lost ? "lost" : error instanceof Refused && error.passing ? "deferred" : "refused";
    return { result, text: (error as Error).message };
  } finally {
    closeConnection(connection);
  }
}

/** A step was answered by something else than 2xx or 3xx. `passing`: by 4xx, which is not the last word (RFC 5321 §4.2.1). */
class Refused extends Error {
  readonly passing: boolean;

  constructor(reply: Reply) {
    super(formatReply(reply));
    this.passing = reply.code >= 400 && reply.code < 500;
  }
}
/** The connection is gone, or 421 says that it will be (RFC 5321 §3.8). */
class Lost extends Error {}

/** One transaction. Returns the recipients that the server asks for in another one (RFC 5321 §4.5.3.1.10). */
async function transact(dialogue: Dialogue, offers: Capabilities, mail: Submission): Promise<readonly string[]> {
  const eightBit = offers.eightBitMime && mail.message.some((octet) => octet > 127) ? " BODY=8BITMIME" : "";
  const utf8 = international(offers, [mail.sender, ...mail.recipients]);
  const ret = offers.dsn && mail.ret !== "" ? ` RET=${mail.ret}` : "";
  const envid = offers.dsn && mail.envid !== "" ? ` ENVID=${mail.envid}` : "";
  const notify = offers.dsn && mail.notify !== "" ? ` NOTIFY=${mail.notify}` : "";
  await dialogue.ask(`MAIL FROM:<${mail.sender}>${eightBit}${utf8}${ret}${envid}`);
  let taken = 0;
  for (; taken < mail.recipients.length; taken++) {
    const reply = await dialogue.say(`RCPT TO:<${mail.recipients[taken]}>${notify}`);
    if (taken > 0 && tooManyRecipients(reply) === "said") break;
    agreed(reply);
  }
  await dialogue.ask("DATA");
  await dialogue.askData(mail.message);
  return mail.recipients.slice(taken);
}

/** The parameter of MAIL that addresses beyond ASCII take (RFC 6531 §3.4). */
function international(offers: Capabilities, addresses: readonly string[]): string {
  // deno-lint-ignore no-control-regex
  return offers.smtpUtf8 && /[^\x00-\x7f]/.test(addresses.join("")) ? " SMTPUTF8" : "";
}

/** Connects to the submission socket. Null when no process listens; rejects with the system's error otherwise. */
export async function connectSubmission(path: string): Promise<Deno.UnixConn | null> {
  try {
    return await connectUnix(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED") return null;
    throw error;
  }
}

class Dialogue {
  readonly #connection: Deno.Conn;
  readonly #show: (line: string) => void;
  readonly #reader = new ReplyReader();
  readonly #replies: Reply[] = [];
  readonly #piece = new Uint8Array(PIECE_OCTETS);
  readonly #clock: Clock;

  constructor(connection: Deno.Conn, show: (line: string) => void, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#connection = connection;
    this.#show = show;
  }

  /** Sends one command and waits for its reply. Rejects with Refused when that is neither 2xx nor 3xx, with Lost when it is 421. */
  async ask(command: string): Promise<Reply> {
    return agreed(await this.say(command));
  }

  /** Sends one command and answers its reply, whatever it is. */
  async say(command: string): Promise<Reply> {
    this.#show(`>>> ${command}`);
    this.#write(new TextEncoder().encode(`${command}\r\n`));
    return await this.reply();
  }

  /** Sends the message in the form of the wire, and waits for the reply. */
  async askData(message: Uint8Array<ArrayBuffer>): Promise<Reply> {
    this.#write(new DataEncoder().encode(message, { last: true }));
    this.#show(">>> .");
    return agreed(await this.reply(TIMEOUTS.endOfDataMs));
  }

  /** What was decided stands: how the server says goodbye, or that it is gone already, changes nothing. */
  async quit(): Promise<void> {
    await this.ask("QUIT").catch(() => {});
  }

  /** The server may answer before it has read all. When it has gone, what it said before that is still to be read, and says more. */
  #write(bytes: Uint8Array): void {
    void writeAll(this.#connection, bytes).catch(() => {});
  }

  /** The next reply. `limitMs` is how long it may take. Rejects with Lost when the connection ends before. */
  async reply(limitMs: number = TIMEOUTS.commandMs): Promise<Reply> {
    let late = false;
    const cancelLimit = this.#clock.after(limitMs, () => {
      late = true;
      closeConnection(this.#connection);
    });
    try {
      while (this.#replies.length === 0) {
        const size = await this.#connection.read(this.#piece).catch((error: Error) => {
          throw late ? new Error("no reply in time") : new Lost(error.message);
        });
        if (size === null) throw new Lost("the server closed the connection");
        // A copy: what is not a whole reply yet is kept.
        const wrong = this.#reader.push(this.#piece.slice(0, size), this.#replies);
        if (wrong !== null) throw new Error(wrong);
      }
    } finally {
      cancelLimit();
    }
    const reply = this.#replies.shift()!;
    for (const line of reply.lines) this.#show(`<<< ${reply.code} ${line}`);
    return reply;
  }
}

/** What the daemon would do with one recipient: its reply to RCPT. */
export interface Verified {
  readonly recipient: string;
  readonly code: number;
  readonly text: string;
}

/** Recipients that one session is asked about: fewer than any limit of a message. */
const VERIFIED_AT_ONCE = 100;

/**
 * Asks through the socket at `path` whether mail from `sender` to each recipient would be taken, and sends none. `onverified` gets each answer as it
 * comes. The result is "accepted" when all were asked about.
 */
export async function verify(
  path: string,
  { sender, recipients }: Pick<Submission, "sender" | "recipients">,
  show: (line: string) => void,
  onverified: (verified: Verified) => void,
): Promise<Submitted> {
  for (let from = 0; from < recipients.length; from += VERIFIED_AT_ONCE) {
    const some = recipients.slice(from, from + VERIFIED_AT_ONCE);
    const ended = await converseWith(path, show, async (dialogue) => {
      const offers = parseCapabilities(await dialogue.ask("EHLO localhost"));
      await dialogue.ask(`MAIL FROM:<${sender}>${international(offers, [sender, ...some])}`);
      for (const recipient of some) {
        const reply = await dialogue.say(`RCPT TO:<${recipient}>`);
        if (reply.code === CLOSING) throw new Lost(formatReply(reply));
        onverified({ recipient, code: reply.code, text: formatReply(reply) });
      }
      await dialogue.ask("RSET");
    });
    if (ended.result !== "accepted") return ended;
  }
  return { result: "accepted" };
}

function agreed(reply: Reply): Reply {
  if (reply.code === CLOSING) throw new Lost(formatReply(reply));
  if (reply.code < 200 || reply.code >= 400) throw new Refused(reply);
  return reply;
}
