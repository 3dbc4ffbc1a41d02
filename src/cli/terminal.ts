/** What a command-line tool needs of the terminal, so that tests can replace it. */

import { safeText } from "../events/mod.ts";

export interface Terminal {
  out(text: string): void;
  /** Octets to standard output: unaltered, unless that is a screen, which the controls in a stranger's message could act on. */
  outBytes(bytes: Uint8Array): void;
  err(text: string): void;
  /** Columns of the screen that standard error goes to, 0 if it does not tell; null, or no such function, where it is none. */
  screen?(): number | null;
  /** All of standard input; rejects when it is longer than `limit` octets. */
  input(limit: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** The reader of our output has gone away, as in `smtpctl show queue | head`: end quietly. */
export class OutputClosed extends Error {}

export class InputTooLarge extends Error {}

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
    input: (limit) => readAll(Deno.stdin.readable, limit),
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

async function readAll(stream: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of stream) {
    size += piece.length;
    if (size > limit) throw new InputTooLarge(`The input is larger than ${limit} octets`);
    pieces.push(piece);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
