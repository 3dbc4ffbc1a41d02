/** The lookup isolate at its doors: takes questions, answers them in the same turn where no DNS is needed. Evaluates no rules itself. It is long because each question has its answer here. */

import type {
  AccountResult,
  Confirmed,
  ControlToLookup,
  Credentials,
  CredentialsLack,
  Expansion,
  FromFilter,
  FromLogin,
  FromLookup,
  LookupSettings,
  LookupToControl,
  ToFilter,
  ToLogin,
  ToLookup,
} from "../protocol/mod.ts";
import { Caller, type Channel, type Isolate } from "../isolate/mod.ts";
import { debug, logTrace } from "../events/mod.ts";
import { formatMailbox } from "../envelope/mod.ts";
import { mailAuthDns, recordAsker, Resolver } from "../dns/mod.ts";
import type { Dns } from "../mail_auth/dns.ts";
import type { AskProgram } from "../tables/mod.ts";
import { MainClient } from "./main_client.ts";
import { Authoriser } from "./authorise.ts";
import { Configurations, type Configured } from "./configurations.ts";
import { askDns } from "./dns_question.ts";
import { failureOf, nameless } from "./failures.ts";
import { LoginThrottle } from "./login_throttle.ts";
import { Logins, REFUSED } from "./logins.ts";
import { openMachine } from "./machine.ts";
import { Lookups, type Machine, type OpenedFile } from "./lookup_engine.ts";
import { tryRcpt } from "./try_rcpt.ts";
import { fetchTableFiles } from "./tablefiles.ts";
import { systemClock } from "../clock.ts";

interface ClientName {
  readonly hostname: string;
  readonly confirmed: Confirmed;
}

/** Gives clients their names. `address`: IPv4 or bare IPv6. */
export interface ClientNamer {
  reverse(address: string): Promise<ClientName>;
}

/** What a test replaces. */
export interface LookupParts {
  readonly machine: Machine;
  readonly namer: ClientNamer;
  /** For checks of received mail; without it the DNS does not answer. */
  readonly dns?: Dns;
}

const DOORS = ["smtp-lookup", "relay-lookup", "delivery-lookup", "privileged-lookup", "queue-lookup"] as const;

/** Clients whose names are looked up at one time; more have none. A session asks once, so this is never reached in peace. */
const MAX_NAMINGS = 10_000;

/** Questions to programs that have no answer yet; more are errors. They wait while the filter isolate is replaced. */
const MAX_PENDING_QUESTIONS = 10_000;

/** Questions of one isolate that have no answer yet; more fail for now, as they would while the name service stands still. */
const MAX_WAITING_QUESTIONS = 20_000;

/** Serves all doors of the lookup isolate. Returns a promise when main has to read files of tables first. */
export function serveLookup(isolate: Isolate<"lookup">, parts: LookupParts = openParts(isolate)): void | Promise<void> {
  const { disk: machine, fetched } = fetchTableFiles(isolate.settings.tableFiles, parts.machine);
  const begin = () => serve(isolate, { ...parts, machine }, parts.machine);
  return fetched === null ? begin() : fetched.then(begin);
}

/** `disk`: the machine as it is without the files that were fetched for the start. */
function serve(isolate: Isolate<"lookup">, parts: LookupParts, disk: Machine): void {
  const warn = (text: string) => isolate.emit({ type: "log", level: "warn", text });
  let login: Caller<ToLogin, FromLogin> | null = null;
  const askLogin = () => login ??= new Caller(isolate.ask("lookup-login"));
  const configure = (machine: Machine, kept?: ReadonlyMap<string, OpenedFile>): Configured => {
    const { settings } = isolate;
    const lookups = new Lookups(settings, askingFor(settings, machine), warn, isolate, systemClock, kept);
    const own = { settings, ask: isolate.ask };
    return {
      settings,
      lookups,
      logins: new Logins(own, lookups, machine.main ?? null, warn, askLogin),
      authoriser: new Authoriser(settings),
    };
  };
  const configurations = new Configurations(configure(parts.machine), isolate.generation ?? 0);
  if (isolate.verbose) describeTables(isolate);
  if (parts.machine.main !== undefined) {
    parts.machine.main.tryRcpt = (question) => tryRcpt(configurations.current.lookups, question);
  }
  const counter = new Answerer(isolate, configurations, parts, warn);
  for (const door of DOORS) {
    isolate.serve(door, (channel) => {
      const by = { trusted: door === "relay-lookup", own: door === "queue-lookup", sessions: door === "smtp-lookup" };
      channel.onmessage = (question) => counter.answer(channel, question, by);
    });
  }
  isolate.serve("control-lookup", (channel) => {
    channel.onmessage = (order) => answerControl(isolate, configurations.current.lookups, channel, order);
  });
  isolate.onreload = async (generation) => {
    if (configurations.restore(generation)) return;
    const { settings } = isolate;
    const kept = await configurations.current.lookups.keepable(settings);
    const fresh = Object.entries(settings.tableFiles).filter(([name]) => !kept.has(name));
    const { disk: machine, fetched } = fetchTableFiles(Object.fromEntries(fresh), disk);
    await fetched;
    const configured = configure(machine, kept);
    const fault = configured.lookups.files.find(({ file, table }) => !kept.has(file.name) && table.fault !== null);
    if (fault !== undefined) throw new Error(`table "${fault.file.name}": ${fault.table.fault}`);
    configurations.use(generation, configured);
  };
  isolate.onforget = (generation) => configurations.forget(generation);
}

function openParts(isolate: Isolate<"lookup">): LookupParts {
  const main = MainClient.of(isolate);
  const machine = { ...openMachine(main), main, askProgram: programsBehind(isolate) };
  const namer = new Resolver(isolate.settings.resolver, { observer: isolate });
  // Names that others choose may have slow servers: the names of clients, for which their greetings wait, do not stand behind these.
  const checker = new Resolver(isolate.settings.resolver, { observer: isolate, newestFirst: true });
  // Whoever waits for a record wants to see it when it is there.
  main.records = recordAsker(namer);
  isolate.onsettings = ({ resolver }) => {
    if (resolver === undefined) return;
    namer.configure(resolver);
    checker.configure(resolver);
  };
  return { machine, namer, dns: mailAuthDns(checker) };
}

/** The machine as these settings see it: each program answers in the filter isolate that has it. */
function askingFor({ programIsolates = {} }: LookupSettings, machine: Machine): Machine {
  const { askProgram } = machine;
  if (askProgram === undefined) return machine;
  const indexOf = (table: string) => Object.hasOwn(programIsolates, table) ? programIsolates[table]! : 0;
  return { ...machine, askProgram: (table, request) => askProgram(table, request, indexOf(table)) };
}

/** Table programs run in filter isolates. When that ends, what was asked of it is an error and mail waits. */
function programsBehind(isolate: Isolate<"lookup">): AskProgram {
  const filters = new Map<number, Caller<ToFilter, FromFilter>>();
  const filterAt = (index: number) => {
    const known = filters.get(index) ?? new Caller<ToFilter, FromFilter>(isolate.ask("lookup-filter", index));
    filters.set(index, known);
    return known;
  };
  let asked = 0;
  return async (table, request, index = 0) => {
    if (asked >= MAX_PENDING_QUESTIONS) return { result: "error", reason: "Too many questions wait for programs" };
    asked++;
    try {
      return (await filterAt(index).ask<"table">({ type: "table", table, request })).answer;
    } catch (error) {
      return { result: "error", reason: error instanceof Error ? error.message : String(error) };
    } finally {
      asked--;
    }
  };
}

function describeTables(isolate: Isolate<"lookup">): void {
  for (const { name, kind, entries } of Object.values(isolate.settings.tables)) {
    debug(isolate, `lookup: table "${name}": ${kind} of ${entries.length} from smtpd.conf`);
  }
  for (const { name, backend, path } of Object.values(isolate.settings.tableFiles)) {
    debug(isolate, `lookup: table "${name}": ${backend} ${path}`);
  }
}

/** Answers control: reads a table again, or names those that cannot answer. */
function answerControl(
  isolate: Isolate<"lookup">,
  lookups: Lookups,
  channel: Channel<LookupToControl, ControlToLookup>,
  question: ControlToLookup,
): void | Promise<void> {
  if (question.type === "table-faults") {
    return channel.send({ type: "table-faults", call: question.call, faults: lookups.tableFaults() });
  }
  const { call, table } = question;
  return soon(lookups.updateTable(table), (error) => {
    const text = error === null
      ? `info: Table "${table}" successfully updated`
      : `info: Failed to update table "${table}": ${error}`;
    isolate.emit({ type: "log", level: "info", text });
    channel.send({ type: "updated", call, error });
  });
}

type Answers = Channel<FromLookup, ToLookup>;
/** Who stands at a door. */
interface Asker {
  /** Secrets may go through it. */
  readonly trusted: boolean;
  /** It asks about mail of the daemon itself. */
  readonly own: boolean;
  /** It asks for sessions, each by the configuration that it began with. */
  readonly sessions: boolean;
}
type ExpandQuestion = Extract<ToLookup, { type: "expand" }>;
type LoginQuestion = Extract<ToLookup, { type: "authenticate" | "mechanisms" | "challenge" | "prove" }>;

class Answerer {
  readonly #isolate: Isolate<"lookup">;
  readonly #configurations: Configurations;
  readonly #namer: ClientNamer;
  readonly #dns: Dns | undefined;
  /** For the whole daemon: whatever smtp isolate a client comes to. */
  readonly #guard = new LoginThrottle(systemClock.steady);
  readonly #warn: (text: string) => void;
  #namings = 0;
  /** Questions of each isolate that have no answer yet. */
  readonly #waiting = new WeakMap<Answers, number>();

  constructor(
    isolate: Isolate<"lookup">,
    configurations: Configurations,
    { namer, dns }: Pick<LookupParts, "namer" | "dns">,
    warn: (text: string) => void,
  ) {
    this.#isolate = isolate;
    this.#configurations = configurations;
    this.#namer = namer;
    this.#dns = dns;
    this.#warn = warn;
  }

  /** The configuration by which a question is answered. */
  #by({ generation = 0 }: ToLookup, { sessions }: Asker): Configured {
    return sessions ? this.#configurations.of(generation) : this.#configurations.current;
  }

  /**
   * A question that cannot be answered, ours or a hostile isolate's fault, fails alone: this isolate serves all others.
   */
  answer(channel: Answers, question: ToLookup, asker: Asker): void {
    const waiting = this.#waiting.get(channel) ?? 0;
    if (waiting >= MAX_WAITING_QUESTIONS) return this.#refuse(channel, question);
    try {
      if (question.type === "credentials" && !asker.trusted) throw new Error("Credentials are not for this isolate");
      const later = this.#answer(channel, question, asker);
      if (!(later instanceof Promise)) return;
      this.#waiting.set(channel, waiting + 1);
      later.catch((error) => this.#fail(channel, question, error)).finally(() => {
        this.#waiting.set(channel, this.#waiting.get(channel)! - 1);
      });
    } catch (error) {
      this.#fail(channel, question, error);
    }
  }

  #fail(channel: Answers, question: ToLookup, error: unknown): void {
    const reason = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#isolate.emit({ type: "log", level: "crit", text: `lookup: A question failed: ${reason}` });
    this.#refuse(channel, question);
  }

  #refuse(channel: Answers, question: ToLookup): void {
    const failure = failureOf(question);
    if (failure !== null) channel.send(failure);
  }

  /** Answers in this turn unless another isolate must be asked. */
  #answer(channel: Answers, question: ToLookup, asker: Asker): void | Promise<void> {
    const { call } = question;
    const configured = this.#by(question, asker), { lookups, settings } = configured;
    switch (question.type) {
      case "expand":
        return soon(
          lookups.expand(question),
          (result) => this.#expanded(channel, question, result, { ...asker, configured }),
        );
      case "client-name":
        return this.#nameClient(channel, call, question.address);
      case "account":
        return soon(
          lookups.account(question.action, question.user),
          (result) => this.#account(channel, question, result),
        );
      case "smarthost":
        return soon(
          lookups.smarthosts(question.action, question.domain),
          (urls) => this.#smarthosts(channel, question, urls),
        );
      case "test":
        return soon(lookups.test(question), (found) => channel.send({ type: "tested", call, found }));
      case "dns":
        return this.#askDns(channel, question, settings);
      case "authenticate":
      case "mechanisms":
      case "challenge":
      case "prove":
        return this.#answerLogin(channel, question, configured.logins);
      case "may-send":
        if (!settings.senderTables.includes(question.table)) throw new Error("Not a table of senders");
        return soon(
          lookups.maySend(question.table, question.user, question.sender),
          (result) => channel.send({ type: "may-send", call, result }),
        );
      case "listener-name":
        if (!settings.hostnameTables.includes(question.table)) throw new Error("Not a table of names");
        return soon(
          lookups.listenerName(question.table, question.address),
          (name) => channel.send({ type: "listener-name", call, name }),
        );
      case "sources":
        return soon(
          lookups.sources(question.action),
          (sources) => channel.send({ type: "sources", call, sources }),
        );
      case "credentials":
        return soon(
          lookups.relayCredentials(question.action, question.label),
          (credentials) => this.#credentials(channel, question, credentials),
        );
    }
    question satisfies never;
    throw new Error("The question is of no known type");
  }

  async #askDns(
    channel: Answers,
    { call, kind, name }: Extract<ToLookup, { type: "dns" }>,
    { answersDns }: LookupSettings,
  ): Promise<void> {
    if (!answersDns) throw new Error("No listener checks mail");
    const answer = this.#dns === undefined ? { kind: "temporary" } as const : await askDns(this.#dns, kind, name);
    if (this.#isolate.traces("lookup")) {
      const ending = answer.kind === "records" ? `${answer.records.length} records` : answer.kind;
      logTrace(this.#isolate, "lookup", `${kind.toUpperCase()} of ${name}: ${ending}`);
    }
    channel.send({ type: "dns", call, answer });
  }

  #answerLogin(channel: Answers, question: LoginQuestion, logins: Logins): void | Promise<void> {
    const { call } = question;
    switch (question.type) {
      case "authenticate":
        return this.#guard.attempt(
          question.client,
          () => question.password === "" ? Promise.resolve("permfail" as const) : logins.authenticate(question),
          (result) => result === "permfail",
        ).then((result) => channel.send({ type: "authenticated", call, result: result ?? "blocked" }));
      case "mechanisms":
        return channel.send({ type: "mechanisms", call, scram: logins.offersScram(question.table) });
      case "challenge":
        if (question.client !== null && this.#guard.blocked(question.client)) {
          return channel.send({ type: "challenge", call, challenge: "blocked" });
        }
        return logins.challenge(question.table, question.user).then((challenge) =>
          channel.send({ type: "challenge", call, challenge })
        );
      case "prove":
        return this.#guard.attempt(
          question.client,
          () => question.proof === "" ? Promise.resolve(REFUSED) : logins.prove(question),
          ({ result }) => result === "permfail",
        ).then((proved) => channel.send({ type: "proved", call, ...proved ?? { result: "blocked", signature: "" } }));
    }
    question satisfies never;
  }

  #account(
    channel: Answers,
    { call, action, user }: Extract<ToLookup, { type: "account" }>,
    result: AccountResult,
  ): void {
    if (this.#isolate.traces("lookup")) {
      const ending = result.ok ? `uid ${result.identity.uid}, home ${result.identity.home}` : result.text;
      logTrace(this.#isolate, "lookup", `account "${user}" of action "${action}": ${ending}`);
    }
    channel.send({ type: "account", call, result });
  }

  #smarthosts(
    channel: Answers,
    { call, action, domain }: Extract<ToLookup, { type: "smarthost" }>,
    urls: readonly string[],
  ): void {
    const url = urls[0] ?? null;
    if (this.#isolate.traces("lookup")) {
      // A URL may name whom to authenticate as.
      const ending = url === null ? "none" : url.replace(/\/\/.*@/, "//********@");
      logTrace(this.#isolate, "lookup", `smarthost of action "${action}" for ${domain}: ${ending}`);
    }
    channel.send({ type: "smarthost", call, url, others: urls.slice(1) });
  }

  #credentials(
    channel: Answers,
    { call, action }: Extract<ToLookup, { type: "credentials" }>,
    found: Credentials | CredentialsLack | null,
  ): void {
    const credentials = typeof found === "string" ? null : found;
    if (this.#isolate.traces("lookup")) {
      logTrace(
        this.#isolate,
        "lookup",
        `credentials of action "${action}": ${credentials === null ? "none" : "found"}`,
      );
    }
    channel.send({ type: "credentials", call, credentials, ...(typeof found === "string" ? { lack: found } : {}) });
  }

  #expanded(
    channel: Answers,
    question: ExpandQuestion,
    result: Expansion,
    asker: Asker & { readonly configured: Configured },
  ): void | Promise<void> {
    if (this.#isolate.traces("expand")) {
      const ending = result.ok ? `${result.targets.length} envelopes` : `${result.code} ${result.text}`;
      logTrace(this.#isolate, "expand", `${formatMailbox(question.rcpt)}: ${ending}`);
    }
    return soon(asker.configured.authoriser.authorise(question, result, asker), (authorised) => {
      channel.send({ type: "expanded", call: question.call, result: authorised });
    });
  }

  #nameClient(channel: Answers, call: number, address: string): void {
    if (address === "local") {
      const hostname = this.#isolate.settings.shared.serverName;
      return this.#named(channel, call, address, { hostname, confirmed: "pass" });
    }
    if (this.#namings >= MAX_NAMINGS) return channel.send(nameless(call));
    this.#namings++;
    const bare = address.startsWith("[") ? address.slice(1, -1) : address;
    this.#namer.reverse(bare).then(
      (name) => this.#named(channel, call, bare, name),
      (error) => {
        this.#warn(`No name for the client ${bare}: ${error instanceof Error ? error.message : error}`);
        channel.send(nameless(call));
      },
    ).finally(() => this.#namings--);
  }

  #named(channel: Answers, call: number, address: string, name: ClientName): void {
    if (this.#isolate.traces("lookup")) {
      logTrace(this.#isolate, "lookup", `name of ${address}: ${name.hostname}, forward-confirmed: ${name.confirmed}`);
    }
    channel.send({ type: "client-name", call, ...name });
  }
}

/** `use` at once when the value is there, else when it has come. */
function soon<T>(value: T | Promise<T>, use: (value: T) => void | Promise<void>): void | Promise<void> {
  return value instanceof Promise ? value.then(use) : use(value);
}
