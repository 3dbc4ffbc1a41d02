/** Hosts without sockets: what connects to them is the client of src/smtp_client, and each answers as its script says. */

import type { RelayServiceDeps } from "../../src/relay/session/session_deps.ts";
import { Client, ClientError, type ClientOptions, type Reply, type TlsInfo } from "../../src/smtp_client/mod.ts";
import type { Connection } from "../../src/smtp_client/connection.ts";

/** One host. */
export interface Script {
  readonly up: boolean;
  /** `offered`: STARTTLS works; `broken`: it is offered and fails. Both hold for smtps as well. */
  readonly tls: "none" | "offered" | "broken";
  /** Its certificate is valid for its name. */
  readonly verified: boolean;
  /** Keywords of its EHLO, without STARTTLS. */
  readonly keywords: readonly string[];
}

/** One connection as the host saw it. */
export interface Seen {
  readonly address: string;
  readonly port: number;
  readonly source: string | null;
  readonly lmtp: boolean;
  /** ms of the clock. */
  readonly at: number;
  /** What TLS was begun with: the name that is verified, and whether it must be. Null without TLS. */
  tls: { readonly name: string; readonly verify: boolean; readonly implicit: boolean } | null;
  readonly lines: string[];
}

export interface Hosts {
  readonly seen: Seen[];
  readonly connect: RelayServiceDeps["connect"];
}

/** Returns the hosts at these addresses; at any other nobody answers. `now`: the clock of what connects. */
export function scriptedHosts(scripts: ReadonlyMap<string, Script>, now: () => number): Hosts {
  const seen: Seen[] = [];
  return {
    seen,
    connect: (options) => {
      const { to, localAddress = null, lmtp = false, tls } = options;
      const { host: address, port } = to as { host: string; port: number };
      const one: Seen = { address, port, source: localAddress, lmtp, at: now(), tls: null, lines: [] };
      seen.push(one);
      const script = scripts.get(address);
      if (script?.up !== true) return Promise.reject(new ClientError("connect", "Connection refused"));
      const connection = new ScriptedConnection(script, one);
      if (tls !== undefined) {
        try {
          connection.secure(tls, { implicit: true });
        } catch (error) {
          return Promise.reject(error);
        }
      }
      return Promise.resolve(new Client(connection as unknown as Connection, options as ClientOptions));
    },
  };
}

const decoder = new TextDecoder();

class ScriptedConnection {
  failure: ClientError | null = null;
  tls: TlsInfo | null = null;
  onclosed: (error: ClientError) => void = () => {};
  readonly early = false;
  readonly remoteAddress = "";
  readonly localPort = 0;
  readonly localAddress: string;
  readonly #script: Script;
  readonly #seen: Seen;

  constructor(script: Script, seen: Seen) {
    this.#script = script;
    this.#seen = seen;
    this.localAddress = seen.source ?? "192.0.2.254";
  }

  secure(options: Parameters<Connection["upgrade"]>[0], { implicit }: { readonly implicit: boolean }): TlsInfo {
    const { tls, verified } = this.#script;
    this.#seen.tls = { name: options.serverName, verify: options.verify, implicit };
    if (tls !== "offered" || (options.verify && !verified)) {
      this.failure = new ClientError("tls", "TLS failed: scripted");
      throw this.failure;
    }
    return this.tls = { ciphers: "TLSv1.3:X:256", verified, fingerprint: "" };
  }

  upgrade(options: Parameters<Connection["upgrade"]>[0]): Promise<TlsInfo> {
    return Promise.resolve().then(() => this.secure(options, { implicit: false }));
  }

  exchange(bytes: Uint8Array | string | null, limitsMs: readonly number[]): Promise<Reply[]> {
    if (this.failure !== null) return Promise.reject(this.failure);
    const text = bytes === null ? "" : typeof bytes === "string" ? bytes : decoder.decode(bytes);
    // Of commands in one go each has its reply; data has one per recipient.
    const lines = typeof bytes === "string" ? text.split("\r\n").slice(0, -1) : [];
    this.#seen.lines.push(...lines);
    return Promise.resolve(limitsMs.map((_, at) => this.#reply(lines[at] ?? "")));
  }

  send(): void {}

  /** Its replies repeat nothing. */
  mask(): void {}

  close(): void {
    this.failure ??= new ClientError("closed", "Connection closed");
  }

  #reply(line: string): Reply {
    const verb = line.split(" ", 1)[0]!;
    if (verb === "EHLO" || verb === "LHLO") {
      const { keywords, tls } = this.#script;
      const starts = tls !== "none" && this.tls === null ? ["STARTTLS"] : [];
      return replyOf(250, "peer.test", ...keywords, ...starts);
    }
    if (verb === "DATA") return replyOf(354, "go on");
    if (verb === "AUTH") return replyOf(235, "2.7.0 welcome");
    return replyOf(250, "2.0.0 taken");
  }
}

function replyOf(code: number, ...lines: string[]): Reply {
  return { code, text: lines.join(" "), lines };
}
