/**
 * Parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), AUTH (RFC 4954 §5), RET, ENVID, NOTIFY and ORCPT (RFC 3461), SMTPUTF8
 * (RFC 6531), REQUIRETLS (RFC 8689).
 */

import { isAscii, NOTIFY } from "../../envelope/mod.ts";
import { duplicateOption, REPLY, unsupportedOption } from "./reply.ts";

/** RFC 3461 §4.4 and §4.2. */
export const MAX_ENVID_CHARACTERS = 100;
export const MAX_ORCPT_CHARACTERS = 500;

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reply: string };

export interface MailParameters {
  /** Announced octets, 0 for none. */
  readonly size: number;
  readonly ret: "FULL" | "HDRS" | "";
  readonly envid: string;
  readonly smtpUtf8: boolean;
  readonly requireTls: boolean;
  /** BODY=8BITMIME. */
  readonly eightBit: boolean;
}

export interface RcptParameters {
  readonly notify: number;
  readonly orcpt: string;
}

/** What of the parameters of MAIL depends on the listener and the session. */
export interface MailRules {
  /** False on a listener with `no-dsn`. */
  readonly dsn: boolean;
  readonly maxBytes: number;
  readonly tls: boolean;
}

/** And of those of RCPT. `smtpUtf8`: MAIL was given with it. */
export interface RcptRules {
  readonly dsn: boolean;
  readonly smtpUtf8: boolean;
}

const PLAIN_MAIL: MailParameters = { size: 0, ret: "", envid: "", smtpUtf8: false, requireTls: false, eightBit: false };
const NO_MAIL: Parsed<MailParameters> = { ok: true, value: PLAIN_MAIL };
const NO_RCPT: Parsed<RcptParameters> = { ok: true, value: { notify: 0, orcpt: "" } };

/** RFC 3461 §4: printable ASCII but `+` and `=`, and `+XX` in upper-case hexadecimal. We take lower-case too. */
function isXtext(text: string): boolean {
  return /^(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*$/.test(text);
}

/** RFC 6533 §3: an address in UTF-8 as it is, with SMTPUTF8, or with `\x{…}` for what is not ASCII. */
function isUtf8Address(text: string, { smtpUtf8 }: RcptRules): boolean {
  if (!/^(?:[!-*,-<>-\[\]^-~\u00a0-\u{10ffff}]|\\x\{[0-9A-Fa-f]{2,6}\}|\+[0-9A-Fa-f]{2})+$/u.test(text)) return false;
  return smtpUtf8 ? !text.includes("\ufffd") : isAscii(text);
}

function refuse(reply: string): { readonly ok: false; readonly reply: string } {
  return { ok: false, reply };
}

interface Option {
  /** In upper case. */
  readonly keyword: string;
  /** "" without one. */
  readonly value: string;
  readonly written: string;
}

/** What follows a path, one option a word. A keyword that comes twice means nothing that both sides can know: it is refused. */
function options(rest: string): Parsed<readonly Option[]> {
  const found: Option[] = [];
  for (const written of rest.split(/[ \t]+/)) {
    if (written === "") continue;
    const equals = written.indexOf("=");
    const keyword = (equals === -1 ? written : written.slice(0, equals)).toUpperCase();
    if (found.some((one) => one.keyword === keyword)) return refuse(duplicateOption(keyword));
    found.push({ keyword, value: equals === -1 ? "" : written.slice(equals + 1), written });
  }
  return { ok: true, value: found };
}

/** What follows the path of MAIL. */
export function mailParameters(rest: string, rules: MailRules): Parsed<MailParameters> {
  if (rest === "") return NO_MAIL;
  const words = options(rest);
  if (!words.ok) return words;
  let value = PLAIN_MAIL;
  for (const option of words.value) {
    const change = mailOption(option, rules);
    if (typeof change === "string") return refuse(change);
    value = { ...value, ...change };
  }
  return { ok: true, value };
}

/** What one option of MAIL sets, or the reply that refuses it. */
function mailOption({ keyword, value, written }: Option, rules: MailRules): Partial<MailParameters> | string {
  switch (keyword) {
    case "SIZE":
      // RFC 1870 §3: up to 20 digits; more than a number holds is too big anyway.
      if (!/^[0-9]{1,20}$/.test(value)) return REPLY.badSize;
      // RFC 1870 §6.1 lets a server refuse at once what it will not take.
      return Number(value) > rules.maxBytes ? REPLY.tooBigAnnounced : { size: Number(value) };
    case "BODY":
      // RFC 6152 §3. BINARYMIME (RFC 3030 §3) is not offered: mail is kept in lines.
      if (/^7BIT$/i.test(value)) return {};
      return /^8BITMIME$/i.test(value) ? { eightBit: true } : unsupportedOption(written);
    case "AUTH":
      // RFC 4954 §5: `<>` or an address in xtext. The value is not used.
      return value !== "" && isXtext(value) ? {} : REPLY.badAuthParameter;
    case "SMTPUTF8":
      return written.includes("=") ? REPLY.noValue : { smtpUtf8: true };
    case "REQUIRETLS":
      if (written.includes("=")) return REPLY.noValue;
      // RFC 8689 §2: only under TLS, where alone it is offered.
      return rules.tls ? { requireTls: true } : REPLY.requireTlsInClear;
    case "RET":
      if (!rules.dsn) return unsupportedOption(written);
      return /^(?:FULL|HDRS)$/i.test(value) ? { ret: value.toUpperCase() as "FULL" | "HDRS" } : REPLY.badRet;
    case "ENVID":
      if (!rules.dsn) return unsupportedOption(written);
      if (value.length > MAX_ENVID_CHARACTERS) return REPLY.longEnvid;
      return isXtext(value) ? { envid: value } : REPLY.badEnvid;
    default:
      return unsupportedOption(written);
  }
}

/** What follows the path of RCPT. */
export function rcptParameters(rest: string, rules: RcptRules): Parsed<RcptParameters> {
  if (rest === "") return NO_RCPT;
  const words = options(rest);
  if (!words.ok) return words;
  let notify = 0;
  let orcpt = "";
  for (const { keyword, value, written } of words.value) {
    if (keyword === "NOTIFY" && rules.dsn) {
      const parsed = notifyBits(value);
      if (!parsed.ok) return parsed;
      notify = parsed.value;
    } else if (keyword === "ORCPT" && rules.dsn) {
      if (!isOriginalRecipient(value, rules)) return refuse(REPLY.badOrcpt);
      orcpt = value;
    } else return refuse(unsupportedOption(written));
  }
  return { ok: true, value: { notify, orcpt } };
}

/** `addr-type;address` of RFC 3461 §4.2. The type is an atom: it goes into a bounce's header as it stands. */
function isOriginalRecipient(value: string, rules: RcptRules): boolean {
  const semicolon = value.indexOf(";");
  if (value.length > MAX_ORCPT_CHARACTERS || semicolon < 1) return false;
  const type = value.slice(0, semicolon);
  const address = value.slice(semicolon + 1);
  if (/^utf-8$/i.test(type)) return isUtf8Address(address, rules);
  return /^[A-Za-z0-9-]+$/.test(type) && isXtext(address);
}

function notifyBits(value: string): Parsed<number> {
  let bits = 0;
  for (const word of value.toUpperCase().split(",")) {
    if (word !== "SUCCESS" && word !== "FAILURE" && word !== "DELAY" && word !== "NEVER") {
      return refuse(REPLY.badNotify);
    }
    bits |= NOTIFY[word];
  }
  // RFC 3461 §4.1: NEVER stands alone.
  if ((bits & NOTIFY.NEVER) !== 0 && bits !== NOTIFY.NEVER) return refuse(REPLY.mixedNever);
  return { ok: true, value: bits };
}
