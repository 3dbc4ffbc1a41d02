/**
 * The main isolate: owns every listening socket, accepts and hands sessions over, supervises the other isolates, answers signals. It is long
 * because all parts of main are put together here.
 */

import type net from "node:net";
import { dirname } from "node:path";
import { adminKey, adminPlace } from "../config/admin.ts";
import type { AdminListener, Config, Environment, SourceLine } from "../config/mod.ts";
import { controlSocketPath, journalSocketPath, spoolPath, statePath, submissionSocketPath } from "../config/paths.ts";
import { systemReason, type Trace } from "../events/mod.ts";
import type {
  ControlToMain,
  FilterToMain,
  Grants,
  HandedSession,
  Listener,
  Peer,
  PlannedCount,
  Role,
  Settings,
  SmtpToMain,
} from "../protocol/mod.ts";
import { ADMIN_LISTENER, CONTROL_LISTENER } from "../protocol/main.ts";
import { adoptSocket, detachDescriptor, unixDescriptor } from "../sockets/mod.ts";
import { KernelError, needDescriptors, pipeMark } from "../kernel/mod.ts";
import { GivenSockets, type HostedWorker } from "../process/mod.ts";
import { type MainChannel, type Processes, Supervisor } from "../supervisor/mod.ts";
import { AcmeRequests } from "./acme/acme_requests.ts";
import { certificateEntries } from "./certificate_entries.ts";
import type { KeeperHooks } from "./certificates.ts";
import { AdminTokens } from "./admin_tokens.ts";
import { filesForTables, loadConfiguration, type Loaded, type LoadSurroundings } from "./configuration.ts";
import { faultOfTable } from "./checks/advise.ts";
import { HostCheck } from "./checkup/checkup.ts";
import { Children } from "./machine/children.ts";
import { claimSocket, claimSpool, claimState, removeIfPresent } from "./claim.ts";
import { LookupRequests } from "./lookup_requests.ts";
import { fileMark, groupOf } from "./sockets/chosen_sockets.ts";
import { backlogFor, ListeningSockets } from "./sockets/listening_sockets.ts";
import { Fatal } from "./fatal.ts";
import { ForwardFiles } from "./forward_files.ts";
import { assign, type Inherited, inheritedDescriptors, parseSocketName, textOf } from "./sockets/inherited.ts";
import type { Place } from "./sockets/listeners.ts";
import { Places, type Wanted } from "./sockets/places.ts";
import { Reloader, type Reread } from "./reload.ts";
import { LogSinks, sinksOf } from "./log_sinks.ts";
import { Native } from "./machine/native.ts";
import { type DaemonHealth, ServiceManager } from "./machine/service_manager.ts";
import { beyondWall, type OneProcessWall, oneProcessWall, putUpWall } from "./one_process.ts";
import { filesToKeep } from "./named_files.ts";
import { oneProcessFiles } from "./one_process_files.ts";
import { grantsFor, resolverGrants } from "./permissions.ts";
import { type OtherProcess, RunningWalls } from "./running_walls.ts";
import { ResolverKeeper } from "./machine/resolver_keeper.ts";
import { NameService } from "./machine/name_service.ts";
import { makeProcesses, processPlans, protectCaches } from "./processes.ts";
import { ProgramFiles } from "./program_files.ts";
import { programsIn } from "./program_isolates.ts";
import { programUser } from "./programs.ts";
import { Passwords } from "./machine/passwords.ts";
import { SessionAdmission } from "./sockets/session_admission.ts";
import { readResolver, readServerName, resolverFiles } from "./machine/machine_names.ts";
import { COMMAND_PATH, cutCertificates, cutKeys } from "./settings.ts";
import type { ChosenUsers } from "./users.ts";
import { TableFiles } from "./table_files.ts";
import { type Clock, systemClock } from "../clock.ts";

export interface DaemonOptions {
  readonly config: Config;
  readonly env: Environment;
  /** Where the log goes when the configuration does not say; `stderr` also when it does. */
  readonly log: "stderr" | "syslog";
  readonly verbose: boolean;
  readonly traces: readonly Trace[];
  /** What `readQueueInput` read: the key of the queue, when it comes from the terminal or standard input. */
  readonly queueInput?: string | null;
  /** What `chooseUsers` chose. Without it there is one process. */
  readonly users?: ChosenUsers;
  /** `-P`: subsystems that start paused. */
  readonly paused: { readonly smtp: boolean; readonly mda: boolean; readonly mta: boolean };
  /** Parses and checks the configuration again, as it was at the start. Without it the daemon does not read it again. */
  readonly reread?: () => Promise<Reread>;
  /** Called once the daemon serves; `log` writes to where its other lines go. */
  readonly onready: (log: (level: "info" | "warn", text: string) => void) => void;
  /** Stands for the system's shadow file. For tests. */
  readonly shadow?: string;
  /** That of the machine without it. */
  readonly clock?: Clock;
  /** Entry file of a role's isolate. */
  readonly entry: (role: Role) => URL;
}

/** Runs until a signal or `smtpctl stop`. Throws Fatal when it cannot start. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const daemon = new Daemon(options);
  await daemon.run();
}

const CONTROL_MODE = 0o666;
/** A reload takes less. */
const STORED_LOOK_MS = 3_000;
/** What smtpctl prints for whoever is neither root nor the daemon's own user. */
const DENIED = JSON.stringify({ ok: false, error: "need root privileges", denied: true }) + "\n";
/** What it prints while control is being replaced. */
const NO_CONTROL = JSON.stringify({ ok: false, error: "smtpd starts what answers smtpctl again: try again soon" }) +
  "\n";
/** A refused client has so long to read the reason, in milliseconds, and so many at one time have it. */
const LINGER_MS = 1000, MAX_LINGERING_CONNECTIONS = 16;
/** A process that may open fewer files is warned of. */
const FEW_DESCRIPTORS = 512;

class Daemon {
  readonly #options: DaemonOptions;
  readonly #native = new Native();
  readonly #clock: Clock;
  readonly #logs: LogSinks;
  readonly #manager: ServiceManager;
  #sockets: ListeningSockets | null = null;
  /** Connections of the control socket that were refused and are not closed yet. */
  #lingering = 0;
  /** Files of this daemon by their paths, with what they are known by: another daemon may have put its own there since. */
  readonly #files = new Map<string, string | null>();
  /** It serves, or has served. */
  #serving = false;
  /** `-v`, or `smtpctl log verbose` since. */
  #verbose: boolean;
  /** Answers lookup. */
  readonly #lookupRequests: LookupRequests;
  readonly #hostCheck: HostCheck;
  readonly #adminTokens: AdminTokens;
  #supervisor!: Supervisor;
  #walls!: RunningWalls;
  #admission!: SessionAdmission;
  #reloader!: Reloader;
  #places!: Places;
  #resolver!: ResolverKeeper;
  #acme!: AcmeRequests;
  /** Ends the looks at certificates and keys. */
  #stopWatching = () => {};
  #stopSigns = () => {};
  #stopResolver = () => {};
  /** SIGHUP came before the daemon served. */
  #reloadsLater = false;
  /** What was put around the one process; null where there are several. */
  #wall: OneProcessWall | null = null;
  /** Files that lookup may open itself, by the permissions that it has started with. */
  #lookupReads: ReadonlySet<string> = new Set();
  readonly #end: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #programs: Children;
  readonly #programFiles: ProgramFiles;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logs = new LogSinks({ native: this.#native, clock: this.#clock, journal: journalSocketPath(options.env) });
    this.#manager = new ServiceManager(options.env, {
      socket: this.#native,
      clock: this.#clock,
      warn: (text) => this.#log("warn", text),
      pid: Deno.pid,
    });
    this.#programFiles = new ProgramFiles(this.#clock.now());
    this.#verbose = options.verbose;
    const { processes, programs } = options.config;
    this.#programs = new Children(
      { isChild: (pid) => this.#native.isChild(pid), kill: (pid, signal) => Deno.kill(pid, signal) },
      Object.keys(processes).length + Object.keys(programs).length,
    );
    this.#lookupRequests = new LookupRequests(new NameService(), new Passwords(options.shadow), this.#clock);
    this.#adminTokens = new AdminTokens(statePath(options.env), (text) => this.#log("warn", text));
    this.#hostCheck = new HostCheck({ config: () => this.#reloader.current.config, env: options.env }, {
      lookup: this.#lookupRequests,
      now: () => this.#clock.now(),
      warn: (text) => this.#log("warn", text),
    });
    // An error that ends the daemon while it still starts is handled when it has started.
    this.#end.promise.catch(() => {});
  }

  async run(): Promise<void> {
    const { env, config } = this.#options;
    this.#native.closeAllOnExec();
    this.#logs.replace(this.#logSinks(config));
    const controlSocket = controlSocketPath(env);
    const inherited = this.#inherit(env);
    // Where the service manager listens, no other daemon does.
    const ownControl = !inherited.some(({ name }) => "path" in name && name.path === controlSocket);
    if (ownControl) await claimSocket(controlSocket);
    claimSpool(spoolPath(env), this.#options.users);
    this.#watchSignals();
    try {
      const started = this.#startSystem(config)
        .then((loaded) => this.#listen(loaded, controlSocket, inherited));
      started.catch(() => {});
      // A signal may end it before it serves.
      if (await Promise.race([started.then(() => false), this.#end.promise.then(() => true)])) return;
      this.#writePid(controlSocket);
      this.#serving = true;
      this.#manager.ready(this.#health().status);
      this.#stopSigns = this.#manager.watch(() => this.#health());
      this.#options.onready((level, text) => this.#log(level, text));
      if (this.#reloadsLater) this.#onHangup();
      await this.#end.promise;
    } finally {
      await this.#close();
    }
  }

  async #startSystem(config: Config): Promise<Loaded> {
    const { env } = this.#options;
    const resolver = this.#resolver = new ResolverKeeper(resolverFiles(env), {
      read: () => readResolver(env),
      onchange: (resolver) => {
        const hosts = resolverGrants(resolver);
        this.#supervisor.update("lookup", { resolver }, { hosts, reason: "it may reach other name servers then" });
        this.#supervisor.update("relay", { resolver });
      },
      log: (level, text) => this.#log(level, text),
    });
    const serverName = readServerName(resolver.settings.hosts);
    this.#acme = this.#acmeRequests(config);
    const loaded = await this.#load(config, { serverName, running: null, log: this.#logs.targets });
    const { settings } = loaded;
    this.#lookupRequests.tableFiles = new TableFiles(filesForTables(settings));
    this.#lookupRequests.systemLogins = settings.lookup.authTables.includes(null);
    const grants = grantsFor(settings);
    const { processes, others } = this.#processes(grants);
    this.#lookupReads = new Set(grants.lookup.read === true ? [] : grants.lookup.read);
    const wall = this.#wall = processes === undefined ? this.#wallOfOne(loaded) : null;
    this.#walls = this.#runningWalls(wall, others);
    if (wall !== null) this.#wallInOneProcess(wall);
    this.#supervisor = new Supervisor(
      {
        settings,
        grants,
        sockets: this.#givenSockets({ pipes: processes !== undefined }),
        needDescriptors: needIsolateDescriptors,
        ...processes === undefined ? {} : { processes },
        counts: countsFor(settings),
        entry: this.#options.entry,
        // Mail must not pass by its filters.
        vital: Object.keys(config.processes).length > 0 ? ["filter"] : [],
        verbose: this.#options.verbose,
        traces: this.#options.traces,
      },
      {
        onrefused: (text) => this.#log("warn", `warn: ${text}`),
        ondeath: (role, index, reason, delayMs) => this.#isolateEnded(role, index, { reason, delayMs }),
      },
      undefined,
      this.#clock,
    );
    this.#serveIsolates();
    this.#admission = this.#newAdmission(config);
    // Isolates may bring certificates as soon as they run.
    this.#reloader = this.#newReloader(loaded, { oneProcess: processes === undefined });
    try {
      await this.#supervisor.start();
    } catch (error) {
      throw new Fatal(systemReason(error));
    }
    protectCaches(env, (text) => this.#log("warn", text));
    this.#stopResolver = resolver.watch(this.#clock.every);
    this.#watch(loaded);
    return loaded;
  }

  /** Looks at the certificates and keys of this configuration, and of no other. */
  #watch({ certificates, signingKeys }: Loaded): void {
    this.#stopWatching();
    const stops = [certificates, signingKeys].map((one) => one.watch(this.#clock.every));
    this.#stopWatching = () => stops.forEach((stop) => stop());
  }

  /** What is to stand around the one process for a configuration. */
  #wallFor({ config, settings }: Loaded): OneProcessWall {
    const { env, shadow } = this.#options;
    const source = { config, env, ...shadow === undefined ? {} : { shadow } };
    return oneProcessWall(settings, Deno.uid() ?? 0, () => oneProcessFiles(source));
  }

  /** Loads what a configuration names. Throws Fatal. */
  #load(config: Config, around: Pick<LoadSurroundings, "serverName" | "running" | "log">): Promise<Loaded> {
    const { env, paused, users, queueInput = null } = this.#options;
    if (config.admin.length > 0 || Object.values(config.pki).some(({ acme }) => acme !== null)) {
      claimState(statePath(env));
    }
    const logLine: KeeperHooks["log"] = (level, text) => this.#log(level, text);
    return loadConfiguration(config, {
      ...{ env, paused, queueInput },
      ...around,
      users: users?.users ?? null,
      submissionSocket: submissionSocketPath(controlSocketPath(env)),
      resolver: this.#resolver.settings,
      descriptors: this.#native.openFileLimit(),
      certificates: {
        onchange: (certificates) => {
          const { config, listeners } = this.#reloader.current;
          const cut = cutCertificates(config, { certificates, listeners });
          this.#supervisor.update("smtp", cut.smtp);
          this.#supervisor.update("relay", cut.relay);
        },
        log: logLine,
      },
      signing: {
        onchange: (keys) => {
          const cut = cutKeys(keys);
          // The signer first: it is asked for the keys that the others have.
          this.#supervisor.update("signer", cut.signer);
          this.#supervisor.update("smtp", cut.others);
          this.#supervisor.update("queue", cut.others);
        },
        log: logLine,
        txt: (name) => this.#lookupRequests.txt(name),
        now: this.#clock.now,
      },
    });
  }

  #newReloader(first: Loaded, { oneProcess }: { readonly oneProcess: boolean }): Reloader {
    const supervisor = this.#supervisor;
    return new Reloader(first, {
      supervisor,
      oneProcess,
      clock: this.#clock,
      reread: () => this.#reread(),
      prepareLog: (config) => this.#logs.prepare(this.#logSinks(config)),
      load: async (config, log) => {
        const { config: old, settings } = this.#reloader.current;
        const { serverName } = settings.smtp.shared;
        const loaded = await this.#load(config, { serverName, running: { config: old, settings }, log: log.targets });
        const kept = supervisor.permitted("signer").ffi;
        if (oneProcess || (Array.isArray(kept) && kept.length > 0)) return loaded;
        // The process of the signer has given up what it did not need at its start.
        return { ...loaded, settings: { ...loaded.settings, signer: { ...loaded.settings.signer, libcrypto: null } } };
      },
      counts: countsFor,
      obstacles: (loaded) => this.#obstacles(loaded),
      listen: (loaded) => this.#places.prepare(wantedPlaces(loaded)),
      use: (loaded, generation) => this.#use(loaded, generation),
      obtainFor: (config) => this.#acme.renew(config),
      usePrograms: (programs) => {
        this.#programs.limit = programsIn(programs);
        // Mail must not pass by its filters.
        supervisor.setVital((programs.filters ?? []).length > 0 ? ["filter"] : []);
      },
      readFor: (paths) => this.#lookupRequests.tableFiles = new TableFiles(paths),
      sessionsOf: (generation) => this.#admission.sessionsOf(generation),
      notify: (state) => state === "reloading" ? this.#manager.reloading() : this.#manager.ready(this.#health().status),
      log: (level, text) => this.#log(level, text),
    });
  }

  /** Parses the configuration again. What Landlock hides from main, which was told of the files of the start, looks like a mistake. */
  async #reread(): Promise<Reread> {
    const { reread } = this.#options;
    if (reread === undefined) return { faults: ["this daemon does not read its configuration again"] };
    const read = await reread();
    const hidden = "faults" in read && this.#wall?.landlock != null &&
      read.faults.some((fault) => fault.includes("Permission denied"));
    if (!hidden) return read;
    return {
      faults: [...read.faults, "restart smtpd for files in other folders than those of its start: Landlock hides them"],
    };
  }

  /** Main goes by this configuration from now on. */
  #use(loaded: Loaded, generation: number): void {
    const { config, settings } = loaded;
    this.#admission.configure(config.smtp, generation);
    this.#lookupRequests.systemLogins ||= settings.lookup.authTables.includes(null);
    this.#acme.renew(config);
    this.#watch(loaded);
  }

  /** What a running daemon cannot come to do. */
  #obstacles(loaded: Loaded): readonly string[] {
    const { config: { file, declared }, settings } = loaded;
    const walls = this.#wall === null ? [] : beyondWall(this.#wall, this.#wallFor(loaded));
    const databases = Object.values(settings.lookup.tableFiles).filter(({ backend, files }) =>
      backend === "sqlite" && files.some((path) => !this.#lookupReads.has(path))
    );
    const at = (key: string) => declared[key] === undefined ? file : `${declared[key].file}:${declared[key].line}`;
    return [
      ...walls.map((wall) =>
        `${file}: restart smtpd for this: ${wall}, by the walls that were put around it at its start`
      ),
      ...databases.map(({ name, path }) =>
        `${
          at(`table ${name}`)
        }: restart smtpd for the new database of ${path}: which ones it may read is settled at its start`
      ),
    ];
  }

  #acmeRequests(config: Config): AcmeRequests {
    const { env } = this.#options;
    return new AcmeRequests(config, {
      clock: this.#clock,
      hooks: () => ({ identity: Deno.uid() === 0 ? programUser(env) : null, path: COMMAND_PATH }),
      onstored: () => {
        const look = () => this.#reloader.current.certificates.look();
        look();
        // A reload that is under way puts others in the place of those.
        this.#clock.after(STORED_LOOK_MS, look);
      },
      onchange: (certificates) => this.#supervisor.update("acme", { certificates }),
      post: (message) => this.#supervisor.post("acme-main", 0, message),
      closeDescriptor,
      log: (level, text) => this.#log(level, text),
    });
  }

  /** `pipes`: isolates of this process have doors to other processes. */
  #givenSockets({ pipes }: { readonly pipes: boolean }): GivenSockets<HostedWorker> {
    const native = this.#native;
    return new GivenSockets({
      mark: (descriptor) => native.socketCookie(descriptor) ?? (pipes ? pipeMark(descriptor) : null),
      shutDown: (descriptor) => native.shutDown(descriptor),
      closeDescriptor: (descriptor) => native.close(descriptor),
      after: this.#clock.after,
    });
  }

  /** The wall of the one process. Behind Landlock the folder of what is kept could not be made any more, when it is needed first. */
  #wallOfOne(loaded: Loaded): OneProcessWall {
    if (this.#wallFor(loaded).landlock !== null) {
      try {
        claimState(statePath(this.#options.env));
      } catch {
        // Who needs it says so.
      }
    }
    return this.#wallFor(loaded);
  }

  /** Before the first isolate starts. */
  #wallInOneProcess(wall: OneProcessWall): void {
    // SQLite's, for what does not fit into memory: no other folder is open behind Landlock.
    if (wall.landlock !== null) Deno.env.set("SQLITE_TMPDIR", spoolPath(this.#options.env));
    for (const missing of putUpWall(wall)) {
      const text = `this process does without ${missing}`;
      // Root in a container has often no right to a filter that leaves programs theirs: everyday, and `smtpd -n -v` shows it.
      if (wall.programs) this.#debug(() => text);
      else this.#log("warn", `warn: ${text}`);
    }
  }

  /** `wall`: of the one process. */
  #runningWalls(wall: OneProcessWall | null, others: readonly OtherProcess[]): RunningWalls {
    return new RunningWalls({
      own: {
        name: wall === null ? "parent" : "smtpd",
        filtered: wall !== null && wall.seccomp !== null,
        landlock: wall !== null && wall.landlock !== null,
      },
      others,
      isolates: () => this.#supervisor.running,
      now: this.#clock.steady,
    });
  }

  /** The processes behind the kernel's walls, where there are users for them. */
  #processes(
    grants: Readonly<Record<Role, Grants>>,
  ): { readonly processes?: Processes; readonly others: readonly OtherProcess[] } {
    const { env } = this.#options, users = this.#options.users?.users ?? null;
    if (users === null) return { others: [] };
    const denoDir = Deno.build.standalone ? null : env.get("DENO_DIR") ?? null;
    const plans = processPlans(grants, users, { program: Deno.execPath(), denoDir });
    const processes = makeProcesses({
      plans,
      commandLine: this.#native.commandLine(),
      denoDir,
      spool: spoolPath(env),
      after: this.#clock.after,
      warn: (text) => this.#log("warn", text),
    });
    return { processes, others: plans.map(({ name, walls }) => ({ name, walls, host: processes.hosts[name] })) };
  }

  #newAdmission(config: Config): SessionAdmission {
    return new SessionAdmission({
      supervisor: this.#supervisor,
      limits: config.smtp,
      descriptors: this.#native.openFileLimit(),
      uid: Deno.uid() ?? 0,
      after: this.#clock.after,
      now: this.#clock.steady,
      log: (level, text) => this.#log(level, text),
      debug: (text) => this.#debug(text),
      relisten: (listener) => {
        const purpose = this.#places.purposeAt(placeOf(listener));
        return purpose === undefined || "admin" in purpose ? null : purpose;
      },
      onlast: (generation) => this.#reloader.ended(generation),
    });
  }

  async #listen(loaded: Loaded, controlSocket: string, inherited: readonly Inherited[]): Promise<void> {
    const { listeners } = loaded;
    const sockets = this.#sockets = new ListeningSockets({
      native: this.#native,
      backlog: backlogFor({
        descriptors: this.#native.openFileLimit(),
        sessions: this.#admission.limit,
        sockets: listeners.length + 2,
      }),
      warn: (text) => this.#log("warn", text),
      debug: (text) => this.#debug(text),
      clock: this.#clock,
    });
    const given = assign(inherited, listeners, controlSocket);
    const places = (descriptors: readonly number[]): Place[] =>
      descriptors.map((fd) => ({ fd, name: textOf(inherited.find(({ descriptor }) => descriptor === fd)!.name) }));
    await this.#openControl(places(given.control), { path: controlSocket, mode: CONTROL_MODE });
    this.#places = new Places(sockets, {
      accept: (socket, purpose) =>
        "admin" in purpose ? this.#acceptAdmin(socket, purpose.admin) : this.#acceptSmtp(socket, purpose),
      warn: (text) => this.#log("warn", text),
    });
    for (const wanted of wantedPlaces(loaded)) {
      const { place, purpose } = wanted;
      const own = places("admin" in purpose ? [] : given.listeners.get(purpose.id) ?? []);
      const replaces = own.length === 0 && "path" in place && !("chosen" in place);
      if (replaces) removeIfPresent(place.path);
      await this.#places.open(wanted, own);
      if (replaces) this.#files.set(place.path, fileMark(place.path));
    }
    this.#warnOfFewDescriptors();
    if (this.#options.paused.smtp) this.#admission.paused = true;
  }

  #warnOfFewDescriptors(): void {
    const descriptors = this.#native.openFileLimit();
    if (descriptors === null || descriptors >= FEW_DESCRIPTORS) return;
    this.#log(
      "warn",
      `warn: the process may open ${descriptors} files, which is room for ${this.#admission.limit} sessions: raise the limit (ulimit -n, LimitNOFILE=)`,
    );
  }

  /** Listens on the sockets that were inherited for smtpctl, or on its place itself. */
  async #openControl(inherited: readonly Place[], own: Place & { readonly path: string }): Promise<void> {
    const accept = (socket: net.Socket) => this.#acceptControl(socket);
    for (const place of inherited) await this.#sockets!.open(place, accept);
    if (inherited.length > 0) return;
    removeIfPresent(own.path);
    await this.#sockets!.open(own, accept);
    this.#files.set(own.path, fileMark(own.path));
  }

  /** Sockets that the service manager has opened. Programs that this process starts must not have them. */
  #inherit(env: Environment): readonly Inherited[] {
    return inheritedDescriptors(env, Deno.pid).map((descriptor) => {
      const bytes = this.#native.listeningAt(descriptor);
      const name = bytes === null ? null : parseSocketName(bytes);
      if (name === null) {
        throw new Fatal(
          `the inherited descriptor ${descriptor} is no stream socket that listens: use ListenStream= with Accept=no`,
        );
      }
      this.#native.closeOnExec(descriptor);
      return { descriptor, name };
    });
  }

  /** As the service manager is told. A role that the supervisor has not got to answer for minutes needs a new daemon. */
  #health(): DaemonHealth {
    const { missing, stalled } = this.#supervisor;
    const without = missing.length === 0 ? "" : `, without ${missing.join(", ")}`;
    return {
      status: `serving, ${this.#admission.size} sessions${without}`,
      stalled: stalled.length === 0 ? null : `no isolate answers as ${stalled.join(", ")}`,
    };
  }

  #acceptSmtp(socket: net.Socket, listener: Listener): void {
    // Reading the address costs a system call each; it is gone once the descriptor is taken.
    const address = listener.socket ? "local" : socket.remoteAddress;
    const port = socket.remotePort ?? 0;
    if (address === undefined) return void socket.destroy();
    const local = listener.hostnames === null ? undefined : socket.localAddress;
    const uid = listener.socket ? this.#peerUid(socket) : null;
    this.#admission.admit(socket, listener, { address, port, uid, ...(local === undefined ? {} : { local }) });
  }

  /** Who is on the other end of a connection over a unix socket. */
  #peerUid(socket: net.Socket): number | null {
    const descriptor = unixDescriptor(socket);
    return descriptor === null ? null : this.#native.peerUid(descriptor);
  }

  /** Control is told at which place the client came: by that it knows what is asked of it. */
  #acceptAdmin(socket: net.Socket, admin: AdminListener): void {
    const local = adminPlace(admin);
    const peer: Peer = "path" in admin
      ? { address: "local", port: 0, uid: this.#peerUid(socket), local }
      : { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0, uid: null, local };
    try {
      const descriptor = detachDescriptor(socket);
      this.#handToControl({ type: "session", descriptor, listener: ADMIN_LISTENER, peer, sessionNumber: 0 });
    } catch {
      // The client hung up before it was served.
    }
  }

  /** Users without permission are refused here, at once: no connection of theirs takes a descriptor for long. */
  #acceptControl(socket: net.Socket): void {
    const uid = this.#peerUid(socket);
    if (uid !== 0 && uid !== Deno.uid()) return this.#deny(socket, DENIED);
    if (this.#supervisor.living("control").length === 0) return this.#deny(socket, NO_CONTROL);
    try {
      const descriptor = detachDescriptor(socket);
      const peer: Peer = { address: "local", port: 0, uid };
      this.#handToControl({ type: "session", descriptor, listener: CONTROL_LISTENER, peer, sessionNumber: 0 });
    } catch {
      // The client hung up before it was served.
    }
  }

  #handToControl(session: HandedSession): void {
    if (!this.#supervisor.post("control-main", 0, session)) closeDescriptor(session.descriptor);
  }

  #deny(socket: net.Socket, answer: string): void {
    socket.on("error", () => {});
    if (this.#lingering >= MAX_LINGERING_CONNECTIONS) return void socket.end(answer, () => socket.destroy());
    this.#lingering++;
    const cancelLimit = this.#clock.after(LINGER_MS, () => socket.destroy());
    socket.on("close", () => {
      cancelLimit();
      this.#lingering--;
    });
    // What the client asks may come a moment later: it must not find the connection closed before it has read the answer.
    socket.resume();
    socket.end(answer);
  }

  /** Answers what isolates ask of main, each at a door of its own. */
  #serveIsolates(): void {
    const supervisor = this.#supervisor;
    supervisor.serve("smtp-main", (channel, index) => {
      channel.onmessage = (message) => this.#answerSmtp(channel, index, message);
    });
    const forwards = new ForwardFiles({
      grow: () => supervisor.grow("forward"),
      warn: (text) => this.#log("warn", text),
    }, this.#clock);
    supervisor.serve("forward-main", (channel, index) => forwards.serve(channel, index));
    supervisor.serve("lookup-main", (channel) => {
      this.#lookupRequests.serve(channel, (who, suffix) => forwards.read(who, suffix));
    });
    supervisor.serve("delivery-main", (channel) => channel.onmessage = ({ role }) => supervisor.grow(role));
    supervisor.serve("privileged-main", (channel) => channel.onmessage = ({ role }) => supervisor.grow(role));
    supervisor.serve("acme-main", (channel) => this.#acme.serve(channel));
    supervisor.serve("filter-main", (channel) => channel.onmessage = (message) => this.#receiveFromFilter(message));
    supervisor.serve("control-main", (channel) => {
      channel.onmessage = (request) => this.#answerControl(channel, request);
    });
  }

  #answerSmtp(channel: MainChannel<"smtp-main">, index: number, message: SmtpToMain): void {
    if (message.type === "sessions-ended") return this.#admission.ended(index, message.sessionNumbers);
    channel.send({ type: "source", call: message.call, admitted: this.#admission.source(index, message) });
  }

  #receiveFromFilter(message: FilterToMain): void {
    if (message.type === "lost-program") return this.#fail(message.reason);
    if (!message.running) return this.#programs.delete(message.pid);
    if (this.#programs.add(message.pid)) return;
    // It may have ended just now.
    this.#debug(() => `the isolate filter names the process ${message.pid}, which is no child that it may have`);
  }

  /** Mail must not pass by its filters: the daemon stops, and sessions get 421. */
  #fail(reason: string): void {
    this.#log("warn", `crit: ${reason}`);
    this.#end.reject(new Fatal(reason));
  }

  #answerControl(channel: MainChannel<"control-main">, request: ControlToMain): void {
    if (request.type === "log") return this.#logs.write(request.target, request.lines);
    if (request.type === "admin-token-used") return this.#adminTokens.used(request);
    if (
      request.type === "admin-tokens" || request.type === "add-admin-token" || request.type === "remove-admin-token"
    ) return channel.send({ type: "admin-tokens", call: request.call, ...this.#adminTokens.answer(request) });
    if (request.type === "walls") {
      const { call } = request;
      return void this.#walls.look().then((processes) => channel.send({ type: "walls", call, processes }));
    }
    if (request.type === "files") {
      const { config } = this.#reloader.current;
      return channel.send({ type: "files", call: request.call, paths: filesToKeep(config, this.#options.env) });
    }
    if (request.type === "certificates") {
      const { config, certificates } = this.#reloader.current;
      const entries = certificateEntries(config, certificates.certificates);
      return channel.send({ type: "certificates", call: request.call, certificates: entries });
    }
    if (request.type === "configuration") {
      return channel.send({ type: "configuration", call: request.call, ...this.#reloader.state });
    }
    if (request.type === "reload") {
      const { call } = request;
      return void this.#reloader.reload().then((result) => channel.send({ type: "reloaded", call, ...result }));
    }
    if (request.type === "last-checkup") {
      return channel.send({ type: "checked", call: request.call, checked: this.#hostCheck.last(), worse: [] });
    }
    if (request.type === "checkup") {
      const { call } = request;
      return void this.#hostCheck.run(request).then((done) => channel.send({ type: "checked", call, ...done }));
    }
    if (request.type === "dkim-check" || request.type === "dkim-rotate") {
      const { call } = request, { signingKeys } = this.#reloader.current;
      const report = request.type === "dkim-check" ? signingKeys.check() : signingKeys.rotate(request.domain);
      return void report.then((found) => channel.send({ type: "dkim", call, ...found }));
    }
    const { changed = true, error = null } = this.#obey(request);
    channel.send({ type: "answer", call: request.call, changed, error });
  }

  /** Does what smtpctl asks of main. `changed` is false when it was so already; `error` is why it could not be done, or not all of it. */
  #obey(
    request: Exclude<
      ControlToMain,
      {
        type:
          | "log"
          | "walls"
          | "files"
          | "reload"
          | "configuration"
          | "certificates"
          | "checkup"
          | "last-checkup"
          | "dkim-check"
          | "dkim-rotate"
          | "admin-tokens"
          | "add-admin-token"
          | "remove-admin-token"
          | "admin-token-used";
      }
    >,
  ): { changed?: boolean; error?: string | null } {
    switch (request.type) {
      case "pause-smtp": {
        const changed = this.#admission.paused !== request.paused;
        this.#admission.paused = request.paused;
        return { changed };
      }
      case "verbosity":
        this.#verbose = request.verbose;
        this.#supervisor.setVerbosity(request);
        return {};
      case "update-pki":
        this.#acme.look();
        return { error: this.#reloader.current.certificates.reload() };
      case "update-dkim":
        return { error: this.#reloader.current.signingKeys.reload() };
      case "check-table":
        return {
          error: faultOfTable(
            this.#reloader.current.config,
            request.table,
            (path) => this.#lookupRequests.tableFiles.has(path),
          ),
        };
      case "isolates": {
        const { missing } = this.#supervisor;
        return { error: missing.length > 0 ? missing.join(", ") : null };
      }
      case "stop":
        this.#end.resolve();
        return {};
    }
    request satisfies never;
    return {};
  }

  #isolateEnded(role: Role, index: number, { reason, delayMs }: { reason: string; delayMs: number }): void {
    if (role === "smtp") this.#admission.lost(index);
    if (role === "filter") this.#programs.end("SIGTERM");
    if (role === "filter" && (this.#supervisor.settingsOf("filter").filters ?? []).length > 0) {
      return this.#fail(`lost the isolate of the filters: ${reason}`);
    }
    this.#log("warn", `warn: isolate ${role} ended and starts again in ${delayMs} ms: ${reason}`);
    const change = this.#programFiles.takeChange();
    if (change !== null) this.#log("warn", `warn: ${change}`);
  }

  #debug(text: () => string): void {
    if (this.#verbose) this.#log("debug", `debug: ${text()}`);
  }

  /** Where this configuration and the command line want the log. */
  #logSinks({ log }: Config): ReturnType<typeof sinksOf> {
    const toJournal = (this.#options.env.get("JOURNAL_STREAM") ?? "") !== "" && !Deno.stderr.isTerminal();
    return sinksOf(log, { asked: this.#options.log, toJournal });
  }

  #log(level: "debug" | "info" | "warn", text: string): void {
    this.#logs.own(level, text);
  }

  #watchSignals(): void {
    // None of these is sent to stop the mail: a terminal that is closed, scripts that rotate logs. They come first: the runtime catches
    // SIGHUP as soon as there is any listener, and ends the process by it while SIGHUP itself has none.
    Deno.addSignalListener("SIGHUP", () => this.#onHangup());
    Deno.addSignalListener("SIGUSR1", () => this.#reopenLogs());
    Deno.addSignalListener("SIGUSR2", () => this.#log("info", "info: SIGUSR2 is ignored"));
    for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => this.#end.resolve());
  }

  /** SIGUSR1: files of the log that were moved away are begun anew. */
  #reopenLogs(): void {
    const { files, faults } = this.#logs.reopen();
    for (const fault of faults) this.#log("warn", `warn: SIGUSR1: the log stays in the file that was opened: ${fault}`);
    if (files === 0) this.#log("info", "info: SIGUSR1 is ignored: the log goes to no file");
    else if (faults.length === 0) this.#log("info", "info: SIGUSR1: the files of the log are opened again");
  }

  /** SIGHUP: the configuration is read again, with certificates, keys and tables. */
  #onHangup(): void {
    if (!this.#serving) {
      this.#reloadsLater = true;
      return;
    }
    this.#log("info", `info: SIGHUP: ${this.#reloader.current.config.file} is read again`);
    void this.#reloader.reload();
  }

  #writePid(controlSocket: string): void {
    const path = `${dirname(controlSocket)}/smtpd.pid`;
    // A file of its own, whatever lies there; its mode is the same under every umask.
    removeIfPresent(path);
    Deno.writeTextFileSync(path, `${Deno.pid}\n`, { createNew: true });
    this.#files.set(path, fileMark(path));
    Deno.chmodSync(path, 0o644);
  }

  async #close(): Promise<void> {
    this.#manager.stopping();
    this.#stopSigns();
    this.#stopWatching();
    this.#stopResolver();
    this.#reloader?.close();
    this.#sockets?.close();
    this.#acme?.close();
    await this.#supervisor?.stop();
    this.#programs.end("SIGKILL");
    for (const [path, mark] of this.#files) if (fileMark(path) === mark) removeIfPresent(path);
    if (this.#serving) this.#log("info", "Exiting");
    await this.#logs.close();
  }
}

/** What the configuration has the daemon listen at, besides the socket of smtpctl. */
function wantedPlaces({ listeners, config: { admin, declared } }: Loaded): Wanted[] {
  return [
    ...listeners.map((listener) => ({ place: placeOf(listener), purpose: listener })),
    ...admin.map((one) => ({ place: placeOfAdmin(one, declared[adminKey(one)]), purpose: { admin: one } })),
  ];
}

/** Where an admin listener is. Throws Fatal where the group of a socket is none. */
function placeOfAdmin(admin: AdminListener, at: SourceLine | undefined): Place {
  if (!("path" in admin)) return { address: admin.address, port: admin.port, at };
  const { path, mode } = admin, group = groupOf(admin, at);
  return { path, mode, group, chosen: true, at };
}

function placeOf(listener: Listener): Place {
  return listener.socket ? { path: listener.address, mode: CONTROL_MODE } : listener;
}

/** How many isolates there are of the roles whose number depends on the machine or on the config. */
function countsFor(
  { privileged, filter, lookup, signer, acme, history }: Settings,
): Readonly<Record<PlannedCount, number>> {
  return {
    "per-core": navigator.hardwareConcurrency,
    "local-delivery": Object.keys(privileged.actions).length > 0 ? 1 : 0,
    programs: filter.tables.length > 0 || filter.filters!.length > 0 ? 1 : 0,
    logins: lookup.authTables.length > 0 ? 1 : 0,
    signing: signer.keys.length > 0 ? 1 : 0,
    acme: acme.certificates.length > 0 ? 1 : 0,
    history: history.policy === null ? 0 : 1,
  };
}

/** Throws when the runtime would panic for want of descriptors. Nothing is known of them where the C library is another one. */
function needIsolateDescriptors(): void {
  try {
    needDescriptors("an isolate");
  } catch (error) {
    if (error instanceof KernelError) throw error;
  }
}

function closeDescriptor(descriptor: number): void {
  adoptSocket(descriptor).destroy();
}
