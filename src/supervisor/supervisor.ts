/**
 * Main's side of the house: spawns the isolates with their permissions, joins them by doors, watches that they live and replaces those that
 * do not. Knows roles and doors, not what they do.
 */

import { Accusations } from "./accusations.ts";
import {
  type Certificates,
  compileTable,
  type DoorName,
  DOORS,
  FILE_ROLES,
  type FileRole,
  type FromMain,
  isPlain,
  kindOf,
  MAX_FILE_ISOLATES,
  MAX_STUCK_ISOLATES,
  type ResolverSettings,
  type Role,
  type Settings,
  shownWord,
  SPOKEN_BY,
  TO_MAIN,
  type ToMain,
} from "../protocol/mod.ts";
import type { Trace } from "../events/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

/** What an isolate may do. Absent means refused; see the table in src/daemon/permissions.ts. */
export interface Grants {
  readonly read?: readonly string[] | true;
  readonly write?: readonly string[] | true;
  readonly net?: readonly string[] | true;
  readonly run?: readonly string[] | true;
  readonly ffi?: readonly string[] | true;
  /** Facts about the machine, by the names that Deno gives them. */
  readonly sys?: readonly string[];
}

export interface SystemPlan {
  readonly settings: Settings;
  readonly grants: Readonly<Record<Role, Grants>>;
  /** Number of smtp isolates, at least 1. */
  readonly smtpIsolates: number;
  /** 1 when there is local delivery: users name commands and files. */
  readonly errandIsolates: 0 | 1;
  /** 1 when the config names programs. */
  readonly filterIsolates: 0 | 1;
  /** 1 when a listener asks for AUTH. */
  readonly loginIsolates: 0 | 1;
  /** Entry file of a role. */
  readonly entry: (role: Role) => URL;
  /** Roles without which the daemon ends. */
  readonly vital?: readonly Role[];
  verbose: boolean;
  traces: readonly Trace[];
  /** How often it is looked whether they answer, in milliseconds; once a second unless a test is in a hurry. */
  readonly pingMs?: number;
}

export interface SystemHooks {
  /** Messages of an isolate that are not the supervisor's own business. */
  onmessage(role: Role, index: number, message: ToMain): void;
  /** A line for the log about what an isolate said that it may not say. */
  onrefused?(text: string): void;
  /** An isolate ended by itself or did not answer; it is started again after `delayMs`. */
  ondeath(role: Role, index: number, reason: string, delayMs: number): void;
}

interface WorkerSlot {
  readonly role: Role;
  readonly index: number;
  worker: Worker | null;
  ready: boolean;
  /** How often it was started. */
  life: number;
  startedAt: number;
  /** Restarts in a row; a minute of quiet clears it. */
  failures: number;
  pinged: number;
  ponged: number;
  /** Looks since its last answer that found it silent. */
  silent: number;
  /** When it last said anything, in ms of the steady clock. */
  heardAt: number;
  /** Called when the ping of this number, or a later one, is answered. */
  readonly probes: { readonly ping: number; readonly run: () => void }[];
  /** Resolves when the isolate says `stopped`. */
  stopped: (() => void) | null;
}

function newResident(role: Role, index: number): WorkerSlot {
  return {
    role,
    index,
    worker: null,
    ready: false,
    life: 0,
    startedAt: 0,
    failures: 0,
    pinged: 0,
    ponged: 0,
    silent: 0,
    heardAt: 0,
    probes: [],
    stopped: null,
  };
}

/** They stand still when a file of a user does; whoever gave them the task knows what to do then. */
const maySleep = (role: Role) => (FILE_ROLES as readonly Role[]).includes(role);

const ROLES: readonly Role[] = [
  "control",
  "lookup",
  "queue",
  "scheduler",
  "relay",
  "delivery",
  "errand",
  "mailbox",
  "file",
  "forward",
  "filter",
  "login",
  "smtp",
];
const PING_MS = 1_000;
/** Looks at an isolate, one a second, that find its last ping unanswered, after which it is replaced: longer than any work that it does in one turn. They are counted, so that a machine that slept ends nothing. */
const SILENT_LIMIT = 60;
/** The same for roles that work in short turns whatever they are given: so long those who come to them may have to wait. */
const SHORT_TURNS: readonly Role[] = ["smtp", "relay", "scheduler"];
const SHORT_SILENT_LIMIT = 15;
/** An isolate that is silent for so many looks gets no new work as long as another answers. */
const AVOID_LIMIT = 2;
/** An isolate that was heard of in this time is given work without being asked whether it is there. */
const FRESH_MS = 100;
const RESTART_MIN_MS = 100, RESTART_MAX_MS = 30_000, QUIET_MS = 60_000;
/** Time for an isolate to finish on stop. */
const STOP_MS = 5_000;
/** Time for all isolates to become ready at start. */
const READY_MS = 60_000;
/** The vault may have a large database to repair, and does not lose what it has done of it as long as it answers. */
const PATIENT: Role = "queue";

/** Roles that talk to strangers, or run what users and the config name. */
const EXPOSED: readonly Role[] = ["smtp", "relay", "delivery", "errand", "filter"];
/** Characters of what one isolate says of another that are logged. */
const MAX_FAULT_CHARS = 300;
const ARRIVING = compileTable(TO_MAIN);

/** Calls `expire` when the time to become ready is over. Returns what cancels it. */
export type ReadyLimit = (expire: () => void) => () => void;

const readyLimit: ReadyLimit = (expire) => systemClock.after(READY_MS, expire);

/** The one place that starts workers. Omitting `permissions` would hand down everything that main has. */
function spawn(entry: URL, name: string, grants: Grants): Worker {
  const list = (grant: readonly string[] | true | undefined) =>
    grant === true ? true : grant?.length ? [...grant] : false;
  const permissions = {
    read: list(grants.read),
    write: list(grants.write),
    net: list(grants.net),
    run: list(grants.run),
    ffi: list(grants.ffi),
    env: false,
    sys: list(grants.sys),
    import: false,
  };
  return new Worker(entry, { type: "module", name, deno: { permissions } } as WorkerOptions);
}

export class Supervisor {
  readonly #plan: SystemPlan;
  readonly #grants: Record<Role, Grants>;
  readonly #hooks: SystemHooks;
  readonly #limit: ReadyLimit;
  readonly #residents: WorkerSlot[] = [];
  readonly #clock: Clock;
  readonly #accusations: Accusations;
  #stopping = false;
  #cancelPings = () => {};
  #onready: (() => void) | null = null;
  #onfailed: ((error: Error) => void) | null = null;

  constructor(plan: SystemPlan, hooks: SystemHooks, limit: ReadyLimit = readyLimit, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#accusations = new Accusations(clock.steady);
    this.#plan = plan;
    this.#grants = { ...plan.grants };
    this.#hooks = hooks;
    this.#limit = limit;
  }

  /** Starts every isolate. Rejects when one fails before all were ready. */
  async start(): Promise<void> {
    for (const role of ROLES) {
      const count = this.#countOf(role);
      for (let index = 0; index < count; index++) {
        this.#residents.push(newResident(role, index));
      }
    }
    const ready = new Promise<void>((resolve, reject) => {
      this.#onready = resolve;
      this.#onfailed = reject;
    });
    for (const resident of this.#residents) this.#launch(resident);
    for (const name of DOORS) this.#openDoors(name, () => true);
    this.#cancelPings = this.#clock.every(this.#plan.pingMs ?? PING_MS, () => this.#ping());
    const cancel = this.#limitStart();
    try {
      await ready;
    } catch (error) {
      this.#cancelPings();
      throw error;
    } finally {
      cancel();
      this.#onfailed = null;
    }
  }

  /** Ends the start when it takes too long. Returns what cancels that. */
  #limitStart(): () => void {
    let cancel = () => {};
    const arm = () => {
      cancel = this.#limit(() => {
        const late = this.#residents.filter(({ ready }) => !ready).map(({ role }) => role);
        if (late.every((role) => role === PATIENT)) return arm();
        this.#onfailed?.(new Error(`Not every isolate became ready: ${late.join(", ")}`));
      });
    };
    arm();
    return () => cancel();
  }

  #countOf(role: Role): number {
    if (role === "smtp") return this.#plan.smtpIsolates;
    // Many a machine has no files that users name and no `.forward`: the first isolate comes when it is asked for. It needs nothing to start
    // that mailbox does not need, so that a fault is told at start all the same.
    if (role === "file" || role === "forward") return 0;
    if (role === "errand" || role === "mailbox") return this.#plan.errandIsolates;
    if (role === "filter") return this.#plan.filterIsolates;
    return role === "login" ? this.#plan.loginIsolates : 1;
  }

  /** Starts one isolate more of a role that touches users' files, unless there are as many as may be. */
  grow(role: FileRole): void {
    const count = this.#residents.filter((one) => one.role === role).length;
    if (this.#stopping || count >= MAX_FILE_ISOLATES + MAX_STUCK_ISOLATES) return;
    const resident = newResident(role, count);
    this.#residents.push(resident);
    this.#restart(resident);
  }

  /** Posts to one isolate; false when it is down just now. */
  post(role: Role, index: number, message: FromMain): boolean {
    const resident = this.#residents.find((one) => one.role === role && one.index === index);
    if (resident?.worker == null || !resident.ready) return false;
    resident.worker.postMessage(message);
    return true;
  }

  /** Gives them to the isolates of the role, and to those that will replace them. */
  setCertificates(role: "smtp" | "relay", certificates: Certificates): void {
    const { settings } = this.#plan;
    if (role === "smtp") settings.smtp = { ...settings.smtp, ...certificates };
    else settings.relay = { ...settings.relay, ...certificates };
    for (const resident of this.#residents) {
      if (resident.role !== role) continue;
      resident.worker?.postMessage({ type: "certificates", certificates } satisfies FromMain);
    }
  }

  /**
   * Gives other name servers to lookup and relay, and to those that will replace them. What lookup may reach is settled when it starts: unless
   * it may reach all of `reachable` it is replaced by one that may.
   */
  setResolver(resolver: ResolverSettings, reachable: readonly string[]): void {
    const { settings } = this.#plan;
    settings.lookup = { ...settings.lookup, resolver };
    settings.relay = { ...settings.relay, resolver };
    const { net = [] } = this.#grants.lookup;
    const covered = net === true || reachable.every((host) => net.includes(host));
    if (!covered) this.#grants.lookup = { ...this.#grants.lookup, net: reachable };
    for (const resident of this.#residents) {
      const { role, worker } = resident;
      if (worker === null || (role !== "lookup" && role !== "relay")) continue;
      if (role === "lookup" && !covered) this.#lost(resident, "it may reach other name servers then");
      else worker.postMessage({ type: "resolver", resolver } satisfies FromMain);
    }
  }

  /** Roles of which an isolate does not run now, each once. */
  get missing(): Role[] {
    const missing = new Set(this.#residents.filter((one) => !one.ready).map(({ role }) => role));
    // Of these one more may just be coming.
    for (const role of FILE_ROLES) if (this.living(role).length > 0) missing.delete(role);
    return [...missing];
  }

  /** Indexes of the isolates of a role that can take work. */
  living(role: Role): number[] {
    return this.#residents.filter((one) => one.role === role && one.ready).map((one) => one.index);
  }

  /** Of those that can take work the ones that answer; where none does, the one that answered last. */
  answering(role: Role): number[] {
    const ready = this.#residents.filter((one) => one.role === role && one.ready);
    const answering = ready.filter(({ silent }) => silent < AVOID_LIMIT);
    if (answering.length > 0 || ready.length === 0) return answering.map(({ index }) => index);
    return [ready.reduce((last, one) => one.heardAt > last.heardAt ? one : last).index];
  }

  /**
   * Calls `run` when the isolate shows that it takes what it is sent: at once if it was heard of just now, else when it has answered. Never, when
   * it ends before.
   */
  whenAnswering(role: Role, index: number, run: () => void): void {
    const resident = this.#residents.find((one) => one.role === role && one.index === index);
    if (resident?.worker == null || !resident.ready) return;
    if (resident.probes.length === 0 && this.#clock.steady() - resident.heardAt < FRESH_MS) return run();
    // One question serves all who wait for its answer.
    if (resident.probes.length === 0) this.#pingOne(resident);
    resident.probes.push({ ping: resident.pinged, run });
  }

  setVerbosity(verbose: boolean, traces: readonly Trace[]): void {
    this.#plan.verbose = verbose;
    this.#plan.traces = traces;
    for (const { worker } of this.#residents) {
      worker?.postMessage({ type: "verbosity", verbose, traces } satisfies FromMain);
    }
  }

  /** Asks the isolates to finish, those that take work first and the vault last, then ends them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelPings();
    for (
      const roles of [["smtp"], ["scheduler", "relay", "delivery", "errand"], [...FILE_ROLES], ["queue"], ["lookup"], [
        "filter",
        "login",
        "control",
      ]] as Role[][]
    ) {
      const group = this.#residents.filter(({ role }) => roles.includes(role));
      await Promise.all(group.map((resident) => this.#stopOne(resident)));
    }
  }

  async #stopOne(resident: WorkerSlot): Promise<void> {
    const { worker } = resident;
    if (worker === null) return;
    if (maySleep(resident.role)) return void worker.terminate();
    let cancelLimit = () => {};
    await new Promise<void>((resolve) => {
      resident.stopped = resolve;
      cancelLimit = this.#clock.after(STOP_MS, resolve);
      worker.postMessage({ type: "stop" } satisfies FromMain);
    });
    cancelLimit();
    resident.worker = null;
    resident.ready = false;
    worker.terminate();
  }

  #launch(resident: WorkerSlot): void {
    const { role, index } = resident;
    const worker = spawn(this.#plan.entry(role), nameOf(resident), this.#grants[role]);
    resident.worker = worker;
    resident.life++;
    resident.startedAt = this.#clock.steady();
    resident.pinged = resident.ponged = resident.silent = 0;
    resident.probes.length = 0;
    worker.onmessage = (event) => {
      if (resident.worker === worker) this.#take(resident, event);
    };
    worker.onmessageerror = () => {
      if (resident.worker === worker) this.#malformed(resident, "it cannot be read");
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (resident.worker === worker) this.#lost(resident, event.message);
    };
    worker.postMessage(
      {
        type: "start",
        role,
        index,
        life: resident.life,
        settings: this.#plan.settings[role],
        verbose: this.#plan.verbose,
        traces: this.#plan.traces,
      } satisfies FromMain,
    );
  }

  /** Makes the ports of a door for each pair that `concerns` it. */
  #openDoors(name: DoorName, concerns: (asker: WorkerSlot, answerer: WorkerSlot) => boolean): void {
    const [from, to] = name.split("-") as [Role, Role];
    for (const asker of this.#residents.filter(({ role }) => role === from)) {
      for (const answerer of this.#residents.filter(({ role }) => role === to)) {
        if (asker.worker === null || answerer.worker === null || !concerns(asker, answerer)) continue;
        const { port1, port2 } = new MessageChannel();
        asker.worker.postMessage(
          { type: "door", name, peer: answerer.index, life: answerer.life, port: port1 } satisfies FromMain,
          [port1],
        );
        answerer.worker.postMessage(
          { type: "door", name, peer: asker.index, life: asker.life, port: port2 } satisfies FromMain,
          [port2],
        );
      }
    }
  }

  #closeDoors(resident: WorkerSlot): void {
    for (const name of DOORS) {
      const [from, to] = name.split("-") as [Role, Role];
      if (from !== resident.role && to !== resident.role) continue;
      const others = this.#residents.filter(({ role }) => role === (from === resident.role ? to : from));
      for (const { worker } of others) {
        worker?.postMessage({ type: "door-closed", name, peer: resident.index } satisfies FromMain);
      }
    }
  }

  /** Checks what an isolate says to main: one that says something malformed is replaced. */
  #take(resident: WorkerSlot, { data, ports }: MessageEvent): void {
    const message: unknown = data;
    resident.heardAt = this.#clock.steady();
    if (ports?.length > 0) return this.#malformed(resident, "it carries ports");
    if (!isPlain(message)) return this.#malformed(resident, `it is ${kindOf(message)}, not an object`);
    const { type } = message;
    const check = ARRIVING.get(type as string);
    const speaker = SPOKEN_BY[type as keyof typeof SPOKEN_BY];
    if (check === undefined || (speaker !== undefined && speaker !== resident.role)) {
      return this.#malformed(resident, `a message of the type ${shownWord(type)} may not come from there`);
    }
    const fault = check(message);
    if (fault !== null) return this.#malformed(resident, `${type}: ${fault}`);
    this.#hear(resident, message as unknown as ToMain);
  }

  #malformed(resident: WorkerSlot, fault: string): void {
    this.#hooks.onrefused?.(`main refuses what isolate ${nameOf(resident)} said: ${fault}`);
    this.#lost(resident, "It said something malformed");
  }

  /** An isolate has refused what came through a door: who sent it is replaced, unless the word of the one that says so is worth less. */
  #accused(accuser: WorkerSlot, { door, peer, life, fault }: Extract<ToMain, { type: "refused" }>): void {
    const [from, to] = door.split("-") as [Role, Role];
    const other = from === accuser.role ? to : from;
    const accused = this.#residents.find(({ role, index }) => role === other && index === peer);
    if (!(DOORS as readonly string[]).includes(door) || (from !== accuser.role && to !== accuser.role) || !accused) {
      return this.#malformed(accuser, "refused: there is no such door");
    }
    // Somebody else stands there by now.
    if (accused.life !== life || accused.worker === null) return;
    const name = nameOf(accuser), sender = nameOf(accused);
    this.#hooks.onrefused?.(
      `isolate ${name} refuses what isolate ${sender} said at the door ${door}: ${fault.slice(0, MAX_FAULT_CHARS)}`,
    );
    const vital = this.#plan.vital?.includes(accused.role) ?? false;
    const judged = this.#accusations.judge({
      accuser: name,
      life: accuser.life,
      accused: sender,
      exposed: EXPOSED.includes(accuser.role),
      vital,
    });
    if (judged === "accused") return this.#lost(accused, "It said something malformed");
    this.#lost(accuser, `It accused isolate ${sender}, which is not believed`);
  }

  #hear(resident: WorkerSlot, message: ToMain): void {
    switch (message.type) {
      case "ready":
        resident.ready = true;
        if (this.#residents.every((one) => one.ready)) this.#onready?.();
        return;
      case "failed":
        return this.#lost(resident, message.reason);
      case "pong":
        if (message.count > resident.pinged) return this.#malformed(resident, "pong: it was not asked");
        resident.ponged = message.count;
        resident.silent = 0;
        while (resident.probes.length > 0 && resident.probes[0]!.ping <= message.count) resident.probes.shift()!.run();
        return;
      case "refused":
        return this.#accused(resident, message);
      case "stopped":
        return resident.stopped?.();
      default:
        return this.#hooks.onmessage(resident.role, resident.index, message);
    }
  }

  #ping(): void {
    for (const resident of this.#residents) {
      if (resident.worker === null || maySleep(resident.role)) continue;
      if (resident.pinged > resident.ponged) resident.silent++;
      else this.#pingOne(resident);
      const short = resident.ready && SHORT_TURNS.includes(resident.role);
      if (resident.silent > (short ? SHORT_SILENT_LIMIT : SILENT_LIMIT)) {
        this.#lost(resident, "It does not answer");
        continue;
      }
      if (resident.failures > 0 && this.#clock.steady() - resident.startedAt > QUIET_MS) resident.failures = 0;
    }
  }

  #pingOne(resident: WorkerSlot): void {
    resident.worker?.postMessage({ type: "ping", count: ++resident.pinged } satisfies FromMain);
  }

  #lost(resident: WorkerSlot, reason: string): void {
    resident.worker?.terminate();
    resident.worker = null;
    resident.ready = false;
    if (this.#stopping) return resident.stopped?.();
    if (this.#onfailed !== null) return this.#onfailed(new Error(`${resident.role}: ${reason}`));
    this.#closeDoors(resident);
    const delayMs = Math.min(RESTART_MIN_MS * 2 ** resident.failures, RESTART_MAX_MS);
    resident.failures++;
    this.#hooks.ondeath(resident.role, resident.index, reason, delayMs);
    this.#clock.after(delayMs, () => this.#restart(resident));
  }

  #restart(resident: WorkerSlot): void {
    if (this.#stopping) return;
    this.#launch(resident);
    for (const name of DOORS) this.#openDoors(name, (asker, answerer) => asker === resident || answerer === resident);
  }
}

/** Of smtp there may be several. */
function nameOf({ role, index }: Pick<WorkerSlot, "role" | "index">): string {
  return role === "smtp" ? `smtp-${index}` : role;
}
