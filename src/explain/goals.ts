/** What would become of a recipient, in one text that is the same each time: what a test of a configuration is compared by. */

import type { Action, LocalAction, RelayAction } from "../config/mod.ts";
import { type Deliverable, formatMailbox, type Mailbox } from "../envelope/mod.ts";
import type { Lookups } from "../lookup/lookup_engine.ts";

/** What is needed to tell where something goes. */
export interface GoalDeps {
  /** The recipient as the client has named it. */
  readonly rcpt: Mailbox;
  readonly actions: Readonly<Record<string, Action>>;
  readonly lookups: Pick<Lookups, "smarthosts">;
}

/** Returns where a recipient goes, or one of those that stand for it: `relay to mx1 (action "out")`, `deliver to alice by maildir (action "in")`. */
export async function goalOf(envelope: Deliverable, { actions, lookups, rcpt }: GoalDeps): Promise<string> {
  const action = actions[envelope.action];
  const by = `(action "${envelope.action}")`;
  if (action === undefined) return `nowhere ${by}`;
  if (action.kind === "relay" || envelope.agent === "mta") {
    if (action.kind !== "relay") return `nowhere ${by}`;
    return `relay ${await relayGoal(envelope, action, { lookups, rcpt })} ${by}`;
  }
  return `${localGoal(envelope, action)} ${by}`;
}

async function relayGoal(
  { dest }: Deliverable,
  action: RelayAction,
  { lookups, rcpt }: Pick<GoalDeps, "lookups" | "rcpt">,
): Promise<string> {
  const other = written(dest) === written(rcpt) ? "" : ` for ${written(dest)}`;
  if (action.host === null && action.domain === null) {
    return `to the exchangers of ${dest.domain.toLowerCase()}${other}`;
  }
  const urls = await lookups.smarthosts(action.name, dest.domain);
  // They take turns: the order of the moment is no part of what was decided.
  return `to ${urls.length === 0 ? "no host" : urls.map(shownHost).sort().join(" or ")}${other}`;
}

/** The case of a domain means nothing. */
function written({ local, domain }: Mailbox): string {
  return formatMailbox({ local, domain: domain.toLowerCase() });
}

/** A relay URL without whom to authenticate as, and without what is usual. */
function shownHost(url: string): string {
  return url.replace(/^smtp:\/\//, "").replace(/\/\/.*@/, "//").replace(/^[^/]*@/, "");
}

function localGoal(
  { user, subAddress, exec }: Extract<Deliverable, { agent: "mda" }>,
  { method, user: runsAs }: LocalAction,
): string {
  const as = runsAs === null ? "" : ` as ${runsAs}`;
  if (exec.startsWith(">")) return `append to ${exec.slice(1)} as ${user}`;
  if (exec !== "") return `run ${JSON.stringify(exec)} as ${user}`;
  const tag = subAddress === "" ? "" : `, sub-address ${subAddress}`;
  switch (method.type) {
    case "mbox":
      return `deliver to ${user} by mbox${as}${tag}`;
    case "maildir":
      return `deliver to ${user} by maildir${method.path === null ? "" : ` ${method.path}`}${as}${tag}`;
    case "lmtp":
      return `deliver to ${user} by lmtp ${method.destination}${as}${tag}`;
    case "mda":
      return `deliver to ${user} by ${JSON.stringify(method.command)}${as}${tag}`;
    case "forward-only":
    case "expand-only":
      return `deliver to ${user} by ${method.type}${as}${tag}`;
  }
  method satisfies never;
  return "";
}
