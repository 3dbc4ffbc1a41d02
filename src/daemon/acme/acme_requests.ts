/**
 * Answers what the acme isolate asks of main: connections to the authority, the port of a challenge, the hook, and files. Main never looks into the connections.
 * Checks each question against the configuration: what it names must be of its line.
 */

import type net from "node:net";
import type { Clock } from "../../clock.ts";
import type { Config } from "../../config/mod.ts";
import { systemReason } from "../../events/mod.ts";
import type { AcmeCertificate, AcmeToMain, MainToAcme } from "../../protocol/mod.ts";
import { connectSocket, detachDescriptor } from "../../sockets/mod.ts";
import type { MainChannel } from "../../supervisor/mod.ts";
import { Fatal } from "../fatal.ts";
import { openServer, type Place } from "../sockets/listeners.ts";
import { accountFile, acmeCertificates, type AcmeLine, acmeLines, elsewhere, putOffFile, store } from "./acme_files.ts";
import { type HookRun, Hooks } from "./hook.ts";
import { checkObtained } from "./obtained.ts";

export interface AcmeRequestsDeps {
  readonly clock: Clock;
  /** Whom hooks run as, and their PATH. */
  readonly hooks: () => Pick<HookRun, "identity" | "path">;
  /** A certificate has changed on the disk. */
  readonly onstored: () => void;
  /** What the isolate would have to start with has changed. */
  readonly onchange: (certificates: readonly AcmeCertificate[]) => void;
  /** Sends to the isolate; false when it is down. */
  readonly post: (message: MainToAcme) => boolean;
  readonly closeDescriptor: (descriptor: number) => void;
  readonly log: (level: "info" | "warn", text: string) => void;
}

/** Time to connect to an authority. */
const CONNECT_MS = 20_000;
/** Connections that are being made at one time. */
const MAX_NEW_CONNECTIONS = 8;
/** Connections that wait at the port of a challenge. */
const BACKLOG = 64;
/** Questions that cost something: as many at once as a first start with many lines takes, and then one per so many milliseconds. */
const BURST_PER_NAME = 8, BURST = 32, REFILL_MS = 5_000;
const TOO_MUCH = "the isolate asks too much";

type Question<T extends AcmeToMain["type"]> = Extract<AcmeToMain, { type: T }>;

export class AcmeRequests {
  readonly #deps: AcmeRequestsDeps;
  readonly #hooks: Hooks;
  #config: Pick<Config, "pki" | "declared">;
  #lines: readonly AcmeLine[];
  #connecting = 0;
  /** By the name of the line that listens. */
  readonly #listening = new Map<string, readonly net.Server[]>();
  #tokens: number;
  #refilledAt: number;

  constructor(config: Pick<Config, "pki" | "declared">, deps: AcmeRequestsDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#hooks = new Hooks(deps.clock);
    this.#lines = acmeLines(config);
    this.#tokens = this.#burst;
    this.#refilledAt = deps.clock.steady();
  }

  /** What the isolate is to keep, with what there is on the disk. Throws Fatal. */
  get certificates(): AcmeCertificate[] {
    return acmeCertificates(this.#config, { files: true });
  }

  /** Another configuration holds from now on. */
  renew(config: Pick<Config, "pki" | "declared">): void {
    this.#config = config;
    this.#lines = acmeLines(config);
    for (const name of this.#listening.keys()) {
      if (!this.#lines.some((line) => line.name === name)) this.#unlisten(name);
    }
  }

  serve(channel: MainChannel<"acme-main">): void {
    channel.onmessage = (question) => void this.#answer(channel, question);
    // What the isolate had opened is of no use to the next one.
    channel.onreset = () => this.#unlistenAll();
  }

  /** Has what failed tried again. */
  look(): void {
    if (this.#lines.length > 0) this.#deps.post({ type: "look" });
  }

  close(): void {
    this.#unlistenAll();
    this.#hooks.end();
  }

  async #answer(channel: MainChannel<"acme-main">, question: AcmeToMain): Promise<void> {
    const line = this.#lines.find(({ name }) => name === question.pki);
    if (question.type === "unlisten") return this.#unlisten(question.pki);
    if (question.type === "put-off") {
      const { until, failures } = question;
      if (line === undefined || !this.#take()) return;
      const fault = store(putOffFile(line), JSON.stringify({ until, failures }));
      if (fault !== null) this.#deps.log("warn", `warn: acme: ${fault}`);
      return this.#changed();
    }
    if (question.type === "connect") {
      return channel.send(await this.#connect(line, question));
    }
    const error = line === undefined
      ? `there is no line pki "${question.pki}" with acme`
      : await this.#do(line, question);
    channel.send({ type: "done", call: question.call, error });
  }

  async #do(
    line: AcmeLine,
    question: Question<"listen" | "hook" | "account" | "certificate">,
  ): Promise<string | null> {
    if (!this.#take()) return TOO_MUCH;
    switch (question.type) {
      case "listen":
        return await this.#listen(line);
      case "hook":
        return await this.#hook(line, question);
      case "account": {
        const { key, url, contact } = question;
        const fault = store(accountFile(line), `${JSON.stringify({ key, url, contact }, null, 2)}\n`);
        this.#changed();
        return fault;
      }
      case "certificate": {
        const checked = checkObtained(question, line.order.names, this.#deps.clock.now());
        const fault = checked.ok ? store(line.file, checked.text) : checked.fault;
        if (fault === null) this.#deps.onstored();
        this.#changed();
        return fault;
      }
    }
    question satisfies never;
    return null;
  }

  /** An isolate that takes the place of this one is to begin with what there is now. */
  #changed(): void {
    try {
      this.#deps.onchange(this.certificates);
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
      this.#deps.log("warn", `warn: acme: ${error.message}`);
    }
  }

  /** To the host of the line's directory, whatever the isolate would like. */
  #connect(line: AcmeLine | undefined, { call }: Question<"connect">): Promise<MainToAcme> {
    const refuse = (reason: string) => ({ type: "not-connected", call, reason }) as const;
    if (line === undefined) return Promise.resolve(refuse("there is no such line"));
    if (this.#connecting >= MAX_NEW_CONNECTIONS || !this.#take()) return Promise.resolve(refuse(TOO_MUCH));
    const { hostname, port } = new URL(line.order.directory);
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    this.#connecting++;
    return new Promise((resolve) => {
      const socket = connectSocket({ host, port: port === "" ? 443 : Number(port) });
      const finish = (answer: MainToAcme) => {
        cancel();
        this.#connecting--;
        resolve(answer);
      };
      const fail = (reason: string) => {
        socket.destroy();
        finish(refuse(`no connection to ${host}: ${reason}`));
      };
      const failed = (error: Error) => fail(systemReason(error));
      const cancel = this.#deps.clock.after(CONNECT_MS, () => fail("it takes too long"));
      socket.once("error", failed);
      socket.once("connect", () => {
        socket.off("error", failed);
        try {
          finish({ type: "connected", call, descriptor: detachDescriptor(socket) });
        } catch (error) {
          fail(systemReason(error));
        }
      });
    });
  }

  async #listen({ name, order }: AcmeLine): Promise<string | null> {
    if (this.#listening.has(name)) return null;
    const { address, port } = order.listen;
    const servers: net.Server[] = [];
    try {
      for (const one of address === null ? ["0.0.0.0", "::"] : [address]) {
        try {
          servers.push(await this.#open({ address: one, port }, name));
        } catch (error) {
          // A machine without IPv6.
          if (one !== "::" || servers.length === 0 || !(error instanceof Fatal)) throw error;
        }
      }
    } catch (error) {
      for (const server of servers) server.close();
      if (!(error instanceof Fatal)) throw error;
      return error.message + elsewhere(order.challenge);
    }
    this.#listening.set(name, servers);
    return null;
  }

  #open(place: Place, name: string): Promise<net.Server> {
    const { post, closeDescriptor, log } = this.#deps;
    return openServer(place, BACKLOG, (socket) => {
      try {
        const descriptor = detachDescriptor(socket);
        if (!post({ type: "session", descriptor, pki: name })) closeDescriptor(descriptor);
      } catch {
        // The client hung up before it was served.
      }
    }, (error) => log("warn", `warn: acme: a connection cannot be accepted: ${systemReason(error)}`));
  }

  #unlisten(name: string): void {
    for (const server of this.#listening.get(name) ?? []) server.close();
    this.#listening.delete(name);
  }

  #unlistenAll(): void {
    for (const name of [...this.#listening.keys()]) this.#unlisten(name);
  }

  async #hook({ order }: AcmeLine, { action, name, value }: Question<"hook">): Promise<string | null> {
    const { hook, names } = order;
    if (hook === null) return "the line has no hook";
    if (!names.some((one) => one === name || one === `*.${name}`)) return "the name is not of the line";
    const record = `_acme-challenge.${name}`;
    return await this.#hooks.run({ program: hook, args: [action, record, value], ...this.#deps.hooks() });
  }

  get #burst(): number {
    return BURST + BURST_PER_NAME * this.#lines.reduce((sum, { order }) => sum + order.names.length, 0);
  }

  /** False when the isolate asks for more than it can need: it may be in the hands of others. */
  #take(): boolean {
    const now = this.#deps.clock.steady();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#refilledAt) / REFILL_MS);
    this.#refilledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
