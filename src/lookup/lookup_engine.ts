/** All that lookups use: tables, rules, actions, accounts. Answers questions as plain calls; serve.ts brings them from the doors. It is long because it has one for each. */

import { type Observer, systemReason } from "../events/mod.ts";
import type { Action, LocalAction, TableFile } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { tableKey } from "../config/tablefile.ts";
import { bracketed6, normalAddress } from "../net/mod.ts";
import {
  asciiAddress,
  asciiDomain,
  formatMailbox,
  mailAuthKeys,
  type Mailbox,
  type ReversePath,
  unicodeDomain,
} from "../envelope/mod.ts";
import { decodeSrs, type SrsKeys } from "../mac/mod.ts";
import type {
  AccountResult,
  AuthResult,
  Credentials,
  CredentialsLack,
  Expansion,
  Forward,
  LookupSettings,
  RelaySource,
  ToLookup,
} from "../protocol/mod.ts";
import { MAX_SOURCE_ADDRESSES } from "../protocol/lookup.ts";
import { checkDomain, Expander, type ExpansionLookups, type ExpansionRequest, RuleSet } from "../rules/mod.ts";
import {
  type AskProgram,
  type FileTable,
  LookupError,
  type LookupTable,
  MailboxMatcher,
  parseIncludeFile,
  parseRelaySecret,
  parseUserInfo,
  ProgramTable,
  Resumable,
  TableSet,
  type UserInfo,
} from "../tables/mod.ts";
import type { ScramShape } from "../sasl/mod.ts";
import type { SystemAccounts } from "./accounts.ts";
import type { MainClient } from "./main_client.ts";
import { isRefused } from "./main_file.ts";
import { openTableFile, type TableDisk } from "./tablefiles.ts";
import { type Clock, systemClock, Turn } from "../clock.ts";

/** What the lookup isolate asks of the machine. */
export interface Machine extends TableDisk {
  readonly accounts: SystemAccounts;
  /** Text of an include file of aliases. Throws when it cannot be read. */
  readText(path: string): string;
  /** The same by main, for files that this isolate may not read. Rejects when it cannot be read. */
  readByMain?(path: string): Promise<string>;
  /** Main, for `.forward` files and the name service. Without it there are none. */
  readonly main?: MainClient;
  /** The filter isolate, for tables that programs answer for. Without it they are errors. */
  readonly askProgram?: AskProgram;
}

type TestQuestion = Extract<ToLookup, { type: "test" }>;
type ExpandQuestion = Omit<ExpansionRequest, "mailAuth"> & Pick<Extract<ToLookup, { type: "expand" }>, "mailAuth">;

/** A table of a file, and what the configuration says of it. */
export interface OpenedFile {
  readonly file: TableFile;
  readonly table: FileTable;
}

/** How long an expansion may keep others waiting, in milliseconds. */
const TURN_MS = 2;

export class Lookups {
  readonly #actions: ReadonlyMap<string, Action>;
  readonly #tables: TableSet;
  readonly #files: ReadonlyMap<string, OpenedFile>;
  readonly #delimiter: string;
  readonly #rules: RuleSet;
  /** Rules look at what messages were found to be. */
  readonly #seeMailAuth: boolean;
  readonly #machine: Machine;
  readonly #expansion: ExpansionLookups;
  readonly #filterTables: ReadonlySet<string>;
  /** Answers that others must be asked for. */
  readonly #resumable = new Resumable();
  /** When the expansion that runs began its turn. */
  readonly #turn: Turn;
  #pauses = 0;

  /**
   * `warn` writes to the operator's log; `observer` gets trace lines about tables and rules. `kept`: tables of another configuration that are used here as
   * well, see `keepable`.
   */
  constructor(
    settings: LookupSettings,
    machine: Machine,
    warn: (text: string) => void,
    observer: Observer,
    clock: Clock = systemClock,
    kept: ReadonlyMap<string, OpenedFile> = new Map(),
  ) {
    this.#turn = new Turn(TURN_MS, clock);
    const { shared, localAddresses, subAddressDelimiter: delimiter } = settings;
    this.#actions = new Map(Object.entries(settings.actions));
    this.#filterTables = new Set(settings.filterTables);
    const names = { serverName: shared.serverName, localAddresses };
    const ask = machine.askProgram ?? noPrograms;
    const programs = settings.programTables.map((name) => new ProgramTable(name, this.#resumable, ask, observer));
    const around = { disk: machine, delimiter, observer, warn, clock };
    this.#delimiter = delimiter;
    this.#files = new Map(
      Object.values(settings.tableFiles).map((file) => [
        file.name,
        kept.get(file.name) ?? { file, table: openTableFile(file, around) },
      ]),
    );
    const files = [...this.#files.values()].map(({ table }) => table);
    this.#tables = new TableSet(settings.tables, names, delimiter, observer, [...programs, ...files]);
    this.#rules = new RuleSet(settings.rules, this.#tables, observer);
    this.#seeMailAuth = settings.rules.some(({ mailAuth }) => mailAuth !== null);
    this.#machine = machine;
    this.#expansion = {
      delimiter,
      commandUser: settings.commandUser,
      match: (subject) => this.#rules.match(subject),
      action: (name) => this.#actions.get(name) ?? null,
      lookup: (table, key) => this.#tables.get(table).lookup(key, "alias"),
      account: (action, user) => this.#findUser(action, user),
      forward: (account, subAddress) => this.#forward(account, subAddress === "" ? "" : delimiter + subAddress),
      include: (path) => this.#readInclude(path, warn),
      decodeSrs: (address) =>
        settings.srs === undefined ? null : decodeOwn(address, { keys: settings.srs, now: clock.now() }, warn),
      warn,
      giveWay: () => this.#giveWay(),
    };
  }

  /** Resolves to the tables of files that mean the same under these settings, and whose files have not changed since they were read. */
  async keepable(
    settings: Pick<LookupSettings, "tableFiles" | "subAddressDelimiter">,
  ): Promise<Map<string, OpenedFile>> {
    const kept = new Map<string, OpenedFile>();
    if (settings.subAddressDelimiter !== this.#delimiter) return kept;
    for (const [name, opened] of this.#files) {
      const wanted = settings.tableFiles[name];
      if (wanted === undefined || !isSame(wanted, opened.file)) continue;
      if (await opened.table.isCurrent()) kept.set(name, opened);
    }
    return kept;
  }

  /** Tables of files that are in use here. */
  get files(): readonly OpenedFile[] {
    return [...this.#files.values()];
  }

  /** Who gets the mail for this recipient; at once when no other isolate must be asked. */
  expand({ mailAuth, ...request }: ExpandQuestion): Expansion | Promise<Expansion> {
    if (mailAuth === undefined) return this.#expand(request);
    if (mailAuth !== "unknown") return this.#expand({ ...request, mailAuth: mailAuthKeys(mailAuth) });
    // Whoever might get the message is no mistake yet.
    return whenKnown(this.#expand({ ...request, mailAuth: { assumed: false } }), (surely) => {
      if (surely.ok || !this.#seeMailAuth) return surely;
      const assuming = this.#expand({ ...request, mailAuth: { assumed: true } });
      return whenKnown(assuming, (perhaps) => perhaps.ok ? perhaps : surely);
    });
  }

  #expand(request: ExpansionRequest): Expansion | Promise<Expansion> {
    const expander = new Expander(this.#expansion, request);
    return this.#resumable.settle(() => {
      this.#turn.begin();
      return expander.run();
    });
  }

  /** Ends a turn that was long enough: other questions that have come meanwhile are answered before it goes on. */
  #giveWay(): void {
    if (this.#turn.over) this.#resumable.need(`pause ${this.#pauses++}`, () => this.#turn.giveWay());
  }

  /** The account that a local delivery is for, and the one that it runs as; at once when no other isolate must be asked. */
  account(actionName: string, user: string): AccountResult | Promise<AccountResult> {
    return this.#resumable.settle(() => this.#account(actionName, user));
  }

  #account(actionName: string, user: string): AccountResult {
    const action = this.#actions.get(actionName);
    if (action?.kind !== "local") {
      return { ok: false, temporary: true, text: `There is no local action "${actionName}"` };
    }
    const account = this.#findUser(action, tableKey(user));
    const identity = action.user === null ? account : this.#systemUser(action.user);
    if (account instanceof LookupError || identity instanceof LookupError) {
      return { ok: false, temporary: true, text: "Temporary failure in user lookup" };
    }
    if (account === null || identity === null) {
      return { ok: false, temporary: false, text: "Permanent failure in user lookup" };
    }
    return { ok: true, account, identity };
  }

  /** The URLs of the action's `host` list, the next in turn first, or the one of `domain` in its `domain` mapping; none when there is none. */
  smarthosts(actionName: string, domain: string): string[] | Promise<string[]> {
    return this.#resumable.settle(() => this.#smarthosts(actionName, domain));
  }

  #smarthosts(actionName: string, domain: string): string[] {
    const action = this.#actions.get(actionName);
    if (action?.kind !== "relay") return [];
    if (action.host !== null) return this.#listed(this.#tables.get(action.host));
    const url = action.domain === null ? null : this.#mapped(action.domain, domain);
    return url === null ? [] : [url];
  }

  /** One turn of a list: each call begins one further. */
  #listed(table: LookupTable): string[] {
    const urls = new Set<string>();
    while (urls.size < MAX_SOURCE_ADDRESSES) {
      const url = urlOf(table.fetch("relayhost"));
      if (url === null || urls.has(url)) break;
      urls.add(url);
    }
    return [...urls];
  }

  #mapped(name: string, domain: string): string | null {
    const table = this.#tables.get(name);
    const found = table.lookup(domain, "relayhost");
    const unicode = unicodeDomain(domain);
    return urlOf(found === null && unicode !== domain ? table.lookup(unicode, "relayhost") : found);
  }

  /** Local addresses of the action's `src` table, the next in turn first, with their names. What cannot be used is left out, with a warning. */
  sources(actionName: string): RelaySource[] | Promise<RelaySource[]> {
    return this.#resumable.settle(() => this.#sources(actionName));
  }

  #sources(actionName: string): RelaySource[] {
    const action = this.#actions.get(actionName);
    if (action?.kind !== "relay" || action.src === null) return [];
    const table = this.#tables.get(action.src);
    const keys = new Set<string>(), found: RelaySource[] = [];
    while (keys.size < MAX_SOURCE_ADDRESSES) {
      const key = table.fetch("source");
      if (typeof key !== "string" || keys.has(key)) break;
      keys.add(key);
      const address = normalAddress(key.replace(/^\[(.*)\]$/, "$1"));
      const helo = address === null || action.heloSrc === null ? null : this.#heloOf(action.heloSrc, address);
      if (address === null) this.#expansion.warn(`Table "${action.src}": ${JSON.stringify(key)} is no address`);
      else if (helo === null && action.heloSrc !== null) {
        this.#expansion.warn(`Table "${action.heloSrc}" has no name for ${address}`);
      } else found.push({ address, helo });
    }
    return found;
  }

  #heloOf(table: string, address: string): string | null {
    const found = this.#nameOf(table, bracketed6(address));
    const name = typeof found === "string" ? asciiDomain(found) : null;
    return name !== null && /^[!-~]{1,255}$/.test(name) ? name : null;
  }

  /** Of the action's `auth` table, or why there are none; null when they cannot be had now. */
  relayCredentials(
    actionName: string,
    label: string,
  ): Credentials | CredentialsLack | null | Promise<Credentials | CredentialsLack | null> {
    return this.#resumable.settle(() => this.#relayCredentials(actionName, label));
  }

  #relayCredentials(actionName: string, label: string): Credentials | CredentialsLack | null {
    const action = this.#actions.get(actionName);
    if (action?.kind !== "relay" || action.auth === null) return null;
    const value = this.#tables.get(action.auth).lookup(tableKey(label), "credentials");
    if (value === null) return "label";
    return typeof value === "string" ? parseRelaySecret(value) ?? "form" : null;
  }

  /** Does a table of the filters match the key? Null, with a warning, when it cannot be determined. */
  test({ table, service, key }: TestQuestion): boolean | null | Promise<boolean | null> {
    if (!this.#filterTables.has(table)) throw new Error(`No filter looks into table "${table}"`);
    return this.#resumable.settle(() => this.#test(table, service, key));
  }

  #test(name: string, service: TestQuestion["service"], key: string): boolean | null {
    const table = this.#tables.get(name);
    const plain = service === "auth" || service === "string";
    let found = plain ? table.check("string", key) : checkDomain(table, service, key);
    if (service === "auth" && found === false) {
      const value = table.lookup(tableKey(key), "credentials");
      found = value instanceof LookupError ? value : value !== null;
    }
    if (!(found instanceof LookupError)) return found;
    this.#expansion.warn(`Table "${name}", asked by a filter: ${found.reason}`);
    return null;
  }

  /** What the table says of a user's password: `hash` or `user:hash`; null when it does not know the user. */
  passwordOf(table: string, user: string): string | null | LookupError | Promise<string | null | LookupError> {
    return this.#resumable.settle(() => this.#tables.get(table).lookup(tableKey(user), "credentials"));
  }

  /** Is the sender one of the addresses that the table has for this user? */
  maySend(table: string, user: string, sender: ReversePath): AuthResult | Promise<AuthResult> {
    return this.#resumable.settle(() => {
      const value = this.#tables.get(table).lookup(tableKey(user), "mailaddrmap");
      if (value instanceof LookupError) {
        this.#expansion.warn(`Senders in table "${table}": ${value.reason}`);
        return "tempfail";
      }
      if (value === null) return "permfail";
      const addresses = new MailboxMatcher(this.#expansion.delimiter);
      // A comma too many must not stand for the pattern that fits everything.
      for (const one of value.split(",").map((text) => text.trim())) {
        if (one !== "") addresses.add(asciiAddress(one.toLowerCase()));
      }
      const address = sender === null ? "@" : formatMailbox(sender).toLowerCase();
      return addresses.matches(address) ? "ok" : "permfail";
    });
  }

  /** The name that the table has for a local address (IPv6 in brackets); null for none. */
  listenerName(table: string, address: string): string | null | Promise<string | null> {
    return this.#resumable.settle(() => {
      const name = this.#nameOf(table, address);
      if (name instanceof LookupError) this.#expansion.warn(`Names in table "${table}": ${name.reason}`);
      return typeof name === "string" ? asciiDomain(name.trim()) : null;
    });
  }

  /** The value for an address, IPv6 in brackets; the key may stand without them. */
  #nameOf(table: string, address: string): string | null | LookupError {
    const found = this.#tables.get(table).lookup(tableKey(address), "addrname");
    if (found !== null || !address.startsWith("[")) return found;
    return this.#tables.get(table).lookup(tableKey(address.slice(1, -1)), "addrname");
  }

  /** Some value of the table, as a pattern of the others; null when its keys cannot be listed. */
  somePassword(table: string): string | null {
    const found = this.#tables.get(table);
    if (found instanceof ProgramTable) return null;
    const key = found.fetch();
    const value = typeof key === "string" ? found.lookup(key, "credentials") : null;
    return typeof value === "string" ? value : null;
  }

  /** Asks a table's program whether this is the user's password; null when the table is none, or the program does not do that. */
  authenticate(table: string, user: string, password: string): Promise<boolean | null | LookupError> {
    const found = this.#tables.get(table);
    return found instanceof ProgramTable ? found.authenticate(user, password) : Promise.resolve(null);
  }

  /** What the SCRAM verifiers of a table have in common; null when not every entry is known to be one. */
  scramOf(table: string): ScramShape | null {
    return this.#tables.get(table).scram?.() ?? null;
  }

  /** The tables that have no answer to any question now, or only old ones, each with the reason. */
  tableFaults(): string[] {
    return this.#tables.faults();
  }

  /** Reads a table's file again. Null on success, else why the old content stays. */
  updateTable(name: string): string | null | Promise<string | null> {
    return this.#tables.update(name);
  }

  /** `user` is lower-case, as all keys of lookups are. */
  #findUser(action: LocalAction, user: string): UserInfo | null | LookupError {
    if (action.userbase === null || action.userbase === BUILTIN_TABLES.accounts) {
      return this.#systemUser(user);
    }
    const value = this.#tables.get(action.userbase).lookup(user, "userinfo");
    if (value === null || value instanceof LookupError) return value;
    return parseUserInfo(user, value) ?? new LookupError(`Table "${action.userbase}": malformed account "${user}"`);
  }

  /** An account of the machine: of passwd(5), or else of the name service. */
  #systemUser(name: string): UserInfo | null | LookupError {
    const { accounts, main } = this.#machine;
    if (accounts.stale) this.#resumable.need("accounts", () => accounts.fetch());
    const found = accounts.find(name);
    if (found !== null || main === undefined) return found;
    const known = main.knownAccount(name);
    return known === undefined ? this.#resumable.need(`account ${name}`, () => main.account(name)) : known;
  }

  #forward(account: UserInfo, suffix: string): Forward {
    const { main } = this.#machine;
    if (main === undefined) return { kind: "none" };
    const known = main.knownForward(account, suffix);
    if (known !== undefined) return known;
    const key = `forward ${account.uid} ${account.gid} ${account.name}\0${account.home}\0${suffix}`;
    return this.#resumable.need(key, () => main.forward(account, suffix));
  }

  /** A missing include file yields nothing: the rest of the list still gets its mail. */
  #readInclude(path: string, warn: (text: string) => void) {
    const text = this.#includeText(path);
    if (typeof text === "string") return parseIncludeFile(text);
    warn(`Cannot read the include file ${path}: ${systemReason(text)}`);
    return null;
  }

  #includeText(path: string): string | Error {
    const machine = this.#machine;
    try {
      return machine.readText(path);
    } catch (error) {
      if (machine.readByMain === undefined || !isRefused(error)) return error as Error;
    }
    return this.#resumable.need(`include ${path}`, () => machine.readByMain!(path).catch((error: Error) => error));
  }
}

/** Both are data of the same shape, in the same order. */
function isSame(one: TableFile, other: TableFile): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function decodeOwn(
  address: Mailbox,
  { keys, now }: { readonly keys: SrsKeys; readonly now: number },
  warn: (text: string) => void,
): Mailbox | null {
  const result = decodeSrs(address, keys, now);
  if (result.ok) return result.mailbox;
  warn(`SRS: ${formatMailbox(address)} is not taken back: ${result.reason}`);
  return null;
}

/** Goes on at once when the value is there, else when it has come. */
function whenKnown<T>(value: T | Promise<T>, goOn: (value: T) => T | Promise<T>): T | Promise<T> {
  return value instanceof Promise ? value.then(goOn) : goOn(value);
}

/** No URL and a failed lookup are one to the relay: it tries again later. */
function urlOf(found: string | null | LookupError): string | null {
  return found instanceof LookupError || found === "" ? null : found;
}

const noPrograms: AskProgram = () => Promise.resolve({ result: "error", reason: "No program runs" });
