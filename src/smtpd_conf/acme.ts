/** `pki NAME acme URL …`: a certificate that the daemon obtains and renews by ACME (RFC 8555). What the authority says is found out later. */

import { asciiDomain } from "../envelope/mod.ts";
import { ipVersion, isAddress, normalName } from "../net/mod.ts";
import type { AcmeChallenge, AcmeOrder } from "../config/mod.ts";
import { ACME_CHALLENGES, ACME_PORTS, acmeFolder } from "../config/acme.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { isPort, shown } from "../config/values.ts";
import type { Context } from "./context.ts";
import type { Cursor } from "./cursor.ts";
import { type Options, parseOptions } from "./options.ts";
import { parseList } from "./references.ts";

/** What a line says so far. */
interface AcmeDraft {
  contact: string | null;
  challenge: AcmeChallenge;
  hook: string | null;
  names: readonly string[] | null;
  keyType: "ecdsa" | "rsa";
  ca: string | null;
  address: string | null;
  port: number | null;
}

/** Reads what follows `pki NAME acme`. Returns null when it is wrong, which is noted then. */
export function parseAcme(context: Context, name: string): AcmeOrder | null {
  const { cursor } = context;
  const { at } = cursor.peek();
  const text = cursor.expectString("the URL of the authority's directory, which begins with https://");
  if (text === null) return null;
  const directory = directoryOf(text);
  if (directory === null) {
    return refuse(cursor, at, `not the URL of a directory: ${shown(text)} ("https://HOST/…" is needed)`);
  }
  const line: AcmeDraft = {
    contact: null,
    challenge: "http-01",
    hook: null,
    names: null,
    keyType: "ecdsa",
    ca: null,
    address: null,
    port: null,
  };
  parseOptions(cursor, "acme option", acmeOptions(context, line));
  if (cursor.failed) return null;
  const { challenge, hook, contact, keyType, ca, address, port } = line;
  const names = line.names ?? (name === "*" ? [] : [name]);
  const unfit = names.find((one) => !isFullName(one.replace(/^\*\./, "")));
  if (unfit !== undefined) {
    return refuse(
      cursor,
      at,
      `no authority gives a certificate for ${shown(unfit)}: it is not the full name of a host`,
    );
  }
  const wildcard = names.find((one) => one.startsWith("*."));
  if (names.length === 0) return refuse(cursor, at, 'pki "*" needs the names of its certificate: names { … }');
  if (wildcard !== undefined && challenge !== "dns-01") {
    return refuse(cursor, at, `${wildcard} can be obtained by "challenge dns-01" only`);
  }
  if (challenge === "dns-01" && hook === null) {
    return refuse(cursor, at, '"challenge dns-01" needs a program that changes the zone: hook "/path/of/program"');
  }
  if (challenge !== "dns-01" && hook !== null) return refuse(cursor, at, '"hook" is for "challenge dns-01" only');
  if (challenge === "dns-01" && (address !== null || port !== null)) {
    return refuse(cursor, at, '"listen on" is for http-01 and tls-alpn-01: nobody connects for dns-01');
  }
  return {
    directory,
    contact: contact === null ? [] : [contact],
    challenge,
    hook,
    names,
    keyType,
    ca,
    listen: { address, port: port ?? ACME_PORTS[challenge] },
  };
}

function refuse(cursor: Cursor, at: Parameters<Cursor["fail"]>[0], message: string): null {
  cursor.fail(at, message);
  return null;
}

/** True for a host name with a domain; addresses are none. */
function isFullName(name: string): boolean {
  return name.includes(".") && !isAddress(name);
}

/** The URL as it is asked for; null when it is none, has a password, or is too long for a folder of its name. */
function directoryOf(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const plain = url.protocol === "https:" && url.username === "" && url.password === "" && url.hash === "";
  return plain && acmeFolder(url.href) !== null ? url.href : null;
}

function acmeOptions({ cursor }: Context, line: AcmeDraft): Options {
  return {
    "contact": { ours: true, parse: () => void (line.contact = expectContact(cursor)) },
    "challenge": {
      ours: true,
      parse: () => {
        const { at } = cursor.peek();
        const word = cursor.expectString("http-01, tls-alpn-01 or dns-01");
        const known = ACME_CHALLENGES.find((one) => one === word);
        if (known !== undefined) line.challenge = known;
        else if (word !== null) {
          cursor.fail(at, `unknown challenge: ${shown(word)} (http-01, tls-alpn-01 or dns-01 is needed)`);
        }
      },
    },
    "hook": {
      ours: true,
      parse: () => {
        const { at } = cursor.peek();
        line.hook = cursor.expectString("the path of a program");
        if (line.hook !== null && !line.hook.startsWith("/")) {
          cursor.fail(at, `the path of a hook begins with "/": ${shown(line.hook)}`);
        }
      },
    },
    "names": { ours: true, parse: () => void (line.names = expectNames(cursor)) },
    "key": {
      parse: () => {
        const { at } = cursor.peek();
        const word = cursor.expectString("ecdsa or rsa");
        if (word === "ecdsa" || word === "rsa") line.keyType = word;
        else if (word !== null) cursor.fail(at, `unknown kind of key: ${shown(word)} (ecdsa or rsa is needed)`);
      },
    },
    "ca": { parse: () => void (line.ca = cursor.expectString("the path of a file")) },
    "listen": { parse: () => parseListenOn(cursor, line) },
  };
}

/** After `listen`: `on ADDRESS [port NUMBER]`. */
function parseListenOn(cursor: Cursor, line: AcmeDraft): void {
  if (!cursor.expectKeyword("on")) return;
  const { at } = cursor.peek();
  const text = cursor.expectString("the address on which the authority is answered");
  if (text === null) return;
  line.address = text.replace(/^\[(.*)\]$/, "$1");
  if (ipVersion(line.address) === 0) return cursor.fail(at, `invalid address: ${shown(text)}`);
  if (!cursor.acceptKeyword("port")) return;
  const portAt = cursor.peek().at;
  line.port = cursor.expectNumber("a port number");
  if (line.port !== null && !isPort(line.port)) cursor.fail(portAt, `invalid port: ${line.port}`);
}

/** RFC 8555 §7.1.2: a mailto URL, of one address and without header fields (§7.3). */
function expectContact(cursor: Cursor): string | null {
  const { at } = cursor.peek();
  const text = cursor.expectString('"mailto:" and an address');
  if (text === null) return null;
  const url = text.includes(":") ? text : `mailto:${text}`;
  if (/^mailto:[^\s@,?%<>"]+@[^\s@,?%<>"]+$/i.test(url) && url.length <= LANGUAGE_LIMITS.acmeContact) return url;
  cursor.fail(at, `not a contact: ${shown(text)} ("mailto:" and one address is needed)`);
  return null;
}

/** A list of host names in lower-case A-labels. */
function expectNames(cursor: Cursor): readonly string[] | null {
  const { at } = cursor.peek();
  if (!cursor.acceptMark("{")) {
    cursor.unexpected("a list of names in braces");
    return null;
  }
  const list = parseList(cursor);
  if (list === null) return null;
  const names: string[] = [];
  for (const [text] of list.kind === "map" ? list.entries.slice(0, 1) : list.entries) {
    const bare = text.startsWith("*.") ? text.slice(2) : text;
    const ascii = bare.endsWith(".") ? null : asciiDomain(bare);
    const name = ascii === null || list.kind === "map" ? null : normalName(ascii);
    if (name === null || !isFullName(name)) {
      cursor.fail(at, `no authority gives a certificate for ${shown(text)}: it is not the full name of a host`);
      return null;
    }
    names.push(bare === text ? name : `*.${name}`);
  }
  const { acmeNames } = LANGUAGE_LIMITS;
  if (names.length > acmeNames) cursor.fail(at, `"names" has more than ${acmeNames} names`);
  return [...new Set(names)];
}
