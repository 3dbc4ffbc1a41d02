/** `action NAME …` of smtpd.conf(5): the local methods and `relay`. */

import { asciiAddress } from "../envelope/mod.ts";
import { type Context, servicesText } from "./context.ts";
import type { Action, LocalAction, LocalMethod, RelayAction, SourceLine, StaticTable } from "../config/mod.ts";
import { BUILTIN_TABLES, plainRelay } from "../config/defaults.ts";
import { lmtpDestination, parseDelay, shown } from "../config/values.ts";
import { declare, use } from "./draft.ts";
import { expectHostName } from "./names.ts";
import { type Options, parseOptions } from "./options.ts";
import { parseFilterOption, parseTable } from "./references.ts";
import { tlsOptions } from "./tls_options.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

const METHODS = ["mbox", "maildir", "lmtp", "mda", "forward-only", "expand-only", "relay"] as const;
/** Methods whose deliveries have no user to choose. */
const WITHOUT_USER: ReadonlySet<string> = new Set(["mbox", "forward-only", "expand-only"]);

/** Reads what follows `action` into the draft. */
export function parseAction(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const name = cursor.expectString("the name of an action");
  if (name === null) return;
  if (draft.actions.has(name)) {
    cursor.note(at, `action "${shown(name)}" is already declared`);
    // For its own mistakes: perhaps it is the other one that is to go.
    return void parseMethodOf(context, name);
  }
  // Declared even if the rest of the line is wrong: the rules that name it are then not mistakes too.
  declare(draft, { kind: "action", name }, at);
  draft.actions.set(name, parseMethodOf(context, name) ?? emptyLocal(name, { type: "expand-only" }));
}

function parseMethodOf(context: Context, name: string): Action | null {
  const { cursor } = context;
  const token = cursor.peek();
  const word = METHODS.find((method) => token.kind === "keyword" && token.text === method);
  if (word === undefined) {
    if (cursor.atWord("deliver") || cursor.atWord("accept")) {
      cursor.fail(
        token.at,
        `syntax error: "${token.text}" is no action method: since OpenSMTPD 6.4 it is one of ${METHODS.join(", ")}`,
      );
      return null;
    }
    cursor.unknownWord("action method", METHODS);
    return null;
  }
  cursor.take();
  return word === "relay" ? parseRelay(context, name) : parseLocal(context, name, word);
}

/** `ttl DELAY`, which must be the last option. Null when absent. */
function parseTtl({ cursor }: Context): number | null {
  if (!cursor.acceptKeyword("ttl")) return null;
  const seconds = expectDelay({ cursor }, "ttl");
  if (cursor.atKeyword("ttl")) cursor.fail(cursor.peek().at, `"ttl" is already specified`);
  else if (!cursor.atEnd()) cursor.fail(cursor.peek().at, `syntax error: "ttl" must be the last option of an action`);
  return seconds;
}

/** A delay such as `4d`; `what` names it in the message. */
export function expectDelay({ cursor }: Pick<Context, "cursor">, what: string): number | null {
  const token = cursor.peek();
  const text = token.kind === "number" ? cursor.take().text : cursor.expectString("a delay such as 4d");
  if (text === null) return null;
  const seconds = parseDelay(text);
  if (seconds === null) {
    cursor.fail(token.at, `invalid ${what} delay: ${shown(text)} (a whole number and one of s, m, h, d are needed)`);
  }
  return seconds;
}

function parseLocal(
  context: Context,
  name: string,
  word: Exclude<typeof METHODS[number], "relay">,
): LocalAction | null {
  const { cursor } = context;
  const method = parseMethod(context, word);
  if (method === null) return null;
  const action = emptyLocal(name, method);
  parseOptions(cursor, "action option", localOptions(context, action), ["ttl"]);
  action.ttlSeconds = parseTtl(context);
  return action;
}

function emptyLocal(name: string, method: LocalMethod): Mutable<LocalAction> {
  return {
    kind: "local",
    name,
    method,
    user: null,
    alias: null,
    virtual: null,
    userbase: null,
    wrapper: null,
    ttlSeconds: null,
  };
}

function parseMethod({ cursor, files }: Context, word: LocalMethod["type"]): LocalMethod | null {
  switch (word) {
    case "maildir": {
      const path = cursor.atString() ? cursor.take().text : null;
      return { type: word, path, junk: cursor.acceptKeyword("junk") };
    }
    case "lmtp": {
      const { at } = cursor.peek();
      const text = cursor.expectString("host:port or the path of a socket");
      if (text === null) return null;
      const destination = lmtpDestination(text, () => servicesText(files)) ?? "";
      if (destination === "") {
        cursor.fail(at, `invalid lmtp destination: ${shown(text)} (host:port, [ipv6]:port or /path is needed)`);
      }
      return { type: word, destination, rcptTo: cursor.acceptKeyword("rcpt-to") };
    }
    case "mda": {
      const command = cursor.expectString("a command");
      return command === null ? null : { type: word, command };
    }
    case "mbox":
    case "forward-only":
    case "expand-only":
      return { type: word };
  }
}

function localOptions({ cursor, draft }: Context, action: Mutable<LocalAction>): Options {
  const mapping = (key: "alias" | "virtual") => ({
    group: "expansion",
    parse: () => void (action[key] = parseTable(cursor, draft, { option: key, kinds: ["map"] })),
  });
  return {
    "user": {
      parse: (at) => {
        if (WITHOUT_USER.has(action.method.type)) {
          return cursor.fail(at, `"user" may not be specified for ${action.method.type}`);
        }
        action.user = cursor.expectString("the name of a user");
      },
    },
    "alias": mapping("alias"),
    "virtual": mapping("virtual"),
    "userbase": {
      parse: () => {
        const name = parseTable(cursor, draft, { option: "userbase", kinds: ["map", "accounts"] });
        // However such a table is called, it is the system's accounts.
        const system = name !== null && draft.tables.get(name)?.kind === "accounts";
        action.userbase = system ? BUILTIN_TABLES.accounts : name;
      },
    },
    "wrapper": {
      parse: () => {
        const nameAt = cursor.peek().at;
        const name = cursor.expectString("the name of an mda wrapper");
        if (name === null) return;
        use(draft, { kind: "wrapper", name });
        const command = draft.wrappers.get(name);
        if (command === undefined) {
          return cursor.failUndefined(nameAt, { kind: "wrapper", name }, () => draft.wrappers.keys());
        }
        action.wrapper = command;
      },
    },
  };
}

function parseRelay(context: Context, name: string): RelayAction {
  const action: Mutable<RelayAction> = plainRelay(name);
  const tls = tlsOptions(context, action);
  const options = { ...relayOptions(context, action), ...tls.options };
  parseOptions(context.cursor, "relay option", options, ["ttl"]);
  tls.finish();
  action.ttlSeconds = parseTtl(context);
  return action;
}

function relayOptions(context: Context, action: Mutable<RelayAction>): Options {
  const { cursor, draft } = context;
  const smarthost = (key: "host" | "domain", kind: StaticTable["kind"]) => ({
    group: "host",
    parse: (at: SourceLine) => {
      if (action.backup !== null) return cursor.fail(at, `"${key}" and "backup" are mutually exclusive`);
      action[key] = parseTable(cursor, draft, { option: key, kinds: [kind] });
    },
  });
  // Names of certificates may come later in the file: checked at its end.
  const later = (kind: "pki" | "ca") => ({
    parse: () => {
      const { at } = cursor.peek();
      const name = cursor.expectString(`the name of a ${kind}`)?.toLowerCase();
      if (name === undefined) return;
      action[kind] = name;
      draft.relayNames.push({ at, kind, name });
      use(draft, { kind, name });
    },
  });
  return {
    "helo": { parse: () => void (action.helo = expectHostName(cursor)) },
    "mail-from": {
      parse: () => {
        const address = cursor.expectString("an address");
        action.mailFrom = address === null ? null : asciiAddress(address);
      },
    },
    "pki": later("pki"),
    "ca": later("ca"),
    "host": smarthost("host", "list"),
    "domain": smarthost("domain", "map"),
    "tls": { parse: () => void (action.tls = cursor.acceptKeyword("no-verify") ? "no-verify" : "verify") },
    "src": { parse: (_, option) => void (action.src = parseTable(cursor, draft, { option, kinds: ["list", "map"] })) },
    "helo-src": { parse: (_, option) => void (action.heloSrc = parseTable(cursor, draft, { option, kinds: ["map"] })) },
    "auth": {
      parse: (at, word) => {
        if (action.host === null && action.domain === null) {
          return cursor.fail(at, `"auth" needs "host" or "domain" before it`);
        }
        action.auth = parseTable(cursor, draft, { option: word, kinds: ["map"] });
      },
    },
    "filter": { parse: () => void (action.filter = parseFilterOption(cursor, draft)) },
    ...keyOptions(context, action),
    "backup": {
      parse: (at) => {
        if (action.host !== null || action.domain !== null) {
          return cursor.fail(at, `"backup" and "${action.host !== null ? "host" : "domain"}" are mutually exclusive`);
        }
        action.backup = { mx: cursor.acceptKeyword("mx") ? cursor.expectString("the name of a mail exchanger") : null };
      },
    },
  };
}

/** Options that need a key of the daemon. */
function keyOptions({ cursor, draft }: Context, action: Mutable<RelayAction>): Options {
  return {
    "srs": {
      parse: (at) => {
        if (draft.srs.key === null) return cursor.fail(at, `"srs" needs "srs key" before it`);
        action.srs = true;
      },
    },
    "dkim": {
      ours: true,
      parse: (at) => {
        action.dkim = true;
        // The keys may stand further down: checked at the end of the file.
        draft.signing.push(at);
      },
    },
  };
}
