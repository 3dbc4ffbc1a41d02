/** The lookup isolate: puts together what answers questions, and serves its doors. Evaluates no rules itself; the answers are in answerer.ts. */

import type {
  ControlToLookup,
  FromFilter,
  FromLogin,
  LookupSettings,
  LookupToControl,
  ToFilter,
  ToLogin,
} from "../protocol/mod.ts";
import { Caller, type Channel, type Isolate } from "../isolate/mod.ts";
import { debug } from "../events/mod.ts";
import { mailAuthDns, recordAsker, Resolver } from "../dns/mod.ts";
import type { Dns } from "../mail_auth/dns.ts";
import type { AskProgram } from "../tables/mod.ts";
import { MainClient } from "./main_client.ts";
import { Answerer, type ClientNamer, soon } from "./answerer.ts";
import { Authoriser } from "./authorise.ts";
import { Configurations, type Configured } from "./configurations.ts";
import { Logins } from "./logins.ts";
import { openMachine } from "./machine.ts";
import { Lookups, type Machine, type OpenedFile } from "./lookup_engine.ts";
import { tryRcpt } from "./try_rcpt.ts";
import { fetchTableFiles } from "./tablefiles.ts";
import { systemClock } from "../clock.ts";

export type { ClientNamer } from "./answerer.ts";

/** What a test replaces. */
export interface LookupParts {
  readonly machine: Machine;
  readonly namer: ClientNamer;
  /** For checks of received mail; without it the DNS does not answer. */
  readonly dns?: Dns;
}

const DOORS = ["smtp-lookup", "relay-lookup", "delivery-lookup", "privileged-lookup", "queue-lookup"] as const;

/** Questions to programs that have no answer yet; more are errors. They wait while the filter isolate is replaced. */
const MAX_PENDING_QUESTIONS = 10_000;

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
