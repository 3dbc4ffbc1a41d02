/** Tells what would be done with an envelope on this machine: where its file would lie, as whom, by which command. Makes and runs nothing. */

import type { Config } from "../config/mod.ts";
import { type EnvelopeContent } from "../envelope/mod.ts";
import { HeaderScan } from "../delivery/headers.ts";
import { chosenFolder } from "../delivery/methods/maildir.ts";
import { type DeliveryEnd, lookupFailed } from "../delivery/methods/sysexits.ts";
import type { Plan } from "../delivery/plan.ts";
import { decide, isPrivileged, unknownAction } from "../delivery/planner.ts";
import type { Lookups } from "../lookup/mod.ts";
import { hostPort } from "../net/mod.ts";
import type { Account, DeliverySettings } from "../protocol/mod.ts";
import { type Look, placeState } from "./place.ts";
import type { Step } from "./step.ts";
import { destinationName } from "./tree.ts";

export interface DeliveryDeps {
  readonly settings: DeliverySettings;
  readonly lookups: Pick<Lookups, "account">;
  readonly config: Pick<Config, "declared">;
  readonly look: Look;
}

/** What delivery would do with one envelope. */
export interface Decided {
  /** Null where none were found. */
  readonly accounts: { readonly account: Account; readonly identity: Account } | null;
  readonly plan: Plan;
  /** Something before has called the message spam. */
  readonly spam: boolean;
}

/** Decides about an envelope of agent `mda`, as an attempt of delivery does. `text`: the message as it is stored. */
export async function decideDelivery(
  envelope: EnvelopeContent,
  text: Uint8Array,
  { settings, lookups }: Pick<DeliveryDeps, "settings" | "lookups">,
): Promise<Decided> {
  const ended = (end: DeliveryEnd): Decided => ({ accounts: null, plan: { kind: "refused", end }, spam: false });
  const action = Object.hasOwn(settings.actions, envelope.action) ? settings.actions[envelope.action] : undefined;
  if (action === undefined) return ended(unknownAction(envelope));
  const result = await lookups.account(envelope.action, envelope.user ?? "");
  if (!result.ok) return ended(lookupFailed(result));
  const { account, identity } = result;
  const scan = new HeaderScan(envelope.dest);
  scan.feed(text);
  const plan = decide(envelope, { settings, action, account, identity }, scan);
  return { accounts: { account, identity }, plan, spam: scan.junk };
}

/** Returns the same as a step. Never rejects but as the lookups do. */
export async function explainDelivery(envelope: EnvelopeContent, text: Uint8Array, deps: DeliveryDeps): Promise<Step> {
  const decided = await decideDelivery(envelope, text, deps);
  const { accounts, plan } = decided;
  const { settings, config: { declared } } = deps;
  const where = declared[`action ${envelope.action}`];
  const action = settings.actions[envelope.action];
  const children: Step[] = [];
  if (accounts !== null) children.push(...accountSteps(accounts, decided));
  const wrapped = action !== undefined && action.wrapper !== null && plan.kind === "command";
  if (wrapped) children.push({ kind: "wrapper", text: "the wrapper of the action runs in the place of the delivery" });
  children.push(...planSteps(decided, deps));
  const how = plan.kind !== "refused" && isPrivileged(action, envelope.exec) ? " by the isolate privileged" : "";
  return {
    kind: "delivery",
    ...where === undefined ? {} : { where },
    text: `${destinationName(envelope)} is delivered here by the action "${envelope.action}"${how}`,
    children,
  };
}

function accountSteps({ account, identity }: NonNullable<Decided["accounts"]>, { plan }: Decided): Step[] {
  const { uid, gid, home } = identity;
  const other = account.name === identity.name ? "" : `, for the user ${account.name} (home ${account.home})`;
  const who = plan.kind === "lmtp" ? `the user is ${account.name}` : `as the user ${identity.name}`;
  return [{
    kind: "user",
    text: `${who} (uid ${uid}, gid ${gid}, home ${home})${plan.kind === "lmtp" ? "" : other}`,
    detail: { user: account.name, as: identity.name, uid, gid, home, userHome: account.home },
  }];
}

function planSteps({ accounts, plan, spam }: Decided, { look, settings }: DeliveryDeps): Step[] {
  switch (plan.kind) {
    case "refused": {
      const { outcome, stat } = plan.end;
      const later = outcome.result === "tempfail" ? "tried again later" : "returned to the sender";
      const status = outcome.result === "ok" ? null : `${outcome.status.class}.${outcome.status.code}`;
      const text = `not delivered: ${outcome.text} (${status ?? "ok"}, ${later})`;
      return [{ kind: "end", text, detail: { result: outcome.result, text: outcome.text, status, stat } }];
    }
    case "maildir": {
      const isThere = (path: string) => look(path).kind === "directory";
      const folder = chosenFolder({ ...plan, spam }, isThere);
      const state = placeState(folder, accounts!.identity, look);
      const why = folderWords(plan, { folder, spam });
      return [
        {
          kind: "maildir",
          text: `the file would lie in ${folder}/new${why}`,
          detail: { directory: plan.directory, folder, junk: plan.junk, spam, extension: plan.extension },
        },
        { kind: "place", text: state.text, detail: { exists: state.exists, writable: state.writable } },
      ];
    }
    case "mbox":
    case "file": {
      // As root the system mailbox is made for the user, who may not write to its folder.
      const byRoot = plan.kind === "mbox" && settings.shared.root && look(plan.path).kind === "absent";
      const state = byRoot
        ? { exists: false, writable: true, text: `${plan.path} is not there, and is made for the user` }
        : placeState(plan.path, accounts!.identity, look);
      return [
        {
          kind: plan.kind,
          text: `appended to ${plan.path} in mbox format, with the From_ line of ${plan.from}`,
          detail: { path: plan.path, from: plan.from },
        },
        { kind: "place", text: state.text, detail: { exists: state.exists, writable: state.writable } },
      ];
    }
    case "lmtp": {
      const to = "path" in plan.to ? plan.to.path : hostPort(plan.to);
      const text = `by LMTP to ${to}, RCPT TO:<${plan.recipient}>`;
      return [{ kind: "lmtp", text, detail: { to, recipient: plan.recipient } }];
    }
    case "command":
      return [{
        kind: "command",
        text: `runs /bin/sh -c ${JSON.stringify(plan.command)} in ${plan.directory}`,
        detail: { command: plan.command, directory: plan.directory, environment: { ...plan.environment } },
      }];
  }
}

function folderWords(
  { directory, junk, extension }: Extract<Plan, { kind: "maildir" }>,
  { folder, spam }: { readonly folder: string; readonly spam: boolean },
): string {
  if (junk && spam) return ", for the message is marked as spam";
  if (extension === "") return "";
  return folder === directory
    ? `: there is no folder .${extension} for the sub-address`
    : `, the folder of the sub-address ${extension}`;
}
