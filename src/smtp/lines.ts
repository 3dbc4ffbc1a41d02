/**
 * Command lines out of a stream of bytes. Only CRLF ends a line (RFC 5321 §2.3.8): a bare LF or a bare CR ends the session. Message data is read
 * by message/data.ts, which has the same rule.
 */

import { type Command, MAX_COMMAND_OCTETS, parseCommand } from "./session/command.ts";
import { REPLY } from "./session/reply.ts";

export class CommandLines {
  /** Where the last `next` stopped in its input. */
  position = 0;
  /** Start of a line whose end has not come yet, at most MAX_COMMAND_OCTETS and its CR. */
  #partial: Uint8Array | null = null;

  /**
   * The command whose line begins (or goes on) at `from`. Null: its end has not come yet and all input is used up. A string: the reply to
   * input that no session survives.
   */
  next(input: Uint8Array, from: number): Command | string | null {
    const newline = input.indexOf(0x0a, from);
    if (newline === -1) {
      this.position = input.length;
      return this.#keep(input.subarray(from));
    }
    this.position = newline + 1;
    if (this.#partial === null) return commandIn(input, from, newline);
    const line = joined(this.#partial, input.subarray(from, newline + 1));
    this.#partial = null;
    return commandIn(line, 0, line.length - 1);
  }

  #keep(rest: Uint8Array): string | null {
    if (rest.length === 0) return null;
    if ((this.#partial?.length ?? 0) + rest.length > MAX_COMMAND_OCTETS + 1) {
      this.#partial = null;
      return REPLY.commandTooLong;
    }
    // A copy, which `slice` of a Buffer is not: the input buffer serves for other reads.
    this.#partial = joined(this.#partial ?? new Uint8Array(0), rest);
    return null;
  }
}

/** The line that starts at `start` and whose LF is at `newline`. */
function commandIn(bytes: Uint8Array, start: number, newline: number): Command | string {
  const end = newline - 1;
  if (end - start > MAX_COMMAND_OCTETS) return REPLY.commandTooLong;
  if (end < start || bytes[end] !== 0x0d) return REPLY.bareLineEnd;
  for (let at = start; at < end; at++) {
    const code = bytes[at]!;
    if (code === 0x0d) return REPLY.bareLineEnd;
    if (code === 0) return REPLY.nulInCommand;
  }
  return parseCommand(bytes, start, end);
}

/** Returns a copy of `first` with `second` behind it. */
export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
