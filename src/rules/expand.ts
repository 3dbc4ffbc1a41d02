/**
 * Expansion of one recipient into deliverables, through rules, aliases and virtual mappings. Pure: the world that it asks is injected, so it
 * knows no tables, files or accounts. `.forward` files are not read: a user who was found is delivered to.
 */

import { type Action, type LocalAction, tableKey } from "../config/mod.ts";
import type { Deliverable, Mailbox, Origin, ReversePath } from "../envelope/mod.ts";
import type { Expansion } from "../isolate/mod.ts";
import { type ListTarget, LookupError, parseTargets, sortTargets, targetText } from "../tables/mod.ts";
import { aliasKeys, splitTag, virtualKeys } from "./keys.ts";
import type { Decision, Subject } from "./match.ts";
import { errorRefusal, type Refusal, refusals } from "./replies.ts";

/** What the RCPT command brought. */
export interface ExpansionRequest {
  readonly origin: Origin;
  readonly tls: boolean;
  readonly sender: ReversePath;
  readonly rcpt: Mailbox;
}

/** All that expansion may ask. */
export interface ExpansionWorld {
  /** Splits `user+tag`; one character. */
  readonly delimiter: string;
  match(subject: Subject): Decision;
  /** The action of this name; null when the configuration has none. */
  action(name: string): Action | null;
  /** Value of a key of an alias or virtual table. */
  lookup(table: string, key: string): string | null | LookupError;
  /** Is there such an account for this action? `user` is lower-case. */
  hasAccount(action: LocalAction, user: string): boolean | LookupError;
  /** Targets of an include file, in file order; none when it cannot be read. */
  include(path: string): readonly ListTarget[];
  /** For the operator's log. */
  warn(text: string): void;
}

/** A node of this depth ends the expansion: the last resort against loops. */
export const MAX_DEPTH = 10;
/** Nodes of one expansion; more are taken for a loop that branches. OpenSMTPD has no such limit. */
export const MAX_NODES = 10_000;
/** Account that commands and files of alias tables run as. */
export const DAEMON_USER = "_smtpd";

interface Node {
  readonly target: ListTarget;
  readonly parent: Node | null;
  readonly depth: number;
  readonly serial: number;
  /** A user whose parent is the same user: it stands for the mailbox, not for the alias of that name. */
  readonly sameUser: boolean;
  /** Address node: what the rules chose for it. */
  action: Action | null;
}

/** Who gets the mail for `request.rcpt`? Any failure of a part fails the whole. */
export function expand(world: ExpansionWorld, request: ExpansionRequest): Expansion {
  return new Expander(world, request).run();
}

class Expander {
  readonly #world: ExpansionWorld;
  readonly #request: ExpansionRequest;
  readonly #nodes: Node[] = [];
  readonly #seen = new Set<string>();
  readonly #targets: Deliverable[] = [];
  readonly #internal: boolean[] = [];

  constructor(world: ExpansionWorld, request: ExpansionRequest) {
    this.#world = world;
    this.#request = request;
  }

  run(): Expansion {
    this.#insert({ type: "address", mailbox: this.#request.rcpt }, null);
    // The list grows while it is walked: first in, first out.
    for (let at = 0; at < this.#nodes.length; at++) {
      const node = this.#nodes[at]!;
      const refused = node.depth >= MAX_DEPTH ? this.#refuse("expansionPermanent") : this.#expandNode(node);
      if (refused !== null) return refused;
      if (this.#nodes.length > MAX_NODES) {
        this.#world.warn(`Expansion of a recipient has more than ${MAX_NODES} nodes`);
        return this.#refuse("expansionTemporary");
      }
    }
    if (this.#targets.length === 0) return this.#refuse("expansionPermanent");
    return { ok: true, targets: this.#targets, internal: this.#internal };
  }

  #refuse(why: keyof typeof refusals): Refusal {
    return refusals[why](this.#request.rcpt);
  }

  #fail(error: LookupError, what: string, why: "temporary" | "expansionTemporary"): Refusal {
    this.#world.warn(`${what}: ${error.reason}`);
    return this.#refuse(why);
  }

  #expandNode(node: Node): Refusal | null {
    const { target } = node;
    switch (target.type) {
      case "address":
        return this.#expandAddress(node, target.mailbox);
      case "user":
        return this.#expandUser(node, target.name);
      case "file":
      case "pipe":
        return this.#submitCommand(node, target);
      case "error":
        if (this.#localAction(node).method.type === "forward-only") return this.#refuse("temporary");
        return errorRefusal(target.code, target.text, this.#request.rcpt);
      case "include":
        // Replaced by their content when they are read.
        return null;
    }
  }

  #expandAddress(node: Node, dest: Mailbox): Refusal | null {
    const { origin, tls, sender } = this.#request;
    const decision = this.#world.match({ origin, tls, sender, dest, internal: node.parent !== null });
    if (decision.kind === "error") return this.#fail(new LookupError(decision.reason), "Rules", "temporary");
    if (decision.kind !== "action") return this.#refuse("notAllowed");
    const action = node.action = this.#world.action(decision.name);
    if (action === null) {
      return this.#fail(new LookupError(`There is no action "${decision.name}"`), "Rules", "temporary");
    }
    if (action.kind === "relay") {
      this.#submit({ agent: "mta", action: action.name, dest }, node);
      return null;
    }
    if (action.virtual !== null) {
      const found = this.#insertList(action.virtual, virtualKeys(dest, this.#world.delimiter), node);
      if (found instanceof LookupError) return this.#fail(found, `Table "${action.virtual}"`, "expansionTemporary");
      return found === 0 ? this.#refuse("expansionPermanent") : null;
    }
    this.#insert({ type: "user", name: tableKey(dest.local) }, node);
    return null;
  }

  #expandUser(node: Node, name: string): Refusal | null {
    const action = this.#localAction(node);
    const mapping = action.alias ?? action.virtual;
    if (!node.sameUser && mapping !== null) {
      const keys = action.alias !== null
        ? aliasKeys(name, this.#world.delimiter)
        : virtualKeys({ local: name, domain: "" }, this.#world.delimiter);
      const found = this.#insertList(mapping, keys, node);
      if (found instanceof LookupError) return this.#fail(found, `Table "${mapping}"`, "expansionTemporary");
      if (found > 0) return null;
    }
    const [user, subAddress] = splitTag(tableKey(name), this.#world.delimiter);
    const known = this.#world.hasAccount(action, user);
    if (known instanceof LookupError) return this.#fail(known, "Accounts", "temporary");
    if (!known) return this.#refuse("unknownUser");
    if (action.method.type === "forward-only") return this.#refuse("expansionTemporary");
    if (action.method.type === "expand-only") return this.#refuse("expansionPermanent");
    this.#submit({ agent: "mda", action: action.name, dest: destOf(node), user, subAddress, exec: "" }, node);
    return null;
  }

  #submitCommand(node: Node, target: Extract<ListTarget, { type: "file" | "pipe" }>): Refusal | null {
    const action = this.#localAction(node);
    if (action.method.type === "forward-only") return this.#refuse("temporary");
    if (target.type === "pipe") this.#world.warn(`Commands from aliases run with the privileges of ${DAEMON_USER}`);
    const exec = target.type === "pipe" ? target.command : `>${target.path}`;
    const dest = destOf(node);
    this.#submit({ agent: "mda", action: action.name, dest, user: DAEMON_USER, subAddress: "", exec }, node);
    return null;
  }

  #submit(deliverable: Deliverable, node: Node): void {
    this.#targets.push(deliverable);
    this.#internal.push(addressAbove(node).parent !== null);
  }

  /** Only addresses with a local action have anything below them. */
  #localAction(node: Node): LocalAction {
    const action = addressAbove(node).action;
    if (action?.kind !== "local") throw new Error("A node of an expansion has no local action above it");
    return action;
  }

  /** Inserts the targets of the first key that the table has. How many there were, duplicates counted. */
  #insertList(table: string, keys: Iterable<string>, parent: Node): number | LookupError {
    for (const key of keys) {
      const value = this.#world.lookup(table, key);
      if (value instanceof LookupError) return value;
      if (value === null) continue;
      const list = parseTargets(value);
      if (!list.valid) return new LookupError(`The value of "${key}" is not a list of recipients`);
      let count = 0;
      for (const target of sortTargets(list.targets)) {
        for (const found of target.type === "include" ? this.#world.include(target.path) : [target]) {
          this.#insert(found, parent);
          count++;
        }
      }
      return count;
    }
    return 0;
  }

  /** A node that equals an earlier one below the same address is dropped: this also breaks most loops. */
  #insert(target: ListTarget, parent: Node | null): void {
    const above = parent === null ? -1 : addressAbove(parent).serial;
    const sameUser = target.type === "user" && parent?.target.type === "user" && parent.target.name === target.name;
    const key = `${above} ${target.type} ${sameUser} ${runsAs(target, parent)} ${targetText(target)}`;
    if (this.#seen.has(key) || this.#nodes.length > MAX_NODES) return;
    this.#seen.add(key);
    const depth = parent === null ? 0 : parent.depth + 1;
    this.#nodes.push({ target, parent, depth, serial: this.#nodes.length, sameUser, action: null });
  }
}

/** Files and commands are told apart by the user above them too; -1 for none, and for all other targets. */
function runsAs(target: ListTarget, parent: Node | null): number {
  if (target.type !== "file" && target.type !== "pipe") return -1;
  for (let node = parent; node !== null; node = node.parent) if (node.target.type === "user") return node.serial;
  return -1;
}

/** The node itself if it is an address, else the nearest address above it. The first node is one. */
function addressAbove(node: Node): Node {
  let above = node;
  while (above.target.type !== "address") above = above.parent!;
  return above;
}

function destOf(node: Node): Mailbox {
  const { target } = addressAbove(node);
  if (target.type !== "address") throw new Error("There is no address above a node of an expansion");
  return target.mailbox;
}
