/** What a command-line tool needs of the terminal, so that tests can replace it. */

import { safeText } from "../events/mod.ts";

export interface Terminal {
  out(text: string): void;
  /** Octets to standard output: unaltered, unless that is a screen, which the controls in a stranger's message could act on. */
  outBytes(bytes: Uint8Array): void;
  err(text: string): void;
  /** Columns of the screen that standard error goes to, 0 if it does not tell; null, or no such function, where it is none. */
  screen?(): number | null;
  /** Columns of the screen that standard output goes to, 0 if it does not tell; null, or no such function, where it is none. */
  columns?(): number | null;
  /** All of standard input; rejects when it is longer than `limit` octets. */
  input(limit: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** The reader of our output has gone away, as in `smtpctl show queue | head`: end quietly. */
export class OutputClosed extends Error {}

export class InputTooLarge extends Error {}

/** Octets of standard input that are read at a time. */
const PIECE_OCTETS = 65_536;

/** The process's own terminal. */
export function processTerminal(): Terminal {
  const encoder = new TextEncoder(), decoder = new TextDecoder();
  const write = (file: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array) => {
    try {
      while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosed();
      throw error;
    }
  };
  return {
    out: (text) => write(Deno.stdout, encoder.encode(text)),
    outBytes: Deno.stdout.isTerminal()
      ? (bytes) => write(Deno.stdout, encoder.encode(safeText(decoder.decode(bytes, { stream: true }))))
      : (bytes) => write(Deno.stdout, bytes),
    err: (text) => write(Deno.stderr, encoder.encode(text)),
    screen: () => Deno.stderr.isTerminal() ? columnsOf() : null,
    columns: () => Deno.stdout.isTerminal() ? columnsOf() : null,
    input: readAll,
  };
}

function columnsOf(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return 0;
  }
}

/** Standard input as it comes. */
export function inputPieces(): AsyncIterable<Uint8Array> {
  return Deno.stdin.readable;
}

/** All of standard input, without the runtime's streams: to load them takes some 10 ms. */
async function readAll(limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [], room = new Uint8Array(PIECE_OCTETS);
  let size = 0;
  for (let read: number | null; (read = await Deno.stdin.read(room)) !== null;) {
    size += read;
    if (size > limit) throw new InputTooLarge(`The input is larger than ${limit} octets`);
    pieces.push(room.slice(0, read));
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
