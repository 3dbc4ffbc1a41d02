/** What the acme isolate asks of main, which alone connects, listens, runs programs and writes files. Types, limits and checks only. */

import { type Check, matching, type MessageTable, nullOr, oneOf, type Replies, text, whole } from "./check.ts";
import { door } from "./door.ts";
import { call, longText } from "./shapes.ts";

/** `pki`: the name of a line of smtpd.conf. */
export type AcmeToMain =
  /** Connect to the host of the line's directory, and to no other. */
  | { readonly type: "connect"; readonly call: number; readonly pki: string }
  /** Listen for the authority as the line says, until `unlisten`. */
  | { readonly type: "listen"; readonly call: number; readonly pki: string }
  | { readonly type: "unlisten"; readonly pki: string }
  /** Run the line's hook. `name`: one of the line's, or its parent where that has `*.`; `value`: text of the record. */
  | {
    readonly type: "hook";
    readonly call: number;
    readonly pki: string;
    readonly action: "present" | "cleanup";
    readonly name: string;
    readonly value: string;
  }
  /** Keep the account of the line's directory: its key (PEM), its URL there and its contact, as one text. Secret. */
  | {
    readonly type: "account";
    readonly call: number;
    readonly pki: string;
    readonly key: string;
    readonly url: string;
    readonly contact: string;
  }
  /** Keep this chain and its key (PEM), and use them from now on. Secret. */
  | {
    readonly type: "certificate";
    readonly call: number;
    readonly pki: string;
    readonly cert: string;
    readonly key: string;
  }
  /** Remember that nothing is tried before this time, in milliseconds since the epoch, after so many failures in a row; 0 and 0: all is well. */
  | { readonly type: "put-off"; readonly pki: string; readonly until: number; readonly failures: number };

export type MainToAcme =
  | { readonly type: "connected"; readonly call: number; readonly descriptor: number }
  | { readonly type: "not-connected"; readonly call: number; readonly reason: string }
  | { readonly type: "done"; readonly call: number; readonly error: string | null }
  /** Somebody has connected to the port of the line's challenge: the authority, or anybody. */
  | { readonly type: "session"; readonly descriptor: number; readonly pki: string }
  /** Try at once what failed, unless the authority has named a time. */
  | { readonly type: "look" };

/** RFC 1035 §2.3.4. */
const MAX_NAME_CHARS = 255;
export const MAX_CHAIN_CHARS = 64 * 1024, MAX_KEY_CHARS = 8192, MAX_URL_CHARS = 2048;
/** A year after any date that the daemon will see. */
const MAX_TIME_MS = 8.64e15, MAX_FAILURES = 1_000_000;
const pki = text(MAX_NAME_CHARS);
/** SHA-256 in base64url: RFC 8555 §8.4. */
const digest: Check<string> = matching(/^[A-Za-z0-9_-]{43}$/, "a digest in base64url");

const TO_MAIN: MessageTable<AcmeToMain> = {
  connect: { call, pki },
  listen: { call, pki },
  unlisten: { pki },
  hook: { call, pki, action: oneOf("present", "cleanup"), name: text(MAX_NAME_CHARS), value: digest },
  account: { call, pki, key: text(MAX_KEY_CHARS), url: text(MAX_URL_CHARS), contact: text(MAX_URL_CHARS) },
  certificate: { call, pki, cert: text(MAX_CHAIN_CHARS), key: text(MAX_KEY_CHARS) },
  "put-off": { pki, until: whole({ most: MAX_TIME_MS }), failures: whole({ most: MAX_FAILURES }) },
};
const FROM_MAIN: MessageTable<MainToAcme> = {
  connected: { call, descriptor: whole() },
  "not-connected": { call, reason: longText },
  done: { call, error: nullOr(longText) },
  session: { descriptor: whole(), pki },
  look: {},
};
const REPLIES: Replies<AcmeToMain, MainToAcme> = {
  connect: ["connected", "not-connected"],
  listen: ["done"],
  hook: ["done"],
  account: ["done"],
  certificate: ["done"],
};

export const ACME_MAIN = door<AcmeToMain, MainToAcme>(TO_MAIN, FROM_MAIN, REPLIES);
