/** What lookup says to the login isolate. Types and checks only. */

import { type Check, type MessageTable, oneOf, type Replies, text } from "./check.ts";
import { door } from "./door.ts";
import { call } from "./shapes.ts";

export type ToLogin =
  | { readonly type: "verify"; readonly call: number; readonly hash: string; readonly password: string }
  /** As the question to lookup, with the user's SCRAM verifier. */
  | {
    readonly type: "prove";
    readonly call: number;
    readonly verifier: string;
    readonly message: string;
    readonly proof: string;
  };
/** `unknown`: it cannot be determined, since the hash is of no known scheme or too many wait. */
export type PasswordCheck = "match" | "mismatch" | "unknown";
export type FromLogin =
  | { readonly type: "verified"; readonly call: number; readonly result: PasswordCheck }
  | { readonly type: "proved"; readonly call: number; readonly result: PasswordCheck; readonly signature: string };

const TO_LOGIN: MessageTable<ToLogin> = {
  verify: { call, hash: text(), password: text() },
  prove: { call, verifier: text(), message: text(), proof: text() },
};
export const passwordCheck: Check<PasswordCheck> = oneOf("match", "mismatch", "unknown");
const FROM_LOGIN: MessageTable<FromLogin> = {
  verified: { call, result: passwordCheck },
  proved: { call, result: passwordCheck, signature: text() },
};
const LOGIN_REPLIES: Replies<ToLogin, FromLogin> = { verify: ["verified"], prove: ["proved"] };

export const LOOKUP_LOGIN = door<ToLogin, FromLogin>(TO_LOGIN, FROM_LOGIN, LOGIN_REPLIES);
