/** The whole screen of a terminal for one program: another buffer, keys as they are pressed, the size as it changes; and all put back at the end. */

import type { Size } from "./view.ts";

export interface Screen {
  size(): Size;
  /** Draws the lines over those before, at once. */
  draw(lines: readonly string[]): void;
  /** The keys that are pressed, as text; ends with the input. */
  keys(): AsyncIterable<string>;
  /** Calls `action` when the size has changed. */
  onresize(action: () => void): void;
  /** Calls `action` when a signal asks for the end. */
  onend(action: () => void): void;
  /** Puts the terminal back as it was. Does nothing the second time. */
  close(): void;
}

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l", LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H", CLEAR_LINE = "\x1b[K", CLEAR_BELOW = "\x1b[J";
/** What terminals that know it show at once, and others ignore. */
const BEGIN_UPDATE = "\x1b[?2026h", END_UPDATE = "\x1b[?2026l";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const DEFAULT_SIZE: Size = { columns: 80, rows: 24 };

/** Takes the terminal of this process: standard output is one. */
export function takeScreen(): Screen {
  const encoder = new TextEncoder(), decoder = new TextDecoder();
  const write = (text: string) => {
    let bytes = encoder.encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
  };
  const raw = Deno.stdin.isTerminal();
  const undo: (() => void)[] = [];
  let closed = false;
  const listen = (signal: Deno.Signal, action: () => void) => {
    Deno.addSignalListener(signal, action);
    undo.push(() => Deno.removeSignalListener(signal, action));
  };
  if (raw) Deno.stdin.setRaw(true);
  write(ENTER);
  return {
    size: () => {
      try {
        return Deno.consoleSize();
      } catch {
        return DEFAULT_SIZE;
      }
    },
    draw: (lines) =>
      write(`${BEGIN_UPDATE}${HOME}${lines.map((line) => line + CLEAR_LINE).join("\r\n")}${CLEAR_BELOW}${END_UPDATE}`),
    keys: async function* () {
      if (!raw) return;
      const bytes = new Uint8Array(64);
      for (let count; (count = await Deno.stdin.read(bytes).catch(() => null)) !== null;) {
        yield decoder.decode(bytes.subarray(0, count), { stream: true });
      }
    },
    onresize: (action) => listen("SIGWINCH", action),
    onend: (action) => SIGNALS.forEach((signal) => listen(signal, action)),
    close: () => {
      if (closed) return;
      closed = true;
      for (const one of undo) one();
      try {
        write(LEAVE);
        if (raw) Deno.stdin.setRaw(false);
      } catch {
        // The terminal is gone.
      }
    },
  };
}
