/**
 * Keys and values of tables that cannot work, by what the tables are used for: reported with their lines, before mail or a login fails. No value of a
 * table of credentials is shown.
 */

import { isIP } from "node:net";
import type { Config, RelayAction, SourceLine } from "../config/mod.ts";
import { shown } from "../config/values.ts";
import { normalAddress } from "../net/mod.ts";
import { asciiDomain } from "../envelope/mod.ts";
import { systemReason } from "../events/mod.ts";
import { parseRelayUrl, relayUrlFault } from "../relay/mod.ts";
import { isWholeHash, parseVerifier, readStored } from "../sasl/mod.ts";
import { includeFaults, parseRelaySecret, parseTargets, parseUserInfo, targetFault } from "../tables/mod.ts";
import { loopingAliases } from "./alias_loops.ts";
import { type Contents, type Entry, placeText } from "./entries.ts";
import { templateFault } from "./literals.ts";
import type { MachineState } from "./machine.ts";
import { lookAtPatterns } from "./patterns.ts";

/** Warnings about one table; what is beyond is counted. */
const MAX_TABLE_WARNINGS = 20;

/** What is wrong with an entry; an array where that stands elsewhere. */
type Judge = (entry: Entry) => string | null | readonly string[];

/** The uses of tables whose entries fail when mail or a login comes to them: what is said of other uses is advice. */
const FAILING = /^(?:alias|userbase|credentials|hosts of .*|secrets|addresses)$/;

/**
 * `file:line: …` for the entries of the table `name` that would fail when mail or a login comes to them; what works and is merely unwise is not
 * reported. At most a few; none for a table that only the daemon can ask.
 */
export function brokenEntries(config: Config, contents: Contents, machine: MachineState, name: string): string[] {
  return valueWarnings(config, contents, machine, name).map((line) => line.replace(": warning: ", ": "));
}

/** `file:line: warning: …` for each entry that cannot work. `only`: of that table, and nothing but what fails. */
export function valueWarnings(
  config: Config,
  contents: Contents,
  machine: MachineState,
  only: string | null = null,
): string[] {
  const seen = new Set<string>();
  const warnings: string[] = [];
  const wanted = (what: string, name: string | null) => only === null || (name === only && FAILING.test(what));
  const look = (what: string, name: string | null, at: SourceLine, judge: Judge) => {
    if (name === null || seen.has(`${what} ${name}`) || !wanted(what, name)) return;
    seen.add(`${what} ${name}`);
    const entries = contents.of(name, at)?.entries ?? [];
    const found = entries.flatMap((entry) => {
      const fault = judge(entry) ?? [];
      return typeof fault === "string" ? [`${entry.at}: warning: ${fault}`] : fault;
    });
    warnings.push(...found.slice(0, MAX_TABLE_WARNINGS));
    if (found.length > MAX_TABLE_WARNINGS) {
      const place = placeText(config.declared[`table ${name}`] ?? at);
      warnings.push(`${place}: warning: and ${found.length - MAX_TABLE_WARNINGS} more of ${tableText(name)}`);
    }
  };
  const own = { file: config.file, line: 0 };
  for (const action of Object.values(config.actions)) {
    const at = config.declared[`action ${action.name}`] ?? own;
    if (action.kind === "relay") {
      lookAtRelay(action, at, contents, machine, look);
      continue;
    }
    look("alias", action.alias ?? action.virtual, at, (entry) => aliasFault(entry, machine));
    const aliases = action.alias ?? action.virtual;
    if (wanted("alias", aliases)) {
      warnings.push(...loopWarnings(aliases, at, contents, config.smtp.subAddressDelimiter, seen));
    }
    if (only === null) warnings.push(...commandWarnings(aliases, at, contents, machine, seen));
    look(
      "userbase",
      action.userbase,
      at,
      ({ key, value }) =>
        parseUserInfo(key, accountOf(value)) === null
          ? `the value of "${shown(key)}" is no account, uid:gid:home: its mail will be refused for now`
          : null,
    );
  }
  for (const spec of config.listen) {
    const logins = spec.auth?.table ?? null;
    if (
      logins !== null && only === null && !seen.has(`credentials ${logins}`) &&
      contents.of(logins, spec.at)?.entries.length === 0
    ) {
      warnings.push(`${placeText(spec.at)}: warning: ${tableText(logins)} is empty: nobody can log in`);
    }
    look("credentials", logins, spec.at, (entry) => only === null || !isClear(entry) ? passwordFault(entry) : null);
    look("names", spec.hostnames, spec.at, nameFault);
  }
  lookAtPatterns(config, contents, machine, look);
  return warnings;
}

/** Tables that are written where they are used have no name. */
function tableText(name: string): string {
  return name.startsWith("<") ? "this table" : `table <${shown(name)}>`;
}

/** A line of passwd(5) behind the name, or the value of a map. */
function accountOf(value: string): string {
  const parts = value.split(":");
  return parts.length >= 6 ? `${parts[1]}:${parts[2]}:${parts[4]}` : value;
}

function aliasFault({ key, value, at }: Entry, machine: MachineState): string | readonly string[] | null {
  const fault = targetFault(value);
  if (fault !== null) return `the alias "${shown(key)}" cannot work: ${fault}: its mail will be refused`;
  const { targets } = parseTargets(value);
  for (const target of targets) {
    if (target.type !== "include" || machine.mayInclude?.(target.path) !== false) continue;
    return `the alias "${shown(key)}" includes ${shown(target.path)}, which is new: smtpctl reload has both read`;
  }
  return targets.flatMap((target) => {
    if (target.type === "pipe" || target.type === "file") {
      const fault = templateFault(target.type === "pipe" ? target.command : target.path);
      return fault === null
        ? []
        : [`${at}: warning: the alias "${shown(key)}" cannot work: ${fault}: its mail will come back`];
    }
    if (target.type !== "include") return [];
    const path = shown(target.path);
    try {
      const text = machine.readText(target.path) ?? "";
      return [...includeFaults(text)].map(({ line, fault }) =>
        `${path}:${line}: warning: of this line of the alias "${shown(key)}" the rest is left out: ${fault}`
      );
    } catch (error) {
      const reason = shown(systemReason(error));
      return [`${at}: warning: the alias "${shown(key)}" includes ${path}, which cannot be read: ${reason}`];
    }
  });
}

function loopWarnings(
  name: string | null,
  at: SourceLine,
  contents: Contents,
  delimiter: string,
  seen: Set<string>,
): string[] {
  if (name === null || seen.has(`loops ${name}`)) return [];
  seen.add(`loops ${name}`);
  return loopingAliases(contents.of(name, at)?.entries ?? [], delimiter).slice(0, MAX_TABLE_WARNINGS).map((
    { key, at },
  ) => `${at}: warning: the alias "${shown(key)}" leads back to itself and nowhere else: its mail will be refused`);
}

/** Commands and files of aliases run as a user that must be there. */
function commandWarnings(
  name: string | null,
  at: SourceLine,
  contents: Contents,
  machine: MachineState,
  seen: Set<string>,
): string[] {
  if (name === null || seen.has(`commands ${name}`) || machine.hasUser(COMMAND_USER) !== false) return [];
  seen.add(`commands ${name}`);
  const entry = contents.of(name, at)?.entries.find(({ value }) =>
    parseTargets(value).targets.some(({ type }) => type === "pipe" || type === "file")
  );
  if (entry === undefined) return [];
  return [
    `${entry.at}: warning: commands and files of aliases need the user ${COMMAND_USER}, which this machine does not have: ` +
    `the mail of "${shown(entry.key)}" will come back`,
  ];
}

const COMMAND_USER = "_smtpd";

/** Of a line of passwd(5) only the second field is a password. */
function storedPassword(value: string): ReturnType<typeof readStored> {
  return readStored(value.split(":").length >= 5 ? value.split(":", 1)[0]! : value);
}

/** A password in clear lets its owner in. */
function isClear({ value }: Entry): boolean {
  const stored = storedPassword(value);
  return stored.kind === "clear" && stored.hash !== null;
}

function passwordFault({ key, value }: Entry): string | null {
  const user = `"${shown(key)}"`;
  const stored = storedPassword(value);
  switch (stored.kind) {
    case "locked":
      return null;
    case "hash":
      if (stored.hash.startsWith("SCRAM-")) {
        return parseVerifier(stored.hash) === null
          ? `the SCRAM verifier of ${user} is damaged: logins will fail`
          : null;
      }
      return isWholeHash(stored.hash)
        ? null
        : `the hash of ${user} is damaged or of no known scheme: logins will fail: write what "smtpctl encrypt" prints`;
    case "clear":
      return stored.hash === null
        ? `the password of ${user} is in clear, which lets nobody in: write what "smtpctl encrypt" makes of it`
        : `the password of ${user} is in clear for all who can read the file: write what "smtpctl encrypt" makes of it`;
    case "unknown":
      return `the scheme {${shown(stored.scheme)}} of ${user} cannot be verified: logins will fail`;
  }
}

/** An address and the name that belongs to it. */
function nameFault({ key, value }: Entry): string | null {
  const bare = key.replace(/^\[(.*)\]$/, "$1");
  const normal = isIP(bare) === 0 ? null : normalAddress(bare.toLowerCase());
  if (normal === null) return `"${shown(key)}" is no address: it is never looked up`;
  if (normal !== bare.toLowerCase()) return `"${shown(key)}" is never looked up: write it as ${normal}`;
  const name = asciiDomain(value.trim());
  if (name !== null && /^[!-~]{1,255}$/.test(name)) return null;
  return `"${shown(value)}", the name of ${shown(key)}, is no host name`;
}

function lookAtRelay(
  action: RelayAction,
  at: SourceLine,
  contents: Contents,
  machine: MachineState,
  look: (what: string, name: string | null, at: SourceLine, judge: Judge) => void,
): void {
  const labels = action.auth === null ? null : contents.table(action.auth);
  const hosts = action.host ?? action.domain;
  look(`hosts of ${action.name}`, hosts, at, ({ key, value }) => {
    const text = action.host === null ? value : key;
    const fault = hostFault(text, action.auth, (label) => labels === null || labels.check("string", label) !== false);
    return fault === null ? null : `action "${shown(action.name)}": the host "${shown(text)}" ${fault}`;
  });
  look(
    "secrets",
    action.auth,
    at,
    ({ key, value }) =>
      parseRelaySecret(value) === null ? `the value of the label "${shown(key)}" is no user:password` : null,
  );
  look("names", action.heloSrc, at, nameFault);
  look(
    "addresses",
    action.src,
    at,
    ({ key }) =>
      isIP(key.replace(/^\[(.*)\]$/, "$1")) === 0
        ? `"${shown(key)}" is no address: no mail leaves from it${machine.interfaceList()}`
        : null,
  );
}

function hostFault(text: string, auth: string | null, hasLabel: (label: string) => boolean): string | null {
  const url = parseRelayUrl(text);
  if (url === null) return `${relayUrlFault(text)}: its mail will wait`;
  if (url.label !== "" && auth === null) return `has a label, which needs "auth": its mail will wait`;
  if (url.label !== "" && !hasLabel(url.label)) {
    return `has the label "${shown(url.label)}", which ${tableText(auth!)} does not have: its mail will wait`;
  }
  if (url.label === "" && auth !== null) {
    return `has no label, so that "auth" has no effect: write smtps://LABEL@${shown(url.host)} or smtp+tls://LABEL@…`;
  }
  return null;
}
