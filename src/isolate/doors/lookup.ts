/** What is said at the doors of lookup: who gets which mail, who may log in, what tables know. Types and limits only. */

import type { Deliverable, Mailbox, Origin, ReversePath } from "../../envelope/mod.ts";

export type ToLookup =
  /** Who gets this recipient? Asked at RCPT. */
  | {
    readonly type: "expand";
    readonly call: number;
    readonly origin: Origin;
    readonly tls: boolean;
    readonly sender: ReversePath;
    readonly rcpt: Mailbox;
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
    readonly service: "domain" | "netaddr" | "mailaddr" | "regex" | "auth";
    readonly key: string;
  }
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
  /** Does the password belong to the user? `table` is that of the listener; null for the accounts of the system. */
  | {
    readonly type: "authenticate";
    readonly call: number;
    readonly table: string | null;
    readonly user: string;
    readonly password: string;
  }
  /** Can everybody in the listener's table log in by SCRAM? */
  | { readonly type: "mechanisms"; readonly call: number; readonly table: string | null }
  /** What the user's password is hashed with. */
  | { readonly type: "challenge"; readonly call: number; readonly table: string; readonly user: string }
  /** Does the client's proof (base64) fit the user's password and what was said? RFC 5802 §3: `message` is the AuthMessage. */
  | {
    readonly type: "prove";
    readonly call: number;
    readonly table: string;
    readonly user: string;
    readonly message: string;
    readonly proof: string;
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
/** Addresses that one answer tells. */
export const SOURCE_LIMIT = 64;

export type FromLookup =
  | { readonly type: "expanded"; readonly call: number; readonly result: Expansion }
  | {
    readonly type: "client-name";
    readonly call: number; /** `<unknown>` for none */
    readonly hostname: string;
    readonly confirmed: "pass" | "fail" | "error";
  }
  | { readonly type: "account"; readonly call: number; readonly result: AccountResult }
  | {
    readonly type: "smarthost";
    readonly call: number; /** null: cannot retrieve smarthost */
    readonly url: string | null;
    /** The others of the action's list, in the order in which they may be tried after it. */
    readonly others?: readonly string[];
  }
  | { readonly type: "authenticated"; readonly call: number; readonly result: AuthResult }
  | { readonly type: "mechanisms"; readonly call: number; readonly scram: boolean }
  | { readonly type: "challenge"; readonly call: number; readonly challenge: Challenge | null }
  | {
    readonly type: "proved";
    readonly call: number;
    readonly result: AuthResult; /** In base64; "" unless `ok`. */
    readonly signature: string;
  }
  /** False also when it cannot be told. */
  | { readonly type: "tested"; readonly call: number; readonly found: boolean }
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
  };

/** `permfail`: wrong password or no such user, which nobody outside is told apart. */
export type AuthResult = "ok" | "permfail" | "tempfail";

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
  }
  /** `text` is the full reply without the code: "2.1.5 …", ends without CRLF. */
  | { readonly ok: false; readonly code: number; readonly text: string };

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}
export type AccountResult =
  /** `identity` is who the delivery runs as (the action's `user`, else the account); `account` is the recipient. */
  | { readonly ok: true; readonly account: Account; readonly identity: Account }
  | { readonly ok: false; readonly temporary: boolean; readonly text: string };
