/**
 * What authenticates a message while it streams through the smtp isolate: the octets of its header section and its body go to authenticators,
 * and at the end, before the commit, these say which header fields stand in front of it. Knows nothing of DKIM and the like.
 */

import { MAX_FRONT_OCTETS } from "../../protocol/smtp_queue.ts";
import type { MailAuth, MessageId } from "../../envelope/mod.ts";
import type { ConnectionFacts, Session } from "../session/state.ts";

/** Octets of a header section that is shown to authenticators; more than header.ts lets pass, with what this server puts in front. */
const MAX_SEEN_HEADER_OCTETS = 1024 * 1024;

/** What an authenticator has come to: header fields, each line with its LF, or the reply by which the message is refused. */
export type Authenticated =
  | { readonly kind: "fields"; readonly fields: Uint8Array<ArrayBuffer> }
  | { readonly kind: "refused"; readonly code: number; readonly text: string };

/**
 * One that sees a message as it streams. All lines end with LF and no dots are doubled. What it is given belongs to the caller again when the call
 * returns. Once a message has come to nothing, no call comes any more.
 */
export interface Authenticator {
  /**
   * Which octets it sees: `received`, those of the client before anything was changed; `stored`, those that go to the queue, this server's own fields
   * included and as the filters have made them.
   */
  readonly sees: "received" | "stored";
  /** The header section without the blank line behind it, once; null for one that is too long: nothing of the body is given then. */
  header(block: Uint8Array | null): void;
  body(octets: Uint8Array): void;
  /**
   * All was given. `session` is in its queue phase, with the recipients that the message will have. What the promise is rejected with is taken for a
   * temporary failure of the message. It must be settled within seconds: the client waits.
   */
  finish(session: Session): Promise<Authenticated>;
  /** All was given: what the message was found to be, for filters, rules and the log. Of one authenticator at most; never rejected. */
  mailAuth?(): Promise<MailAuth>;
  /** What becomes of the message is decided: it goes to the queue now, or was refused. Behind `mailAuth`. */
  decided?(disposition: Disposition): void;
  /** A filter has found the message to be junk, which the fields of this authenticator tell. Before `finish`. */
  markJunk?(): void;
}

/** What becomes of a message whose end was read. */
export type Disposition = "accepted" | "rejected";

/** Returns what authenticates the message of a session in its data or chunk phase; null where there is nothing to do. */
export type AuthenticatorSource = (
  message: MessageId,
  session: Session,
  facts: ConnectionFacts,
) => Authenticator | null;

const LF = 0x0a;
const FAILED: Authenticated = { kind: "refused", code: 451, text: "4.3.0 Temporary Error" };

/** Parts a stream of octets into header section and body at the first blank line. */
class HeaderAndBody {
  readonly #to: readonly Authenticator[];
  #header: Uint8Array[] = [];
  #octets = 0;
  /** The octet before was a LF, or there was none. */
  #lineStart = true;
  #state: "header" | "body" | "too-long" | "failed" = "header";

  constructor(to: readonly Authenticator[]) {
    this.#to = to;
  }

  push(octets: Uint8Array): void {
    if (this.#state === "header") octets = this.#inHeader(octets);
    if (this.#state !== "body" || octets.length === 0) return;
    this.#show((one) => one.body(octets));
  }

  /** An authenticator that throws is broken: the message is not stored, and the isolate goes on. */
  #show(show: (one: Authenticator) => void): void {
    try {
      for (const one of this.#to) show(one);
    } catch {
      this.#state = "failed";
    }
  }

  get failed(): boolean {
    return this.#state === "failed";
  }

  /** Returns what of the octets belongs to the body. */
  #inHeader(octets: Uint8Array): Uint8Array {
    let blank = this.#lineStart && octets[0] === LF ? 0 : -1;
    for (let at = octets.indexOf(LF); blank < 0 && at >= 0; at = octets.indexOf(LF, at + 1)) {
      if (octets[at + 1] === LF) blank = at + 1;
    }
    const own = blank < 0 ? octets : octets.subarray(0, blank);
    this.#octets += own.length;
    if (this.#octets > MAX_SEEN_HEADER_OCTETS) {
      this.#end("too-long");
      return octets.subarray(octets.length);
    }
    if (own.length > 0) {
      this.#header.push(own.slice());
      this.#lineStart = own[own.length - 1] === LF;
    }
    if (blank < 0) return octets.subarray(octets.length);
    this.#end("body");
    return octets.subarray(blank + 1);
  }

  /** The header section is over, or too long. */
  #end(state: "body" | "too-long"): void {
    const block = state === "body" ? joined(this.#header) : null;
    this.#header = [];
    this.#state = state;
    this.#show((one) => one.header(block));
  }

  /** The data is over: a header section needs no blank line behind it. */
  finish(): void {
    if (this.#state === "header") this.#end("body");
  }
}

/** The authentication of one message. */
export class Authentication {
  readonly #authenticators: readonly Authenticator[];
  readonly #received: HeaderAndBody | null;
  readonly #stored: HeaderAndBody | null;

  /** `authenticators` are in the order in which their fields stand, from the top. */
  constructor(authenticators: readonly Authenticator[]) {
    this.#authenticators = authenticators;
    const seers = (sees: Authenticator["sees"]) => {
      const list = authenticators.filter((one) => one.sees === sees);
      return list.length === 0 ? null : new HeaderAndBody(list);
    };
    this.#received = seers("received");
    this.#stored = seers("stored");
  }

  get seesReceived(): boolean {
    return this.#received !== null;
  }

  received(octets: Uint8Array): void {
    this.#received?.push(octets);
  }

  stored(octets: Uint8Array): void {
    this.#stored?.push(octets);
  }

  /** All that was received was given. Resolves with what the message was found to be; null where it is not checked. */
  async mailAuth(): Promise<MailAuth | null> {
    this.#received?.finish();
    const checker = this.#authenticators.find((one) => one.mailAuth !== undefined);
    return checker === undefined ? null : await checker.mailAuth!();
  }

  decided(disposition: Disposition): void {
    for (const one of this.#authenticators) one.decided?.(disposition);
  }

  markJunk(): void {
    for (const one of this.#authenticators) one.markJunk?.();
  }

  /** The whole message was given. Resolves with what stands in front of it, or with the refusal of the first that refuses. Is never rejected. */
  async finish(session: Session): Promise<Authenticated> {
    try {
      this.#received?.finish();
      this.#stored?.finish();
      if (this.#received?.failed || this.#stored?.failed) return FAILED;
      const results = await Promise.all(this.#authenticators.map((one) => one.finish(session)));
      const fields: Uint8Array[] = [];
      for (const result of results) {
        if (result.kind === "refused") return result;
        fields.push(result.fields);
      }
      const all = joined(fields);
      // Each of them keeps to its bounds.
      return all.length <= MAX_FRONT_OCTETS ? { kind: "fields", fields: all } : FAILED;
    } catch {
      return FAILED;
    }
  }
}

/** Returns what makes the authentication of a message from the sources of authenticators, in their order; null where none has one. */
export function authenticationBy(
  sources: readonly AuthenticatorSource[],
): (...of: Parameters<AuthenticatorSource>) => Authentication | null {
  return (...of) => {
    const found: Authenticator[] = [];
    for (const source of sources) {
      const one = source(...of);
      if (one !== null) found.push(one);
    }
    return found.length === 0 ? null : new Authentication(found);
  };
}

/** Joins pieces into one. */
function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
