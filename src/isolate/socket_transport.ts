/**
 * A transport between two processes, over two pipes or a unix stream socket. Frames hold plain data in an encoding of our own (plain_data.ts): it takes less than
 * half the time of the runtime's structured clones, and what a hostile process sends never reaches V8's deserializer. Below node:net's sockets a
 * quarter of the cost of a write and its read could be saved, with private parts of the runtime only. frame_reader.ts says what a frame is.
 */

import type net from "node:net";
import { soon, systemClock } from "../clock.ts";
import { adoptReader, adoptSocket, adoptWriter } from "../sockets/mod.ts";
import { FrameReader, HEADER, MAX_FRAME_OCTETS, START, WORD } from "./frame_reader.ts";
import { Malformed, MAX_APART_ARRAYS, MAX_VALUES, NotPlain } from "./plain_data.ts";
import { Encoder } from "./plain_encoder.ts";
import type { PostReceiver, Transport } from "./transport.ts";

/** Octets that may wait for the other side to read them: chunks of all sessions while it writes to a slow disk. */
export const MAX_WAITING_OCTETS = 512 * 1024 * 1024;
/** Octets of a frame from which on the next message of a post begins another one. */
const FULL_FRAME_OCTETS = 1024 * 1024;
/** Frames that are handed on before other sockets have their turn. */
const TURN_FRAMES = 32;
/** Turns of which the last is followed by a timer. */
const ROUNDS = 8;
const SLAB_OCTETS = 64 * 1024;
/** How long what was posted before the end is sent. */
const LINGER_MS = 5000;
/** A slab with less room than this is not begun again. */
const MIN_SLAB_OCTETS = 4096;

export interface SocketTransportOptions {
  /** The descriptor of a pipe that is written into, where the other one is that of a pipe to read from and not of a socket. */
  readonly writeDescriptor?: number;
  /** A bound that tests make smaller. */
  readonly maxWaitingOctets?: number;
}

/** A door over descriptors. */
export class SocketTransport implements Transport {
  /** Is read from. */
  readonly #socket: net.Socket;
  /** Is written into: the same where it is a socket. */
  readonly #writer: net.Socket;
  readonly #reader = new FrameReader();
  readonly #encoder = new Encoder(new Uint8Array(SLAB_OCTETS));
  readonly #maxWaitingOctets: number;
  #receiver: PostReceiver | null = null;
  /** More frames are there, which have their turn behind other sockets. */
  #waiting = false;
  #turns = 0;
  /** The other side has ended; what it had sent may not all be handed on. */
  #ended = false;
  #unwritable = false;
  #queued: Uint8Array[] = [];
  #queuedOctets = 0;
  #closed = false;

  /** Takes over the descriptor of a connected unix stream socket, or those of two pipes. Needs no permission. */
  constructor(descriptor: number, options: SocketTransportOptions = {}) {
    this.#maxWaitingOctets = options.maxWaitingOctets ?? MAX_WAITING_OCTETS;
    const onread = {
      buffer: () => this.#reader.room(),
      callback: (count: number) => {
        this.#reader.filled(count);
        return this.#handOn();
      },
    };
    const { writeDescriptor } = options;
    const socket = writeDescriptor === undefined ? adoptSocket(descriptor, onread) : adoptReader(descriptor, onread);
    this.#socket = socket;
    this.#writer = writeDescriptor === undefined ? socket : adoptWriter(writeDescriptor);
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#end());
    if (this.#writer !== socket) {
      // Where the other side takes no more, what it had sent before is still to be read.
      this.#writer.on("close", () => this.#unwritable = true);
      return;
    }
    // After a failed write no "end" is emitted, but what would lead to it still comes.
    const push = socket.push.bind(socket);
    socket.push = (chunk: unknown) => {
      const more = push(chunk);
      if (chunk === null) this.#end();
      return more;
    };
    // Where the other side takes no more, what it had sent before is still to be read: only its end destroys the socket.
    const destroy = socket.destroy.bind(socket);
    socket.destroy = (error?: Error & { readonly syscall?: string }) => {
      if (error?.syscall === "write" && !this.#closed) this.#unwritable = true;
      else destroy(error);
      return socket;
    };
  }

  /**
   * Sends messages; their content is taken at once. Large arrays whose buffer is in `transfer` are written from where they are. A bare ArrayBuffer in
   * a message is storage that goes back to be filled again and arrives as undefined: here it is filled with what arrives next. Throws NotPlain for
   * what is no plain data, and for one message of more than MAX_FRAME_OCTETS or MAX_VALUES.
   */
  post(messages: readonly unknown[], transfer: Transferable[]): void {
    if (this.#closed || this.#unwritable) return;
    for (let next = 0; next < messages.length;) next = this.#frame(messages, { next, transfer });
    if (this.#writer.writableLength + this.#queuedOctets > this.#maxWaitingOctets) {
      this.#refuse("it does not read what it is sent");
    }
  }

  receive(receiver: PostReceiver): void {
    this.#receiver = receiver;
    queueMicrotask(() => this.#goOn());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#writer.writableLength === 0) return this.#destroy();
    // What was posted is sent first, if the other side takes it.
    for (const octets of this.#queued.splice(0)) this.#writer.write(octets);
    this.#writer.destroySoon();
    this.#writer.once("close", systemClock.after(LINGER_MS, () => this.#writer.destroy()));
    if (this.#writer !== this.#socket) this.#socket.destroy();
  }

  #destroy(): void {
    this.#socket.destroy();
    if (this.#writer !== this.#socket) this.#writer.destroy();
  }

  /** Writes messages from `next` on as one frame, and returns the number of the first that does not belong to it. */
  #frame(
    messages: readonly unknown[],
    { next, transfer }: { readonly next: number; readonly transfer: readonly Transferable[] },
  ): number {
    const encoder = this.#encoder;
    const { length } = encoder.octets, sent = this.#queued.length === 0 && this.#writer.writableLength === 0;
    if (sent && length <= SLAB_OCTETS) encoder.at = 0;
    else if (sent || length - encoder.at < MIN_SLAB_OCTETS) {
      encoder.replace(new Uint8Array(SLAB_OCTETS));
      encoder.at = 0;
    }
    const start = encoder.at, shapes = encoder.shapes;
    try {
      const { end, apart } = this.#encode(messages, next);
      for (const { length } of apart) encoder.word(length);
      encoder.word(apart.length);
      const head = encoder.octets.subarray(start, encoder.at);
      encoder.setWord({ at: start + START, value: end - next });
      encoder.setWord({ at: start + WORD, value: head.length - START });
      encoder.setWord({ at: start, value: head.length - WORD + sum(apart) });
      this.#write(head, apart, transfer);
      for (const buffer of encoder.spent) if (transfer.includes(buffer)) this.#reader.recycle(buffer);
      return end;
    } catch (error) {
      // A frame that is not sent must not leave names behind.
      encoder.forget(shapes);
      encoder.at = start;
      throw error;
    }
  }

  /** Encodes messages from `next` on until a frame is full, and returns the number of the next message and the arrays apart. */
  #encode(messages: readonly unknown[], next: number): { readonly end: number; readonly apart: Uint8Array[] } {
    const encoder = this.#encoder, start = encoder.at;
    encoder.apart = [];
    if (encoder.spent.length > 0) encoder.spent = [];
    encoder.values = 0;
    encoder.reserve(HEADER);
    encoder.at += HEADER;
    let apartOctets = 0, counted = 0;
    for (let end = next; end < messages.length; end++) {
      const { at, shapes, spent } = encoder, before = apartOctets, kept = spent.length;
      encoder.values++;
      encoder.value(messages[end]);
      const { apart } = encoder;
      for (let index = counted; index < apart.length; index++) apartOctets += apart[index]!.length;
      const octets = encoder.at - start + apartOctets + (apart.length + 1) * WORD;
      if (octets > MAX_FRAME_OCTETS || encoder.values > MAX_VALUES) {
        if (end === next) throw new NotPlain(tooLarge({ octets, values: encoder.values }));
        encoder.forget(shapes);
        encoder.at = at;
        apart.length = counted;
        spent.length = kept;
        apartOctets = before;
        return { end, apart };
      }
      if (octets > FULL_FRAME_OCTETS || apart.length > MAX_APART_ARRAYS / 2) return { end: end + 1, apart };
      counted = apart.length;
    }
    return { end: messages.length, apart: encoder.apart };
  }

  #write(head: Uint8Array, apart: readonly Uint8Array[], transfer: readonly Transferable[]): void {
    this.#send(head);
    for (const octets of apart) {
      const moved = transfer.includes(octets.buffer as ArrayBuffer);
      this.#send(moved ? octets : octets.slice());
    }
  }

  /** Writes octets, or queues them behind those that the kernel does not take yet. */
  #send(octets: Uint8Array): void {
    if (this.#queued.length === 0 && this.#writer.writableLength === 0) {
      return void this.#writer.write(octets, this.#onwritten);
    }
    this.#queuedOctets += octets.length;
    const last = this.#queued.at(-1);
    // Frames that follow each other in one buffer are written as one.
    if (last !== undefined && last.buffer === octets.buffer && last.byteOffset + last.length === octets.byteOffset) {
      this.#queued[this.#queued.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + octets.length);
    } else this.#queued.push(octets);
  }

  /** Goes on with what is queued. One piece at a time: the runtime would copy several into one. */
  readonly #onwritten = (error?: Error | null): void => {
    if (error) this.#unwritable = true;
    while (this.#writer.writableLength === 0 && !this.#unwritable) {
      const octets = this.#queued.shift();
      if (octets === undefined) return;
      this.#queuedOctets -= octets.length;
      this.#writer.write(octets, this.#onwritten);
    }
  };

  /** Goes on with what was read, and with reading. */
  #goOn(): void {
    this.#waiting = false;
    if (this.#handOn() && !this.#ended) this.#socket.resume();
  }

  /** Goes on when others have had their turn. Now and then with a timer: messages of other threads wait for it while rounds follow at once. */
  #giveWay(): void {
    this.#waiting = true;
    if (++this.#turns % ROUNDS === 0) systemClock.after(0, () => this.#goOn());
    else soon(() => this.#goOn());
  }

  /** Hands on the frames that are there, and returns false when that has to wait. */
  #handOn(): boolean {
    if (this.#receiver === null) return false;
    for (let frames = 0; !this.#closed && !this.#waiting; frames++) {
      if (frames === TURN_FRAMES) {
        this.#giveWay();
        return false;
      }
      const post = this.#next();
      if (post === null) break;
      this.#receiver.onpost(post);
    }
    if (this.#ended && !this.#waiting) this.#finish();
    return !this.#closed && !this.#waiting;
  }

  /** The next post that has arrived as a whole. */
  #next(): unknown[] | null {
    try {
      return this.#reader.next();
    } catch (error) {
      this.#refuse(error instanceof Malformed ? `a post cannot be read: ${error.message}` : "a post cannot be read");
      return null;
    }
  }

  #end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.#handOn();
  }

  /** All is handed on. A post that is not whole is no fault: a process may be killed while it writes. */
  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#destroy();
    this.#receiver?.onclose?.();
  }

  #refuse(fault: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#destroy();
    this.#receiver?.onfault(fault);
  }
}

function sum(arrays: readonly Uint8Array[]): number {
  let octets = 0;
  for (const { length } of arrays) octets += length;
  return octets;
}

function tooLarge({ octets, values }: { readonly octets: number; readonly values: number }): string {
  if (octets <= MAX_FRAME_OCTETS) return `A message of ${values} values cannot be sent: ${MAX_VALUES} may be`;
  return `A message of ${octets} octets cannot be sent: ${MAX_FRAME_OCTETS} may be`;
}
