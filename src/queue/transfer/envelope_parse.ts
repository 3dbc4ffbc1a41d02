/**
 * Reads the text form of an envelope: the files of OpenSMTPD's spool and those of `smtpctl export`. The inverse of envelope_text.ts. Pure.
 */

import {
  type Agent,
  type DsnContent,
  type DsnParameters,
  type Envelope,
  type EnvelopeId,
  type Handling,
  type MailAuth,
  type Mailbox,
  NOTIFY,
  parseMailAuth,
  type Status,
} from "../../envelope/mod.ts";
import { formatEnvelope } from "./envelope_text.ts";
import { copyEnvelope } from "../validate_envelope.ts";

/** What files of other programs do not have: fields that the text form does not have, as JSON. */
const MORE = "vaultpost";
const KEYS = new Set([
  ...["version", "dispatcher", "tag", "type", "smtpname", "helo", "hostname", "username", "errorline", "sockaddr"],
  ...["sender", "rcpt", "dest", "ctime", "last-try", "last-bounce", "ttl", "retry", "flags"],
  ...["dsn-notify", "dsn-ret", "dsn-envid", "dsn-orcpt", "esc-class", "esc-code"],
  ...["mda-exec", "mda-subaddress", "mda-user", "bounce-ttl", "bounce-delay", "bounce-type", "mail-auth", MORE],
]);
const FLAGS = new Set([
  ...["authenticated", "bounce", "internal", "smtputf8", "require-tls", "tls-optional"],
  // Of older spools; says nothing.
  "enqueued",
]);
const VERSION = "3";
/** Octets of an envelope file at most. */
export const MAX_ENVELOPE_BYTES = 64 * 1024;
const DAY_SECONDS = 86_400;

/** Why a text is not an envelope. */
export class NotAnEnvelope extends Error {}

/** The text form with everything that an import needs to make the same envelope. */
export function exportEnvelope(envelope: Envelope, ttlSeconds: number): string {
  const text = formatEnvelope(envelope, ttlSeconds);
  const parsed = parseEnvelope(envelope.id, text) as unknown as Record<string, unknown>;
  const more = Object.entries(envelope).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(parsed[key]));
  return more.length === 0 ? text : `${text}${MORE}: ${JSON.stringify(Object.fromEntries(more))}\n`;
}

/** Returns the envelope in `text`. Its time to live is that of the configuration. Throws NotAnEnvelope. */
export function parseEnvelope(id: EnvelopeId, text: string): Envelope {
  const fields = readFields(text);
  if (fields.text("version") !== VERSION) throw new NotAnEnvelope(`Its version is not ${VERSION}`);
  const agent = fields.agent();
  const flags = fields.flags();
  const status = fields.status();
  const envelope: Envelope = {
    id,
    sender: fields.text("sender") === "@" ? null : fields.mailbox("sender"),
    rcpt: fields.mailbox("rcpt"),
    dest: fields.mailbox("dest"),
    origin: {
      address: fields.needed("sockaddr"),
      hostname: fields.needed("hostname"),
      helo: fields.needed("helo"),
      smtpname: fields.text("smtpname"),
      tag: fields.text("tag"),
      username: fields.text("username"),
      authenticated: flags.has("authenticated"),
    },
    dsn: fields.dsn(),
    action: agent === "bounce" ? "" : fields.needed("dispatcher"),
    agent,
    internal: flags.has("internal"),
    createdAt: fields.number("ctime") * 1000,
    ...(agent === "mda"
      ? { user: fields.needed("mda-user"), subAddress: fields.text("mda-subaddress"), exec: fields.text("mda-exec") }
      : {}),
    ...handlingOf(flags),
    ...fields.mailAuth(),
    ...(agent === "bounce" ? { bounce: fields.bounce(status) } : {}),
    tries: fields.number("retry"),
    lastTryAt: fields.number("last-try") * 1000,
    lastBounceAt: fields.number("last-bounce") * 1000,
    errorLine: agent === "bounce" ? "" : fields.text("errorline"),
    status: agent === "bounce" ? null : status,
    suspended: false,
  };
  const sound = copyEnvelope({ ...envelope, ...fields.more(), id });
  if (sound === null) throw new NotAnEnvelope("A value in it cannot be");
  return sound;
}

function handlingOf(flags: ReadonlySet<string>): { handling?: Handling } {
  const handling: Handling = {
    ...(flags.has("smtputf8") ? { smtpUtf8: true } : {}),
    ...(flags.has("require-tls") ? { requireTls: true } : {}),
    ...(flags.has("tls-optional") ? { tlsOptional: true } : {}),
  };
  return Object.keys(handling).length === 0 ? {} : { handling };
}

function readFields(text: string): Fields {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, name, value] = /^([A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
    const key = name?.toLowerCase();
    if (key === undefined || !KEYS.has(key)) throw new NotAnEnvelope(`There is no such line: "${line.slice(0, 60)}"`);
    if (values.has(key)) throw new NotAnEnvelope(`"${key}" comes twice`);
    values.set(key, value!);
  }
  return new Fields(values);
}

class Fields {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  text(key: string): string {
    return this.#values.get(key) ?? "";
  }

  needed(key: string): string {
    const value = this.text(key);
    if (value === "") throw new NotAnEnvelope(`"${key}" is missing`);
    return value;
  }

  number(key: string): number {
    const value = this.text(key);
    if (!/^\d{0,15}$/.test(value)) throw new NotAnEnvelope(`"${key}" is not a number`);
    return Number(value);
  }

  mailAuth(): { readonly mailAuth?: MailAuth } {
    const value = this.text("mail-auth");
    const mailAuth = value === "" ? undefined : parseMailAuth(value);
    if (mailAuth === null) throw new NotAnEnvelope(`"mail-auth" is not a list of results`);
    return mailAuth === undefined ? {} : { mailAuth };
  }

  mailbox(key: string): Mailbox {
    const value = this.needed(key), at = value.lastIndexOf("@");
    if (at < 0) throw new NotAnEnvelope(`"${key}" is not an address`);
    return { local: value.slice(0, at), domain: value.slice(at + 1) };
  }

  agent(): Agent {
    const type = this.text("type");
    if (type !== "mda" && type !== "mta" && type !== "bounce") throw new NotAnEnvelope('"type" is unknown');
    return type;
  }

  flags(): ReadonlySet<string> {
    const flags = this.text("flags").split(/[ ,|]+/).filter((flag) => flag !== "");
    const strange = flags.find((flag) => !FLAGS.has(flag));
    if (strange !== undefined) throw new NotAnEnvelope(`There is no flag "${strange}"`);
    return new Set(flags);
  }

  dsn(): DsnParameters {
    const ret = this.text("dsn-ret"), orcpt = this.text("dsn-orcpt"), notify = this.number("dsn-notify");
    const all = NOTIFY.SUCCESS | NOTIFY.FAILURE | NOTIFY.DELAY | NOTIFY.NEVER;
    if (ret !== "" && ret !== "FULL" && ret !== "HDRS") throw new NotAnEnvelope('"dsn-ret" is unknown');
    if (notify > all) throw new NotAnEnvelope('"dsn-notify" is unknown');
    // OpenSMTPD keeps the address alone. RFC 3461 §4.2: the type of address comes first.
    return { notify, ret, envid: this.text("dsn-envid"), orcpt: /^$|;/.test(orcpt) ? orcpt : `rfc822;${orcpt}` };
  }

  status(): Status | null {
    const code = this.number("esc-code");
    switch (this.number("esc-class")) {
      case 0:
        return null;
      case 2:
        return { class: 2, code: dotted(code) };
      case 4:
        return { class: 4, code: dotted(code) };
      case 5:
        return { class: 5, code: dotted(code) };
      default:
        throw new NotAnEnvelope('"esc-class" is unknown');
    }
  }

  bounce(status: Status | null): DsnContent {
    const text = this.text("errorline"), ttlSeconds = this.number("bounce-ttl") || 4 * DAY_SECONDS;
    switch (this.text("bounce-type")) {
      case "failed":
      case "error":
        return { kind: "failed", text, status: status ?? { class: 5, code: "0.0" }, ttlSeconds };
      case "delayed":
      case "warn": {
        const delaySeconds = this.number("bounce-delay");
        return { kind: "delayed", text, status: status ?? { class: 4, code: "0.0" }, delaySeconds, ttlSeconds };
      }
      case "delivered":
      case "dsn":
        return { kind: "delivered", text, status: status ?? { class: 2, code: "0.0" }, ttlSeconds };
      default:
        throw new NotAnEnvelope('"bounce-type" is unknown');
    }
  }

  more(): Partial<Envelope> {
    const text = this.text(MORE);
    if (text === "") return {};
    try {
      const more: unknown = JSON.parse(text);
      if (typeof more === "object" && more !== null && !Array.isArray(more)) return more;
    } catch {
      // Not JSON.
    }
    throw new NotAnEnvelope(`"${MORE}" cannot be read`);
  }
}

/** 47 is "4.7": subject and detail of RFC 3463. */
function dotted(code: number): string {
  return `${Math.floor(code / 10)}.${code % 10}`;
}
