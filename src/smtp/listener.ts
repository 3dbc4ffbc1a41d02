/** What the sessions of one listener share, and what is known of a session before it begins. Data from settings; serves no connection. */

import { bracketed6, hostPort } from "../net/mod.ts";
import { newSessionId } from "../envelope/mod.ts";
import type { Listener, Peer, SmtpSettings } from "../protocol/mod.ts";
import { limitsFor } from "../config/limits.ts";
import { parseProtocols } from "../config/protocols.ts";
import { ServerTls } from "../tls/mod.ts";
import type { LookupClient } from "./lookup_client.ts";
import type { FilterClient } from "./filter/filter_client.ts";
import { filtersOf } from "./filter/split_filters.ts";
import type { Test } from "./filter/chain.ts";
import type { ListenerFilters } from "./filter/phases.ts";
import type { MessagePolicy } from "./message/incoming.ts";
import type { ConnectionFacts } from "./session/state.ts";

/** Ports to which messages are submitted: RFC 6409 §3.1, RFC 8314 §3.3. */
const SUBMISSION_PORTS: ReadonlySet<number> = new Set([587, 465]);

/** A listener with what its sessions share. */
export interface ListenerContext {
  readonly listener: Listener;
  readonly policy: MessagePolicy;
  readonly tls: ServerTls | null;
  /** Null for a listener without filters. */
  readonly filters: ListenerFilters | null;
}

/** A configuration with its listeners. */
interface KnownListeners {
  readonly settings: Pick<SmtpSettings, "pki" | "ca">;
  readonly listeners: readonly ListenerContext[];
}

/** What the sessions of a listener share. Throws when a certificate cannot be read. What is the same in `known` is used again: TLS takes long to set up. */
export function listenerContext(
  settings: SmtpSettings,
  listener: Listener,
  clock: { now(): number },
  known: KnownListeners | null = null,
): Omit<ListenerContext, "filters"> {
  return {
    listener,
    policy: {
      maskSource: listener.maskSource,
      receivedAuth: listener.receivedAuth,
      domain: new TextEncoder().encode(listener.hostname),
      masquerade: listener.senders?.masquerade ?? false,
      submission: listener.socket || listener.submission || SUBMISSION_PORTS.has(listener.port),
    },
    tls: known === null
      ? tlsOf(settings, listener, clock)
      : knownTls(settings, listener, known) ?? tlsOf(settings, listener, clock),
  };
}

/** The TLS of a listener that shows the same certificates by the same rules. */
function knownTls(settings: SmtpSettings, listener: Listener, known: KnownListeners): ServerTls | null {
  const of = (
    { pki, ca }: KnownListeners["settings"],
    { tls, pki: names, ca: authority, verify, protocols }: Listener,
  ) =>
    JSON.stringify([tls, verify, protocols, names.map((name) => pki[name]), authority === null ? null : ca[authority]]);
  const wanted = of(settings, listener);
  return known.listeners.find(({ listener }) => of(known.settings, listener) === wanted)?.tls ?? null;
}

/** Null for a listener without TLS. */
export function tlsOf(settings: SmtpSettings, listener: Listener, clock: { now(): number }): ServerTls | null {
  return listener.tls === "none" ? null : serverTls(settings, listener, clock);
}

/** What holds the filters of a listener; null for one without. `client` returns that of the isolate which has a process. Throws when they are not there. */
export function listenerFilters(
  settings: SmtpSettings,
  listener: Listener,
  client: ((process: string) => FilterClient) | null,
  lookup: LookupClient,
): ListenerFilters | null {
  const { filter = null } = listener;
  if (filter === null) return null;
  const steps = settings.filters?.[filter];
  // Mail must not pass by filters that the listener names.
  if (steps === undefined || client === null) {
    throw new Error(`No filter "${filter}" for the listener on ${listener.address}`);
  }
  const destination = listener.socket ? `unix:${listener.address}` : endpoint(listener);
  const processes = steps.flatMap((step) => step.kind === "process" ? [step.process] : []);
  return {
    steps,
    client: filtersOf(processes, client),
    destination,
    test: (test, answer) => askAny(lookup, test, answer),
  };
}

/** Asks for one key after the other until one is in the table. */
function askAny(lookup: LookupClient, { others = [], ...test }: Test, answer: (found: boolean | null) => void): void {
  const [next, ...rest] = others;
  lookup.test(test, (found) => {
    if (found !== false || next === undefined) answer(found);
    else askAny(lookup, { ...test, key: next, others: rest }, answer);
  });
}

/** `ip:port`, `[ip6]:port`; a client on the socket is named after the socket. */
export function endpoint({ address, port }: { readonly address: string; readonly port: number }): string {
  return hostPort({ host: plainAddress(address), port });
}

function serverTls(settings: SmtpSettings, listener: Listener, clock: { now(): number }): ServerTls {
  const versions = listener.protocols === null ? null : parseProtocols(listener.protocols);
  if (listener.protocols !== null && versions === null) {
    throw new Error(`Bad TLS protocols "${listener.protocols}" of the listener on ${listener.address}`);
  }
  return new ServerTls({
    pairs: listener.pki.map((name) => {
      const pair = settings.pki[name];
      if (pair === undefined) throw new Error(`No certificate "${name}" for the listener on ${listener.address}`);
      return pair;
    }),
    ...(versions === null ? {} : { versions }),
    ...(listener.verify ? { verify: { ca: listener.ca === null ? null : settings.ca[listener.ca] ?? "" } } : {}),
    now: () => clock.now(),
  });
}

/** What is known of a session when it begins; `room` is the queue's. */
export function connectionFacts(
  settings: SmtpSettings,
  context: ListenerContext,
  peer: Peer,
  room: ConnectionFacts["room"],
): ConnectionFacts {
  const { listener } = context;
  const address = plainAddress(peer.address);
  return {
    ...listener,
    ...limitsFor("smtp", "smtp", settings),
    session: newSessionId(),
    address: listener.socket ? "local" : bracketed6(address),
    filtered: context.filters !== null,
    dsn: !listener.noDsn,
    senders: listener.senders?.table ?? null,
    // Behind a proxy on this machine may be anyone.
    loopback: listener.proxyV2 ? isLoopback(address) : listener.local && !listener.socket,
    maxMessageBytes: settings.maxMessageBytes,
    room,
    ...(settings.shared.recording === true
      ? { history: { refs: settings.refs === true, listener: nameOf(listener) } }
      : {}),
    // Programs of this machine hand in what their users wrote.
    maxErrors: listener.socket ? 0 : settings.maxErrors,
  };
}

function nameOf(listener: Listener): string {
  return listener.socket ? listener.address : endpoint(listener);
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** An IPv4 client of a listener on `::` is an IPv4 client. */
export function plainAddress(address: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}
