/** The tree of an expanded recipient as steps: rules, tables and files in the order in which they were asked. */

import { type EnvelopeContent, formatMailbox, type Routed } from "../envelope/mod.ts";
import type { Step } from "./step.ts";

const HOW: Readonly<Record<Routed["how"], string>> = {
  recipient: "recipient",
  user: "user",
  alias: "alias",
  virtual: "virtual",
  forward: ".forward",
  srs: "SRS",
};

/** Returns a table as smtpd.conf(5) writes it; the names of those that are built in have the signs already. */
export function tableName(name: string): string {
  return name.startsWith("<") ? name : `<${name}>`;
}

/** Returns to whom an envelope goes, and as whom the client named that one, where these differ. */
export function destinationName({ dest, rcpt }: Pick<EnvelopeContent, "dest" | "rcpt">): string {
  const name = formatMailbox(dest), named = formatMailbox(rcpt);
  const isSame = dest.local === rcpt.local && dest.domain.toLowerCase() === rcpt.domain.toLowerCase();
  return isSame ? name : `${name}, for ${named},`;
}

/** Returns the step of a node, with those below it. */
export function routedStep(node: Routed): Step {
  const { address, how, table, rule, result, action, goal, reason, children, more = 0 } = node;
  const from = table === undefined ? "" : `, by ${table.startsWith("/") ? table : `table ${tableName(table)}`}`;
  const outcome = [
    resultText(node),
    ...goal === undefined
      ? []
      : [`${goal.kind}${goal.user === undefined ? "" : ` of ${goal.user}`} ${goal.text}`.trim()],
    ...reason === undefined || reason === resultText(node) ? [] : [reason],
  ].join(": ");
  return {
    kind: "expansion",
    text: `${HOW[how]} ${address}${from}: ${outcome}`,
    ...rule === null ? {} : { where: rule },
    detail: {
      address,
      how,
      result,
      table: table ?? null,
      action: action ?? null,
      goal: goal === undefined ? null : { kind: goal.kind, user: goal.user ?? null, text: goal.text },
      reason: reason ?? null,
    },
    children: [
      ...children.map(routedStep),
      ...more === 0 ? [] : [{ kind: "omitted", text: `${more} more are left out` }],
    ],
  };
}

function resultText({ result, action }: Routed): string {
  switch (result) {
    case "action":
      return `action "${action ?? ""}"`;
    case "expanded":
      return action === undefined ? "others stand in its place" : `action "${action}", others stand in its place`;
    case "reject":
      return "a rule rejects it";
    case "none":
      return "no rule matches";
    case "unknown":
      return "there is no such user";
    case "error":
      return "cannot be decided";
    case "dropped":
      return "stands in the tree already";
    case "looped":
      return "leads back to itself";
  }
}
