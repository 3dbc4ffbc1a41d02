/**
 * `sendmail -bs`: SMTP on standard input and output. The words go to the daemon's submission socket and its replies come back, octet for
 * octet but for line ends (crlf.ts), so that the session is the calling user's and its rules are the daemon's. Parses no SMTP but the code of the last
 * reply.
 */

import { closeConnection, writeAll } from "../../sockets/mod.ts";
import { LineEnds } from "./crlf.ts";
import { connectSubmission } from "./submission.ts";
import { inputPieces, OutputClosed, type Terminal } from "../terminal.ts";

const EX_TEMPFAIL = 75;
/** Octets at the end of the daemon's output that are kept: a reply line has at most 512 (RFC 5321 §4.5.3.1.5). */
const TAIL = 512;
/** Octets that are read at a time. */
const PIECE_OCTETS = 65_536;

/**
 * Carries a session between the terminal and the socket at `path`; what the client says comes from `input`. Returns the exit status: 0 when the client or the daemon ended it in order, 75
 * after 421, which it says itself when there is no daemon or when it is lost (RFC 5321 §3.8).
 */
export async function carrySession(
  path: string,
  terminal: Pick<Terminal, "out" | "outBytes">,
  input: () => AsyncIterable<Uint8Array> = inputPieces,
): Promise<number> {
  const connection = await connectSubmission(path).catch((error: Error) => error);
  if (connection === null) return unavailable(terminal, "4.3.2 The mail daemon is not running, try again later");
  if (connection instanceof Error) {
    return unavailable(terminal, `4.3.0 The mail daemon cannot be reached: ${connection.message}`);
  }
  let tail = "";
  // Why it ended: the client has no more to say, or does not listen.
  let finished = false;
  carryInput(input(), connection).then((all) => finished ||= all).catch(() => closeConnection(connection));
  const piece = new Uint8Array(PIECE_OCTETS);
  const next = () => connection.read(piece).catch(() => null);
  for (let size: number | null; (size = await next()) !== null;) {
    const bytes = piece.subarray(0, size);
    tail = (tail + new TextDecoder("latin1").decode(bytes)).slice(-TAIL);
    try {
      terminal.outBytes(bytes);
    } catch (error) {
      if (!(error instanceof OutputClosed)) throw error;
      finished = true;
      break;
    }
  }
  closeConnection(connection);
  const code = /(?:^|\n)(\d{3})(?: [^\n]*)?\r\n$/.exec(tail)?.[1];
  if (code === "421") return EX_TEMPFAIL;
  if (finished || code === "221") return 0;
  return unavailable(terminal, "4.3.0 The connection to the mail daemon is lost");
}

/** All of standard input, no faster than the daemon reads it; then the end. False when the daemon does not read any more: what it still says ends the session. */
async function carryInput(input: AsyncIterable<Uint8Array>, connection: Deno.UnixConn): Promise<boolean> {
  const ends = new LineEnds();
  for await (const piece of input) {
    try {
      await writeAll(connection, ends.convert(piece));
    } catch {
      return false;
    }
  }
  await connection.closeWrite();
  return true;
}

function unavailable(terminal: Pick<Terminal, "out">, text: string): number {
  terminal.out(`421 ${text}\r\n`);
  return EX_TEMPFAIL;
}
