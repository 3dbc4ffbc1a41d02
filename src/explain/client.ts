/** A client that is made up: says what one would say to have a message taken, command by command, and keeps what it was told. */

import { Buffer } from "node:buffer";
import type { Front } from "./front.ts";
import type { Note } from "./notes.ts";
import type { TakenMessage } from "./memory_queue.ts";
import type { Peer } from "../protocol/mod.ts";
import type { MadeUpWire } from "./wire.ts";

/** What a client wants to send, and who it is. */
export interface Envelope {
  /** Index of the listener. */
  readonly listener: number;
  readonly peer: Peer;
  readonly helo: string;
  /** It begins TLS, where TLS does not come first anyway. */
  readonly tls: boolean;
  /** Whom it logs in as; null for nobody. */
  readonly login: { readonly user: string; readonly password: string } | null;
  /** As they stand between the brackets of MAIL and RCPT; "" for the null sender. */
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** One command and what came of it. */
export interface Exchange {
  /** "" for the connection itself; the end of the data is ".". */
  readonly command: string;
  /** Lines of the reply; null where the connection was closed without one. */
  readonly reply: readonly string[] | null;
  readonly notes: readonly Note[];
  /** Notes that were left out. */
  readonly omitted: number;
}

/** A whole session. */
export interface Dialogue {
  readonly exchanges: readonly Exchange[];
  /** For each recipient, the exchange that decided about it last; the index in `exchanges`. */
  readonly decidedBy: readonly number[];
  /** What the queue has taken; null for nothing. */
  readonly taken: TakenMessage | null;
}

/** So long a reply is waited for, in milliseconds: name servers and programs may take their time. */
const REPLY_MS = 60_000;
/** Octets that are sent at once. */
const PIECE_OCTETS = 16_384;

/** The code of a reply; 0 for none. */
export function codeOf(reply: Exchange["reply"]): number {
  return reply === null ? 0 : Number(reply.at(-1)!.slice(0, 3));
}

class Session {
  readonly exchanges: Exchange[] = [];
  readonly #front: Front;
  readonly wire: MadeUpWire;

  constructor(front: Front, envelope: Envelope) {
    this.#front = front;
    front.notes();
    front.taken();
    this.wire = front.connect(envelope);
  }

  /** Sends a command, shown as `shown`, and returns the code of its reply. */
  async say(command: string, shown = command): Promise<number> {
    await this.#send(Buffer.from(`${command}\r\n`));
    return await this.answerTo(shown);
  }

  /** Waits for the reply to what was sent. */
  async answerTo(command: string): Promise<number> {
    const reply = await this.wire.reply(REPLY_MS);
    this.exchanges.push({ command, reply, ...this.#front.notes() });
    return codeOf(reply);
  }

  async #send(octets: Uint8Array): Promise<void> {
    for (let at = 0; at < octets.length && !this.wire.closed; at += PIECE_OCTETS) {
      await this.wire.ready(REPLY_MS);
      if (this.wire.answered) return;
      this.wire.connection.data(octets.slice(at, at + PIECE_OCTETS));
      await Promise.resolve();
    }
  }

  /** Sends a message as RFC 5321 §4.5.2 has it. */
  async data(message: Uint8Array): Promise<number> {
    await this.#send(dotted(message));
    return await this.answerTo(".");
  }
}

/** Has a session of `front` as the client of this envelope would. The message may have any line ends. Never rejects for what the server says. */
export async function converse(front: Front, envelope: Envelope, message: Uint8Array): Promise<Dialogue> {
  const session = new Session(front, envelope);
  try {
    const decidedBy = await talk(session, envelope, message);
    return { exchanges: session.exchanges, decidedBy, taken: front.taken()[0] ?? null };
  } finally {
    front.left(session.wire);
    front.notes();
  }
}

/** Returns for each recipient the number of the exchange that decided about it. */
async function talk(session: Session, envelope: Envelope, message: Uint8Array): Promise<readonly number[]> {
  const all = () => envelope.recipients.map(() => session.exchanges.length - 1);
  const isGood = (code: number) => code >= 200 && code < 400;
  if (!isGood(await greet(session, envelope))) return all();
  const utf8 = [envelope.sender, ...envelope.recipients].some((one) => /[^\0-\x7f]/.test(one)) ? " SMTPUTF8" : "";
  if (!isGood(await session.say(`MAIL FROM:<${envelope.sender}>${utf8}`))) return all();
  const decidedBy: number[] = [], accepted: number[] = [];
  for (const [index, recipient] of envelope.recipients.entries()) {
    if (session.wire.closed) {
      decidedBy.push(session.exchanges.length - 1);
      continue;
    }
    if (isGood(await session.say(`RCPT TO:<${recipient}>`))) accepted.push(index);
    decidedBy.push(session.exchanges.length - 1);
  }
  if (accepted.length === 0 || session.wire.closed) return decidedBy;
  if (await session.say("DATA") === 354) await session.data(message);
  for (const index of accepted) decidedBy[index] = session.exchanges.length - 1;
  if (!session.wire.closed) await session.say("QUIT");
  return decidedBy;
}

/** Comes to where MAIL may stand, and returns the code of the reply that decides whether it may. */
async function greet(session: Session, { helo, tls, login }: Envelope): Promise<number> {
  let code = await session.answerTo("");
  if (code !== 220) return code;
  code = await session.say(`EHLO ${helo}`);
  if (code !== 250) return code;
  if (tls && !session.wire.secured) {
    code = await session.say("STARTTLS");
    if (code !== 220) return code;
    await Promise.resolve();
    code = await session.say(`EHLO ${helo}`);
    if (code !== 250) return code;
  }
  if (login === null) return code;
  const response = Buffer.from(`\0${login.user}\0${login.password}`).toString("base64");
  return await session.say(`AUTH PLAIN ${response}`, `AUTH PLAIN ******** (user ${login.user})`);
}

const LF = 0x0a, CR = 0x0d, DOT = 0x2e;

/** Returns a message with CRLF for each LF that has no CR, with its dots doubled, and with the line that ends it. */
function dotted(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 * message.length + 8);
  let length = 0, lineStart = true;
  for (let at = 0; at < message.length; at++) {
    const octet = message[at]!;
    if (lineStart && octet === DOT) out[length++] = DOT;
    if (octet === LF && message[at - 1] !== CR) out[length++] = CR;
    out[length++] = octet;
    lineStart = octet === LF;
  }
  for (const octet of lineStart ? ".\r\n" : "\r\n.\r\n") out[length++] = octet.charCodeAt(0);
  return out.subarray(0, length);
}
