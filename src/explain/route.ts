/** Tells what the relay would do with an envelope: the hosts and their order, TLS, login, limits, the sender and the extensions, as steps. */

import type { Config, RelayLimits, SourceLine } from "../config/mod.ts";
import { DEFAULT_RELAY_LIMITS } from "../config/defaults.ts";
import { type Limit, LIMITS } from "../config/limits.ts";
import { SET_PLACES } from "../config/source_line.ts";
import { type EnvelopeContent, formatMailbox, formatPath } from "../envelope/mod.ts";
import { formatDuration } from "../events/mod.ts";
import { hostPort } from "../net/mod.ts";
import type { RelaySettings } from "../protocol/mod.ts";
import { relayedSender } from "../relay/routes/sender.ts";
import { helloName, isNamed, shownLabel, type Target } from "../relay/routes/target.ts";
import type { JudgedHost, LeftOut } from "../relay/routes/mx.ts";
import {
  type Capabilities,
  messageRefusal,
  NO_CAPABILITIES,
  type Peer,
  preparedMail,
  recipientRefusal,
  type Refusal,
  sizeRefusal,
  type Wire,
} from "../smtp_client/mod.ts";
import { type Leg, planRoute, type RoutePlan, type RoutePorts, type Try } from "./route_plan.ts";
import type { Step } from "./step.ts";
import { destinationName } from "./tree.ts";

export interface RouteDeps extends RoutePorts {
  readonly settings: Pick<RelaySettings, "shared" | "actions" | "limits" | "domainLimits" | "srs">;
  readonly config: Pick<Config, "declared">;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A host that offers all that there is, at no limit. */
const ALL_CAPABILITIES: Capabilities = {
  startTls: true,
  pipelining: true,
  dsn: true,
  eightBitMime: true,
  smtpUtf8: true,
  requireTls: true,
  auth: ["PLAIN"],
  size: 0,
  mailMax: null,
  rcptMax: null,
};

/** Connections that one line names. */
const MAX_NAMED_TRIES = 10;

/** Returns what the relay would do with an envelope of agent `mta`, whose message is as `wire` says. Never rejects but as the ports do. */
export async function explainRoute(envelope: EnvelopeContent, wire: Wire, deps: RouteDeps): Promise<Step> {
  const plan = await planRoute(envelope, deps);
  const { declared } = deps.config;
  const at = declared[`action ${envelope.action}`];
  const children = [
    ...plan.action === null ? [] : [senderStep(envelope, plan, deps)],
    ...turnSteps(plan),
    ...plan.legs.flatMap((leg) => legSteps(leg, deps)),
    ...plan.end === null ? [] : [endStep(plan.end)],
    ...plan.end === null ? [...extensionSteps(envelope, wire, deps), ...filterSteps(plan)] : [],
  ];
  const text = `${destinationName(envelope)} is relayed by the action "${envelope.action}"`;
  return { kind: "relay", ...placed(at), text, children };
}

function placed(where: SourceLine | undefined): Pick<Step, "where"> {
  return where === undefined ? {} : { where };
}

// ── the sender ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function senderStep(envelope: EnvelopeContent, { action }: RoutePlan, { settings, config, now }: RouteDeps): Step {
  const { mailFrom, srs } = action!;
  const sender = relayedSender(envelope, action!, settings.srs ?? null, now());
  const plain = relayedSender(envelope, { mailFrom, srs: false }, null, 0);
  const from = plain === formatPath(envelope.sender).replace(/^<|>$/g, "") ? "" : " by mail-from of the action";
  const rewritten = sender === plain ? from : " rewritten by SRS, since the mail was forwarded";
  const why = rewritten === "" ? "" : `,${rewritten}`;
  const where = sender === plain ? undefined : config.declared[SET_PLACES.srs];
  return { kind: "sender", ...placed(where), text: `the sender is <${sender}>${why}`, detail: { sender, srs } };
}

// ── the hosts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Lists are gone through in turn: another message begins with another of them. */
function turnSteps({ action, legs }: RoutePlan): Step[] {
  const hosts = new Set(legs.map(({ target }) => target.relayKey)).size;
  const sources = new Set(legs.map(({ target }) => target.source?.address)).size;
  const lists = [...action?.host != null && hosts > 1 ? ["hosts"] : [], ...sources > 1 ? ["local addresses"] : []];
  if (lists.length === 0) return [];
  return [{
    kind: "turns",
    text: `its ${lists.join(" and ")} take turns: the next message begins with the next of them`,
  }];
}

/** Steps of the way to one host that was named, or to the hosts of a domain. */
function legSteps(leg: Leg, deps: RouteDeps): Step[] {
  const { target, found, tries } = leg;
  const hosts = hostSteps(leg);
  const failed: Step[] = found.ok ? [] : [{
    kind: "no-host",
    text: `${found.text} (${found.enhanced}, ${resultWords(found.result)})`,
    detail: { result: found.result, status: found.enhanced, text: found.text },
  }];
  const empty: Step[] = found.ok && tries.length === 0
    ? [{ kind: "no-host", text: `no host has an address that can be used ${familyWords(leg)}` }]
    : [];
  const how = [...tries.length === 0 ? [] : [triesStep(leg)], sourceStep(target, deps), tlsStep(target, deps)];
  const detail = { domain: target.domain, port: target.port, mx: target.mx, scheme: target.scheme };
  return [{
    kind: isNamed(target) ? "smarthost" : "mx",
    text: wayWords(leg),
    detail,
    children: [
      ...hosts,
      ...unlistedSteps(leg, deps),
      ...failed,
      ...empty,
      ...how,
      ...loginSteps(leg),
      limitsStep(leg, deps),
    ],
  }];
}

/** A backup that nobody knows gets no mail for the domain. */
function unlistedSteps({ target: { action, domain }, found }: Leg, { settings }: RouteDeps): Step[] {
  if (!found.ok || found.unlisted !== true) return [];
  const name = action.backup?.mx ?? settings.shared.serverName;
  return [{
    kind: "warning",
    text: `this host is a backup, but ${name} is not among the mail exchangers of ${domain}`,
  }];
}

function wayWords({ target, survey }: Leg): string {
  const { action, domain, port, literal } = target;
  const from = target.source === null ? "" : `, from ${target.source.address}`;
  if (isNamed(target)) {
    const table = action.host ?? action.domain!;
    // One that is written in the action has a table that nobody has named.
    const who = table.startsWith("<") ? "the action" : `table <${table}>`;
    return `the host is ${hostPort({ host: domain, port })}, as ${who} says${from}`;
  }
  if (literal || survey?.kind === "literal") return `the domain is the address ${domain}${from}`;
  if (survey?.kind === "implicit") return `${domain} has no MX: its own addresses take the mail${from}`;
  const alias = survey?.kind === "records" && survey.canonical !== undefined ? ` (a CNAME of ${survey.canonical})` : "";
  return `the mail of ${domain}${alias} goes by its MX records${from}`;
}

function resultWords(result: "tempfail" | "permfail"): string {
  return result === "tempfail" ? "tried again later" : "returned to the sender";
}

function familyWords({ target, limits }: Leg): string {
  if (target.source !== null) return `from ${target.source.address}`;
  return limits.family === null ? "" : `by inet${limits.family}`;
}

const LEFT_OUT: Readonly<Record<LeftOut, string>> = {
  "no-mail": "it takes no mail (null MX, RFC 7505)",
  "too-many": "only the first 20 hosts of a domain are asked for",
  own: "it is this host, and mail must not come back to it (RFC 5321 §5.1)",
  behind: "it is not preferred to this host (RFC 5321 §5.1)",
  "no-address": "it has no address",
  temporary: "its addresses cannot be looked up now",
};

function hostSteps({ hosts, survey }: Leg): Step[] {
  if (survey?.kind === "host" || survey?.kind === "implicit") {
    const { addresses } = survey;
    return addresses.ok
      ? [{
        kind: "host",
        text: `its addresses${aliasWords(addresses)}: ${addresses.records.join(", ")}`,
        detail: { addresses: [...addresses.records] },
      }]
      : [];
  }
  return hosts.map((host) => ({
    kind: "host",
    text: hostText(host),
    detail: {
      host: host.exchange,
      preference: host.preference,
      addresses: host.addresses?.ok ? [...host.addresses.records] : [],
      leftOut: host.leftOut,
    },
  }));
}

/** A name that stands for another, and has its records. */
function aliasWords({ canonical }: { readonly canonical?: string }): string {
  return canonical === undefined ? "" : ` by its CNAME ${canonical}`;
}

function hostText({ exchange, preference, addresses, leftOut }: JudgedHost): string {
  const name = exchange === "" ? "." : exchange;
  const shown = addresses?.ok && addresses.records.length > 0 ? ` (${addresses.records.join(", ")})` : "";
  const alias = addresses?.ok ? aliasWords(addresses) : "";
  return `MX ${preference} ${name}${shown}${alias}${leftOut === null ? "" : `: left out, ${LEFT_OUT[leftOut]}`}`;
}

function triesStep({ tries, target }: Leg): Step {
  const more = tries.length - MAX_NAMED_TRIES;
  const text = tries.slice(0, MAX_NAMED_TRIES).map((one) => tryWords(one, target)).join(", then ") +
    (more > 0 ? `, and ${more} more` : "");
  const equal = new Set(tries.map(({ exchanger }) => exchanger.preference)).size < tries.length;
  return {
    kind: "tries",
    text: `tried in this order until one takes it: ${text}${equal ? "; among equals one at random goes first" : ""}`,
    detail: {
      tries: tries.map(({ exchanger, afterMs }) => ({ ...exchanger, port: target.port, afterSeconds: afterMs / 1000 })),
    },
  };
}

function tryWords({ exchanger: { host, address }, afterMs }: Try, { port }: Target): string {
  const name = host === address ? "" : `${host} `;
  const wait = afterMs === 0 ? "" : ` (after ${formatDuration(Math.ceil(afterMs / 1000))})`;
  return `${name}${hostPort({ host: address, port })}${wait}`;
}

function sourceStep(target: Target, { settings: { shared } }: RouteDeps): Step {
  const { source, lmtp } = target;
  const name = helloName(target, shared.serverName);
  const from = source === null ? "any address of this host" : `the address ${source.address}`;
  return {
    kind: "source",
    text: `from ${from}, which says ${lmtp ? "LHLO" : "EHLO"} ${name}`,
    detail: { source: source?.address ?? null, helo: name, lmtp },
  };
}

// ── TLS and login ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function tlsStep(target: Target, { config: { declared } }: RouteDeps): Step {
  const { tls, verify, action } = target;
  const children: Step[] = [];
  if (action.pki !== null && tls !== "never") {
    children.push({
      kind: "pki",
      ...placed(declared[`pki ${action.pki}`]),
      text: `our certificate is that of pki "${action.pki}"`,
    });
  }
  if (action.ca !== null && tls !== "never") {
    children.push({
      kind: "ca",
      ...placed(declared[`ca ${action.ca}`]),
      text: `authorities are those of ca "${action.ca}"`,
    });
  }
  return {
    kind: "tls",
    text: tlsWords(target),
    detail: { tls, verify, protocols: action.protocols, pki: action.pki, ca: action.ca },
    children,
  };
}

function tlsWords({ tls, verify, action }: Target): string {
  const which = verify ? "with a certificate that is valid for the name of the host" : "with any certificate";
  const versions = action.protocols === null ? "" : `, protocols ${action.protocols}`;
  switch (tls) {
    case "never":
      return "TLS: never, the mail goes in clear";
    case "opportunistic":
      return `TLS: by STARTTLS where the host offers it, with any certificate${versions}; in clear where it does not, or where TLS fails`;
    case "mandatory":
      return `TLS: required, by STARTTLS, ${which}${versions}; a host without it gets no mail`;
    case "implicit":
      return `TLS: required, from the first octet (smtps), ${which}${versions}`;
  }
}

function loginSteps({ target, lack }: Leg): Step[] {
  if (target.label === "") return [];
  const label = shownLabel(target), table = target.action.auth;
  const text = lack === null
    ? `logs in with the credentials of the label ${label} in table <${table}>`
    : `cannot log in: ${lack}`;
  return [{ kind: "login", text, detail: { label: target.label.split(":", 1)[0]!, table, found: lack === null } }];
}

// ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function limitsStep({ target: { domain }, limits }: Leg, { settings, config: { declared } }: RouteDeps): Step {
  const own = Object.hasOwn(settings.domainLimits, domain);
  const where = declared[own ? `${SET_PLACES.mtaLimitFor}${domain}` : SET_PLACES.mtaLimit];
  const rows: [string, Limit][] = Object.entries(LIMITS.mta);
  const changed = rows.flatMap(([key, { word }]) => {
    const value = limits[key as keyof RelayLimits];
    return value === DEFAULT_RELAY_LIMITS[key as keyof RelayLimits] ? [] : [`${word} ${value}`];
  });
  if (limits.family !== null) changed.unshift(`inet${limits.family}`);
  const whose = own ? `those of mta limit for domain ${domain}` : "those of mta limit";
  const text = changed.length === 0 ? "limits: the defaults of mta limit" : `limits: ${whose}: ${changed.join(", ")}`;
  const detail = Object.fromEntries(rows.map(([key]) => [key, limits[key as keyof RelayLimits]]));
  return { kind: "limits", ...placed(where), text, detail: { ...detail, family: limits.family } };
}

// ── the end, and what the message asks for ────────────────────────────────────────────────────────────────────────────────────

function endStep({ result, reason }: NonNullable<RoutePlan["end"]>): Step {
  const text = `no host is tried: ${reason.text}; ${resultWords(result)}`;
  return { kind: "end", text, detail: { result, text: reason.text, status: reason.enhanced ?? null } };
}

/** What one host would be sent: the MAIL command, or why the mail is returned. */
export function sentTo(
  envelope: EnvelopeContent,
  sender: string,
  wire: Wire,
  { capabilities, tls }: Peer,
): { readonly mail: string } | { readonly refusal: Refusal } {
  const { dsn: { ret, envid }, handling, dest } = envelope;
  const wanted = { sender, ret, envid, ...handling === undefined ? {} : { handling } };
  const address = formatMailbox(dest);
  const refusal = messageRefusal(wanted, { capabilities, tls }) ?? sizeRefusal(wire.octets, capabilities) ??
    recipientRefusal(address, capabilities);
  if (refusal !== null) return { refusal };
  return { mail: preparedMail(wanted, [address], capabilities, wire).line.trimEnd() };
}

/** Filters of an action take no part in a decision. */
function filterSteps({ action }: RoutePlan): Step[] {
  if (action?.filter == null) return [];
  return [{ kind: "filter", text: "the programs of its filter get a report of what is said" }];
}

function extensionSteps(envelope: EnvelopeContent, wire: Wire, { settings, now }: RouteDeps): Step[] {
  const action = settings.actions[envelope.action]!;
  const sender = relayedSender(envelope, action, settings.srs ?? null, now());
  const commandFor = (peer: Peer) => {
    const sent = sentTo(envelope, sender, wire, peer);
    return "mail" in sent ? sent.mail : `not sent: ${sent.refusal.text}, returned to the sender`;
  };
  const best = commandFor({ capabilities: ALL_CAPABILITIES, tls: { verified: true } });
  const least = commandFor({ capabilities: NO_CAPABILITIES, tls: null });
  const steps: Step[] = [{
    kind: "command",
    text: `a host that offers every extension is told ${best}`,
    detail: { command: best },
  }];
  if (least !== best) {
    const eight = wire.eightBit && least.startsWith("MAIL") ? ", and the octets beyond ASCII as they are" : "";
    steps.push({
      kind: "command",
      text: `a host that offers none is told ${least}${eight}`,
      detail: { command: least },
    });
  }
  if (envelope.handling?.requireTls === true) {
    steps.push({
      kind: "requiretls",
      text:
        "REQUIRETLS: only a host under TLS, with a certificate that is valid for its name, that offers REQUIRETLS itself gets it; else it is returned (5.7.30)",
    });
  }
  return steps;
}
