/** Parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), AUTH (RFC 4954 §5), RET, ENVID, NOTIFY and ORCPT (RFC 3461). */

import { NOTIFY } from "../envelope/mod.ts";
import { REPLY, unsupportedOption } from "./reply.ts";

/** RFC 3461 §4.4 and §4.2. */
export const MAX_ENVID = 100;
export const MAX_ORCPT = 500;

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reply: string };

export interface MailParameters {
  /** Announced octets, 0 for none. */
  readonly size: number;
  readonly ret: "FULL" | "HDRS" | "";
  readonly envid: string;
}

export interface RcptParameters {
  readonly notify: number;
  readonly orcpt: string;
}

const NO_MAIL: Parsed<MailParameters> = { ok: true, value: { size: 0, ret: "", envid: "" } };
const NO_RCPT: Parsed<RcptParameters> = { ok: true, value: { notify: 0, orcpt: "" } };

/** RFC 3461 §4: printable ASCII but `+` and `=`, and `+XX` in upper-case hexadecimal. We take lower-case too. */
function isXtext(text: string): boolean {
  return /^(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*$/.test(text);
}

function refuse(reply: string): { readonly ok: false; readonly reply: string } {
  return { ok: false, reply };
}

/** Keyword in upper case and value ("" without one) of each parameter. */
function* options(rest: string): Generator<[keyword: string, value: string, written: string]> {
  for (const written of rest.split(/[ \t]+/)) {
    if (written === "") continue;
    const equals = written.indexOf("=");
    if (equals === -1) yield [written.toUpperCase(), "", written];
    else yield [written.slice(0, equals).toUpperCase(), written.slice(equals + 1), written];
  }
}

/** What follows the path of MAIL. `dsn` is false on a listener with `no-dsn`. */
export function mailParameters(rest: string, dsn: boolean, maxBytes: number): Parsed<MailParameters> {
  if (rest === "") return NO_MAIL;
  let size = 0;
  let ret: MailParameters["ret"] = "";
  let envid = "";
  for (const [keyword, value, written] of options(rest)) {
    if (keyword === "SIZE") {
      // RFC 1870 §3: up to 20 digits; more than a number holds is too big anyway.
      if (!/^[0-9]{1,20}$/.test(value)) return refuse(REPLY.badSize);
      size = Number(value);
      // RFC 1870 §6.1 lets a server refuse at once what it will not take.
      if (size > maxBytes) return refuse(REPLY.tooBigAnnounced);
    } else if (keyword === "BODY") {
      if (!/^(?:7BIT|8BITMIME)$/i.test(value)) return refuse(unsupportedOption(written));
    } else if (keyword === "RET" && dsn) {
      if (/^FULL$/i.test(value)) ret = "FULL";
      else if (/^HDRS$/i.test(value)) ret = "HDRS";
    } else if (keyword === "ENVID" && dsn) {
      if (value.length > MAX_ENVID) return refuse(REPLY.longEnvid);
      if (!isXtext(value)) return refuse(REPLY.badEnvid);
      envid = value;
    } else if (keyword !== "AUTH") return refuse(unsupportedOption(written));
  }
  return { ok: true, value: { size, ret, envid } };
}

/** What follows the path of RCPT. */
export function rcptParameters(rest: string, dsn: boolean): Parsed<RcptParameters> {
  if (rest === "") return NO_RCPT;
  let notify = 0;
  let orcpt = "";
  for (const [keyword, value, written] of options(rest)) {
    if (keyword === "NOTIFY" && dsn) {
      const parsed = notifyBits(value);
      if (!parsed.ok) return parsed;
      notify = parsed.value;
    } else if (keyword === "ORCPT" && dsn) {
      const semicolon = value.indexOf(";");
      if (value.length > MAX_ORCPT || semicolon < 1 || !isXtext(value.slice(semicolon + 1))) {
        return refuse(REPLY.badOrcpt);
      }
      // The type is an atom: it goes into a bounce's header as it stands.
      if (!/^[A-Za-z0-9-]+$/.test(value.slice(0, semicolon))) return refuse(REPLY.badOrcpt);
      orcpt = value;
    } else return refuse(unsupportedOption(written));
  }
  return { ok: true, value: { notify, orcpt } };
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
