/** Words of actions and listeners that the grammar takes and that cannot work: formats with unknown tokens, host names that are none. */

import { isIP } from "node:net";
import type { Action, Config, LocalAction, SourceLine } from "../config/mod.ts";
import { shown } from "../config/values.ts";
import { suggestion } from "../config/words.ts";
import { FORMAT_TOKENS, formatFault } from "../delivery/mod.ts";
import { asciiDomain } from "../envelope/mod.ts";
import { placeText } from "./entries.ts";
import { addressFault } from "./patterns.ts";

/** `file:line: warning: …` for each such word. */
export function literalWarnings(config: Config): string[] {
  const warnings: string[] = [];
  for (const { at, hostname } of config.listen) {
    const fault = hostname === null ? null : hostNameFault(hostname);
    if (fault !== null) warnings.push(`${placeText(at)}: warning: hostname ${fault}: others may refuse its greeting`);
  }
  for (const action of Object.values(config.actions)) {
    const at: SourceLine = config.declared[`action ${action.name}`] ?? { file: config.file, line: 0 };
    for (const fault of action.kind === "local" ? localFaults(action) : relayFaults(action)) {
      warnings.push(`${placeText(at)}: warning: action "${shown(action.name)}": ${fault}`);
    }
  }
  return warnings;
}

function localFaults({ method, wrapper }: LocalAction): string[] {
  const faults: string[] = [];
  const look = (what: string, template: string) => {
    const fault = templateFault(template, { inWrapper: what === "wrapper" });
    if (fault !== null) faults.push(`${what} "${shown(template)}" cannot work: ${fault}: its mail will come back`);
  };
  if (method.type === "mda") look("mda", method.command);
  if (method.type === "lmtp") look("lmtp", method.destination);
  if (method.type === "maildir" && method.path !== null) {
    look("maildir", method.path);
    if (!/^(?:\/|~\/|%\{)/.test(method.path)) {
      faults.push(
        `maildir "${shown(method.path)}" is no absolute path: begin it with "/" or "~/": its mail will come back`,
      );
    }
  }
  if (wrapper !== null) look("wrapper", wrapper);
  return faults;
}

/** Why a path or command of an action or an alias can never be expanded, with the token that was meant; null when it can. */
export function templateFault(template: string, { inWrapper } = { inWrapper: false }): string | null {
  const fault = formatFault(template, { wrapper: inWrapper });
  const token = /^unknown token "(.*)"$/.exec(fault ?? "")?.[1];
  if (token === "mda") return "%{mda} is known in wrappers only";
  return token === undefined ? fault : fault + suggestion(token, FORMAT_TOKENS);
}

function relayFaults(action: Extract<Action, { kind: "relay" }>): string[] {
  const faults: string[] = [];
  const helo = action.helo === null ? null : hostNameFault(action.helo);
  if (helo !== null) faults.push(`helo ${helo}: others may refuse its mail`);
  const mx = action.backup?.mx ?? null;
  const backup = mx === null ? null : hostNameFault(mx);
  if (backup !== null) faults.push(`backup mx ${backup}`);
  const sender = action.mailFrom === null ? null : addressFault(action.mailFrom);
  if (sender !== null) faults.push(`mail-from: ${sender}`);
  return faults;
}

/** Why a text is no host name (RFC 5321 §4.1.2) or address literal; null when it is. */
function hostNameFault(text: string): string | null {
  if (isIP(text) !== 0 || /^\[(?:IPv6:)?[0-9a-f:.]+\]$/i.test(text)) return null;
  const name = asciiDomain(text);
  return name !== null && /^[a-z0-9_](?:[a-z0-9_-]*)(?:\.[a-z0-9_][a-z0-9_-]*)*\.?$/i.test(name)
    ? null
    : `"${shown(text)}" is no host name`;
}
