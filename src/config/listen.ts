/**
 * What a `listen on` line of smtpd.conf(5) says. A new listener option is a member of `ListenOptions` with its default here, and its syntax
 * in src/smtpd_conf/listen.ts: the listener of the smtp isolates and their sessions then have it (CONTRIBUTING.md, "A listener option").
 */

import type { SourceLine } from "./source_line.ts";

/** The options of a listener, as smtpd.conf has them. */
export interface ListenOptions {
  readonly tls: "none" | "tls" | "tls-require" | "smtps";
  /** A client must show a certificate. */
  readonly verify: boolean;
  /** Names of certificates: the first is the default, others are chosen by SNI. */
  readonly pki: readonly string[];
  readonly ca: string | null;
  readonly protocols: string | null;
  /** `table` null means the accounts of the system. */
  readonly auth: { readonly required: boolean; readonly table: string | null } | null;
  /** Table of names by local address. */
  readonly hostnames: string | null;
  readonly tag: string;
  /** A name in `filters`. */
  readonly filter: string | null;
  readonly maskSource: boolean;
  readonly receivedAuth: boolean;
  readonly noDsn: boolean;
  /** Connections begin with a PROXY header that names the client. */
  readonly proxyV2: boolean;
  /** What comes here is submitted, whatever the port: its header is completed. */
  readonly submission: boolean;
  /** A user who has logged in may send as the table says; `masquerade`: and From is replaced by that address. */
  readonly senders: { readonly table: string; readonly masquerade: boolean } | null;
  /** What comes in is checked: SPF, DKIM, ARC, DMARC. `trusted`: a table of domains whose ARC seals are believed. */
  readonly mailAuth: { readonly trusted: string | null } | null;
}

/** What a listener does when its line has no options. */
export const LISTEN_DEFAULTS: ListenOptions = {
  tls: "none",
  verify: false,
  pki: [],
  ca: null,
  protocols: null,
  auth: null,
  hostnames: null,
  tag: "",
  filter: null,
  maskSource: false,
  receivedAuth: false,
  noDsn: false,
  proxyV2: false,
  submission: false,
  senders: null,
  mailAuth: null,
};

/** One `listen on` line before its interface is resolved to addresses. */
export interface ListenSpec extends ListenOptions {
  readonly at: SourceLine;
  /** Interface name, group, address or host name; "socket" (with `socket: true`) for the local socket. */
  readonly on: string;
  readonly socket: boolean;
  readonly family: 4 | 6 | null;
  readonly port: number;
  /** Null for the name of the server. */
  readonly hostname: string | null;
}

/** The local socket's listener when the config has no `listen on socket`: it is always there (smtpd.conf(5)). */
export function implicitSocket(): ListenSpec {
  return emptyListenSpec({ file: "(built in)", line: 0 }, { on: "socket", socket: true });
}

/** Returns what a `listen on` line at `at` says before any of its options is read. */
export function emptyListenSpec(at: SourceLine, { on, socket }: Pick<ListenSpec, "on" | "socket">): ListenSpec {
  return { ...LISTEN_DEFAULTS, at, on, socket, family: null, port: 0, hostname: null };
}
