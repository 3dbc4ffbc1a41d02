/**
 * Makes one connection to one host ready for mail: connects, does TLS as the action says, says EHLO or LHLO, logs in. With opportunistic TLS a
 * host where TLS fails is tried once more in clear.
 */

import { hostPort } from "../../net/mod.ts";
import type { RelayLimits } from "../../config/mod.ts";
import { logTrace, type Observer } from "../../events/mod.ts";
import type { Credentials, SharedSettings } from "../../protocol/mod.ts";
import {
  type Client,
  ClientError,
  type connectClient,
  type DialogueRecorder,
  type Reply,
  type Timeouts,
  type TlsOptions,
} from "../../smtp_client/mod.ts";
import type { RelayFilters } from "./filters.ts";
import type { Exchanger } from "../routes/mx.ts";
import type { SessionReports } from "./reports.ts";
import type { Host, Route } from "../routes/routes.ts";
import { helloName, isNamed, shownLabel, type Target } from "../routes/target.ts";

/** What getting ready needs of the isolate. */
export interface HandshakeDeps {
  readonly shared: SharedSettings;
  /** The log, and which traces are enabled. */
  readonly observer: Observer;
  readonly timeouts: Timeouts;
  /** Opens connections to hosts. */
  readonly connect: typeof connectClient;
  /** Returns what TLS needs besides a name and whether to verify: keys, roots, versions of the action. */
  tlsOptions(target: Target): Omit<TlsOptions, "serverName" | "verify">;
  /** Resolves to the secret of the target's label, or why there is none. Asked for each connection: it may change, and is not kept. */
  credentials(target: Target): Promise<Credentials | string>;
  /** Resolves to the name of an address for the log, "" when it is not known soon. */
  hostName(host: Host): Promise<string>;
  /** True for a name that only this host answers EHLO with. */
  isSelf(name: string): boolean;
  /** What filters of the action are sent; without it there are none. */
  readonly filters?: RelayFilters | undefined;
}

/** Which session gets ready, to which host. */
export interface HandshakeOptions {
  /** Of the session. */
  readonly id: string;
  readonly route: Route;
  readonly exchanger: Exchanger;
  readonly target: Target;
  readonly limits: RelayLimits;
  /** Where the history records. */
  readonly recorder?: DialogueRecorder | undefined;
}

export class Handshake {
  /** Reports to the filters of the action, null without any. */
  reports: SessionReports | null = null;
  /** Why the session is in clear though the host offered TLS. */
  tlsFailure: ClientError | null = null;
  /** How far it has come, in words for a reason. */
  step = "";
  /** The host is this one, by its answer to EHLO. */
  loops = false;
  readonly #of: HandshakeOptions;
  readonly #deps: HandshakeDeps;
  #client: Client | null = null;
  #stopping = false;

  constructor(of: HandshakeOptions, deps: HandshakeDeps) {
    this.#of = of;
    this.#deps = deps;
  }

  /** Ends it, also when it has not connected yet. */
  stop(): void {
    this.#stopping = true;
    this.#client?.close();
  }

  /** Resolves to a client that is ready for mail. Rejects with the reason, mostly a ClientError, when there is none. */
  async run(): Promise<Client> {
    const { target } = this.#of;
    try {
      return await this.#establish(target.tls === "never" ? "clear" : "tls");
    } catch (error) {
      if (!(error instanceof ClientError && error.kind === "tls") || target.tls !== "opportunistic") throw error;
      // Better in clear than not at all, where TLS is not demanded: once more to the same host.
      this.#deps.observer.emit({
        type: "log",
        level: "info",
        text: `${this.#of.id} mta closing reason=tls-failure: ${error.message}`,
      });
      this.reports?.closed();
      this.tlsFailure = error;
      return await this.#establish("clear");
    }
  }

  async #establish(may: "tls" | "clear"): Promise<Client> {
    const { target, limits } = this.#of;
    const { timeouts, shared, observer } = this.#deps;
    const trace = (direction: string, line: string) =>
      logTrace(observer, "mta", `${this.#of.id}: ${direction} ${line}`);
    const count = (what: string, bytes: number) => logTrace(observer, "io", `${this.#of.id}: ${what} ${bytes} bytes`);
    const { address } = this.#of.exchanger;
    const host = await this.#deps.hostName(this.#of.route.host);
    observer.emit({
      type: "relay-connecting",
      session: this.#of.id,
      address: `${target.scheme}://${hostPort({ host: address, port: target.port })}`,
      host,
    });
    const reports =
      this.#deps.filters?.session({ action: target.action.name, session: this.#of.id, lmtp: target.lmtp }) ?? null;
    const client = await this.#deps.connect({
      witness: reports ?? undefined,
      recorder: this.#of.recorder,
      to: { host: address, port: target.port },
      ...(target.source === null ? {} : { localAddress: target.source.address }),
      timeouts,
      lmtp: target.lmtp,
      maxRefusals: limits.maxFailuresPerSession,
      ...(target.tls === "implicit" ? { tls: this.#tlsOptions() } : {}),
      get trace() {
        return observer.traces("mta") ? trace : undefined;
      },
      get count() {
        return observer.traces("io") ? count : undefined;
      },
    });
    this.#client = client;
    try {
      if (this.#stopping) throw new ClientError("closed", "Shutting down");
      observer.emit({ type: "relay-connected", session: this.#of.id });
      this.reports = reports;
      reports?.connected(
        host,
        hostPort({ host: client.localAddress, port: client.localPort }),
        hostPort({ host: address, port: target.port }),
      );
      if (client.tls !== null) this.#reportTls(client);
      await this.#hello(client, helloName(target, shared.serverName), may);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  async #hello(client: Client, name: string, may: "tls" | "clear"): Promise<void> {
    const { target } = this.#of;
    const starts = may === "tls" && target.tls !== "implicit";
    this.step = "at the greeting";
    await client.greeting();
    this.step = target.lmtp ? "at LHLO" : "at EHLO";
    const { startTls } = await client.hello(name, { fallback: target.tls !== "mandatory" && target.label === "" });
    // RFC 5321 §6.3 leaves it to us how loops are found. A host that the administrator named may be this one.
    if (!isNamed(target) && this.#deps.isSelf(client.peerName)) {
      this.loops = true;
      throw new ClientError("refused", "It answers EHLO with a name of this host");
    }
    if (starts && startTls) await this.#startTls(client, name);
    else if (target.tls === "mandatory") {
      throw new ClientError("refused", "TLS required but not supported by remote host");
    }
    if (target.label !== "") await this.#authenticate(client);
  }

  async #authenticate(client: Client): Promise<void> {
    const credentials = await this.#deps.credentials(this.#of.target);
    if (typeof credentials === "string") throw new ClientError("refused", credentials);
    this.reports?.user(credentials.user);
    this.step = `at our login with the label ${shownLabel(this.#of.target)}`;
    await client.authenticate(credentials.user, credentials.password);
  }

  async #startTls(client: Client, name: string): Promise<void> {
    try {
      this.step = "at STARTTLS";
      await client.startTls(this.#tlsOptions());
      this.step = "at EHLO under TLS";
    } catch (error) {
      const { reply = null } = error instanceof ClientError ? error : {};
      const failure = new TlsFailure((error as Error).message, reply);
      if (reply === null || reply.code === 421 || this.#of.target.tls !== "opportunistic") throw failure;
      // Refused before it began: an opportunist goes on in clear, where the host still listens.
      this.tlsFailure = failure;
      await client.hello(name).catch(() => {
        throw failure;
      });
      return;
    }
    this.#reportTls(client);
    try {
      await client.hello(name);
    } catch (error) {
      // With TLS 1.3 a server finds out only now that it does not like the client (RFC 8446 §4.4.2.4).
      if (error instanceof ClientError && error.kind !== "refused") throw new TlsFailure(error.message, error.reply);
      throw error;
    }
  }

  #tlsOptions(): TlsOptions {
    const { target } = this.#of;
    return { ...this.#deps.tlsOptions(target), serverName: this.#of.exchanger.host, verify: target.verify };
  }

  #reportTls(client: Client): void {
    const { ciphers, verified, fingerprint } = client.tls!;
    this.reports?.secured(ciphers);
    this.#deps.observer.emit({ type: "relay-tls", session: this.#of.id, ciphers });
    if (fingerprint === "") return;
    const result = verified ? "valid" : "unverified";
    this.#deps.observer.emit({ type: "relay-cert-check", session: this.#of.id, result, fingerprint });
  }
}

/** STARTTLS was offered and then failed, or was refused with this reply. */
class TlsFailure extends ClientError {
  constructor(message: string, reply: Reply | null) {
    super("tls", message, reply);
  }
}
