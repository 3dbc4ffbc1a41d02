/** `admin listen on …` of smtpd.conf, an extension of ours: where the admin page and its API are served. */

import { adminKey, adminPlace } from "../config/admin.ts";
import type { AdminListener, SourceLine } from "../config/mod.ts";
import { isPort, shown } from "../config/values.ts";
import { ipVersion } from "../net/mod.ts";
import type { Context } from "./context.ts";
import type { Cursor } from "./cursor.ts";
import { expectHostName } from "./names.ts";

/** Lines of this kind in one file. */
const MAX_ADMIN_LISTENERS = 8;
/** Mode of a socket for which none is given: that of the daemon's user, and root. */
const SOCKET_MODE = 0o600;
/** Whoever has no other right to the machine may connect. */
const ANYBODY = 0o002;

const SOCKET_OPTIONS = ["mode", "group", "hostname", "auth"], ADDRESS_OPTIONS = ["hostname", "auth"];

/** Reads what follows `admin` into the draft. */
export function parseAdmin(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  if (!cursor.expectKeyword("listen") || !cursor.expectKeyword("on")) return;
  const listener = cursor.acceptKeyword("socket") ? readSocket(cursor) : readAddress(context);
  if (listener === null || cursor.failed) return;
  const place = adminPlace(listener);
  if (draft.admin.some((other) => adminPlace(other) === place)) {
    return cursor.fail(at, `admin listener is already specified: ${shown(place)}`);
  }
  if (draft.admin.length >= MAX_ADMIN_LISTENERS) {
    return cursor.fail(at, `too many admin listeners: at most ${MAX_ADMIN_LISTENERS} are served`);
  }
  draft.admin.push(listener);
  draft.declared.set(adminKey(listener), at);
  const warning = warningOf(listener);
  if (warning !== null) draft.warnings.push(`${at.file}:${at.line}: warning: ${warning}`);
}

function readAddress({ cursor, files }: Context): AdminListener | null {
  const addressAt = cursor.peek().at;
  const text = cursor.expectString("the address of the admin page");
  if (text === null || !cursor.expectKeyword("port")) return null;
  const address = text.replace(/^\[(.*)\]$/, "$1");
  if (ipVersion(address) === 0) {
    cursor.fail(addressAt, `invalid address: ${shown(text)}${files.interfaceList?.() ?? ""}`);
    return null;
  }
  const portAt = cursor.peek().at;
  const port = cursor.expectNumber("a port number");
  if (port === null) return null;
  if (!isPort(port)) {
    cursor.fail(portAt, `invalid port: ${port}`);
    return null;
  }
  const { hostname, auth } = readOptions(cursor, ADDRESS_OPTIONS);
  // Who comes from elsewhere is asked who they are.
  return { address, port, hostname, auth: auth || !isLoopback(address) };
}

function readSocket(cursor: Cursor): AdminListener | null {
  const pathAt = cursor.peek().at;
  const path = cursor.expectString("the path of the socket of the admin page");
  if (path === null) return null;
  if (!path.startsWith("/")) {
    cursor.fail(pathAt, `the path of the socket must begin with "/": ${shown(path)}`);
    return null;
  }
  return { path, ...readOptions(cursor, SOCKET_OPTIONS) };
}

interface AdminOptions {
  hostname: string | null;
  auth: boolean;
  mode: number;
  group: string | null;
}

function readOptions(cursor: Cursor, words: readonly string[]): AdminOptions {
  const options: AdminOptions = { hostname: null, auth: false, mode: SOCKET_MODE, group: null };
  const seen = new Set<string>();
  while (!cursor.atEnd() && !cursor.failed) {
    const { text: word, at } = cursor.peek();
    if (!words.includes(word) || !(cursor.acceptKeyword(word) || cursor.acceptWord(word))) {
      cursor.unknownWord("admin option", words);
      break;
    }
    if (seen.has(word)) cursor.fail(at, `${word} is already specified`);
    seen.add(word);
    if (word === "auth") options.auth = true;
    else if (word === "hostname") options.hostname = expectHostName(cursor)?.toLowerCase() ?? null;
    else if (word === "group") options.group = cursor.expectString("the name of a group");
    else options.mode = readMode(cursor) ?? SOCKET_MODE;
  }
  return options;
}

/** An octal number such as 0660. */
function readMode(cursor: Cursor): number | null {
  const { at, kind, text } = cursor.peek();
  if (kind !== "number" && kind !== "string") {
    cursor.unexpected("a mode such as 0660");
    return null;
  }
  cursor.take();
  const mode = /^0?[0-7]{3}$/.test(text) ? parseInt(text, 8) : null;
  if (mode === null) cursor.fail(at, `invalid mode: ${shown(text)} (three octal digits, such as 0660)`);
  return mode;
}

/** Returns whether only this machine reaches the address. */
function isLoopback(address: string): boolean {
  return /^127\.|^::1$/.test(address);
}

function warningOf(listener: AdminListener): string | null {
  if ("path" in listener) {
    return (listener.mode & ANYBODY) === 0 || listener.auth
      ? null
      : `every user of this machine may read the admin page at ${
        shown(listener.path)
      }: add "auth", or a mode such as 0660`;
  }
  return isLoopback(listener.address)
    ? null
    : `the admin page at ${listener.address} has no TLS: tokens can be read on the way; let a proxy with TLS come to 127.0.0.1`;
}
