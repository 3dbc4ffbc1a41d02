/**
 * Main's side of the isolates: starts them with their permissions, joins them by doors, watches that they run and replaces those that do not.
 * Names no role: what it needs of them is in ROLES and DOORS. It is long because every change of a slot goes through it.
 */

import { type Channel, DoorChannel, MAIN_RATE } from "../isolate/mod.ts";
import type { DoorName, Doors, FileRole, Grants, MainDoorName, Role, Settings, ToSupervisor } from "../protocol/mod.ts";
import { compileTable, isPlain, kindOf, shownWord } from "../protocol/check.ts";
import { answering, checksOf, sidesOf } from "../protocol/door.ts";
import { DOOR_NAMES, DOORS } from "../protocol/doors.ts";
import { TO_SUPERVISOR } from "../protocol/lifecycle.ts";
import {
  isFileRole,
  isolateName,
  MAX_FILE_ISOLATES,
  MAX_STUCK_ISOLATES,
  ROLE_NAMES,
  SILENT_LOOKS,
  traitsOf,
} from "../protocol/roles.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Trace } from "../events/mod.ts";
import { Accusations } from "./accusations.ts";
import { Hosts } from "./hosts.ts";
import type { Reach, SystemHooks, SystemPlan } from "./plan.ts";
import { WorkerSlot } from "./worker_slot.ts";

/** Main's side of a door to main. */
export type MainChannel<N extends MainDoorName> = Channel<Doors[N]["answers"], Doors[N]["asks"]>;
type Welcome = (channel: Channel<unknown, unknown>, index: number) => void;

const PING_MS = 1_000;
/** An isolate that is silent for so many looks gets no new work as long as another answers. */
const AVOID_LOOKS = 2;
/** An isolate that has sent something in this time is given work without being asked whether it is there. */
const FRESH_MS = 100;
/** Looks in a row that find no isolate of a role answering, after which the role has stalled: long after a silent isolate was replaced. */
const STALLED_LOOKS = 3 * SILENT_LOOKS;
const RESTART_MIN_MS = 100, RESTART_MAX_MS = 30_000, QUIET_MS = 60_000;
/** Time for an isolate to finish on stop. */
const STOP_MS = 5_000;
/** Time for an isolate to finish what it has begun when another one is to take its place, and to take other settings, which may be those of large tables. */
const REPLACE_MS = 60_000, RELOAD_MS = 120_000;
/** Time for all isolates to become ready at start. */
const READY_MS = 60_000;
/** Characters of what one isolate says of another that are logged. */
const MAX_FAULT_CHARS = 300;
const ARRIVING = compileTable(TO_SUPERVISOR);

/** Calls `expire` when the time to become ready is over. Returns what cancels it. */
export type ReadyLimit = (expire: () => void) => () => void;

const readyLimit: ReadyLimit = (expire) => systemClock.after(READY_MS, expire);

export class Supervisor {
  readonly #plan: SystemPlan;
  readonly #settings: Record<Role, Settings[Role]>;
  readonly #grants: Record<Role, Grants>;
  readonly #hooks: SystemHooks;
  readonly #limit: ReadyLimit;
  readonly #hosts: Hosts;
  readonly #slots: WorkerSlot[] = [];
  readonly #serving = new Map<MainDoorName, Welcome>();
  readonly #clock: Clock;
  readonly #accusations: Accusations;
  /** Looks in a row that found no isolate of the role answering. */
  readonly #unanswered = new Map<Role, number>();
  /** Roles without which the daemon ends. */
  #vital: readonly Role[];
  /** Number of the configuration that the settings of each role are of, where that is not the first. */
  readonly #generations = new Map<Role, number>();
  #nextCall = 1;
  #stopping = false;
  #cancelPings = () => {};
  #onready: (() => void) | null = null;
  #onfailed: ((error: Error) => void) | null = null;

  constructor(plan: SystemPlan, hooks: SystemHooks, limit: ReadyLimit = readyLimit, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#accusations = new Accusations(clock.steady);
    this.#plan = plan;
    this.#hosts = new Hosts(plan);
    this.#vital = plan.vital ?? [];
    this.#settings = { ...plan.settings };
    this.#grants = { ...plan.grants };
    this.#hooks = hooks;
    this.#limit = limit;
  }

  /**
   * Main's side of a door to main: `welcome` is called with a fresh channel for each isolate that starts; `onreset` of the channel when that
   * has ended. To be called before `start`.
   */
  serve<N extends MainDoorName>(name: N, welcome: (channel: MainChannel<N>, index: number) => void): void {
    this.#serving.set(name, welcome as unknown as Welcome);
  }

  /** Starts every isolate. Rejects when one fails before all were ready. */
  async start(): Promise<void> {
    for (const role of ROLE_NAMES) {
      const count = this.#countOf(role);
      for (let index = 0; index < count; index++) {
        this.#slots.push(new WorkerSlot({ role, index, host: this.#hosts.of(role) }, this.#clock));
      }
    }
    const ready = new Promise<void>((resolve, reject) => {
      this.#onready = resolve;
      this.#onfailed = reject;
    });
    for (const slot of this.#slots) this.#launch(slot);
    for (const name of DOOR_NAMES) this.#openDoors(name, () => true);
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
        const late = this.#slots.filter(({ ready }) => !ready).map(({ role }) => role);
        if (late.every((role) => traitsOf(role).slowStart)) return arm();
        this.#onfailed?.(new Error(`Not every isolate became ready: ${late.join(", ")}`));
      });
    };
    arm();
    return () => cancel();
  }

  #countOf(role: Role): number {
    const { count } = traitsOf(role);
    if (count === "one") return 1;
    return count === "on-demand" ? 0 : this.#plan.counts[count];
  }

  /** Starts one isolate more of a role that touches users' files, unless there are as many as may be. */
  grow(role: FileRole): void {
    const count = this.#of(role).length;
    if (this.#stopping || count >= MAX_FILE_ISOLATES + MAX_STUCK_ISOLATES) return;
    this.#restart(this.#newSlot(role, count));
  }

  #newSlot(role: Role, index: number): WorkerSlot {
    const slot = new WorkerSlot({ role, index, host: this.#hosts.of(role) }, this.#clock);
    this.#slots.push(slot);
    return slot;
  }

  /** Indexes of the isolates of a role, whether they run now or not. */
  indexes(role: Role): number[] {
    return this.#of(role).map(({ index }) => index);
  }

  /** Starts one isolate more of a role. Resolves when it is ready. Rejects with the reason when it does not become so, and there is none more then. */
  async add(role: Role, index: number): Promise<void> {
    const slot = this.#newSlot(role, index);
    let cancel = () => {};
    const failure = await new Promise<string | null>((resolve) => {
      slot.onready = resolve;
      cancel = this.#limit(() => resolve("It did not become ready"));
      this.#restart(slot);
    });
    cancel();
    slot.onready = null;
    if (failure === null) return;
    slot.terminate();
    this.#drop(slot);
    throw new Error(failure);
  }

  /** Ends an isolate for good, when it has finished what it can finish. */
  async remove(role: Role, index: number): Promise<void> {
    const slot = this.#slot(role, index);
    if (slot === undefined || slot.replacing) return;
    slot.replacing = true;
    await this.#stopOne(slot, STOP_MS);
    this.#drop(slot);
  }

  #drop(slot: WorkerSlot): void {
    this.#slots.splice(this.#slots.indexOf(slot), 1);
    this.#closeDoors(slot);
  }

  /**
   * Has the isolates of these roles finish what they have begun, one role after the other, and starts others in their place, with the settings and
   * permissions that the roles have by now. What they have not begun comes again. Resolves when the others have been started.
   */
  async replace(roles: readonly Role[]): Promise<void> {
    const slots = roles.flatMap((role) => this.#of(role)).filter(({ replacing }) => !replacing);
    for (const slot of slots) slot.replacing = true;
    for (const role of roles) {
      await Promise.all(slots.filter((slot) => slot.role === role).map((slot) => this.#stopOne(slot, REPLACE_MS)));
    }
    for (const slot of slots) {
      slot.replacing = false;
      this.#closeDoors(slot);
      this.#restart(slot);
    }
  }

  /** Sets what isolates of a role may do that start from now on. */
  permit(role: Role, grants: Grants): void {
    this.#grants[role] = grants;
  }

  /** What isolates of a role may do that start now. */
  permitted(role: Role): Grants {
    return this.#grants[role];
  }

  /** Sets the roles without which the daemon ends. */
  setVital(roles: readonly Role[]): void {
    this.#vital = roles;
  }

  /** The settings of a role as its isolates have them, or will. */
  settingsOf<R extends Role>(role: R): Settings[R] {
    return this.#settings[role] as Settings[R];
  }

  /**
   * Gives the isolates of a role the settings of another configuration, whole, and to those that will replace them. Resolves when all have taken them,
   * with why some could not; each of these goes on with what it had.
   */
  async reload<R extends Role>(role: R, settings: Settings[R], generation: number): Promise<string[]> {
    this.#settings[role] = settings;
    this.#generations.set(role, generation);
    const faults = await Promise.all(this.#of(role).map((slot) => this.#reloadOne(slot, generation)));
    return [...new Set(faults.flatMap((fault) => fault ?? []))];
  }

  async #reloadOne(slot: WorkerSlot, generation: number): Promise<string | null> {
    if (!slot.running) return null;
    const call = this.#nextCall++;
    let cancel = () => {};
    const fault = await new Promise<string | null>((resolve) => {
      slot.reloading.set(call, resolve);
      cancel = this.#clock.after(RELOAD_MS, () => resolve(`The isolate ${slot.role} does not take its settings`));
      slot.send({ type: "reload", call, generation, settings: this.#settings[slot.role] });
    });
    cancel();
    slot.reloading.delete(call);
    return fault;
  }

  /** Tells isolates of these roles that sessions of a generation have had their time, or that none is left. */
  generationOver(roles: readonly Role[], message: { readonly type: "retire" | "forget"; readonly generation: number }) {
    for (const slot of this.#slots) if (roles.includes(slot.role)) slot.send(message);
  }

  /** Sends to an isolate through its door to main; false when it is down just now. */
  post<N extends MainDoorName>(door: N, index: number, message: Doors[N]["answers"]): boolean {
    const slot = this.#slot(sidesOf(door).asker, index);
    if (slot?.main == null || !slot.ready) return false;
    slot.main.send(message);
    return true;
  }

  /**
   * Puts other settings in the place of some of a role's, for its isolates and for those that will replace them. What an isolate may reach is
   * settled when it starts: one that may not reach all of `reach` is replaced.
   */
  update<R extends Role>(role: R, changes: Partial<Settings[R]>, reach: Reach = { hosts: [], reason: "" }): void {
    this.#settings[role] = { ...this.#settings[role], ...changes };
    const { net = [] } = this.#grants[role];
    const covered = net === true || reach.hosts.every((host) => net.includes(host));
    if (!covered) this.#grants[role] = { ...this.#grants[role], net: reach.hosts };
    for (const slot of this.#of(role)) {
      if (!slot.running) continue;
      if (covered) slot.send({ type: "settings", changes });
      else this.#lost(slot, reach.reason);
    }
  }

  /** Roles of which an isolate does not run now, each once. */
  get missing(): Role[] {
    const missing = new Set(this.#slots.filter((one) => !one.ready).map(({ role }) => role));
    // Of these one more may just be coming.
    for (const role of missing) if (isFileRole(role) && this.living(role).length > 0) missing.delete(role);
    return [...missing];
  }

  /** Roles of which no isolate has answered for minutes, though silent ones were replaced. Roles that touch users' files are not asked. */
  get stalled(): Role[] {
    return [...this.#unanswered].filter(([, looks]) => looks > STALLED_LOOKS).map(([role]) => role);
  }

  /** Isolates that run, with what each was permitted at its start. */
  get running(): { readonly role: Role; readonly grants: Grants }[] {
    return this.#slots.filter(({ running }) => running).map(({ role, grants }) => ({ role, grants }));
  }

  /** Indexes of the isolates of a role that can take work. */
  living(role: Role): number[] {
    return this.#of(role).filter(({ ready }) => ready).map(({ index }) => index);
  }

  /** Of those that can take work the ones that answer; where none does, the one that answered last. */
  answering(role: Role): number[] {
    const ready = this.#of(role).filter((one) => one.ready);
    const answering = ready.filter(({ silent }) => silent < AVOID_LOOKS);
    if (answering.length > 0 || ready.length === 0) return answering.map(({ index }) => index);
    return [ready.reduce((last, one) => one.lastMessageAt > last.lastMessageAt ? one : last).index];
  }

  /**
   * Calls `run` when the isolate shows that it takes what it is sent: at once if it has sent something just now, else when it has answered. Never, when
   * it ends before.
   */
  whenAnswering(role: Role, index: number, run: () => void): void {
    const slot = this.#slot(role, index);
    if (slot === undefined || !slot.running || !slot.ready) return;
    if (slot.probes.length === 0 && this.#clock.steady() - slot.lastMessageAt < FRESH_MS) return run();
    // One question serves all who wait for its answer.
    if (slot.probes.length === 0) slot.ping();
    slot.probes.push({ ping: slot.pinged, run });
  }

  setVerbosity({ verbose, traces }: { readonly verbose: boolean; readonly traces: readonly Trace[] }): void {
    this.#plan.verbose = verbose;
    this.#plan.traces = traces;
    for (const slot of this.#slots) slot.send({ type: "verbosity", verbose, traces });
  }

  /** Asks the isolates to finish, those that take work first and the queue late, then ends them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelPings();
    const groups = Map.groupBy(this.#slots, ({ role }) => traitsOf(role).stopOrder);
    for (const order of [...groups.keys()].sort((one, other) => one - other)) {
      await Promise.all(groups.get(order)!.map((slot) => this.#stopOne(slot, traitsOf(slot.role).stopMs ?? STOP_MS)));
    }
    await this.#hosts.close();
  }

  /** Has an isolate finish, in `limitMs` milliseconds at most, and ends it. */
  async #stopOne(slot: WorkerSlot, limitMs: number): Promise<void> {
    if (!slot.running) return;
    if (isFileRole(slot.role)) return slot.terminate();
    let cancelLimit = () => {};
    await new Promise<void>((resolve) => {
      slot.stopped = resolve;
      cancelLimit = this.#clock.after(limitMs, resolve);
      slot.send({ type: "stop", ...slot.replacing && { replaced: true } });
    });
    cancelLimit();
    slot.stopped = null;
    slot.terminate();
  }

  #slot(role: Role, index: number): WorkerSlot | undefined {
    return this.#slots.find((slot) => slot.role === role && slot.index === index);
  }

  /** The isolates of a role, by index. */
  #of(role: Role): WorkerSlot[] {
    return this.#slots.filter((slot) => slot.role === role);
  }

  #launch(slot: WorkerSlot): void {
    const { role, index } = slot;
    const receiver = {
      onmessage: (message: unknown) => this.#take(slot, message),
      onfault: (fault: string) => this.#malformed(slot, fault),
      onerror: (reason: string) => this.#lost(slot, reason),
    };
    try {
      slot.launch(isolateName(role, index), this.#grants[role], receiver, this.#mainDoor(slot));
    } catch (error) {
      return this.#lost(slot, (error as Error).message);
    }
    slot.send({
      type: "start",
      role,
      index,
      life: slot.life,
      settings: this.#settings[role],
      generation: this.#generations.get(role) ?? 0,
      verbose: this.#plan.verbose,
      traces: this.#plan.traces,
    });
  }

  /** Makes main's side of the door between an isolate and main, where its role has one. */
  #mainDoor(slot: WorkerSlot): DoorChannel<unknown, unknown> | null {
    const name = `${slot.role}-main` as MainDoorName;
    if (!Object.hasOwn(DOORS, name)) return null;
    const channel = new DoorChannel<unknown, unknown>({
      ...checksOf(answering(DOORS[name] as never)),
      rate: MAIN_RATE,
      onfault: (fault) => this.#malformed(slot, fault),
    });
    this.#serving.get(name)?.(channel, slot.index);
    return channel;
  }

  /** Makes the ports of a door for each pair that `concerns` it. */
  #openDoors(name: DoorName, concerns: (asker: WorkerSlot, answerer: WorkerSlot) => boolean): void {
    const sides = sidesOf(name);
    if (sides.answerer === "main") return;
    for (const asker of this.#of(sides.asker)) {
      for (const answerer of this.#of(sides.answerer)) {
        if (!asker.running || !answerer.running || !concerns(asker, answerer)) continue;
        try {
          this.#hosts.join(name, asker, answerer);
        } catch (error) {
          return this.#lost(asker, `No door to ${answerer.role}: ${(error as Error).message}`);
        }
      }
    }
  }

  #closeDoors(slot: WorkerSlot): void {
    for (const name of DOOR_NAMES) {
      const other = otherSide(name, slot.role);
      if (other === null || other === "main") continue;
      for (const one of this.#of(other)) one.send({ type: "door-closed", name, peer: slot.index });
    }
  }

  /** Checks what an isolate says to the supervisor: one that says something malformed is replaced. */
  #take(slot: WorkerSlot, message: unknown): void {
    if (!isPlain(message)) return this.#malformed(slot, `it is ${kindOf(message)}, not an object`);
    const { type } = message, check = ARRIVING.get(type as string);
    if (check === undefined) {
      return this.#malformed(slot, `a message of the type ${shownWord(type)} may not come from there`);
    }
    const fault = check(message);
    if (fault !== null) return this.#malformed(slot, `${type}: ${fault}`);
    this.#receive(slot, message as unknown as ToSupervisor);
  }

  #malformed(slot: WorkerSlot, fault: string): void {
    this.#hooks.onrefused?.(`main refuses what isolate ${isolateName(slot.role, slot.index)} said: ${fault}`);
    this.#lost(slot, "It said something malformed", (slot) => slot.condemn());
  }

  /** An isolate has refused what came through a door: who sent it is replaced, unless the word of the one that says so is worth less. */
  #accused(accuser: WorkerSlot, { door, peer, life, fault }: Extract<ToSupervisor, { type: "refused" }>): void {
    const name = DOOR_NAMES.find((one) => one === door);
    const other = name === undefined ? null : otherSide(name, accuser.role);
    const accused = this.#slots.find(({ role, index }) => role === other && index === peer);
    if (accused === undefined) return this.#malformed(accuser, "refused: there is no such door");
    // Somebody else stands there by now.
    if (accused.life !== life || !accused.running) return;
    const from = isolateName(accuser.role, accuser.index), sender = isolateName(accused.role, accused.index);
    this.#hooks.onrefused?.(
      `isolate ${from} refuses what isolate ${sender} said at the door ${door}: ${fault.slice(0, MAX_FAULT_CHARS)}`,
    );
    const judged = this.#accusations.judge({
      accuser: from,
      life: accuser.life,
      accused: sender,
      exposed: traitsOf(accuser.role).exposed ?? false,
      vital: this.#vital.includes(accused.role),
    });
    if (judged === "accused") return this.#lost(accused, "It said something malformed", (slot) => slot.condemn());
    this.#lost(accuser, `It accused isolate ${sender}, which is not believed`);
  }

  #receive(slot: WorkerSlot, message: ToSupervisor): void {
    switch (message.type) {
      case "ready":
        slot.ready = true;
        slot.onready?.(null);
        if (this.#slots.every((one) => one.ready)) this.#onready?.();
        return;
      case "failed":
        return this.#lost(slot, message.reason);
      case "pong":
        if (message.count > slot.pinged) return this.#malformed(slot, "pong: it was not asked");
        slot.ponged = message.count;
        slot.silent = 0;
        while (slot.probes.length > 0 && slot.probes[0]!.ping <= message.count) slot.probes.shift()!.run();
        return;
      case "refused":
        return this.#accused(slot, message);
      case "stopped":
        return slot.stopped?.();
      case "reloaded":
        return slot.reloading.get(message.call)?.(message.fault);
    }
    message satisfies never;
  }

  #ping(): void {
    this.#hosts.look();
    this.#countUnanswered();
    for (const slot of this.#slots) {
      if (!slot.running || isFileRole(slot.role)) continue;
      if (slot.pinged > slot.ponged) slot.silent++;
      else slot.ping();
      const { silentLooks = SILENT_LOOKS } = traitsOf(slot.role);
      if (slot.silent > (slot.ready ? silentLooks : SILENT_LOOKS)) {
        this.#lost(slot, "It does not answer", (slot) => slot.abandon());
        continue;
      }
      if (slot.failures > 0 && this.#clock.steady() - slot.startedAt > QUIET_MS) slot.failures = 0;
    }
  }

  /** One that starts answers too, however long it takes to become ready. */
  #countUnanswered(): void {
    for (const [role, slots] of Map.groupBy(this.#slots, ({ role }) => role)) {
      if (isFileRole(role)) continue;
      const answers = slots.some(({ running, ponged, silent }) => running && ponged > 0 && silent < AVOID_LOOKS);
      this.#unanswered.set(role, answers ? 0 : (this.#unanswered.get(role) ?? 0) + 1);
    }
  }

  #lost(slot: WorkerSlot, reason: string, end = (slot: WorkerSlot) => slot.terminate()): void {
    end(slot);
    if (this.#stopping || slot.replacing) return slot.stopped?.();
    if (slot.onready !== null) return slot.onready(reason);
    if (this.#onfailed !== null) return this.#onfailed(new Error(`${slot.role}: ${reason}`));
    this.#closeDoors(slot);
    const delayMs = Math.min(RESTART_MIN_MS * 2 ** slot.failures, RESTART_MAX_MS);
    slot.failures++;
    this.#hooks.ondeath(slot.role, slot.index, reason, delayMs);
    this.#clock.after(delayMs, () => this.#restart(slot));
  }

  #restart(slot: WorkerSlot): void {
    // It may have been started anew meanwhile, or be there no more.
    if (this.#stopping || slot.running || slot.replacing || !this.#slots.includes(slot)) return;
    this.#launch(slot);
    for (const name of DOOR_NAMES) this.#openDoors(name, (asker, answerer) => asker === slot || answerer === slot);
  }
}

/** The role on the other side of a door of this role; null where it has no side. */
function otherSide(name: DoorName, role: Role): Role | "main" | null {
  const { asker, answerer } = sidesOf(name);
  return asker === role ? answerer : answerer === role ? asker : null;
}
