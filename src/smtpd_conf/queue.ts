/** The `queue` directives of smtpd.conf(5): how long mail is kept, and in which form. */

import { expectDelay } from "./action.ts";
import type { Context } from "./context.ts";
import { CREDENTIAL } from "./cursor.ts";
import type { KeySource, SourceLine } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { SET_PLACES } from "../config/source_line.ts";
import { parseSize, shown } from "../config/values.ts";

const FILE = "file:";

/** Reads what follows `queue` into the draft. */
export function parseQueue(context: Context): void {
  const { cursor, draft } = context;
  const { at } = cursor.peek();
  if (cursor.acceptKeyword("ttl")) {
    draft.declared.set(SET_PLACES.queueTtl, at);
    draft.queue.ttlSeconds = expectDelay({ cursor }, "ttl") ?? draft.queue.ttlSeconds;
  } else if (cursor.peek().kind === "string" && cursor.peek().text === "reserve") {
    cursor.take();
    parseReserve(context);
  } else if (cursor.acceptKeyword("compression")) {
    draft.queue.compression = true;
  } else if (cursor.acceptKeyword("encryption")) {
    parseEncryption(context);
  } else {
    cursor.unknownWord("queue directive", ["ttl", "reserve", "compression", "encryption"]);
  }
}

/** `5%` or `200M`: our addition to the language. */
function parseReserve({ cursor, draft }: Context): void {
  const token = cursor.peek();
  const text = token.kind === "number"
    ? cursor.take().text
    : cursor.expectString("a size such as 200M, or a share: 5%");
  if (text === null) return;
  const share = /^(\d{1,2}(?:\.\d{1,4})?)%$/.exec(text);
  const bytes = share === null ? parseSize(text) : Infinity;
  if (bytes === null) {
    return cursor.fail(token.at, `invalid reserve: ${shown(text)} (a size such as 200M, or a share: 5%)`);
  }
  draft.queue.reserve = { share: share === null ? null : Number(share[1]) / 100, bytes };
}

function parseEncryption({ cursor, draft }: Context): void {
  const { at } = cursor.peek();
  if (cursor.acceptKeyword("backup")) {
    const text = cursor.expectString("the key that was used before");
    const source = text === null ? null : keySource({ cursor }, at, text);
    if (source === null) return;
    if (source.kind === "input") return cursor.fail(at, "only the present key can be read from the terminal or stdin");
    if (draft.queue.oldKeys.length >= LANGUAGE_LIMITS.queueOldKeys) {
      return cursor.fail(at, `no more than ${LANGUAGE_LIMITS.queueOldKeys} backup keys can be named`);
    }
    draft.queue.oldKeys = [...draft.queue.oldKeys, source];
    return;
  }
  if (draft.queue.encryption !== null) return cursor.fail(at, "queue encryption is already specified");
  const source: KeySource | null = cursor.atString()
    ? keySource({ cursor }, at, cursor.take().text)
    : { kind: "input", prompt: true };
  if (source !== null) draft.queue.encryption = source;
}

/** The key itself is in no message: these are shown and logged. */
function keySource({ cursor }: Pick<Context, "cursor">, at: SourceLine, text: string): KeySource | null {
  if (text === "stdin" || text === "-") return { kind: "input", prompt: false };
  if (text.startsWith(CREDENTIAL)) {
    const path = cursor.credentialPath(at, text);
    return path === null ? null : { kind: "file", path };
  }
  if (text.startsWith(FILE)) {
    const path = text.slice(FILE.length);
    if (path.startsWith("/")) return { kind: "file", path };
    cursor.fail(at, "the path of the key file must be absolute: queue encryption file:/path");
    return null;
  }
  const fault = queueKeyFault(text);
  if (fault === null) return { kind: "text", text };
  cursor.fail(at, `queue encryption: ${fault}`);
  return null;
}

/** Why this text is no key of the queue, without telling it; null when it is one. */
export function queueKeyFault(text: string): string | null {
  const length = new TextEncoder().encode(text).length;
  if (length === LANGUAGE_LIMITS.queueKey) return null;
  return `the key must be exactly ${LANGUAGE_LIMITS.queueKey} characters long, this one has ${length}`;
}
