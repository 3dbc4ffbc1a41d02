/**
 * Expansion of one recipient into deliverables, through rules, aliases, virtual mappings and `.forward` files. Pure: what it asks is
 * injected, so it reads no tables, files or accounts. It is long because it is one walk over one tree.
 */

import type { Action, LocalAction } from "../config/mod.ts";
import { tableKey } from "../config/tablefile.ts";
import { shown } from "../config/values.ts";
import { type Deliverable, formatMailbox, type Mailbox, type Origin, type ReversePath } from "../envelope/mod.ts";
import { isSrs } from "../mac/mod.ts";
import type { Account, Expansion, Forward } from "../protocol/mod.ts";
import {
  type ListTarget,
  LookupError,
  parseForwardFile,
  parseTargets,
  sortTargets,
  targetFault,
  targetText,
} from "../tables/mod.ts";
import { oncePer } from "./copies.ts";
import { endAt, ExpansionTree, goalOf, type RoutedDraft, type RoutedOrigin } from "./expansion_tree.ts";
import { aliasKeys, splitTag, virtualKeys } from "./keys.ts";
import type { Decision, KnownMailAuth, Subject } from "./match.ts";
import { errorRefusal, type Refusal, refusals } from "./replies.ts";

/** What the RCPT command brought. */
export interface ExpansionRequest {
  readonly origin: Origin;
  readonly tls: boolean;
  readonly sender: ReversePath;
  readonly rcpt: Mailbox;
  /** Of a message that is checked. */
  readonly mailAuth?: KnownMailAuth;
  /** The answer is to have the tree. */
  readonly explain?: boolean;
}

/** All that expansion may ask. */
export interface ExpansionLookups {
  /** Splits `user+tag`; one character. */
  readonly delimiter: string;
  /** Account that commands and files of alias tables run as. */
  readonly commandUser: string;
  match(subject: Subject): Decision;
  /** The action of this name; null when the configuration has none. */
  action(name: string): Action | null;
  /** Value of a key of an alias or virtual table. */
  lookup(table: string, key: string): string | null | LookupError;
  /** The account of this name for this action, null when there is none. `user` is lower-case. */
  account(action: LocalAction, user: string): Account | null | LookupError;
  /** The user's `.forward`, or the one for this sub-address, "" for none. */
  forward(account: Account, subAddress: string): Forward;
  /** Targets of an include file, in file order; null when it cannot be read. */
  include(path: string): Iterable<ListTarget> | null;
  /** What a rewritten address stands for; null when it is none of ours. */
  decodeSrs(address: Mailbox): Mailbox | null;
  /** For the operator's log. */
  warn(text: string): void;
  /** Called now and then. May throw, so that others have their turn before `run` is called again. */
  giveWay(): void;
}

/** A node of this depth ends the expansion: the last resort against loops. */
export const MAX_DEPTH_STEPS = 10;
/** Nodes of one expansion; more are taken for a loop that branches. A list of 10,000 addresses has some 20,000. OpenSMTPD has no limit. */
export const MAX_NODES = 50_000;
/** Nodes, made or looked at, between two pauses: each takes some microseconds. */
const PAUSE_NODES = 64;
/** Nodes from a `.forward` down to it and of it; more are refused temporarily. OpenSMTPD counts those of the whole expansion. */
export const MAX_FORWARD_NODES = 100;

interface Node {
  readonly target: ListTarget;
  readonly parent: Node | null;
  readonly depth: number;
  readonly serial: number;
  /** A user whose parent is the same user: it stands for the mailbox, not for the alias of that name. */
  readonly sameUser: boolean;
  /** Where it is named, for the log: `FILE:LINE` of a `.forward`, or a value of a table; null for what the client named. */
  readonly source: string | null;
  /** Address node: what the rules chose for it. */
  action: Action | null;
  /** User node whose account was found and whose `.forward` was looked for: what comes out of that runs as this account. */
  account: Account | null;
  /** Its place in the tree; null where none is asked for, or it is left out of a large one. */
  readonly drawn: RoutedDraft | null;
}

/** How a node came about: for the log, and for the tree. */
interface Via extends RoutedOrigin {
  /** As `source` of a node. */
  readonly source: string | null;
}

type LocalDeliverable = Extract<Deliverable, { agent: "mda" }>;

/** Who gets the mail for `request.rcpt`? Any failure of a part fails the whole. */
export function expand(lookups: ExpansionLookups, request: ExpansionRequest): Expansion {
  return new Expander(lookups, request).run();
}

/** One expansion. When a lookup throws, `run` may be called again: it goes on with the node that it stopped at. */
export class Expander {
  readonly #lookups: ExpansionLookups;
  readonly #request: ExpansionRequest;
  readonly #nodes: Node[] = [];
  readonly #seen = new Set<string>();
  readonly #targets: Deliverable[] = [];
  readonly #internal: boolean[] = [];
  /** The node that is looked at. */
  #at = 0;
  /** What is still to become nodes of the list that was found last. */
  #rest: { readonly targets: Iterator<ListTarget>; readonly parent: Node; readonly via: Via } | null = null;
  /** Null where it is not asked for. */
  readonly #tree: ExpansionTree | null;
  /** Of the list that was found last something could be read, if only that there is nothing in it. */
  #listRead = false;
  /** Something was dropped because it leads back to where it came from. */
  #looped = false;
  #sincePause = 0;

  constructor(lookups: ExpansionLookups, request: ExpansionRequest) {
    this.#lookups = lookups;
    this.#request = request;
    this.#tree = request.explain === true ? new ExpansionTree(formatMailbox(request.rcpt)) : null;
    this.#insert({ type: "address", mailbox: request.rcpt }, null, { how: "recipient", source: null });
  }

  run(): Expansion {
    const expansion = this.#run();
    return this.#tree === null ? expansion : { ...expansion, routed: this.#tree.root };
  }

  #run(): Expansion {
    // The list grows while it is walked: first in, first out.
    for (; this.#at < this.#nodes.length || this.#rest !== null; this.#at++) {
      this.#insertRest();
      this.#giveWay();
      if (this.#at === this.#nodes.length) break;
      const node = this.#nodes[this.#at]!;
      const refused = node.depth >= MAX_DEPTH_STEPS ? this.#tooDeep(node) : this.#expandNode(node);
      if (refused !== null) return refused;
      if (this.#nodes.length > MAX_NODES) {
        this.#lookups.warn(`Expansion of a recipient has more than ${MAX_NODES} nodes`);
        endAt(node.drawn, "error", `there are more than ${MAX_NODES} nodes`);
        return this.#refuse("expansionTemporary");
      }
    }
    if (this.#targets.length === 0) {
      return this.#looped
        ? this.#lost("lead back to themselves", "expansionLoop")
        : this.#lost("lead to nobody", "expansionPermanent");
    }
    return { ok: true, targets: this.#targets, internal: this.#internal };
  }

  #refuse(why: keyof typeof refusals): Refusal {
    return refusals[why](this.#request.rcpt);
  }

  /** The reply says that the recipient is a list that does not work; the log says what is wrong with it. */
  #lost(fault: string, why: "expansionLoop" | "expansionPermanent"): Refusal {
    this.#lookups.warn(`The aliases of ${formatMailbox(this.#request.rcpt)} ${fault}`);
    return this.#refuse(why);
  }

  /** A chain that is too long is a loop when something stands in it twice. */
  #tooDeep(node: Node): Refusal {
    for (let one: Node | null = node; one !== null; one = one.parent) {
      if (!leadsBack(one.target, one.parent)) continue;
      endAt(node.drawn, "looped");
      return this.#lost("lead back to themselves", "expansionLoop");
    }
    endAt(node.drawn, "error", `it is more than ${MAX_DEPTH_STEPS} steps away`);
    return this.#lost(`go on for more than ${MAX_DEPTH_STEPS} steps`, "expansionPermanent");
  }

  #fail(node: Node, error: LookupError, what: string, why: "temporary" | "expansionTemporary"): Refusal {
    this.#lookups.warn(`${what}: ${error.reason}`);
    endAt(node.drawn, "error", `${what}: ${error.reason}`);
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
        endAt(node.drawn, "reject", `${target.code} ${target.text}`);
        if (this.#localAction(node).method.type === "forward-only") return this.#refuse("temporary");
        return errorRefusal(target.code, target.text, this.#request.rcpt);
      case "include":
        // Replaced by their content when they are read.
        return null;
    }
  }

  #expandAddress(node: Node, dest: Mailbox): Refusal | null {
    const { origin, tls, sender, mailAuth } = this.#request;
    // A bounce to an address that this server wrote: it comes from here, as the forwarded mail did.
    const original = sender === null && isSrs(dest.local) ? this.#lookups.decodeSrs(dest) : null;
    if (original !== null) {
      this.#insert({ type: "address", mailbox: original }, node, { how: "srs", source: node.source });
      return null;
    }
    const known = mailAuth === undefined ? {} : { mailAuth };
    const decision = this.#lookups.match({ origin, tls, sender, dest, internal: node.parent !== null, ...known });
    this.#drawRule(node, decision);
    if (decision.kind === "error") return this.#fail(node, new LookupError(decision.reason), "Rules", "temporary");
    if (decision.kind !== "action") {
      this.#blame(node, formatMailbox(dest), decision.kind === "reject" ? "a rule rejects it" : "no rule takes it");
      return this.#refuse(decision.kind === "reject" ? "rejected" : "relayingDenied");
    }
    const action = node.action = this.#lookups.action(decision.name);
    if (action === null) {
      return this.#fail(node, new LookupError(`There is no action "${decision.name}"`), "Rules", "temporary");
    }
    if (action.kind === "relay") {
      this.#submit({ agent: "mta", action: action.name, dest }, node);
      return null;
    }
    if (action.virtual !== null) {
      const keys = virtualKeys(dest, this.#lookups.delimiter);
      const found = this.#insertList({ how: "virtual", table: action.virtual }, keys, node);
      if (found instanceof LookupError) {
        return this.#fail(node, found, `Table "${action.virtual}"`, "expansionTemporary");
      }
      if (typeof found !== "boolean") return found;
      if (found) return null;
      this.#blame(node, formatMailbox(dest), `table <${action.virtual}> does not know it`);
      endAt(node.drawn, "unknown", `table <${action.virtual}> does not know it`);
      return this.#refuse("unknownUser");
    }
    this.#insert({ type: "user", name: tableKey(dest.local) }, node, { how: "user", source: node.source });
    return null;
  }

  #expandUser(node: Node, name: string): Refusal | null {
    const action = this.#localAction(node);
    const mapping = action.alias ?? action.virtual;
    if (!node.sameUser && mapping !== null) {
      const keys = action.alias !== null
        ? aliasKeys(name, this.#lookups.delimiter)
        : virtualKeys({ local: name, domain: "" }, this.#lookups.delimiter);
      const how = action.alias !== null ? "alias" : "virtual";
      const found = this.#insertList({ how, table: mapping }, keys, node);
      if (found instanceof LookupError) return this.#fail(node, found, `Table "${mapping}"`, "expansionTemporary");
      if (typeof found !== "boolean") return found;
      if (found) return null;
    }
    const [user, subAddress] = splitTag(tableKey(name), this.#lookups.delimiter);
    const account = this.#lookups.account(action, user);
    if (account instanceof LookupError) return this.#fail(node, account, "Accounts", "temporary");
    if (account === null) {
      this.#blame(node, user, "there is no such user");
      endAt(node.drawn, "unknown", "there is no such user");
      return this.#refuse("unknownUser");
    }
    const mailbox: LocalDeliverable = {
      agent: "mda",
      action: action.name,
      dest: destOf(node),
      user,
      subAddress,
      exec: "",
    };
    // In the user's own `.forward` the user's name is the mailbox; a user whose mail is delivered as another user has no `.forward` here.
    const home = !(node.sameUser && node.parent?.account) && (action.user === null || action.user === user);
    const forward: Forward = home ? this.#lookups.forward(account, subAddress) : { kind: "none" };
    if (forward.kind === "refused") {
      const why = forward.temporary ? "expansionTemporary" : "expansionPermanent";
      return this.#failForward(node, user, forward.reason, why);
    }
    if (home) node.account = account;
    if (forward.kind === "text") {
      const added = this.#insertForward(forward, node);
      if (typeof added === "string") return this.#failForward(node, user, added, "expansionTemporary");
      if (added > 0) return null;
    }
    return this.#submitMailbox(mailbox, action, node);
  }

  /** Logs why what a table or a file names cannot be had. What the client named is the client's mistake. */
  #blame({ source }: Node, named: string, fault: string): void {
    if (source !== null) this.#lookups.warn(`${source}: "${shown(named)}": ${fault}`);
  }

  #failForward(
    { drawn }: Node,
    user: string,
    reason: string,
    why: "expansionTemporary" | "expansionPermanent",
  ): Refusal {
    this.#lookups.warn(`.forward of user "${user}": ${reason}`);
    endAt(drawn, "error", `.forward of user "${user}": ${reason}`);
    return this.#refuse(why);
  }

  /** How many nodes came of the file, or why it is not used. */
  #insertForward({ path, text }: Extract<Forward, { kind: "text" }>, node: Node): number | string {
    const file = parseForwardFile(text);
    if (!file.ok) return `${path}:${file.line}: ${file.fault}`;
    const before = this.#nodes.length;
    for (const { line, target } of file.targets) {
      const source = `${path}:${line}`;
      if (target.type !== "include") this.#insert(target, node, { how: "forward", table: source, source });
      else {this.#lookups.warn(
          `${path}:${line}: "${shown(target.path)}": include files are for aliases, this one is ignored`,
        );}
    }
    const added = this.#nodes.length - before;
    return added + node.depth + 1 > MAX_FORWARD_NODES ? `${path}: it names too many targets` : added;
  }

  /** The method of the action takes it, if it delivers anything. */
  #submitMailbox(mailbox: LocalDeliverable, action: LocalAction, node: Node): Refusal | null {
    const { type } = action.method;
    // A user in their own `.forward` asks for a mailbox that the action does not have; that file is what is wrong.
    if (type === "forward-only") {
      this.#blame(node, mailbox.user, `action "${action.name}" has no mailboxes, and delivers to addresses only`);
      endAt(node.drawn, "error", `action "${action.name}" has no mailboxes, and delivers to addresses only`);
      return this.#refuse("expansionTemporary");
    }
    // The recipient itself has no alias: to the sender there is no such mailbox.
    if (type === "expand-only") {
      endAt(node.drawn, "unknown", `action "${action.name}" has no mailboxes, and no alias stands for it`);
      return this.#refuse(node.depth === 1 ? "unknownUser" : "expansionPermanent");
    }
    this.#submitLocal(mailbox, action, node);
    return null;
  }

  #submitCommand(node: Node, target: Extract<ListTarget, { type: "file" | "pipe" }>): Refusal | null {
    const action = this.#localAction(node);
    const account = node.parent?.account ?? null;
    if (account?.uid === 0) {
      this.#lookups.warn(
        `.forward of user "${account.name}": a ${target.type} may not run with the privileges of root`,
      );
      endAt(node.drawn, "error", `a ${target.type} may not run with the privileges of root`);
      return this.#refuse("temporary");
    }
    if (action.method.type === "forward-only") {
      this.#blame(node, targetText(target), `action "${action.name}" delivers to addresses only`);
      endAt(node.drawn, "error", `action "${action.name}" delivers to addresses only`);
      return this.#refuse("temporary");
    }
    if (target.type === "pipe" && account === null) {
      this.#lookups.warn(`Commands from aliases run with the privileges of ${this.#lookups.commandUser}`);
    }
    const exec = target.type === "pipe" ? target.command : `>${target.path}`;
    const user = account === null ? this.#lookups.commandUser : tableKey(account.name);
    const dest = destOf(node);
    this.#submitLocal({ agent: "mda", action: action.name, dest, user, subAddress: "", exec }, action, node);
    return null;
  }

  #submitLocal(deliverable: LocalDeliverable, action: LocalAction, node: Node): void {
    const per = oncePer(action, deliverable.exec);
    this.#submit(per === null ? deliverable : { ...deliverable, oncePer: per }, node);
  }

  #submit(deliverable: Deliverable, node: Node): void {
    const { drawn } = node;
    if (drawn !== null) {
      const action = addressAbove(node).action!;
      Object.assign(drawn, { result: "action", action: action.name, goal: goalOf(action, deliverable) });
    }
    this.#targets.push(deliverable);
    this.#internal.push(addressAbove(node).parent !== null);
  }

  /** Only addresses with a local action have anything below them. */
  #localAction(node: Node): LocalAction {
    const action = addressAbove(node).action;
    if (action?.kind !== "local") throw new Error("A node of an expansion has no local action above it");
    return action;
  }

  /** Counts what costs time, and lets others have their turn: may throw. */
  #giveWay(): void {
    if (++this.#sincePause < PAUSE_NODES) return;
    this.#sincePause = 0;
    this.#lookups.giveWay();
  }

  /** A list may be long: it becomes nodes before the next node is looked at, with pauses. */
  #insertRest(): void {
    while (this.#rest !== null) {
      this.#giveWay();
      const next = this.#rest.targets.next();
      if (next.done) this.#rest = null;
      else this.#insert(next.value, this.#rest.parent, this.#rest.via);
    }
  }

  /**
   * Inserts the targets of the first key that the table has, the first of them at once. False when there are none. A value that is no list is
   * refused permanently: only a person can mend it, and the sender should get that reply at once.
   */
  #insertList(
    { how, table }: Required<RoutedOrigin>,
    keys: Iterable<string>,
    parent: Node,
  ): boolean | LookupError | Refusal {
    for (const key of keys) {
      const value = this.#lookups.lookup(table, key);
      if (value instanceof LookupError) return value;
      if (value === null) continue;
      const list = parseTargets(value);
      if (!list.valid) {
        const fault = targetFault(value) ?? "it is not a list of recipients";
        this.#lookups.warn(`Table "${table}": The value of "${key}" cannot work: ${fault}`);
        endAt(parent.drawn, "error", `Table "${table}": The value of "${key}" cannot work: ${fault}`);
        return this.#refuse("expansionPermanent");
      }
      const targets = this.#includedTargets(sortTargets(list.targets));
      const first = targets.next();
      // Lists that are there and empty are an alias without targets; without any there is no alias.
      if (first.done) return this.#listRead;
      const via = { how, table, source: `Table "${table}": The value of "${key}"` };
      this.#insert(first.value, parent, via);
      this.#rest = { targets, parent, via };
      return true;
    }
    return false;
  }

  *#includedTargets(targets: readonly ListTarget[]): Generator<ListTarget, void, undefined> {
    this.#listRead = false;
    for (const target of targets) {
      const list = target.type === "include" ? this.#lookups.include(target.path) : [target];
      if (list === null) continue;
      this.#listRead = true;
      yield* list;
    }
  }

  /** A node that equals an earlier one below the same address is dropped: this also breaks most loops. */
  #insert(target: ListTarget, parent: Node | null, via: Via): void {
    const above = parent === null ? -1 : addressAbove(parent).serial;
    const sameUser = target.type === "user" && parent?.target.type === "user" && target.name === this.#nameOf(parent);
    const key = `${above} ${target.type} ${sameUser} ${runsAs(target, parent)} ${targetText(target)}`;
    if (this.#seen.has(key)) {
      const loops = leadsBack(target, parent);
      this.#looped ||= loops;
      endAt(this.#draw(target, parent, via), loops ? "looped" : "dropped");
      return;
    }
    if (this.#nodes.length > MAX_NODES) return;
    this.#seen.add(key);
    const depth = parent === null ? 0 : parent.depth + 1;
    const serial = this.#nodes.length, drawn = this.#draw(target, parent, via);
    const { source } = via;
    this.#nodes.push({ target, parent, depth, serial, sameUser, source, action: null, account: null, drawn });
  }

  #draw(target: ListTarget, parent: Node | null, via: Via): RoutedDraft | null {
    if (this.#tree === null || parent === null) return this.#tree?.root ?? null;
    const { drawn, depth } = parent;
    return drawn === null ? null : this.#tree.add(drawn, targetText(target), via, depth + 1);
  }

  /** What the rules say of an address stands in the tree as well. */
  #drawRule({ drawn }: Node, decision: Decision): void {
    if (drawn === null) return;
    if (decision.kind !== "none") {
      const { file, line } = decision.rule.at;
      drawn.rule = { file, line };
    }
    if (decision.kind === "action") Object.assign(drawn, { result: "action", action: decision.name });
    else endAt(drawn, decision.kind);
  }

  /** The name of a user node: once its account was found, without the sub-address. */
  #nameOf({ target, account }: Node): string {
    const name = target.type === "user" ? target.name : "";
    return account === null ? name : splitTag(name, this.#lookups.delimiter)[0];
  }
}

/** Whether the target stands above itself already. */
function leadsBack(target: ListTarget, parent: Node | null): boolean {
  const text = targetText(target);
  for (let node = parent; node !== null; node = node.parent) {
    if (node.target.type === target.type && targetText(node.target) === text) return true;
  }
  return false;
}

/** Files and commands are distinguished by the user above them too; -1 for none, and for all other targets. */
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
