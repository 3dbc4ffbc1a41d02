/**
 * The main isolate: owns every listening socket, accepts and hands sessions over, supervises the other isolates, answers signals. It is long
 * because all parts of main are put together here.
 */

import type net from "node:net";
import { dirname } from "node:path";
import { type Config, controlSocketPath, type Environment, spoolPath, submissionSocketPath } from "../config/mod.ts";
import { safeLine, systemReason, type Trace } from "../events/mod.ts";
import {
  ADMIN_LISTENER,
  CONTROL_LISTENER,
  type FileRole,
  type FromMain,
  type Listener,
  type MainRequest,
  type Peer,
  type Role,
  type ToMain,
} from "../protocol/mod.ts";
import { adoptSocket, detachDescriptor, unixDescriptor } from "../sockets/mod.ts";
import { Supervisor } from "../supervisor/mod.ts";
import { CertificateKeeper } from "./certificates.ts";
import { faultOfTable } from "./advise.ts";
import { Children } from "./children.ts";
import { claimSocket, claimSpool, removeIfPresent } from "./claim.ts";
import { LookupRequests } from "./lookup_requests.ts";
import { backlogFor, ListeningSockets } from "./listening_sockets.ts";
import { Fatal } from "./fatal.ts";
import { assign, type Inherited, inheritedDescriptors, parseSocketName, textOf } from "./inherited.ts";
import { type Place, resolveListeners } from "./listeners.ts";
import { LocalSockets } from "./local_sockets.ts";
import { Native } from "./native.ts";
import { grantsFor, resolverGrants } from "./permissions.ts";
import { ResolverKeeper } from "./resolver_keeper.ts";
import { NameService } from "./name_service.ts";
import { Passwords } from "./passwords.ts";
import { loadQueueKeys } from "./queue_keys.ts";
import { readSaltKey } from "./saltkey.ts";
import { SessionAdmission } from "./session_admission.ts";
import { readResolver, readServerName, resolverFiles } from "./machine_names.ts";
import { cutCertificates, cutSettings } from "./settings.ts";
import { type Clock, systemClock } from "../clock.ts";

export interface DaemonOptions {
  readonly config: Config;
  readonly env: Environment;
  readonly log: "stderr" | "syslog";
  readonly verbose: boolean;
  readonly traces: readonly Trace[];
  /** What `readQueueInput` read: the key of the queue, when it comes from the terminal or standard input. */
  readonly queueInput?: string | null;
  /** `-P`: subsystems that start paused. */
  readonly paused: { readonly smtp: boolean; readonly mda: boolean; readonly mta: boolean };
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
/** What whoever sends a signal that is ignored may want. */
const HINTS: Readonly<Record<string, string>> = {
  SIGHUP: ": to read smtpd.conf again, start the daemon again; certificates and tables are updated by smtpctl",
};
/** What smtpctl prints for whoever is neither root nor the daemon's own user. */
const DENIED = JSON.stringify({ ok: false, error: "need root privileges", denied: true }) + "\n";
/** Who is turned away has so long to read why, in milliseconds, and so many at one time have it. */
const LINGER_MS = 1000, MAX_LINGERING_CONNECTIONS = 16;
/** A process that may open fewer files is told of. */
const FEW_DESCRIPTORS = 512;

class Daemon {
  readonly #options: DaemonOptions;
  readonly #native = new Native();
  readonly #clock: Clock;
  readonly #localSockets: LocalSockets;
  #sockets: ListeningSockets | null = null;
  /** Connections of the control socket that were refused and are not closed yet. */
  #lingering = 0;
  readonly #files: string[] = [];
  /** It serves, or has served. */
  #serving = false;
  /** `-v`, or `smtpctl log verbose` since. */
  #verbose: boolean;
  /** Answers lookup. */
  readonly #lookupRequests: LookupRequests;
  #supervisor!: Supervisor;
  #admission!: SessionAdmission;
  #certificates!: CertificateKeeper;
  #stopWatching = () => {};
  readonly #end: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #programs: Children;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#localSockets = new LocalSockets({ native: this.#native, after: this.#clock.after });
    this.#verbose = options.verbose;
    const { processes, programs } = options.config;
    this.#programs = new Children(
      { isChild: (pid) => this.#native.isChild(pid), kill: (pid, signal) => Deno.kill(pid, signal) },
      Object.keys(processes).length + Object.keys(programs).length,
    );
    this.#lookupRequests = new LookupRequests(
      (answers) => this.#supervisor.post("lookup", 0, { type: "told", answers }),
      new NameService(),
      new Passwords(options.shadow),
      this.#clock,
    );
    // What ends the daemon while it still starts is heard of when it has.
    this.#end.promise.catch(() => {});
  }

  async run(): Promise<void> {
    const { env, config } = this.#options;
    this.#native.closeAllOnExec();
    const controlSocket = controlSocketPath(env);
    const inherited = this.#inherit(env);
    // Where the service manager listens, nobody else does.
    const ownControl = !inherited.some(({ name }) => "path" in name && name.path === controlSocket);
    if (ownControl) await claimSocket(controlSocket);
    claimSpool(spoolPath(env));
    this.#watchSignals();
    try {
      const started = this.#startSystem(config, submissionSocketPath(controlSocket))
        .then((listeners) => this.#listen(listeners, controlSocket, inherited));
      started.catch(() => {});
      // A signal may end it before it serves.
      if (await Promise.race([started.then(() => false), this.#end.promise.then(() => true)])) return;
      this.#writePid(controlSocket);
      this.#serving = true;
      this.#notify("READY=1");
      this.#options.onready((level, text) => this.#log(level, text));
      await this.#end.promise;
    } finally {
      await this.#close();
    }
  }

  async #startSystem(config: Config, submissionSocket: string): Promise<Listener[]> {
    const { env, log, paused } = this.#options;
    const resolver = new ResolverKeeper(resolverFiles(env), {
      read: () => readResolver(env),
      onchange: (settings) => this.#supervisor.setResolver(settings, resolverGrants(settings)),
      log: (level, text) => this.#log(level, text),
    });
    const serverName = readServerName(resolver.settings.hosts);
    const listeners = await resolveListeners(config, serverName, submissionSocket);
    this.#certificates = new CertificateKeeper(config, {
      onchange: (certificates) => {
        const cut = cutCertificates(config, { certificates, listeners });
        this.#supervisor.setCertificates("smtp", cut.smtp);
        this.#supervisor.setCertificates("relay", cut.relay);
      },
      log: (level, text) => this.#log(level, text),
    });
    const saltKey = listeners.some(({ auth }) => auth !== null) ? readSaltKey(spoolPath(env)) : new Uint8Array();
    const queueKeys = loadQueueKeys(config, this.#options.queueInput ?? null);
    const settings = cutSettings(config, {
      env,
      certificates: this.#certificates.certificates,
      queueKeys,
      listeners,
      saltKey,
      serverName,
      resolver: resolver.settings,
      log,
      descriptors: this.#native.openFileLimit(),
      paused,
    });
    this.#lookupRequests.systemLogins = settings.lookup.authTables.includes(null);
    this.#supervisor = new Supervisor({
      settings,
      grants: grantsFor(settings),
      smtpIsolates: navigator.hardwareConcurrency,
      errandIsolates: Object.keys(settings.errand.actions).length > 0 ? 1 : 0,
      filterIsolates: settings.filter.tables.length > 0 || settings.filter.filters!.length > 0 ? 1 : 0,
      loginIsolates: settings.lookup.authTables.length > 0 ? 1 : 0,
      entry: this.#options.entry,
      // Mail must not pass by its filters.
      vital: Object.keys(config.processes).length > 0 ? ["filter"] : [],
      verbose: this.#options.verbose,
      traces: this.#options.traces,
    }, {
      onmessage: (role, index, message) => this.#receive(role, index, message),
      onrefused: (text) => this.#log("warn", `warn: ${text}`),
      ondeath: (role, index, reason, delayMs) => this.#isolateEnded(role, index, reason, delayMs),
    });
    this.#admission = this.#newAdmission(config);
    try {
      await this.#supervisor.start();
    } catch (error) {
      throw new Fatal(systemReason(error));
    }
    const stops = [this.#certificates.watch(this.#clock.every), resolver.watch(this.#clock.every)];
    this.#stopWatching = () => stops.forEach((stop) => stop());
    return listeners;
  }

  #newAdmission(config: Config): SessionAdmission {
    return new SessionAdmission({
      supervisor: this.#supervisor,
      limits: config.smtp,
      descriptors: this.#native.openFileLimit(),
      uid: Deno.uid() ?? 0,
      after: this.#clock.after,
      onhanded: (isolate, descriptor) => this.#localSockets.give(`smtp-${isolate}`, descriptor),
      now: this.#clock.steady,
      log: (level, text) => this.#log(level, text),
      debug: (text) => this.#debug(text),
    });
  }

  async #listen(
    listeners: readonly Listener[],
    controlSocket: string,
    inherited: readonly Inherited[],
  ): Promise<void> {
    this.#sockets = new ListeningSockets({
      native: this.#native,
      backlog: backlogFor(this.#native.openFileLimit(), this.#admission.limit, listeners.length + 2),
      warn: (text) => this.#log("warn", text),
      debug: (text) => this.#debug(text),
      clock: this.#clock,
    });
    const given = assign(inherited, listeners, controlSocket);
    const places = (descriptors: readonly number[]): Place[] =>
      descriptors.map((fd) => ({ fd, name: textOf(inherited.find(({ descriptor }) => descriptor === fd)!.name) }));
    await this.#openAll(places(given.control), { path: controlSocket, mode: CONTROL_MODE }, (socket) => {
      this.#acceptControl(socket);
    });
    for (const listener of listeners) {
      const own = listener.socket ? { path: listener.address, mode: CONTROL_MODE } : listener;
      await this.#openAll(places(given.listeners.get(listener.id) ?? []), own, (socket) => {
        this.#acceptSmtp(socket, listener);
      });
    }
    const { admin, declared } = this.#options.config;
    if (admin !== null) {
      const place = { ...admin, at: declared["admin listen"] };
      await this.#openAll([], place, (socket) => this.#acceptAdmin(socket));
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

  /** Listens on the sockets that were inherited for a place, or on the place itself. */
  async #openAll(inherited: readonly Place[], own: Place, accept: (socket: net.Socket) => void): Promise<void> {
    for (const place of inherited) await this.#sockets!.open(place, accept);
    if (inherited.length > 0) return;
    if ("path" in own) removeIfPresent(own.path);
    await this.#sockets!.open(own, accept);
    if ("path" in own) this.#files.push(own.path);
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

  /** Tells the service manager, if it wants to know. */
  #notify(state: string): void {
    const path = this.#options.env.get("NOTIFY_SOCKET");
    if (path === undefined || path === "") return;
    if (!this.#native.notify(path, state)) this.#log("warn", `warn: the service manager does not hear ${state}`);
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

  #acceptAdmin(socket: net.Socket): void {
    const peer: Peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0, uid: null };
    try {
      const descriptor = detachDescriptor(socket);
      const message: FromMain = { type: "session", descriptor, listener: ADMIN_LISTENER, peer, ticket: 0 };
      if (!this.#supervisor.post("control", 0, message)) closeDescriptor(descriptor);
    } catch {
      // The client hung up before it was served.
    }
  }

  /** Those who may not ask are turned away here, at once: no connection of theirs takes a descriptor for long. */
  #acceptControl(socket: net.Socket): void {
    const uid = this.#peerUid(socket);
    if (uid !== 0 && uid !== Deno.uid()) return this.#deny(socket);
    try {
      const descriptor = detachDescriptor(socket);
      const peer: Peer = { address: "local", port: 0, uid };
      this.#localSockets.give("control-0", descriptor);
      const message: FromMain = { type: "session", descriptor, listener: CONTROL_LISTENER, peer, ticket: 0 };
      if (!this.#supervisor.post("control", 0, message)) closeDescriptor(descriptor);
    } catch {
      // The client hung up before it was served.
    }
  }

  #deny(socket: net.Socket): void {
    socket.on("error", () => {});
    if (this.#lingering >= MAX_LINGERING_CONNECTIONS) return void socket.end(DENIED, () => socket.destroy());
    this.#lingering++;
    const cancelLimit = this.#clock.after(LINGER_MS, () => socket.destroy());
    socket.on("close", () => {
      cancelLimit();
      this.#lingering--;
    });
    // What the client asks may come a moment later: it must not find the connection closed before it has read the answer.
    socket.resume();
    socket.end(DENIED);
  }

  #receive(role: Role, index: number, message: ToMain): void {
    if (role === "smtp" && message.type === "source") {
      const { ticket, address } = message;
      const admitted = this.#admission.source(index, ticket, address);
      return void this.#supervisor.post("smtp", index, { type: "source-answer", ticket, admitted });
    }
    if (role === "smtp" && message.type === "sessions-ended") return this.#admission.ended(index, message.tickets);
    if (role === "lookup" && message.type === "ask") return this.#lookupRequests.take(message.questions);
    if (message.type === "grow") return this.#grow(role, message.role);
    if (role === "filter") return this.#receiveFromFilter(message);
    if (role !== "control") return;
    if (message.type === "syslog") {
      for (const { level, text } of message.lines) this.#native.syslog(level, safeLine(text));
    }
    if (message.type === "request") this.#answer(message.call, message.request);
  }

  /** An isolate may ask for more of those that work for it, and of no others. */
  #grow(asker: Role, role: FileRole): void {
    const own: Partial<Record<Role, FileRole>> = { delivery: "mailbox", errand: "file", lookup: "forward" };
    if (own[asker] === role) this.#supervisor.grow(role);
  }

  #receiveFromFilter(message: ToMain): void {
    if (message.type === "lost-program") this.#fail(message.reason);
    if (message.type !== "program") return;
    if (!message.running) return this.#programs.delete(message.pid);
    if (this.#programs.add(message.pid)) return;
    // It may have ended just now.
    this.#debug(() => `the isolate filter names the process ${message.pid}, which is no child that it may have`);
  }

  /** Mail must not pass by its filters: the daemon stops, and sessions hear 421. */
  #fail(reason: string): void {
    this.#log("warn", `crit: ${reason}`);
    this.#end.reject(new Fatal(reason));
  }

  #answer(call: number, request: MainRequest): void {
    let changed = true;
    let error: string | null = null;
    if (request.type === "pause-smtp") {
      changed = this.#admission.paused !== request.paused;
      this.#admission.paused = request.paused;
    } else if (request.type === "verbosity") {
      this.#verbose = request.verbose;
      this.#supervisor.setVerbosity(request.verbose, request.traces);
    } else if (request.type === "update-pki") {
      error = this.#certificates.reload();
    } else if (request.type === "check-table") {
      error = faultOfTable(this.#options.config, request.table);
    } else if (request.type === "isolates") {
      const missing = this.#supervisor.missing;
      if (missing.length > 0) error = missing.join(", ");
    } else {
      this.#end.resolve();
    }
    this.#supervisor.post("control", 0, { type: "answer", call, changed, error });
  }

  #isolateEnded(role: Role, index: number, reason: string, delayMs: number): void {
    this.#localSockets.lost(`${role}-${index}`);
    if (role === "smtp") this.#admission.lost(index);
    if (role === "lookup") this.#lookupRequests.forget();
    if (role === "filter") this.#programs.end("SIGTERM");
    if (role === "filter" && Object.keys(this.#options.config.processes).length > 0) {
      return this.#fail(`lost the isolate of the filters: ${reason}`);
    }
    this.#log("warn", `warn: isolate ${role} ended and starts again in ${delayMs} ms: ${reason}`);
  }

  #debug(text: () => string): void {
    if (this.#verbose) this.#log("debug", `debug: ${text()}`);
  }

  #log(level: "debug" | "info" | "warn", text: string): void {
    const line = safeLine(text);
    if (this.#options.log === "syslog") this.#native.syslog(level, line);
    else console.error(line);
  }

  #watchSignals(): void {
    // Nobody who sends one of these wants the mail to stop: a terminal that is closed, scripts that rotate logs. They come first: the runtime catches
    // SIGHUP as soon as there is any listener, and ends the process by it while SIGHUP itself has none.
    for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const) {
      Deno.addSignalListener(signal, () => this.#log("info", `info: ${signal} is ignored${HINTS[signal] ?? ""}`));
    }
    for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => this.#end.resolve());
  }

  #writePid(controlSocket: string): void {
    const path = `${dirname(controlSocket)}/smtpd.pid`;
    // A file of its own, whatever lies there; its mode is the same under every umask.
    removeIfPresent(path);
    Deno.writeTextFileSync(path, `${Deno.pid}\n`, { createNew: true });
    this.#files.push(path);
    Deno.chmodSync(path, 0o644);
  }

  async #close(): Promise<void> {
    this.#notify("STOPPING=1");
    this.#stopWatching();
    this.#sockets?.close();
    await this.#supervisor?.stop();
    this.#programs.end("SIGKILL");
    for (const path of this.#files) removeIfPresent(path);
    if (this.#serving) this.#log("info", "Exiting");
  }
}

function closeDescriptor(descriptor: number): void {
  adoptSocket(descriptor).destroy();
}
