/** Where mail of one action goes, the MX hosts of a domain or a smarthost, and how it is protected there: the grouping key of relaying. Pure. */

import type { RelayAction, RelayLimits } from "../../config/mod.ts";
import type { CredentialsLack, RelaySettings, RelaySource } from "../../protocol/mod.ts";
import { parseRelayUrl, type RelayUrl, relayUrlFault, type TlsMode } from "./url.ts";

export interface Target {
  /** Same key, same sessions. */
  readonly key: string;
  /** The same whatever the local address: what `max-conn-per-relay` counts. */
  readonly relayKey: string;
  /** As the log and `show relays` write it. */
  readonly name: string;
  readonly action: RelayAction;
  /** Destination domain, or the smarthost's name: what limits and hosts are looked up for. */
  readonly domain: string;
  /** Resolve MX records; false for a smarthost. */
  readonly mx: boolean;
  /** The domain is an address, without brackets. */
  readonly literal: boolean;
  readonly scheme: RelayUrl["scheme"];
  readonly tls: TlsMode;
  /** Certificates must verify. */
  readonly verify: boolean;
  /** For messages with REQUIRETLS that a host could not be given: only by hosts that can (RFC 8689 §4.2.1). */
  readonly requireTls: boolean;
  /** Addresses of exchangers that have ended a session over the messages that go this way. */
  readonly avoids: readonly string[];
  readonly lmtp: boolean;
  readonly port: number;
  /** Whose credentials of the action's `auth` table to authenticate with; "" for none. */
  readonly label: string;
  /** Local address to connect from, and its name in EHLO; null for any. */
  readonly source: RelaySource | null;
}

export type TargetResult = { readonly ok: true; readonly target: Target } | {
  readonly ok: false;
  readonly text: string;
};

/** Returns the target of mail to a domain by its MX records. */
export function mxTarget(action: RelayAction, domain: string): Target {
  const inside = /^\[(?:IPv6:)?([^\]]+)\]$/i.exec(domain)?.[1];
  const name = (inside ?? domain).toLowerCase();
  const tls = action.tls === null ? "opportunistic" : "mandatory";
  return finish(action, {
    domain: name,
    mx: inside === undefined,
    literal: inside !== undefined,
    scheme: tls === "mandatory" ? "smtp+tls" : "smtp",
    tls,
    verify: action.tls === "verify",
    lmtp: false,
    port: 25,
    label: "",
  });
}

/** Returns the target of mail to the smarthost of an action; `text` is its URL, null when it cannot be had. The reasons for a refusal are temporary: the administrator will see and mend them. */
export function smarthostTarget(action: RelayAction, text: string | null): TargetResult {
  if (text === null) return { ok: false, text: "cannot retrieve smarthost" };
  const url = parseRelayUrl(text);
  const refused = (why: string): TargetResult => ({ ok: false, text: `relay host ${withoutLabel(text)} ${why}` });
  if (url === null) return refused(relayUrlFault(text)!);
  if (url.label !== "" && action.auth === null) return refused("has a label, but its action no auth table");
  if (action.tls !== null && url.tls === "never") return refused(`never uses TLS, which its action asks for`);
  const tls = action.tls !== null && url.tls === "opportunistic" ? "mandatory" : url.tls;
  // smtp+tls and smtps ask for a certificate that verifies unless the action says otherwise.
  const implied = url.tls === "mandatory" || url.tls === "implicit";
  const target = finish(action, {
    domain: url.host,
    mx: false,
    literal: url.literal,
    scheme: tls === "mandatory" ? "smtp+tls" : url.scheme,
    tls,
    verify: action.tls === "verify" || (action.tls === null && implied),
    lmtp: url.lmtp,
    port: url.port,
    label: url.label,
  });
  return { ok: true, target };
}

/** The first of some smarthosts that can be used, and what stands behind it; or why none can. */
export type Usable =
  | { readonly ok: true; readonly target: Target; readonly others: readonly string[] }
  | { readonly ok: false; readonly text: string };

/**
 * Returns the first of these smarthosts of an action, as URLs, that can be used: one mistake in a list does not keep mail from the others. What
 * is wrong with the first one is said when none can.
 */
export function firstUsable(action: RelayAction, urls: readonly string[]): Usable {
  const first = smarthostTarget(action, urls[0] ?? null);
  if (first.ok) return { ok: true, target: first.target, others: urls.slice(1) };
  for (const [at, url] of urls.entries()) {
    const next = at === 0 ? first : smarthostTarget(action, url);
    if (next.ok) return { ok: true, target: next.target, others: urls.slice(at + 1) };
  }
  return first;
}

/** Returns the name that is said in EHLO to the host of a target. */
export function helloName({ source, action }: Pick<Target, "source" | "action">, serverName: string): string {
  return source?.helo ?? action.helo ?? serverName;
}

/** Returns the limits that hold for a target: those of its domain, where `mta limit for domain` has some, else those of `mta limit`. */
export function limitsFor(
  { limits, domainLimits }: Pick<RelaySettings, "limits" | "domainLimits">,
  { domain }: Pick<Target, "domain">,
): RelayLimits {
  // Anyone may name a domain, such as `constructor`.
  return Object.hasOwn(domainLimits, domain) ? domainLimits[domain]! : limits;
}

/** Senders read it, and people write passwords where the label stands. */
function withoutLabel(url: string): string {
  return JSON.stringify(url.slice(0, 256).replace(/^([^@/]*:\/\/)?.*@/s, "$1********@"));
}

/** Returns the label of a target as senders may read it: behind a colon stands a password that was put there by mistake. */
export function shownLabel({ label }: Pick<Target, "label">): string {
  return JSON.stringify(label.split(":", 1)[0]);
}

/** Takes why there are no credentials for the label of a target, null when they cannot be had now, and returns words for the log and the queue. */
export function credentialsLack(target: Pick<Target, "label" | "action">, lack: CredentialsLack | null): string {
  const label = shownLabel(target), table = `table <${target.action.auth}>`;
  if (lack === "label") return `${table} has no label ${label}`;
  if (lack === "form") return `${table}: the value of the label ${label} is no user:password`;
  return `${table} cannot be asked for the label ${label} now`;
}

/** Returns whether the administrator named the host; false where the recipient's domain did. */
export function isNamed({ action }: Target): boolean {
  return action.host !== null || action.domain !== null;
}

/** Returns the same target from a local address. */
export function fromSource(target: Target, source: RelaySource): Target {
  return { ...target, source, key: JSON.stringify([target.key, source.address, source.helo]) };
}

/** Returns the same target for messages with REQUIRETLS alone. */
export function requiringTls(target: Target): Target {
  const name = target.name.replace(/\]$/, ",requiretls]");
  return { ...target, requireTls: true, name, key: JSON.stringify([target.key, "REQUIRETLS"]) };
}

/** Returns the same target without this exchanger. */
export function avoiding(target: Target, address: string): Target {
  const name = target.name.replace(/\]$/, `,not=${address}]`);
  return { ...target, avoids: [...target.avoids, address], name, key: JSON.stringify([target.key, "NOT", address]) };
}

type Parts = Omit<Target, "key" | "relayKey" | "name" | "action" | "source" | "requireTls" | "avoids">;

function finish(action: RelayAction, parts: Parts): Target {
  const { domain, scheme, port, mx, literal, label } = parts;
  const usual = scheme === "smtps" ? 465 : 25;
  const auth = label === "" ? "" : `,auth=${action.auth}:${label}`;
  const name = `[relay:${domain},${scheme}${port === usual ? "" : `,port=${port}`}${auth}${mx ? ",mx" : ""}]`;
  // Two actions never share sessions: they may differ in everything that the sessions do.
  const key = JSON.stringify([action.name, domain, literal, mx, scheme, port, label]);
  return {
    ...parts,
    action,
    name,
    source: null,
    requireTls: false,
    avoids: [],
    key,
    relayKey: key,
  };
}
