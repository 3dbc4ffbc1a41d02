/**
 * Lines for journald, by its native protocol: a datagram of fields for each. What its socket does not take at once is tried again for a while; a
 * journald that is away costs the mail nothing.
 */

import type { LogLevel } from "../events/mod.ts";
import type { LogLine } from "../protocol/mod.ts";
import type { Native } from "./machine/native.ts";

const IDENTIFIER = "smtpd", FACILITY_MAIL = 2;
const PRIORITY: Record<LogLevel, number> = { crit: 2, warn: 4, info: 6, debug: 7 };
/** Octets of a field, and of a line in all: a datagram has an end. What is longer is cut. */
const MAX_FIELD_OCTETS = 16 * 1024, MAX_DATAGRAM_OCTETS = 64 * 1024;
/** Lines that wait for journald. */
const MAX_WAITING_LINES = 4_000;
/** Time until the next try, in ms: more each time, up to the second. */
const FIRST_RETRY_MS = 5, LAST_RETRY_MS = 2_000;

/** Returns the datagram of one line: `NAME=value`, or the length in front of a value of several lines. */
export function journalDatagram({ level, text, fields = [] }: LogLine): Uint8Array<ArrayBuffer> {
  const all = [
    { name: "MESSAGE", value: text },
    { name: "PRIORITY", value: String(PRIORITY[level]) },
    { name: "SYSLOG_FACILITY", value: String(FACILITY_MAIL) },
    { name: "SYSLOG_IDENTIFIER", value: IDENTIFIER },
    ...fields,
  ];
  const out = new Uint8Array(MAX_DATAGRAM_OCTETS);
  let size = 0;
  for (const field of all) {
    const bytes = fieldOctets(field);
    // Those that come first matter most.
    if (size + bytes.length > out.length) continue;
    out.set(bytes, size);
    size += bytes.length;
  }
  return out.slice(0, size);
}

function fieldOctets({ name, value }: { readonly name: string; readonly value: string }): Uint8Array {
  const encoder = new TextEncoder();
  let octets = encoder.encode(value);
  if (octets.length > MAX_FIELD_OCTETS) {
    // Not through a character: those begin with an octet that is no 10xxxxxx.
    let end = MAX_FIELD_OCTETS;
    while (end > 0 && (octets[end]! & 0xc0) === 0x80) end--;
    octets = octets.slice(0, end);
  }
  if (!value.includes("\n")) return Uint8Array.from([...encoder.encode(`${name}=`), ...octets, 10]);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(octets.length), true);
  return Uint8Array.from([...encoder.encode(`${name}\n`), ...length, ...octets, 10]);
}

export interface JournalOptions {
  readonly native: Pick<Native, "datagramSocket" | "sendDatagram" | "close">;
  readonly socket: string;
  readonly after: (ms: number, action: () => void) => () => void;
}

/** What goes to journald. */
export class Journal {
  readonly #options: JournalOptions;
  readonly #descriptor: number | null;
  #waiting: LogLine[] = [];
  #lost = 0;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: (() => void) | null = null;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#descriptor = options.native.datagramSocket();
  }

  /** Sends lines in order, soon. */
  write(lines: readonly LogLine[]): void {
    const room = MAX_WAITING_LINES - this.#waiting.length;
    this.#waiting.push(...lines.slice(0, room));
    this.#lost += Math.max(0, lines.length - room);
    if (this.#cancelRetry === null) this.#drain();
  }

  /** Sends what goes now, and gives up the rest. */
  close(): void {
    this.#cancelRetry?.();
    this.#drain();
    this.#cancelRetry?.();
    if (this.#descriptor !== null) this.#options.native.close(this.#descriptor);
  }

  #drain(): void {
    this.#cancelRetry = null;
    let sent = 0;
    while (sent < this.#waiting.length && this.#send(this.#waiting[sent]!)) sent++;
    if (sent > 0) {
      this.#waiting.splice(0, sent);
      this.#retryMs = FIRST_RETRY_MS;
    }
    const lost = this.#lost;
    if (this.#waiting.length === 0) {
      if (lost === 0) return;
      const text = `warn: log: ${lost} line${lost === 1 ? " was" : "s were"} left out: journald did not take them`;
      if (this.#send({ level: "warn", text })) return void (this.#lost = 0);
    }
    this.#cancelRetry = this.#options.after(this.#retryMs, () => this.#drain());
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #send(line: LogLine): boolean {
    if (this.#descriptor === null) return false;
    return this.#options.native.sendDatagram(this.#descriptor, this.#options.socket, journalDatagram(line));
  }
}
