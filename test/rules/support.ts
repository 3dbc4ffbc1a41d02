/** Rules, actions and worlds for tests of the rules folder, written short. */

import type {
  Action,
  LocalAction,
  LocalMethod,
  RelayAction,
  Rule,
  StaticTable,
  TableTest,
} from "../../src/config/mod.ts";
import { plainRelay } from "../../src/config/defaults.ts";
import type { Deliverable, Mailbox, Origin } from "../../src/envelope/mod.ts";
import type { Forward } from "../../src/protocol/mod.ts";
import { expand, type ExpansionLookups, RuleSet, type Subject } from "../../src/rules/mod.ts";
import { LookupError, parseIncludeFile, TableSet } from "../../src/tables/mod.ts";

export const HERE = { serverName: "mail.example.org", localAddresses: ["127.0.0.1", "[::1]"] };

export function test(table: string, negated = false): TableTest {
  return { table, negated, regex: false };
}

/** `match … action a`; what is not given is as in the language: from local, for local. */
export function rule(parts: Partial<Rule> & { action?: string; reject?: boolean } = {}): Rule {
  const { action = "a", reject = false, ...criteria } = parts;
  return {
    at: { file: "smtpd.conf", line: 1 },
    tag: null,
    from: { kind: "source", ...test("<localhost>") },
    for: test("<localnames>"),
    helo: null,
    auth: null,
    tls: null,
    mailFrom: null,
    rcptTo: null,
    mailAuth: null,
    outcome: reject ? { kind: "reject" } : { kind: "action", name: action },
    ...criteria,
  };
}
export const fromAny: Rule["from"] = { kind: "source", ...test("<anyhost>") };
export const forAny = test("<anydestination>");

export function local(name: string, parts: Partial<LocalAction> | { method: LocalMethod } = {}): LocalAction {
  return {
    kind: "local",
    name,
    method: { type: "maildir", path: null, junk: false },
    user: null,
    alias: null,
    virtual: null,
    userbase: null,
    wrapper: null,
    ttlSeconds: null,
    ...parts,
  };
}

export function relay(name: string, parts: Partial<RelayAction> = {}): RelayAction {
  return { ...plainRelay(name), ...parts };
}

/** `list("t", "a", "b")`. */
export function list(name: string, ...keys: string[]): StaticTable {
  return { name, kind: "list", entries: keys.map((key) => [key, ""] as const) };
}

/** `map("t", { key: "value" })`. */
export function map(name: string, values: Record<string, string>): StaticTable {
  return { name, kind: "map", entries: Object.entries(values) };
}

export function mailbox(text: string): Mailbox {
  const at = text.lastIndexOf("@");
  return { local: text.slice(0, at), domain: text.slice(at + 1) };
}

export const CLIENT: Origin = {
  address: "127.0.0.1",
  hostname: "localhost",
  helo: "client.example.net",
  smtpname: "mail.example.org",
  tag: "",
  username: "",
  authenticated: false,
};
export const REMOTE: Origin = { ...CLIENT, address: "203.0.113.5", hostname: "host.example.net" };

export function subject(parts: Partial<Omit<Subject, "origin">> & { origin?: Partial<Origin> } = {}): Subject {
  const { origin, ...rest } = parts;
  return {
    tls: false,
    sender: mailbox("alice@example.net"),
    dest: mailbox("bob@localhost"),
    internal: false,
    ...rest,
    origin: { ...CLIENT, ...origin },
  };
}

export interface Scene {
  readonly rules: readonly Rule[];
  readonly actions: readonly Action[];
  readonly tables?: readonly StaticTable[];
  /** System accounts. */
  readonly users?: readonly string[];
  readonly includes?: Readonly<Record<string, string>>;
  /** Text of `.forward` by user, or by `user+tag`. */
  readonly forwards?: Readonly<Record<string, string | Forward>>;
  /** Tables and userbases that cannot be asked. */
  readonly broken?: readonly string[];
  readonly delimiter?: string;
  /** What the address SRS0=good stands for. */
  readonly bouncesTo?: string;
}

/** A world that is made of a scene; `warnings` fills with what it would log. */
export function worldOf(scene: Scene): ExpansionLookups & { readonly warnings: string[] } {
  const { users = [], includes = {}, forwards = {}, broken = [], delimiter = "+", tables = [] } = scene;
  const set = new TableSet(Object.fromEntries(tables.map((table) => [table.name, table])), HERE, delimiter);
  const rules = new RuleSet(scene.rules, set);
  const warnings: string[] = [];
  return {
    warnings,
    delimiter,
    commandUser: "_smtpd",
    match: (what) => rules.match(what),
    action: (name) => scene.actions.find((action) => action.name === name) ?? null,
    lookup: (table, key) => broken.includes(table) ? new LookupError("down") : set.get(table).lookup(key, "alias"),
    account(_action, name) {
      if (broken.includes("accounts")) return new LookupError("down");
      return users.includes(name) ? { name, uid: name === "root" ? 0 : 1000, gid: 1000, home: `/home/${name}` } : null;
    },
    forward({ name }, subAddress) {
      const found = subAddress === "" ? undefined : forwards[`${name}+${subAddress}`];
      const file = found ?? forwards[name] ?? { kind: "none" };
      return typeof file === "string" ? { kind: "text", path: `/home/${name}/.forward`, text: file } : file;
    },
    include(path) {
      const text = includes[path];
      if (text === undefined) warnings.push(`Cannot read ${path}`);
      return text === undefined ? null : parseIncludeFile(text);
    },
    decodeSrs: ({ local }) => local === "SRS0=good" ? mailbox(scene.bouncesTo ?? "alice@example.net") : null,
    warn: (text) => warnings.push(text),
    giveWay: () => {},
  };
}

/** Expands a recipient: each deliverable in one word, with `internal` as a star, or the reply. */
export function outcome(scene: Scene, rcpt: string, origin: Origin = CLIENT): string[] | string {
  const result = expand(worldOf(scene), { origin, tls: false, sender: null, rcpt: mailbox(rcpt) });
  if (!result.ok) return `${result.code} ${result.text}`;
  return result.targets.map((target, index) => brief(target) + (result.internal[index] ? "*" : ""));
}

function brief(target: Deliverable): string {
  const dest = `${target.dest.local}@${target.dest.domain}`;
  if (target.agent === "mta") return `mta ${dest} by ${target.action}`;
  const user = target.subAddress === "" ? target.user : `${target.user}(${target.subAddress})`;
  return `mda ${user}${target.exec === "" ? "" : ` "${target.exec}"`} for ${dest}`;
}
