/** Where a recipient leads, as a tree: which rule took each address, what aliases and `.forward` files made of it, and where it ends. Data alone; src/rules makes it. */

/** How a node came about: it is what the client named, or what a table, a file or SRS made of the node above it. */
export const ROUTED_BY = ["recipient", "user", "alias", "virtual", "forward", "srs"] as const;

/**
 * What became of a node. `action`: a rule gave it an action, or it is a delivery; `expanded`: others stand in its place; `reject`: a rule says so; `none`: no
 * rule takes it; `unknown`: no such user; `error`: it cannot be decided, or can never work; `dropped`: the same stands in the tree already; `looped`: it leads
 * back to itself.
 */
export const ROUTED_RESULTS = [
  "action",
  "expanded",
  "reject",
  "none",
  "unknown",
  "error",
  "dropped",
  "looped",
] as const;

/** How mail is handed on: the methods of smtpd.conf(5), and what aliases may name. */
export const ROUTED_GOALS = ["mbox", "maildir", "lmtp", "mda", "relay", "file", "command"] as const;

/** Where it ends. */
export interface RoutedGoal {
  readonly kind: typeof ROUTED_GOALS[number];
  /** The account that the delivery is for. */
  readonly user?: string;
  /** As smtpd.conf has it, such as `maildir "~/Maildir" junk`, or the command or file of an alias; "" for a relay by MX. */
  readonly text: string;
}

export interface Routed {
  /** The address, the user, or the command or file that an alias names. */
  readonly address: string;
  readonly how: typeof ROUTED_BY[number];
  /** The table whose answer it is, or the file of a `.forward` with its line. */
  readonly table?: string;
  /** The rule that decided about an address; null for what no rule is asked about, or none took. */
  readonly rule: { readonly file: string; readonly line: number } | null;
  readonly result: typeof ROUTED_RESULTS[number];
  /** Name of the action. */
  readonly action?: string;
  readonly goal?: RoutedGoal;
  /** Why it ends here, in words. */
  readonly reason?: string;
  readonly children: readonly Routed[];
  /** Nodes below it that are left out, since there are too many. */
  readonly more?: number;
}

/** Nodes of one tree at most; those behind are counted in `more`. */
export const MAX_ROUTED_NODES = 200;
/** Levels of a tree at most. */
export const MAX_ROUTED_LEVELS = 16;
/** Characters of a text in a node at most. */
export const MAX_ROUTED_CHARS = 1024;
