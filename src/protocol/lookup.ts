/** What is said at the doors of lookup: who gets which mail, who may log in, what tables hold. Types, limits and checks only. */

import type { Deliverable, MailAuth, Mailbox, MessageId, Origin, ReversePath, Routed } from "../envelope/mod.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";
import {
  type Check,
  either,
  flag,
  list,
  type MessageTable,
  nullOr,
  oneOf,
  optional,
  record,
  type Replies,
  text,
  whole,
} from "./check.ts";
import { dnsAnswer, dnsName, MAX_DNS_RECORD_CHARS } from "./dns.ts";
import { type Door, door } from "./door.ts";
import { routed } from "./routed.ts";
import {
  type Account,
  account,
  call,
  deliverable,
  longText,
  mac,
  mailAuth,
  mailbox,
  messageId,
  origin,
  reversePath,
} from "./shapes.ts";

/** A question at the doors of lookup. `generation`: number of the configuration of the session that asks; without it the one in use answers, as where that one is not known. */
export type ToLookup = LookupQuestion & { readonly generation?: number };

type LookupQuestion =
  /** Who gets this recipient? Asked at RCPT. The answer holds for `message` alone: its MACs are. */
  | {
    readonly type: "expand";
    readonly call: number;
    readonly message: MessageId;
    readonly origin: Origin;
    readonly tls: boolean;
    readonly sender: ReversePath;
    readonly rcpt: Mailbox;
    /** Of a message that is checked; `unknown` as long as it has not come: the answer is that of rules that may match then. */
    readonly mailAuth?: MailAuth | "unknown";
    /** The answer is to have the tree of the expansion. */
    readonly explain?: boolean;
  }
  /** Name of an IP address, forward-confirmed or not. */
  | { readonly type: "client-name"; readonly call: number; readonly address: string }
  /** Account a local delivery acts for: of the action's userbase, or of its `user` option. */
  | { readonly type: "account"; readonly call: number; readonly action: string; readonly user: string }
  /** Next relay URL of the action's `host` table, or the URL for a domain of its `domain` table. */
  | { readonly type: "smarthost"; readonly call: number; readonly action: string; readonly domain: string }
  /** Local addresses of the action's `src` table, the next in turn first. */
  | { readonly type: "sources"; readonly call: number; readonly action: string }
  /** What the action's `auth` table holds for the label of a relay URL. Answered to the relay isolate only. */
  | { readonly type: "credentials"; readonly call: number; readonly action: string; readonly label: string }
  /** Does something that a filter looks at stand in one of the filters' tables? */
  | {
    readonly type: "test";
    readonly call: number;
    readonly table: string;
    readonly service: "domain" | "netaddr" | "mailaddr" | "regex" | "auth" | "string";
    readonly key: string;
  }
  /** What does the DNS say of a name? Asked where received mail is checked. PTR records are asked for by address. */
  | { readonly type: "dns"; readonly call: number; readonly kind: DnsKind; readonly name: string }
  /** May this user send as that? `table` is the `senders` of a listener. */
  | {
    readonly type: "may-send";
    readonly call: number;
    readonly table: string;
    readonly user: string;
    readonly sender: ReversePath;
  }
  /** What a listener is called at one of its addresses (IPv6 in brackets). `table` is its `hostnames`. */
  | { readonly type: "listener-name"; readonly call: number; readonly table: string; readonly address: string }
  /**
   * Does the password belong to the user? `table` is that of the listener; null for the accounts of the system. A password of "" is a failed login,
   * whoever the user is.
   */
  | {
    readonly type: "authenticate";
    readonly call: number;
    readonly table: string | null;
    readonly user: string;
    readonly password: string;
    /** Address of the client, for which failures are counted; null where none are. */
    readonly client: string | null;
  }
  /** Can every user in the listener's table log in by SCRAM? */
  | { readonly type: "mechanisms"; readonly call: number; readonly table: string | null }
  /** What the user's password is hashed with. */
  | {
    readonly type: "challenge";
    readonly call: number;
    readonly table: string;
    readonly user: string;
    readonly client: string | null;
  }
  /** Does the client's proof (base64) fit the user's password and what was said? RFC 5802 §3: `message` is the AuthMessage. A proof of "" is one that could not be read: a failed login. */
  | {
    readonly type: "prove";
    readonly call: number;
    readonly table: string;
    readonly user: string;
    readonly message: string;
    readonly proof: string;
    readonly client: string | null;
  };

/** Secret: no log and no trace shows it. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** A local address to send from: IPv4 or bare IPv6. */
export interface RelaySource {
  readonly address: string;
  /** Its name in EHLO by `helo-src`; null when the action has none. */
  readonly helo: string | null;
}
/** Addresses in one answer. */
export const MAX_SOURCE_ADDRESSES = 64;

/** Does the name of an address lead back to it? `error`: there is no name; `temporary`: it cannot be determined now. */
export type Confirmed = "pass" | "fail" | "error" | "temporary";

/** A type of records. */
export type DnsKind = "txt" | "a" | "aaaa" | "mx" | "ptr";

export type FromLookup =
  /** An MX record is written as its preference and its host: `10 mx.example.org`. */
  | { readonly type: "dns"; readonly call: number; readonly answer: DnsAnswer<string> }
  | { readonly type: "expanded"; readonly call: number; readonly result: Expansion }
  | {
    readonly type: "client-name";
    readonly call: number; /** `<unknown>` for none */
    readonly hostname: string;
    /** `temporary`: it cannot be determined now. */
    readonly confirmed: Confirmed;
  }
  | { readonly type: "account"; readonly call: number; readonly result: AccountResult }
  | {
    readonly type: "smarthost";
    readonly call: number; /** null: cannot retrieve smarthost */
    readonly url: string | null;
    /** The others of the action's list, in the order in which they may be tried after it. */
    readonly others?: readonly string[];
  }
  | { readonly type: "authenticated"; readonly call: number; readonly result: LoginResult }
  | { readonly type: "mechanisms"; readonly call: number; readonly scram: boolean }
  | { readonly type: "challenge"; readonly call: number; readonly challenge: Challenge | "blocked" | null }
  | {
    readonly type: "proved";
    readonly call: number;
    readonly result: LoginResult; /** In base64; "" unless `ok`. */
    readonly signature: string;
  }
  /** Null: it cannot be determined now. */
  | { readonly type: "tested"; readonly call: number; readonly found: boolean | null }
  /** `permfail`: the sender is not this user's. */
  | { readonly type: "may-send"; readonly call: number; readonly result: AuthResult }
  | {
    readonly type: "listener-name";
    readonly call: number; /** null: the usual name */
    readonly name: string | null;
  }
  | { readonly type: "sources"; readonly call: number; readonly sources: readonly RelaySource[] }
  | {
    readonly type: "credentials";
    readonly call: number; /** null: there are none, or they cannot be had now */
    readonly credentials: Credentials | null;
    /** Why they are null; absent: they cannot be had now. */
    readonly lack?: CredentialsLack;
  };

/** `label`: the table does not have it. `form`: its value is no `user:password`. */
export type CredentialsLack = "label" | "form";

/** `permfail`: wrong password or no such user, which the reply does not distinguish. */
export type AuthResult = "ok" | "permfail" | "tempfail";

/** `blocked`: too many logins from the client's address have failed. */
export type LoginResult = AuthResult | "blocked";

/** Null in its place: it cannot be had now. Whoever does not exist has one too. */
export interface Challenge {
  /** In base64. */
  readonly salt: string;
  readonly iterations: number;
}

export type Expansion =
  | {
    readonly ok: true;
    readonly targets: readonly Deliverable[]; /** Made by expansion: the envelope is internal. Same index as targets. */
    readonly internal: readonly boolean[];
    /** The message may be signed: for the signer, see src/mac/signing_mac.ts. */
    readonly grant?: string;
    /** Of a question with `explain`. */
    readonly routed?: Routed;
  }
  /** `text` is the full reply without the code: "2.1.5 …", ends without CRLF. */
  | { readonly ok: false; readonly code: number; readonly text: string; readonly routed?: Routed };

export type AccountResult =
  /** `identity` is who the delivery runs as (the action's `user`, else the account); `account` is the recipient. */
  | { readonly ok: true; readonly account: Account; readonly identity: Account }
  | { readonly ok: false; readonly temporary: boolean; readonly text: string };

const word = text();
const table = nullOr(word), client = nullOr(word);

const generation = optional(whole());
const TO_LOOKUP: MessageTable<ToLookup> = {
  expand: {
    call,
    generation,
    message: messageId,
    origin,
    tls: flag,
    sender: reversePath,
    rcpt: mailbox,
    mailAuth: optional(either(oneOf("unknown"), mailAuth)),
    explain: optional(flag),
  },
  "client-name": { call, generation, address: word },
  account: { call, generation, action: word, user: word },
  smarthost: { call, generation, action: word, domain: word },
  sources: { call, generation, action: word },
  credentials: { call, generation, action: word, label: word },
  test: {
    call,
    generation,
    table: word,
    service: oneOf("domain", "netaddr", "mailaddr", "regex", "auth", "string"),
    key: word,
  },
  dns: { call, generation, kind: oneOf("txt", "a", "aaaa", "mx", "ptr"), name: dnsName },
  "may-send": { call, generation, table: word, user: word, sender: reversePath },
  "listener-name": { call, generation, table: word, address: word },
  authenticate: { call, generation, table, user: word, password: word, client },
  mechanisms: { call, generation, table },
  challenge: { call, generation, table: word, user: word, client },
  prove: { call, generation, table: word, user: word, message: word, proof: word, client },
};

/** What each role asks; each gets answers to its own questions only. */
const LOOKUP_QUESTIONS = {
  smtp: [
    "expand",
    "client-name",
    "test",
    "dns",
    "may-send",
    "listener-name",
    "authenticate",
    "mechanisms",
    "challenge",
    "prove",
  ],
  relay: ["smarthost", "sources", "credentials"],
  delivery: ["account"],
  privileged: ["account"],
  queue: ["expand", "dns"],
} as const satisfies Readonly<Record<string, readonly ToLookup["type"][]>>;

const authResult = oneOf("ok", "permfail", "tempfail");
const loginResult = oneOf("ok", "permfail", "tempfail", "blocked");
const expansion: Check<Expansion> = either(
  record<Extract<Expansion, { ok: true }>>({
    ok: oneOf(true),
    targets: list(deliverable),
    internal: list(flag),
    grant: optional(mac),
    routed: optional(routed),
  }),
  record<Extract<Expansion, { ok: false }>>({
    ok: oneOf(false),
    code: whole({ least: 200, most: 599 }),
    text: longText,
    routed: optional(routed),
  }),
);
const accountResult: Check<AccountResult> = either(
  record<Extract<AccountResult, { ok: true }>>({ ok: oneOf(true), account, identity: account }),
  record<Extract<AccountResult, { ok: false }>>({ ok: oneOf(false), temporary: flag, text: longText }),
);

const FROM_LOOKUP: MessageTable<FromLookup> = {
  expanded: { call, result: expansion },
  "client-name": { call, hostname: word, confirmed: oneOf("pass", "fail", "error", "temporary") },
  account: { call, result: accountResult },
  smarthost: { call, url: nullOr(word), others: optional(list(word)) },
  authenticated: { call, result: loginResult },
  mechanisms: { call, scram: flag },
  challenge: {
    call,
    challenge: nullOr(either(oneOf("blocked"), record<Challenge>({ salt: word, iterations: whole() }))),
  },
  proved: { call, result: loginResult, signature: word },
  tested: { call, found: nullOr(flag) },
  dns: { call, answer: dnsAnswer(text(MAX_DNS_RECORD_CHARS)) },
  "may-send": { call, result: authResult },
  "listener-name": { call, name: nullOr(word) },
  sources: { call, sources: list(record<RelaySource>({ address: word, helo: nullOr(word) }), MAX_SOURCE_ADDRESSES) },
  credentials: {
    call,
    credentials: nullOr(record<Credentials>({ user: word, password: word })),
    lack: optional(oneOf("label", "form")),
  },
};
const LOOKUP_REPLIES: Replies<ToLookup, FromLookup> = {
  expand: ["expanded"],
  "client-name": ["client-name"],
  account: ["account"],
  smarthost: ["smarthost"],
  sources: ["sources"],
  credentials: ["credentials"],
  test: ["tested"],
  dns: ["dns"],
  "may-send": ["may-send"],
  "listener-name": ["listener-name"],
  authenticate: ["authenticated"],
  mechanisms: ["mechanisms"],
  challenge: ["challenge"],
  prove: ["proved"],
};

/** A door at which lookup answers these questions only. */
const asksLookup = (allowed: readonly ToLookup["type"][]): Door<ToLookup, FromLookup> => ({
  ...door<ToLookup, FromLookup>(TO_LOOKUP, FROM_LOOKUP, LOOKUP_REPLIES),
  allowed,
});
export const SMTP_LOOKUP = asksLookup(LOOKUP_QUESTIONS.smtp);
export const RELAY_LOOKUP = asksLookup(LOOKUP_QUESTIONS.relay);
export const DELIVERY_LOOKUP = asksLookup(LOOKUP_QUESTIONS.delivery);
export const PRIVILEGED_LOOKUP = asksLookup(LOOKUP_QUESTIONS.privileged);
export const QUEUE_LOOKUP = asksLookup(LOOKUP_QUESTIONS.queue);
