/** Listeners that take nothing from the network, and logins that permit nothing or are offered nowhere, by listeners and rules taken together. */

import type { Config, ListenSpec, Rule } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { type Contents, placeText } from "./entries.ts";

/** What can be reached from this machine only. */
const LOOPBACK = /^(?:lo|lo0|localhost|127\..*|::1)$/;

/** `file:line: warning: …` for each listener and rule that no mail can reach. */
export function reachWarnings(config: Config, contents: Contents): string[] {
  const open = config.listen.filter((spec) => !spec.socket && (spec.proxyV2 || !LOOPBACK.test(spec.on)));
  const everybody = open.some((spec) => spec.auth?.required !== true);
  return [
    ...open.flatMap((spec) => listenerFault(spec, { config, contents, everybody }) ?? []),
    ...config.listen.every(({ socket }) => socket) || config.listen.some(({ auth }) => auth !== null)
      ? []
      : config.rules.filter(wantsLogin).map(({ at }) =>
        `${
          placeText(at)
        }: warning: no mail reaches this rule: no listener has "auth" or "auth-optional", so that nobody can log in`
      ),
  ];
}

/** `everybody`: there is a listener for those who have not logged in. */
function listenerFault(
  spec: ListenSpec,
  { config, contents, everybody }: {
    readonly config: Config;
    readonly contents: Contents;
    readonly everybody: boolean;
  },
): string | null {
  const accepting = config.rules.filter(({ outcome }) => outcome.kind === "action").filter((rule) =>
    hasTag(rule, spec, contents) && (spec.auth !== null || !wantsLogin(rule))
  );
  const takers = accepting.filter(({ from }) => !isLocal(from));
  const warn = (text: string) => `${placeText(spec.at)}: warning: ${text}`;
  if (spec.auth !== null) {
    const helps = takers.some((rule) => wantsLogin(rule) || rule.tag !== null || takesAnything(rule, contents));
    if (helps || filtersLogins(config, spec) || (takers.length > 0 && !everybody)) return null;
    const local = accepting.find((rule) => wantsLogin(rule));
    const cure = local === undefined
      ? 'add a rule such as "match from auth for any action …"'
      : `the rule in ${
        local.at.file === spec.at.file ? `line ${local.at.line}` : placeText(local.at)
      } is for clients of this machine only: write "from auth" into it`;
    return warn(`a login here opens nothing: no rule lets those who have logged in send to others: ${cure}`);
  }
  if (takers.length > 0 || config.rules.length === 0) return null;
  return warn(
    'no mail from other machines is taken here: no rule with an action is for them: write "from any" or "from src" into one, such as "match from any for domain …"',
  );
}

function hasTag({ tag }: Rule, spec: ListenSpec, contents: Contents): boolean {
  if (tag === null || tag.regex) return true;
  const found = contents.table(tag.table)?.check("string", spec.tag);
  return typeof found !== "boolean" || found !== tag.negated;
}

/** Is the rule for nobody but those who have logged in? */
function wantsLogin({ auth }: Rule): boolean {
  return auth !== null && !auth.negated && auth.test?.negated !== true;
}

/** Does only this machine fit? */
function isLocal(from: Rule["from"]): boolean {
  if (from.kind === "rdns" || from.negated) return false;
  return from.kind === "socket" || (!from.regex && from.table === BUILTIN_TABLES.localHost);
}

/** May the rule be for whatever domain there is? */
function takesAnything(rule: Rule, contents: Contents): boolean {
  const { negated, regex, table } = rule.for;
  if (table === BUILTIN_TABLES.anyDestination || negated || regex) return true;
  return table !== BUILTIN_TABLES.localNames && contents.of(table, rule.at) === null;
}

/** Does a filter of the listener look at who has logged in? What a program does is not known. */
function filtersLogins(config: Config, spec: ListenSpec): boolean {
  return spec.filter !== null &&
    (config.filters[spec.filter] ?? []).some((step) => step.kind === "builtin" && step.condition.kind === "auth");
}
