/** What lookup asks of main: accounts, passwords and `.forward` files. Types, limits and checks only. */

import { type Check, either, kindOf, type MessageTable, nullOr, record, type Replies, text } from "./check.ts";
import { door } from "./door.ts";
import { type Forward, forward, isForwardHome, isForwardSuffix } from "./files.ts";
import { type PasswordCheck, passwordCheck } from "./login.ts";
import { type Account, account, call, longText } from "./shapes.ts";

/** What lookup asks of main, which has the rights of the user, and the C library. */
export type LookupToMain =
  /** getpwnam(3): accounts of every source of the name service. */
  | { readonly type: "account"; readonly call: number; readonly name: string }
  /** The password of a system account, */
  | { readonly type: "login"; readonly call: number; readonly user: string; readonly password: string }
  /** or of a hash that only crypt(3) supports. */
  | { readonly type: "crypt"; readonly call: number; readonly hash: string; readonly password: string }
  /** The `.forward` in the home of an account, or the file with the suffix before it, as the account may read it. */
  | { readonly type: "forward"; readonly call: number; readonly who: Account; readonly suffix: string };
export type MainToLookup =
  | { readonly type: "account"; readonly call: number; readonly result: Account | null | { readonly error: string } }
  | { readonly type: "login"; readonly call: number; readonly result: PasswordCheck }
  | { readonly type: "crypt"; readonly call: number; readonly result: PasswordCheck }
  /** `error`: it cannot be had now. */
  | { readonly type: "forward"; readonly call: number; readonly result: Forward | { readonly error: string } };

/** Longest name that the name service is asked for, and longest password, user and hash that main verifies. */
export const MAX_ACCOUNT_NAME_CHARS = 255, MAX_PASSWORD_CHARS = 4096;

const forwardAccount: Check<Account> = (value) =>
  account(value) ?? (isForwardHome((value as Account).home) ? null : "home: is no absolute path that can be");
const forwardSuffix: Check<string> = (value) =>
  typeof value === "string" && isForwardSuffix(value) ? null : `is ${kindOf(value)}, not a suffix of a file's name`;
const LOOKUP_TO_MAIN: MessageTable<LookupToMain> = {
  account: { call, name: text() },
  login: { call, user: text(), password: text() },
  crypt: { call, hash: text(), password: text() },
  forward: { call, who: forwardAccount, suffix: forwardSuffix },
};
const failure = record<{ readonly error: string }>({ error: longText });
const accountResult: Check<Account | null | { readonly error: string }> = nullOr(either(account, failure));
const MAIN_TO_LOOKUP: MessageTable<MainToLookup> = {
  account: { call, result: accountResult },
  login: { call, result: passwordCheck },
  crypt: { call, result: passwordCheck },
  forward: { call, result: either(forward, failure) },
};
const LOOKUP_MAIN_REPLIES: Replies<LookupToMain, MainToLookup> = {
  account: ["account"],
  login: ["login"],
  crypt: ["crypt"],
  forward: ["forward"],
};

export const LOOKUP_MAIN = door<LookupToMain, MainToLookup>(LOOKUP_TO_MAIN, MAIN_TO_LOOKUP, LOOKUP_MAIN_REPLIES);
