/** Where a recipient leads, as lines below each other. Pure. */

import type { Routed } from "../envelope/mod.ts";

/** Lines of one tree at most. */
const MAX_TREE_LINES = 60;
/** Characters of one of them, blanks apart. */
const MAX_NODE_CHARS = 400;

const HOW: Readonly<Record<Routed["how"], string>> = {
  recipient: "",
  user: "user ",
  alias: "alias ",
  virtual: "virtual ",
  forward: ".forward ",
  srs: "SRS ",
};

/** The tree below and with `routed`, each level two blanks deeper; what is too many is counted. */
export function treeLines(routed: Routed): string[] {
  const lines: string[] = [];
  let left = 0;
  const walk = (node: Routed, depth: number) => {
    if (lines.length >= MAX_TREE_LINES) left++;
    else lines.push(`${"  ".repeat(depth)}${nodeText(node)}`);
    for (const child of node.children) walk(child, depth + 1);
    left += node.more ?? 0;
  };
  walk(routed, 0);
  if (left > 0) lines.push(`… and ${left} more`);
  return lines;
}

/** One node: how it came about, which rule took it, and what became of it. */
export function nodeText(node: Routed): string {
  const { address, how, table, rule } = node;
  const from = table === undefined ? "" : `, from ${table.startsWith("<dynamic:") ? "a list in smtpd.conf" : table}`;
  const by = rule === null ? "" : `, rule ${placeOf(rule)}`;
  const text = `${HOW[how]}${address}${from}${by}: ${endOf(node)}`;
  return text.length > MAX_NODE_CHARS ? `${text.slice(0, MAX_NODE_CHARS)}…` : text;
}

/** `smtpd.conf:12`: the file without its folders, which who runs the server knows. */
export function placeOf({ file, line }: NonNullable<Routed["rule"]>): string {
  return `${file.slice(file.lastIndexOf("/") + 1)}:${line}`;
}

function endOf({ result, action, goal, reason, children }: Routed): string {
  const because = reason === undefined || reason === "" ? "" : ` (${reason})`;
  switch (result) {
    case "action":
      return `action ${action === undefined ? "" : `"${action}"`}${
        goal === undefined ? "" : `, ${goalText(goal)}`
      }${because}`;
    case "expanded":
      return `leads to ${children.length === 1 ? "one address" : `${children.length} addresses`}${because}`;
    case "reject":
      return `the rule rejects it${because}`;
    case "none":
      return `no rule takes it${because}`;
    case "unknown":
      return `there is no such user${because}`;
    case "error":
      return `cannot be decided${because}`;
    case "dropped":
      return `left out, it stands in this list already${because}`;
    case "looped":
      return `left out, it leads back to itself${because}`;
  }
  return result satisfies never;
}

/** Where it ends, such as `maildir of bob`, `relay`, `command "|procmail"`. */
export function goalText({ kind, user, text }: NonNullable<Routed["goal"]>): string {
  const of = user === undefined || user === "" ? "" : ` of ${user}`;
  const what = text === "" || text === kind ? kind : text.startsWith(kind) ? text : `${kind} ${text}`;
  return `${what}${of}`;
}
