/** The tree of an expansion, for whoever asks to see it: written down while it is walked, with a bound. Decides nothing; see expand.ts. */

import type { Action, LocalAction } from "../config/mod.ts";
import {
  type Deliverable,
  MAX_ROUTED_CHARS,
  MAX_ROUTED_LEVELS,
  MAX_ROUTED_NODES,
  type Routed,
  type RoutedGoal,
} from "../envelope/mod.ts";

/** A node that is being written. */
export type RoutedDraft = { -readonly [K in keyof Omit<Routed, "children">]: Routed[K] } & { children: RoutedDraft[] };

/** How a node comes about, and whose answer it is. */
export type RoutedOrigin = Pick<Routed, "how" | "table">;

export class ExpansionTree {
  readonly root: RoutedDraft;
  #nodes = 1;

  constructor(address: string) {
    this.root = draft(address, { how: "recipient" });
  }

  /** Adds a node below `parent`; `levels` stand above it. Null where there are too many already: it is counted at the nearest node that stands. */
  add(parent: RoutedDraft, address: string, origin: RoutedOrigin, levels: number): RoutedDraft | null {
    if (this.#nodes >= MAX_ROUTED_NODES || levels >= MAX_ROUTED_LEVELS) {
      parent.more = (parent.more ?? 0) + 1;
      return null;
    }
    this.#nodes++;
    const node = draft(address, origin);
    parent.children.push(node);
    return node;
  }
}

function draft(address: string, { how, table }: RoutedOrigin): RoutedDraft {
  const named = table === undefined ? {} : { table: cut(table) };
  return { address: cut(address), how, ...named, rule: null, result: "expanded", children: [] };
}

function cut(text: string): string {
  return text.length <= MAX_ROUTED_CHARS ? text : `${text.slice(0, MAX_ROUTED_CHARS - 3)}...`;
}

/** Marks the node as one at which the expansion ends, with a reason. */
export function endAt(node: RoutedDraft | null, result: Routed["result"], reason?: string): void {
  if (node === null) return;
  node.result = result;
  if (reason !== undefined) node.reason = cut(reason);
}

/** Returns where a delivery by this action ends. */
export function goalOf(action: Action, deliverable: Deliverable): RoutedGoal {
  if (action.kind === "relay" || deliverable.agent === "mta") return { kind: "relay", text: relayText(action) };
  const { user, exec } = deliverable;
  if (exec.startsWith(">")) return { kind: "file", user, text: cut(exec.slice(1)) };
  if (exec !== "") return { kind: "command", user, text: cut(exec) };
  return { ...methodOf(action), user };
}

function methodOf({ method }: LocalAction): Pick<RoutedGoal, "kind" | "text"> {
  switch (method.type) {
    case "maildir":
      return { kind: "maildir", text: cut(method.path ?? "") };
    case "lmtp":
      return { kind: "lmtp", text: cut(method.destination) };
    case "mda":
      return { kind: "mda", text: cut(method.command) };
    case "mbox":
    case "forward-only":
    case "expand-only":
      return { kind: "mbox", text: "" };
  }
}

/** A table that the configuration has no name for is not shown: it may be a URL with the label of a secret. */
function relayText(action: Action): string {
  if (action.kind !== "relay") return "";
  const [word, table] = action.host !== null ? ["host", action.host] : ["domain", action.domain ?? ""];
  return table === "" || table.startsWith("<") ? "" : `${word} <${table}>`;
}
