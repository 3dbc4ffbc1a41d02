/** What lookup asks of main: accounts, passwords, `.forward` files and the files of tables. Types, limits and checks only. */

import {
  type Check,
  either,
  kindOf,
  type MessageTable,
  nullOr,
  octets,
  oneOf,
  record,
  type Replies,
  text,
  whole,
} from "./check.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";
import { ASKED_KINDS, dnsAnswer, dnsName, MAX_DNS_RECORD_CHARS } from "./dns.ts";
import { door } from "./door.ts";
import { type Forward, forward, isForwardHome, isForwardSuffix } from "./files.ts";
import { type PasswordCheck, passwordCheck } from "./login.ts";
import type { Mailbox, Origin } from "../envelope/mod.ts";
import { type Account, account, call, longText, mailbox, origin } from "./shapes.ts";

/** What lookup asks of main, which has the rights of the user, and the C library. */
export type QuestionToMain =
  /** getpwnam(3): accounts of every source of the name service. */
  | { readonly type: "account"; readonly call: number; readonly name: string }
  /** The password of a system account, */
  | { readonly type: "login"; readonly call: number; readonly user: string; readonly password: string }
  /** or of a hash that only crypt(3) supports. */
  | { readonly type: "crypt"; readonly call: number; readonly hash: string; readonly password: string }
  /** The `.forward` in the home of an account, or the file with the suffix before it, as the account may read it. */
  | { readonly type: "forward"; readonly call: number; readonly who: Account; readonly suffix: string }
  /** A file of a table that lookup's user may not read: a piece of it that begins at the octet `from`, while it has this stamp, any when null. */
  | {
    readonly type: "table-file";
    readonly call: number;
    readonly path: string;
    readonly from: number;
    readonly stamp: string | null;
  }
  /** What changes with the content of such a file. */
  | { readonly type: "table-stamp"; readonly call: number; readonly path: string };
export type AnswerOfMain =
  | { readonly type: "account"; readonly call: number; readonly result: Account | null | { readonly error: string } }
  | { readonly type: "login"; readonly call: number; readonly result: PasswordCheck }
  | { readonly type: "crypt"; readonly call: number; readonly result: PasswordCheck }
  /** `error`: it cannot be had now. */
  | { readonly type: "forward"; readonly call: number; readonly result: Forward | { readonly error: string } }
  | { readonly type: "table-file"; readonly call: number; readonly result: TablePiece | { readonly error: string } }
  | {
    readonly type: "table-stamp";
    readonly call: number;
    readonly result: { readonly stamp: string } | { readonly error: string };
  };

/** Main asks as well. */
export type QuestionOfMain =
  /** Which records has the name now? TXT records are asked for anew, whatever is remembered. */
  | { readonly type: "dns"; readonly question: number; readonly kind: AskedKind; readonly name: string }
  /** Would mail of this client be taken for this recipient? It is for nobody: only the rules are asked. */
  | {
    readonly type: "try-rcpt";
    readonly question: number;
    readonly origin: Origin;
    readonly sender: Mailbox;
    readonly rcpt: Mailbox;
  };
/** A type of records that main asks for. */
export type AskedKind = typeof ASKED_KINDS[number];
/** The reply to RCPT: it is taken, refused, or that cannot be determined now. */
export type TriedRcpt = "taken" | "refused" | "unknown";
/** What main has asked for under that number. */
export type AnswerToMain =
  | { readonly type: "dns-answer"; readonly question: number; readonly answer: DnsAnswer<string> }
  | { readonly type: "tried-rcpt"; readonly question: number; readonly result: TriedRcpt };
export type LookupToMain = QuestionToMain | AnswerToMain;
export type MainToLookup = AnswerOfMain | QuestionOfMain;

/** A piece of a table's file of `size` octets; shorter than the largest only at its end. */
export interface TablePiece {
  readonly stamp: string;
  readonly size: number;
  readonly octets: Uint8Array<ArrayBuffer>;
}
/** Largest piece of a table's file in one answer, and longest path and stamp. */
export const MAX_TABLE_PIECE_OCTETS = 256 * 1024;
const MAX_TABLE_PATH_CHARS = 4096, MAX_STAMP_CHARS = 128;

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
  "table-file": { call, path: text(MAX_TABLE_PATH_CHARS), from: whole(), stamp: nullOr(text(MAX_STAMP_CHARS)) },
  "table-stamp": { call, path: text(MAX_TABLE_PATH_CHARS) },
  "dns-answer": { question: whole(), answer: dnsAnswer(text(MAX_DNS_RECORD_CHARS)) },
  "tried-rcpt": { question: whole(), result: oneOf("taken", "refused", "unknown") },
};
const failure = record<{ readonly error: string }>({ error: longText });
const accountResult: Check<Account | null | { readonly error: string }> = nullOr(either(account, failure));
const MAIN_TO_LOOKUP: MessageTable<MainToLookup> = {
  dns: { question: whole(), kind: oneOf(...ASKED_KINDS), name: dnsName },
  "try-rcpt": { question: whole(), origin, sender: mailbox, rcpt: mailbox },
  account: { call, result: accountResult },
  login: { call, result: passwordCheck },
  crypt: { call, result: passwordCheck },
  forward: { call, result: either(forward, failure) },
  "table-file": {
    call,
    result: either(
      record<TablePiece>({ stamp: text(MAX_STAMP_CHARS), size: whole(), octets: octets(MAX_TABLE_PIECE_OCTETS) }),
      failure,
    ),
  },
  "table-stamp": {
    call,
    result: either(record<{ readonly stamp: string }>({ stamp: text(MAX_STAMP_CHARS) }), failure),
  },
};
const LOOKUP_MAIN_REPLIES: Replies<LookupToMain, MainToLookup> = {
  account: ["account"],
  login: ["login"],
  crypt: ["crypt"],
  forward: ["forward"],
  "table-file": ["table-file"],
  "table-stamp": ["table-stamp"],
};

export const LOOKUP_MAIN = door<LookupToMain, MainToLookup>(LOOKUP_TO_MAIN, MAIN_TO_LOOKUP, LOOKUP_MAIN_REPLIES);
