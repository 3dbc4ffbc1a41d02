/** The connection of a client that is made up: what is written to it is its reply, and TLS is there when both sides want it. */

import { Buffer } from "node:buffer";
import { systemClock } from "../clock.ts";
import type { Connection } from "../smtp/connection.ts";
import type { Wire } from "../smtp/wire.ts";

/** What TLS 1.3 usually comes to, as the session has it. */
const CIPHERS = "TLSv1.3:TLS_AES_256_GCM_SHA384:256";

export class MadeUpWire implements Wire {
  readonly early = false;
  /** Of the session; set before anything is written. */
  connection!: Connection;
  secured = false;
  closed = false;
  /** The client shows a certificate that is verified. */
  readonly #verified: boolean;
  #output = "";
  #paused = false;
  #wake: () => void = () => {};

  constructor({ verified }: { readonly verified: boolean }) {
    this.#verified = verified;
  }

  start(): void {}

  write(text: string): boolean {
    this.#output += text;
    this.#wake();
    return true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  secure(text: string): void {
    this.#output += text;
    queueMicrotask(() => {
      this.secured = true;
      this.connection.secured({ ciphers: CIPHERS, verified: this.#verified, fingerprint: null, binding: null });
      this.#wake();
    });
  }

  end(): void {
    this.closed = true;
    this.#wake();
  }

  destroy(): void {
    this.end();
  }

  /** Resolves with the next reply, lines without their CRLF; null when the connection is closed without one, or none comes in time. */
  async reply(limitMs: number): Promise<readonly string[] | null> {
    await this.#until(() => replyIn(this.#output) > 0 || this.closed, limitMs);
    const end = replyIn(this.#output);
    if (end === 0) return null;
    const lines = Buffer.from(this.#output.slice(0, end - 2), "latin1").toString().split("\r\n");
    this.#output = this.#output.slice(end);
    return lines;
  }

  /** Resolves when the session takes more octets, or has a reply, or is closed. */
  async ready(limitMs: number): Promise<void> {
    await this.#until(() => !this.#paused || this.closed || replyIn(this.#output) > 0, limitMs);
  }

  /** True once a reply waits to be read. */
  get answered(): boolean {
    return replyIn(this.#output) > 0;
  }

  #until(isSo: () => boolean, limitMs: number): Promise<void> {
    if (isSo()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelLimit = systemClock.after(limitMs, resolve);
    this.#wake = () => {
      if (!isSo()) return;
      this.#wake = () => {};
      cancelLimit();
      resolve();
    };
    return promise;
  }
}

/** Returns where the first whole reply of a text ends, RFC 5321 §4.2.1; 0 while it has none. */
function replyIn(text: string): number {
  const last = /^\d{3}(?: [^\r\n]*)?\r\n/m.exec(text);
  return last === null ? 0 : last.index + last[0].length;
}
