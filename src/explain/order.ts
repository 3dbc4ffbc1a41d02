/** What is asked of an explanation, and the session of a client that follows from it and the configuration. */

import { parseAddress, parseHostPort } from "../net/mod.ts";
import type { ClientNamer } from "../lookup/answerer.ts";
import type { Confirmed, Listener, SmtpSettings } from "../protocol/mod.ts";
import type { Envelope } from "./client.ts";
import { listenerName } from "./report.ts";

/** A name of a client's address, and whether it leads back there. */
export interface PeerName {
  readonly hostname: string;
  readonly confirmed: Confirmed;
}

/** A message's way here, as it is asked about or was recorded. */
export interface Order {
  /** A tag, `ADDRESS:PORT` or `socket`; null for the usual one. */
  readonly listener: string | null;
  /** Null for the usual one. */
  readonly peer: string | null;
  /** Null: the DNS is asked. */
  readonly peerName: PeerName | null;
  /** Null for one that follows from the peer. */
  readonly helo: string | null;
  readonly tls: boolean;
  readonly login: string | null;
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** The password of a client that is made up: right for whoever may log in, since nobody here knows the real one. */
export const ANY_PASSWORD = "any";
/** The client where none is named. */
const USUAL_PEER = "127.0.0.1";
/** RFC 5321 §4.5.3.1: more recipients than a server has to take make the answers no clearer. */
export const MAX_ORDERED_RECIPIENTS = 10_000;

/** Returns the session of the client, or a sentence that says why there is none. */
export function envelopeOf(order: Order, settings: SmtpSettings): Envelope | string {
  const found = listenerOf(order, settings.listeners);
  if (typeof found === "string") return found;
  const { listener, index } = found;
  if (listener.socket && order.peer !== null && order.peer !== "local") {
    return `a client of the socket has no address: leave out the peer ${order.peer}, or name another listener`;
  }
  const peer = order.peer?.replace(/^\[(?:IPv6:)?(.*)\]$/i, "$1") ?? USUAL_PEER;
  if (!listener.socket && parseAddress(peer) === null) return `"${peer}" is no IP address`;
  const address = listener.socket ? "local" : peer;
  const name = order.peerName?.hostname;
  const literal = address.includes(":") ? `[IPv6:${address}]` : `[${address}]`;
  return {
    listener: index,
    peer: { address, port: 0, uid: null, ...listener.socket ? {} : { local: listener.address } },
    helo: order.helo ?? (listener.socket ? "localhost" : name !== undefined && name !== "<unknown>" ? name : literal),
    tls: order.tls,
    login: order.login === null ? null : { user: order.login, password: ANY_PASSWORD },
    sender: order.sender,
    recipients: order.recipients,
  };
}

interface FoundListener {
  readonly listener: Listener;
  readonly index: number;
}

/** The listener that is named; else who logs in comes to the first that asks for it, who has an address to the first that does not, others to the socket. */
function listenerOf({ listener: named, peer, login }: Order, listeners: readonly Listener[]): FoundListener | string {
  const all = listeners.map((listener, index) => ({ listener, index }));
  const open = all.filter(({ listener }) => !listener.socket);
  if (named === null) {
    const usual = login !== null
      ? open.find(({ listener }) => listener.auth !== null)
      : peer === null || peer === "local"
      ? all.find(({ listener }) => listener.socket)
      : open.find(({ listener }) => listener.auth?.required !== true && listener.port === 25) ??
        open.find(({ listener }) => listener.auth?.required !== true) ?? open[0];
    return usual ?? (login !== null ? "no listener lets anybody log in" : "no listener has an address to connect to");
  }
  if (named === "socket") return all.find(({ listener }) => listener.socket)!;
  const place = parseHostPort(named);
  const found = all.find(({ listener }) => listener.tag !== "" && listener.tag.toLowerCase() === named.toLowerCase()) ??
    open.find(({ listener }) =>
      place !== null && listener.port === place.port && isSame(listener.address, place.host)
    ) ??
    open.find(({ listener }) => place !== null && listener.port === place.port && isAny(listener.address, place.host));
  return found ??
    `there is no listener "${named}": there are ${all.map(({ listener }) => listenerName(listener)).join(", ")}`;
}

function isSame(one: string, other: string): boolean {
  const words = parseAddress(one)?.join(), others = parseAddress(other)?.join();
  return words !== undefined && words === others;
}

/** Is the listener's address every address of the other's family? */
function isAny(address: string, other: string): boolean {
  const words = parseAddress(address), others = parseAddress(other);
  return words !== null && others !== null && words.length === others.length && words.every((word) => word === 0);
}

/** Returns what names clients as the order says; `otherwise` where it does not, and tells `named` what that said. */
export function namerOf(
  { peerName }: Pick<Order, "peerName">,
  otherwise: ClientNamer,
  named: (name: PeerName) => void = () => {},
): ClientNamer {
  return {
    async reverse(address) {
      if (peerName !== null) return peerName;
      const name = await otherwise.reverse(address);
      named(name);
      return name;
    },
  };
}
