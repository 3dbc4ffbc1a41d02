/** The `… limit` directives of smtpd.conf(5): words followed by numbers. */

import { asciiDomain } from "../envelope/mod.ts";
import type { Context } from "./context.ts";
import type { Limit, LimitGroup, LimitsOf } from "../config/mod.ts";
import { LIMITS } from "../config/limits.ts";
import { SET_PLACES } from "../config/source_line.ts";

/** Reads what follows `mda limit` into the draft. */
export function parseMdaLimits(context: Context): void {
  parseLimits(context, "mda", (key, value) => context.draft.mda[key] = value);
}

/** Reads what follows `scheduler limit` into the draft. */
export function parseSchedulerLimits(context: Context): void {
  parseLimits(context, "scheduler", (key, value) => context.draft.scheduler[key] = value);
}

/** Reads what follows `smtp limit` into the draft. */
export function parseSmtpLimits(context: Context): void {
  parseLimits(context, "smtp", (key, value) => context.draft.smtp[key] = value);
}

/** After `mta limit`. A block for a domain starts as a copy of the default block as it stands here. */
export function parseMtaLimits(context: Context): void {
  const { cursor, draft } = context;
  const { at } = cursor.peek();
  let domain: string | null = null;
  if (cursor.acceptKeyword("for")) {
    if (!cursor.expectKeyword("domain")) return;
    const written = cursor.expectString("a domain")?.toLowerCase() ?? null;
    if (written === null) return;
    domain = asciiDomain(written) ?? written;
  }
  const limits = { ...(domain === null ? null : draft.domainLimits.get(domain)) ?? draft.mta.limits };
  const family = (word: string) => {
    if (word === "inet4") limits.family = 4;
    else if (word === "inet6") limits.family = 6;
    else return false;
    return true;
  };
  parseLimits(context, "mta", (key, value) => limits[key] = value, family);
  if (cursor.failed) return;
  draft.declared.set(domain === null ? SET_PLACES.mtaLimit : `${SET_PLACES.mtaLimitFor}${domain}`, at);
  if (domain === null) draft.mta.limits = limits;
  else draft.domainLimits.set(domain, limits);
}

/** Reads a number for `what`. Fails, and returns null, when it is out of bounds. */
export function expectCount(
  { cursor }: Context,
  what: string,
  { minimum, maximum }: Pick<Limit, "minimum" | "maximum">,
): number | null {
  const { at } = cursor.peek();
  const value = cursor.expectNumber("a number");
  if (value === null) return null;
  if (value >= minimum && value <= maximum) return value;
  cursor.fail(at, `invalid value for ${what}: ${value} (from ${minimum} to ${maximum})`);
  return null;
}

/** Words and numbers to the end of the line. `flag` takes words without a number and says whether it knew them. */
function parseLimits<Group extends LimitGroup>(
  context: Context,
  group: Group,
  set: (key: keyof LimitsOf<Group>, value: number) => void,
  flag: (word: string) => boolean = () => false,
): void {
  const { cursor } = context;
  const rows = Object.entries<Limit>(LIMITS[group]);
  while (!cursor.atEnd()) {
    const token = cursor.peek();
    if (token.kind === "keyword" && flag(token.text)) {
      cursor.take();
      continue;
    }
    const row = token.kind === "string" ? rows.find(([, { word }]) => word === token.text) : undefined;
    if (row === undefined) return cursor.unknownWord(`${group} limit keyword`, rows.map(([, { word }]) => word));
    cursor.take();
    const value = expectCount(context, `${group} limit ${token.text}`, row[1]);
    if (value !== null) set(row[0] as keyof LimitsOf<Group>, value);
  }
}
