/** `listen on …` of smtpd.conf(5). Interfaces are resolved by main, not here. */

import { type Context, servicesText } from "./context.ts";
import type { ListenSpec, SourceLine } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { emptyListenSpec } from "../config/listen.ts";
import { isPort, servicePort, shown } from "../config/values.ts";
import { use } from "./draft.ts";
import { expectHostName } from "./names.ts";
import { type Options, parseOptions } from "./options.ts";
import { atTable, parseFilterOption, parseTable } from "./references.ts";
import { tlsOptions } from "./tls_options.ts";

/** What can be reached from this machine only. */
const LOOPBACK: ReadonlySet<string> = new Set(["lo", "lo0", "localhost", "127.0.0.1", "::1"]);

/** Options that are words of ours, and not reserved. */
const OWN_WORDS = ["submission", "mail-auth"];
/** Ports to which messages are submitted: RFC 6409 §3.1, RFC 8314 §3.3. */
const SUBMISSION_PORTS: ReadonlySet<number> = new Set([587, 465]);

type Spec = { -readonly [Key in keyof ListenSpec]: ListenSpec[Key] };

/** Reads what follows `listen` into the draft. */
export function parseListen(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  if (!cursor.expectKeyword("on")) return;
  const socket = cursor.acceptKeyword("socket");
  const on = socket ? "socket" : cursor.expectString('an interface, an address, a host name or "socket"');
  if (on === null) return;
  if (socket && draft.listen.some((spec) => spec.socket)) {
    return cursor.fail(at, "socket listener is already specified");
  }
  const spec: Spec = { ...emptyListenSpec(at, { on, socket }) };
  const common = socketOptions(context, spec);
  const tls = tlsOptions(context, spec);
  const all = socket ? common : { ...common, ...tls.options, ...interfaceOptions(context, spec) };
  parseOptions(cursor, "listen option", all);
  tls.finish();
  if (!socket) finishInterface(context, spec);
  checkFilter(context, spec);
  if (!cursor.failed) draft.listen.push(spec);
}

/** Filters that look at checks of mail need a listener that checks it. */
function checkFilter({ cursor, draft }: Context, { at, filter, mailAuth }: Spec): void {
  if (filter === null || mailAuth !== null) return;
  for (const step of draft.filters.get(filter)?.steps ?? []) {
    if (step.kind === "process") continue;
    const { kind } = step.condition;
    if (kind !== "spf" && kind !== "dkim" && kind !== "dmarc") continue;
    cursor.fail(at, `filter "${shown(step.name)}" matches ${kind}, and this listener checks no mail: add "mail-auth"`);
    return;
  }
}

/** Options of every listener, the local socket included. */
function socketOptions({ cursor, draft }: Context, spec: Spec): Options {
  return {
    "filter": { parse: () => void (spec.filter = parseFilterOption(cursor, draft)) },
    "mask-src": { parse: () => void (spec.maskSource = true) },
    "no-dsn": { parse: () => void (spec.noDsn = true) },
    "tag": {
      parse: (at) => {
        spec.tag = cursor.expectString("a tag") ?? "";
        if (spec.tag.length > LANGUAGE_LIMITS.tag) cursor.fail(at, `tag is too long: at most ${LANGUAGE_LIMITS.tag}`);
      },
    },
  };
}

function interfaceOptions(context: Context, spec: Spec): Options {
  const { cursor } = context;
  const mapping = (option: string) => parseTable(cursor, context.draft, { option, kinds: ["map"] });
  const family = (value: 4 | 6) => ({ group: "inet", parse: () => void (spec.family = value) });
  const tls = {
    group: "tls",
    parse: (_at: SourceLine, word: string) => {
      spec.tls = word as "tls" | "tls-require" | "smtps";
      spec.verify = word !== "tls" && cursor.acceptKeyword("verify");
    },
  };
  const auth = {
    group: "auth",
    parse: (_at: SourceLine, word: string) => {
      // A lone word is no table of pairs, but may be the option of that name.
      const named = atTable(cursor) && !OWN_WORDS.some((own) => cursor.atWord(own));
      const table = named ? parseTable(cursor, context.draft, { option: word, kinds: ["map"] }) : null;
      spec.auth = { required: word === "auth", table };
    },
  };
  return {
    "inet4": family(4),
    "inet6": family(6),
    "port": { parse: () => void (spec.port = parsePort(context) ?? 0) },
    "tls": tls,
    "tls-require": tls,
    "smtps": tls,
    "hostname": { parse: () => void (spec.hostname = expectHostName(cursor)) },
    "pki": { repeats: true, parse: () => addPki(context, spec) },
    "ca": { parse: () => void (spec.ca = knownCa(context)) },
    "auth": auth,
    "auth-optional": auth,
    "hostnames": { parse: (_at, option) => void (spec.hostnames = mapping(option)) },
    "senders": {
      parse: (_at, option) => {
        const table = mapping(option);
        if (table !== null) spec.senders = { table, masquerade: cursor.acceptKeyword("masquerade") };
      },
    },
    "proxy-v2": { parse: () => void (spec.proxyV2 = true) },
    "received-auth": { parse: () => void (spec.receivedAuth = true) },
    "mail-auth": {
      ours: true,
      parse: () => {
        const trusted = cursor.acceptWord("trust")
          ? parseTable(cursor, context.draft, { option: "mail-auth trust", kinds: ["list"] })
          : null;
        spec.mailAuth = { trusted };
      },
    },
    "submission": { ours: true, parse: () => void (spec.submission = true) },
  };
}

/** A number, a service name, or one of the two services that are reserved words. */
function parsePort({ cursor, files }: Context): number | null {
  const token = cursor.peek();
  if (token.kind === "number") {
    cursor.take();
    const port = Number(token.text);
    if (!isPort(port)) cursor.fail(token.at, `invalid port: ${token.text}`);
    return port;
  }
  if (token.kind !== "string" && !cursor.atKeyword("smtp") && !cursor.atKeyword("smtps")) {
    cursor.unexpected("a port");
    return null;
  }
  cursor.take();
  const port = servicePort(token.text, () => servicesText(files));
  if (port === null) {
    cursor.fail(token.at, `invalid port: ${shown(token.text)} (a number, or a service of /etc/services)`);
  }
  return port;
}

function addPki({ cursor, draft }: Context, spec: Spec): void {
  const { at } = cursor.peek();
  const name = cursor.expectString("the name of a pki")?.toLowerCase();
  if (name === undefined) return;
  if (!draft.pki.has(name)) {
    return cursor.failUndefined(at, { kind: "pki", name }, () => draft.pki.keys());
  }
  use(draft, { kind: "pki", name });
  if (spec.pki.includes(name)) return cursor.fail(at, `pki "${name}" is already specified`);
  spec.pki = [...spec.pki, name];
  const { pkiPerListener } = LANGUAGE_LIMITS;
  if (spec.pki.length > pkiPerListener) cursor.fail(at, `too many pki on one listener: at most ${pkiPerListener}`);
}

function knownCa({ cursor, draft }: Context): string | null {
  const { at } = cursor.peek();
  const name = cursor.expectString("the name of a ca")?.toLowerCase();
  if (name === undefined) return null;
  use(draft, { kind: "ca", name });
  if (!draft.ca.has(name)) {
    cursor.failUndefined(at, { kind: "ca", name }, () => draft.ca.keys());
  }
  return name;
}

/** What options mean together. */
function finishInterface({ cursor, draft }: Context, spec: Spec): void {
  if (spec.port === 0) spec.port = spec.tls === "smtps" ? 465 : 25;
  if (spec.tls === "none" && spec.pki.length > 0) {
    cursor.fail(spec.at, `"pki" needs one of "tls", "tls-require" and "smtps"`);
  }
  if (spec.auth !== null && spec.tls === "none" && (spec.proxyV2 || !LOOPBACK.has(spec.on))) {
    const word = spec.auth.required ? "auth" : "auth-optional";
    cursor.fail(
      spec.at,
      `"${word}" needs one of "tls", "tls-require" and "smtps": passwords are not asked for in clear`,
    );
  }
  if (spec.mailAuth !== null && (spec.submission || SUBMISSION_PORTS.has(spec.port))) {
    const why = spec.submission ? `"submission"` : `port ${spec.port}`;
    cursor.fail(
      spec.at,
      `"mail-auth" is for mail that other hosts send, and at ${why} it is submitted: leave it out here`,
    );
  }
  const warn = (text: string) => draft.warnings.push(`${spec.at.file}:${spec.at.line}: warning: ${text}`);
  // OpenSMTPD takes both lines without a word.
  if (spec.senders !== null && spec.auth === null) {
    warn(`"senders" has no effect without "auth" or "auth-optional": it is about who has logged in`);
  }
  if (spec.ca !== null && !spec.verify) warn(`"ca" has no effect without "tls-require verify" or "smtps verify"`);
}
