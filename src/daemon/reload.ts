/**
 * Reads smtpd.conf again while mail flows: it is parsed and checked as at the start, what is new is made ready beside what there is, and then all is exchanged at
 * once. Sessions that are open end by the configuration that they began with. What is wrong changes nothing. docs/isolation.md has the whole.
 */

import { isDeepStrictEqual } from "node:util";
import type { Config } from "../config/mod.ts";
import type { Clock } from "../clock.ts";
import { systemReason } from "../events/mod.ts";
import type { ConfigurationState, FilterSettings, PlannedCount, Role, Settings } from "../protocol/mod.ts";
import { processOf } from "../protocol/processes.ts";
import { ROLE_NAMES, traitsOf } from "../protocol/roles.ts";
import type { Supervisor } from "../supervisor/mod.ts";
import { filesForTables, type Loaded, renewed } from "./configuration.ts";
import { Fatal } from "./fatal.ts";
import type { LogChange } from "./log_sinks.ts";
import { Generations } from "./generations.ts";
import { grantsFor } from "./permissions.ts";
import { isolatesOf, ProgramIsolates, runGrants } from "./program_isolates.ts";
import type { PlaceChange } from "./sockets/places.ts";

/** What the configuration was found to be when it was read again. */
export type Reread =
  | { readonly config: Config; readonly warnings: readonly string[] }
  /** Lines that say what is wrong, with file and line. */
  | { readonly faults: readonly string[] };

/** How it went: lines for whoever asked, and what is wrong; without faults the new configuration is in use. */
export interface ReloadResult {
  readonly lines: readonly string[];
  readonly faults: readonly string[];
}

type Isolates = Pick<
  Supervisor,
  | "add"
  | "remove"
  | "replace"
  | "reload"
  | "indexes"
  | "permit"
  | "permitted"
  | "settingsOf"
  | "generationOver"
>;

export interface ReloadDeps {
  readonly supervisor: Isolates;
  readonly clock: Pick<Clock, "after" | "now">;
  /** Parses and checks the file. */
  reread(): Promise<Reread>;
  /** Makes ready where its log goes. Throws Fatal. */
  prepareLog(config: Config): LogChange;
  /** Loads what it names. Throws Fatal. */
  load(config: Config, log: LogChange): Promise<Loaded>;
  /** How many isolates there are of each role that depends on the configuration. */
  counts(settings: Settings): Readonly<Record<PlannedCount, number>>;
  /** Why a configuration takes another start, each with what to do; nothing where it does not. */
  obstacles(loaded: Loaded): readonly string[];
  /** All isolates are in this process: those that start have the permissions of the new configuration. Else the processes keep what they were given at the start. */
  readonly oneProcess: boolean;
  /** Opens what is to be listened on. Throws Fatal. */
  listen(loaded: Loaded): Promise<PlaceChange>;
  /** Main itself goes by this configuration from now on: limits, files, keys. */
  use(loaded: Loaded, generation: number): void;
  /** Main does what acme asks of it for these lines. */
  obtainFor(config: Config): void;
  /** These programs run, or are to. */
  usePrograms(programs: FilterSettings): void;
  /** Main reads these files for lookup as well. */
  readFor(paths: readonly string[]): void;
  sessionsOf(generation: number): number;
  /** The service manager is told when a reload begins and when it has ended. */
  notify(state: "reloading" | "ready"): void;
  log(level: "info" | "warn", text: string): void;
}

/** Roles of which each isolate may have to be started anew for other permissions, in the order in which they are to finish. */
const LOCAL_DELIVERY = ["delivery", "privileged", "mailbox", "file"] as const satisfies readonly Role[];
/** Roles whose isolates come and go with what the configuration has. Those behind them finish first. */
const COUNTED = ROLE_NAMES.filter((role) =>
  !["one", "on-demand", "per-core", "programs"].includes(traitsOf(role).count)
);
/** Roles that answer sessions by the configuration that these began with. */
const BY_GENERATION = ["lookup", "smtp"] as const satisfies readonly Role[];
/** The others, in the order in which they take their settings: who asks comes after who is asked. */
const IN_PLACE = [
  "signer",
  "queue",
  "scheduler",
  "relay",
  "privileged",
  "delivery",
  "acme",
  "history",
  "control",
] as const satisfies readonly Role[];

type Step = () => unknown;

export class Reloader {
  readonly #deps: ReloadDeps;
  readonly #generations: Generations;
  readonly #programs: ProgramIsolates;
  #current: Loaded;
  #generation = 0;
  /** The number that was given last: one that failed is not given again. */
  #lastNumber = 0;
  #readAt: number;
  /** Isolates may be there that only the next configuration has a use for. */
  #exchanging = false;
  /** Resolves when isolates that nothing has a use for any more have ended. */
  #removed: Promise<void> = Promise.resolve();
  #closed = false;
  #running: Promise<ReloadResult> | null = null;
  #next: Promise<ReloadResult> | null = null;

  constructor(first: Loaded, deps: ReloadDeps) {
    this.#deps = deps;
    this.#current = first;
    this.#readAt = deps.clock.now();
    this.#programs = new ProgramIsolates(first.settings.filter);
    this.#generations = new Generations({
      sessionsOf: deps.sessionsOf,
      retire: (generation) => this.#retire(generation),
      forget: (generation) => this.#forget(generation),
    }, deps.clock);
  }

  /** What is in use. */
  get current(): Loaded {
    return this.#current;
  }

  /** For `smtpctl show status`. */
  get state(): ConfigurationState {
    const { older, sessions } = this.#generations;
    return {
      file: this.#current.config.file,
      readAt: this.#readAt,
      generation: this.#generation,
      olderGenerations: older.length,
      olderSessions: sessions,
    };
  }

  /** Reads the configuration again. One that is asked for while another one runs begins when that has ended, once for all who ask meanwhile. Never rejects. */
  reload(): Promise<ReloadResult> {
    if (this.#running === null) return this.#begin();
    return this.#next ??= this.#running.then(() => {
      this.#next = null;
      return this.#begin();
    });
  }

  /** The last session of a configuration that is no more in use has ended. */
  ended(generation: number): void {
    this.#generations.end(generation);
  }

  /** The daemon ends: nothing is begun any more. */
  close(): void {
    this.#closed = true;
    this.#generations.close();
  }

  #begin(): Promise<ReloadResult> {
    const running = this.#run().finally(() => {
      if (this.#running === running) this.#running = null;
    });
    return this.#running = running;
  }

  async #run(): Promise<ReloadResult> {
    const { notify, log } = this.#deps;
    if (this.#closed) return { lines: [], faults: ["smtpd is about to end"] };
    notify("reloading");
    let result: ReloadResult;
    try {
      result = await this.#reload();
    } catch (error) {
      const faults = error instanceof Fatal ? error.faults : [`reload: ${systemReason(error)}`];
      result = { lines: [], faults };
    }
    for (const fault of result.faults) log("warn", `warn: reload: ${fault}`);
    if (result.faults.length > 0) log("warn", "warn: reload: nothing is changed: smtpd goes on with what it has");
    if (!this.#closed) notify("ready");
    return result;
  }

  async #reload(): Promise<ReloadResult> {
    const read = await this.#deps.reread();
    if ("faults" in read) return { lines: [], faults: read.faults };
    const log = this.#deps.prepareLog(read.config);
    try {
      return await this.#apply(read, log);
    } catch (error) {
      log.undo();
      throw error;
    }
  }

  async #apply(read: Extract<Reread, { config: unknown }>, logChange: LogChange): Promise<ReloadResult> {
    const { load, obstacles, log } = this.#deps;
    const alone = await load(read.config, logChange);
    const against = obstacles(alone);
    if (against.length > 0) throw new Fatal(...against);
    const { settings, started } = this.#programs.assign(alone.settings, this.#generation);
    const loaded = { ...alone, settings };
    const changed = this.#changed(loaded);
    const same = changed.length === 0 && isDeepStrictEqual(settings.filter, this.#current.settings.filter) &&
      isDeepStrictEqual(this.#current.config.smtp, loaded.config.smtp) &&
      isDeepStrictEqual(this.#current.config.admin, loaded.config.admin) &&
      this.#current.tableStamp === loaded.tableStamp;
    const renewals = renewed(this.#current, loaded);
    if (same) this.#deps.use(loaded, this.#generation);
    else await this.#exchange(loaded, changed, { log: logChange, started });
    this.#current = loaded;
    for (const line of renewals) log("info", line);
    this.#readAt = this.#deps.clock.now();
    for (const warning of read.warnings) log("warn", warning);
    const what = same ? "as it was" : `in use as generation ${this.#generation}`;
    log("info", `info: ${loaded.config.file} was read again and is ${what}`);
    return { lines: read.warnings, faults: [] };
  }

  /** Roles whose settings are others. */
  #changed({ settings }: Loaded): Role[] {
    return ROLE_NAMES.filter((role) =>
      role !== "filter" && !isDeepStrictEqual(this.#deps.supervisor.settingsOf(role), settings[role])
    );
  }

  /** Makes ready what may fail, and takes it back where something does; then exchanges the rest. Rejects with Fatal, and all is as it was. */
  async #exchange(
    loaded: Loaded,
    changed: readonly Role[],
    { log, started }: { readonly log: LogChange; readonly started: number | null },
  ): Promise<void> {
    const { settings } = loaded, { supervisor } = this.#deps;
    const generation = ++this.#lastNumber;
    const undo: Step[] = [];
    let places: PlaceChange;
    this.#exchanging = true;
    try {
      // One that is about to end would be taken for one that is there.
      await this.#removed;
      // Isolates ask for what is new as soon as they know of it.
      this.#deps.obtainFor(loaded.config);
      undo.push(() => this.#deps.obtainFor(this.#current.config));
      places = await this.#deps.listen(loaded);
      undo.push(() => places.undo());
      this.#deps.readFor([...filesForTables(this.#current.settings), ...filesForTables(settings)]);
      await this.#addIsolates(settings, undo);
      if (started !== null) await this.#startPrograms(settings, started, undo);
      for (const role of BY_GENERATION) {
        const before = supervisor.settingsOf(role);
        undo.push(async () => {
          await supervisor.reload(role, before, this.#generation);
          supervisor.generationOver([role], { type: "forget", generation });
        });
        const faults = await supervisor.reload(role, settings[role], generation);
        if (faults.length > 0) throw new Fatal(...faults);
      }
    } catch (error) {
      for (const step of undo.reverse()) await step();
      this.#exchanging = false;
      throw error instanceof Fatal ? error : new Fatal(systemReason(error));
    }
    try {
      log.commit();
      for (const role of IN_PLACE.filter((role) => changed.includes(role))) {
        await this.#give(role, settings, generation);
      }
      await this.#permit(settings);
      const old = this.#generation;
      this.#generation = generation;
      this.#programs.use(generation, settings.filter);
      // New sessions come with it from here on.
      this.#deps.use(loaded, generation);
      await places.commit();
      this.#current = loaded;
      this.#exchanging = false;
      this.#generations.add(old);
    } finally {
      this.#exchanging = false;
    }
    await this.#removeIsolates();
    // Programs take their time to end: nobody waits for it.
    void this.#endPrograms();
  }

  /** An isolate that takes no settings is ended by the watch over it, and its successor starts with these. */
  async #give<R extends Role>(role: R, settings: Settings, generation: number): Promise<void> {
    for (const fault of await this.#deps.supervisor.reload(role, settings[role], generation)) {
      this.#deps.log("warn", `warn: reload: ${role}: ${fault}`);
    }
  }

  /** Starts the programs that are new, or others, in an isolate of their own. Rejects with the reason. */
  async #startPrograms(settings: Settings, started: number, undo: Step[]): Promise<void> {
    const { supervisor } = this.#deps;
    const union = this.#programs.union(settings.filter);
    undo.push(async () => {
      await supervisor.remove("filter", started);
      await this.#endPrograms();
    });
    supervisor.permit("filter", runGrants(union));
    this.#deps.usePrograms(union);
    await supervisor.reload("filter", union, this.#generation);
    await supervisor.add("filter", started);
  }

  /** Ends the programs that neither the configuration nor a session of an older one uses any more. */
  async #endPrograms(): Promise<void> {
    const { supervisor } = this.#deps;
    const union = this.#programs.union(this.#current.settings.filter), used = isolatesOf(union);
    // Before anything is waited for: the next configuration may start others meanwhile.
    const unused = supervisor.indexes("filter").filter((index) => !used.has(index));
    if (!isDeepStrictEqual(union, supervisor.settingsOf("filter"))) await supervisor.reload("filter", union, 0);
    this.#deps.usePrograms(union);
    for (const index of unused) await supervisor.remove("filter", index);
  }

  /** Starts isolates of roles that the configuration had no use for. Rejects with the reason. */
  async #addIsolates(settings: Settings, undo: Step[]): Promise<void> {
    const { supervisor, counts } = this.#deps;
    const wanted = counts(settings), grants = grantsFor(settings);
    for (const role of COUNTED) {
      const { count } = traitsOf(role);
      if (wanted[count as PlannedCount] === 0 || supervisor.indexes(role).length > 0) continue;
      const before = { settings: supervisor.settingsOf(role), grants: supervisor.permitted(role) };
      if (this.#mayPermit(role)) supervisor.permit(role, grants[role]);
      await supervisor.reload(role, settings[role] as never, this.#generation);
      undo.push(async () => {
        await supervisor.remove(role, 0);
        supervisor.permit(role, before.grants);
        await supervisor.reload(role, before.settings as never, this.#generation);
      });
      await supervisor.add(role, 0);
    }
  }

  /** Ends isolates of roles that the configuration has no use for any more, when no session of an older one is left. Resolves when they have ended. */
  #removeIsolates(): Promise<void> {
    return this.#removed = this.#removed.then(async () => {
      const { supervisor, counts } = this.#deps;
      for (const role of COUNTED) {
        // The next configuration, whose exchange begins meanwhile, may have a use for the rest.
        if (this.#exchanging || this.#generations.older.length > 0) return;
        if (counts(this.#current.settings)[traitsOf(role).count as PlannedCount] > 0) continue;
        for (const index of supervisor.indexes(role)) await supervisor.remove(role, index);
      }
    });
  }

  /** Where permissions are others, isolates of local delivery finish what they have begun and are started anew with these. */
  async #permit(settings: Settings): Promise<void> {
    const { supervisor } = this.#deps;
    const grants = grantsFor(settings), replaced: Role[] = [];
    for (const role of ROLE_NAMES) {
      // Each of these has permissions of its own.
      if (role === "filter") continue;
      if (isDeepStrictEqual(supervisor.permitted(role), grants[role]) || !this.#mayPermit(role)) continue;
      supervisor.permit(role, grants[role]);
      if ((LOCAL_DELIVERY as readonly Role[]).includes(role)) replaced.push(role);
    }
    if (replaced.length === 0) return;
    // Those who give the others work finish first.
    const all = replaced.includes("delivery") || replaced.includes("mailbox")
      ? LOCAL_DELIVERY
      : LOCAL_DELIVERY.slice(1);
    await supervisor.replace(all.filter((role) => role !== "privileged" || supervisor.indexes(role).length > 0));
  }

  #mayPermit(role: Role): boolean {
    return this.#deps.oneProcess || processOf(role) === null;
  }

  #retire(generation: number): void {
    const sessions = this.#deps.sessionsOf(generation);
    this.#deps.log(
      "info",
      `info: ${sessions} ${sessions === 1 ? "session" : "sessions"} of the configuration of generation ${generation} ` +
        "had their time and are ended with 421",
    );
    this.#deps.supervisor.generationOver(["smtp"], { type: "retire", generation });
  }

  #forget(generation: number): void {
    this.#deps.supervisor.generationOver(BY_GENERATION, { type: "forget", generation });
    this.#programs.forget(generation);
    if (this.#exchanging) return;
    void this.#removeIsolates();
    void this.#endPrograms();
  }
}
