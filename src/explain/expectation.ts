/**
 * A recorded letter: a message with lines in front that say how it came and what became of it. `smtpctl explain --record` writes one, `smtpd -n --expect`
 * reads it. The format is documented in smtpd(8).
 */

import { Buffer } from "node:buffer";
import type { Confirmed, DnsKind } from "../protocol/mod.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";
import type { RecipientResult } from "./explain.ts";
import { MAX_ORDERED_RECIPIENTS, type Order } from "./order.ts";
import { type DnsRecording, MAX_RECORDINGS } from "./recorded_dns.ts";

/** One recipient with what is expected: a text, "accepted", "refused", or the code of a reply. Null: nothing is. */
export interface Expected {
  readonly recipient: string;
  readonly result: string | null;
}

export interface Letter {
  readonly order: Order;
  readonly expected: readonly Expected[];
  /** Milliseconds since the epoch: when it is taken to come. */
  readonly at: number;
  readonly dns: readonly DnsRecording[];
  readonly message: Uint8Array;
}

/** The version of the format. */
const VERSION = "1";
/** Octets of the lines in front, and of one line of them, at most. */
const MAX_BLOCK_OCTETS = 4 * 2 ** 20, MAX_LINE_OCTETS = 65_536;
const PREFIX = "X-Expect";

/** Returns the letter as the octets of a file. */
export function formatLetter(
  { order, at, dns, message }: Omit<Letter, "expected">,
  results: readonly RecipientResult[],
): Uint8Array {
  const lines: string[] = [`${PREFIX}: ${VERSION}`];
  const put = (name: string, value: string | null) => {
    if (value !== null) lines.push(`${PREFIX}-${name}: ${oneLine(value)}`);
  };
  put("Time", new Date(at).toISOString());
  put("Listener", order.listener);
  put("Peer", order.peer);
  if (order.peerName !== null) put("Peer-Name", `${order.peerName.hostname} ${order.peerName.confirmed}`);
  put("Helo", order.helo);
  put("TLS", order.tls ? "yes" : null);
  put("Login", order.login);
  put("From", `<${order.sender}>`);
  for (const { recipient, text } of results) put("To", `<${recipient}> ${text}`);
  for (const { kind, name, answer } of dns) put("DNS", `${kind} ${name} ${asciiJson(answer)}`);
  return Buffer.concat([Buffer.from(lines.join("\n") + "\n"), message]);
}

/** What a reply or an address has in it that no line may. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\0-\x1f\x7f]+/g, " ");
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Returns whether a message has the lines of a letter in front. */
export function isLetter(message: Uint8Array): boolean {
  return Buffer.from(message.subarray(0, PREFIX.length)).toString("latin1").toLowerCase() === PREFIX.toLowerCase();
}

/** Returns what a file holds, or a sentence that says what is wrong with it. Never throws. */
export function parseLetter(octets: Uint8Array): Letter | string {
  const fields: (readonly [name: string, value: string])[] = [];
  let at = 0;
  for (let number = 1;; number++) {
    const end = octets.indexOf(0x0a, at);
    const line = Buffer.from(
      octets.buffer,
      octets.byteOffset + at,
      Math.min(end < 0 ? octets.length : end, at + MAX_LINE_OCTETS + 1) - at,
    );
    const isField = line.subarray(0, PREFIX.length).toString("latin1").toLowerCase() === PREFIX.toLowerCase();
    if (!isField) break;
    if (end < 0 || line.length > MAX_LINE_OCTETS || end > MAX_BLOCK_OCTETS) {
      return `line ${number} is too long, or has no end`;
    }
    const match = /^X-Expect(?:-([A-Za-z-]+))?:[ \t]*(.*?)[ \t\r]*$/i.exec(line.toString());
    if (match === null) return `line ${number} is no field ${PREFIX}-NAME: VALUE`;
    fields.push([(match[1] ?? "").toLowerCase(), match[2]!]);
    at = end + 1;
  }
  if (fields.length === 0) {
    return `it has no line "${PREFIX}: ${VERSION}" in front: smtpctl explain --record writes such files`;
  }
  return letterOf(fields, octets.subarray(at));
}

const SINGLE = ["", "time", "listener", "peer", "peer-name", "helo", "tls", "login", "from"];

function letterOf(fields: readonly (readonly [string, string])[], message: Uint8Array): Letter | string {
  const single = new Map<string, string>(), expected: Expected[] = [], dns: DnsRecording[] = [];
  for (const [name, value] of fields) {
    if (name === "to") {
      const read = expectedOf(value);
      if (read === null) return `${PREFIX}-To: ${value}: write <ADDRESS> and what is expected of it`;
      expected.push(read);
    } else if (name === "dns") {
      const read = recordingOf(value);
      if (read === null) return `${PREFIX}-DNS: ${value.slice(0, 80)}: it is no recorded answer`;
      dns.push(read);
    } else if (!SINGLE.includes(name)) return `there is no field ${PREFIX}-${name}`;
    else if (single.has(name)) return `${PREFIX}${name === "" ? "" : `-${name}`} is there twice`;
    else single.set(name, value);
  }
  const version = single.get("");
  if (version !== VERSION) {
    return version === undefined
      ? `it has no line "${PREFIX}: ${VERSION}"`
      : `${PREFIX}: ${version}: this is a format of another version, known is ${VERSION}`;
  }
  if (expected.length === 0) return `it has no ${PREFIX}-To: nothing is expected of it`;
  if (expected.length > MAX_ORDERED_RECIPIENTS || dns.length > MAX_RECORDINGS) {
    return "it names too many recipients or answers";
  }
  const order = orderOf(single, expected);
  if (typeof order === "string") return order;
  const at = single.has("time") ? Date.parse(single.get("time")!) : 0;
  if (Number.isNaN(at)) return `${PREFIX}-Time: ${single.get("time")}: it is no time such as 2026-01-31T12:00:00Z`;
  return { order, expected, at, dns, message };
}

function orderOf(single: ReadonlyMap<string, string>, expected: readonly Expected[]): Order | string {
  const tls = single.get("tls") ?? "no", from = /^<(.*)>$/.exec(single.get("from") ?? "<>");
  if (tls !== "yes" && tls !== "no") return `${PREFIX}-TLS: ${tls}: write yes or no`;
  if (from === null) return `${PREFIX}-From: ${single.get("from")}: write the sender as <ADDRESS>, or <> for none`;
  const name = single.get("peer-name");
  const [, hostname, confirmed] = /^(\S+)(?: +(pass|fail|error|temporary))?$/.exec(name ?? "") ?? [];
  if (name !== undefined && hostname === undefined) {
    return `${PREFIX}-Peer-Name: ${name}: write a name, and pass or fail`;
  }
  return {
    listener: single.get("listener") ?? null,
    peer: single.get("peer") ?? null,
    peerName: hostname === undefined ? null : { hostname, confirmed: (confirmed ?? "pass") as Confirmed },
    helo: single.get("helo") ?? null,
    tls: tls === "yes",
    login: single.get("login") ?? null,
    sender: from[1]!,
    recipients: expected.map(({ recipient }) => recipient),
  };
}

/** Brackets may stand in quotes, RFC 5321 §4.1.2; an address that is none may have one quote. */
const TO = /^<((?:"(?:[^"\\]|\\.)*"|[^<>"])+)>[ \t]*(.*)$/, ANY_TO = /^<([^<>]+)>[ \t]*(.*)$/;

function expectedOf(value: string): Expected | null {
  const [, recipient, result] = TO.exec(value) ?? ANY_TO.exec(value) ?? [];
  return recipient === undefined ? null : { recipient, result: result === "" ? null : result! };
}

const KINDS: readonly DnsKind[] = ["txt", "a", "aaaa", "mx", "ptr"];

function recordingOf(value: string): DnsRecording | null {
  const [, word, name, json] = /^(\S+) (\S+) (.*)$/.exec(value) ?? [];
  const kind = KINDS.find((one) => one === word?.toLowerCase());
  if (kind === undefined) return null;
  try {
    const answer = answerOf(JSON.parse(json!));
    return answer === null ? null : { kind, name: name!, answer };
  } catch {
    return null;
  }
}

function answerOf(value: unknown): DnsAnswer<string> | null {
  if (typeof value !== "object" || value === null) return null;
  const { kind, records, exists } = value as {
    readonly kind?: unknown;
    readonly records?: unknown;
    readonly exists?: unknown;
  };
  if (kind === "temporary") return { kind };
  if (kind === "none") return { kind, exists: exists === true };
  const texts = Array.isArray(records) && records.length > 0 && records.every((one) => typeof one === "string");
  return kind === "records" && texts ? { kind, records: records as string[] } : null;
}

/** Is this what was expected? A word stands for many results, a text for itself. */
export function isExpected({ result: wanted }: Expected, { text }: RecipientResult): boolean {
  const refused = /^[45]\d\d /.test(text) || text.startsWith("the connection is closed");
  switch (wanted) {
    case null:
      return true;
    case "accepted":
      return !refused;
    case "refused":
      return refused;
    default:
      return /^[245]\d\d$/.test(wanted) ? text.startsWith(`${wanted} `) : oneLine(text) === wanted;
  }
}
