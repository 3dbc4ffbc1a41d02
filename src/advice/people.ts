/** Users to whom aliases lead and who are not there, or for whom the action delivers nothing: warned of before a sender is refused. */

import type { Config, LocalAction, SourceLine } from "../config/mod.ts";
import { tableKey } from "../config/tablefile.ts";
import { shown } from "../config/values.ts";
import { suggestion } from "../config/words.ts";
import { parseIncludeFile, parseTargets } from "../tables/mod.ts";
import type { Contents, Entry } from "./entries.ts";

/** Accounts of the system; what is read only when it is needed. */
export interface SystemUsers {
  /** The uid of a user; null when there is none of that name, "unknown" when that cannot be determined. */
  uidOf(name: string): Promise<number | null | "unknown">;
  /** Names that a mistyped one may have been. */
  names(): readonly string[];
}

/** Warnings about one table; what is beyond is counted. */
const MAX_TABLE_WARNINGS = 20;
/** Names that are asked for: a directory server may answer each slowly. */
const MAX_ASKED_NAMES = 2000;

/** `file:line: warning: …` for each alias that leads to a user who is not there, or to root where root gets no mail. */
export async function peopleWarnings(
  config: Config,
  contents: Contents,
  users: SystemUsers,
  readText: (path: string) => string | null,
): Promise<string[]> {
  const warnings: string[] = [];
  const seen = new Set<string>();
  for (const action of Object.values(config.actions)) {
    const table = action.kind === "local" ? action.alias ?? action.virtual : null;
    if (action.kind !== "local" || table === null) continue;
    const key = JSON.stringify([table, action.userbase, deliversToRoot(action)]);
    if (seen.has(key)) continue;
    seen.add(key);
    const at = config.declared[`action ${action.name}`] ?? { file: config.file, line: 0 };
    const found = await judgeTable(config, contents, users, readText, action, table, at);
    warnings.push(...found.slice(0, MAX_TABLE_WARNINGS));
    if (found.length > MAX_TABLE_WARNINGS) {
      warnings.push(
        `${at.file}:${at.line}: warning: and ${found.length - MAX_TABLE_WARNINGS} more aliases without their user`,
      );
    }
  }
  return warnings;
}

/** Does the action deliver to root as root? See refuse() of src/delivery/planner.ts. */
function deliversToRoot({ method, user, wrapper }: LocalAction): boolean {
  if (method.type === "forward-only" || method.type === "expand-only") return true;
  if (user !== null && user !== "root") return true;
  return wrapper === null && (method.type === "mbox" || (method.type === "maildir" && user === "root"));
}

async function judgeTable(
  config: Config,
  contents: Contents,
  users: SystemUsers,
  readText: (path: string) => string | null,
  action: LocalAction,
  table: string,
  at: SourceLine,
): Promise<string[]> {
  const entries = contents.of(table, at)?.entries ?? [];
  const keys = new Set(entries.map(({ key }) => tableKey(key).replace(/@$/, "")));
  const delimiter = config.smtp.subAddressDelimiter;
  const base = action.userbase === null || action.userbase.startsWith("<") ? null : action.userbase;
  const known = base === null ? null : contents.table(base);
  if (base !== null && known === null) return [];
  const warnings: string[] = [];
  let asked = 0;
  for (const entry of entries) {
    for (const name of namesIn(entry, readText)) {
      const folded = tableKey(name), user = folded.split(delimiter, 1)[0]!;
      // An alias of its own name is the mailbox; another is judged where it stands.
      if (folded !== tableKey(entry.key) && (keys.has(folded) || keys.has(user))) continue;
      if (asked++ >= MAX_ASKED_NAMES) return warnings;
      const alias = `${entry.at}: warning: the alias "${shown(entry.key)}" leads to "${shown(name)}"`;
      if (known !== null) {
        if (known.lookup(user, "userinfo") !== null) continue;
        warnings.push(`${alias}, whom table <${shown(base!)}> does not have: its mail will be refused`);
        continue;
      }
      const uid = await users.uidOf(user);
      if (uid === null) {
        const guess = suggestion(user, users.names());
        warnings.push(`${alias}, and its mail will be refused: there is no such user or alias${guess}`);
      } else if (uid === 0 && !deliversToRoot(action)) {
        warnings.push(
          `${alias}, for whom action "${
            shown(action.name)
          }" delivers nothing: lead it to a person: its mail will come back`,
        );
      }
    }
  }
  return warnings;
}

/** The users that the value of an alias names, those of its include files too. */
function namesIn({ value }: Entry, readText: (path: string) => string | null): string[] {
  const names = new Set<string>();
  const { valid, targets } = parseTargets(value);
  if (!valid) return [];
  for (const target of targets) {
    if (target.type === "user") names.add(target.name);
    if (target.type !== "include") continue;
    try {
      for (const one of parseIncludeFile(readText(target.path) ?? "")) if (one.type === "user") names.add(one.name);
    } catch {
      // That it cannot be read is reported with the alias.
    }
  }
  return [...names];
}
