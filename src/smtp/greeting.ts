/**
 * What is found out about a client before its banner, one question after the other: its name, whether it may log in by SCRAM, what this
 * server is called where it has connected. Then the banner, held back where a delay is configured. All steps and their order are in `Greeting.enter`.
 */

import { bracketed6 } from "../net/mod.ts";
import type { Confirmed, Peer } from "../protocol/mod.ts";
import { isDomain } from "./session/address.ts";
import type { Connection } from "./connection.ts";
import { type ListenerContext, plainAddress } from "./listener.ts";
import type { LookupClient } from "./lookup_client.ts";
import type { ClientIdentity } from "./session/state.ts";

/** What greetings need of their isolate. */
export interface GreetingDeps {
  readonly lookup: Pick<LookupClient, "clientName" | "mechanisms" | "ownName">;
  /** The name of a client that came through the local socket. */
  readonly serverName: string;
  /** For how long the banner is held back, in milliseconds; 0: not at all. */
  readonly bannerDelayMs: number;
  /** True for an address whose banner is never held back. */
  trusts(address: string): boolean;
  /** Calls `run` once, after `ms` milliseconds. */
  after(ms: number, run: () => void): void;
}

/** Where a greeting stands, with what is known of the client by then. */
type GreetingState =
  /** Asks for the name of the client's address, RFC 5321 §4.4. */
  | { readonly at: "client-name" }
  /** Asks whether all users of the listener's table can log in by SCRAM. */
  | { readonly at: "mechanisms"; readonly client: ClientIdentity }
  /** Asks what this server is called at the address that the client has connected to. */
  | { readonly at: "own-name"; readonly client: ClientIdentity }
  /** Holds the banner back, to find clients that send before it: only programs that do not read replies do. */
  | { readonly at: "banner-delay"; readonly client: ClientIdentity }
  /** The session begins with its banner. */
  | { readonly at: "begun"; readonly client: ClientIdentity }
  /** The client has sent something before its banner: it is turned away, RFC 5321 §3.1. */
  | { readonly at: "too-early"; readonly client: ClientIdentity }
  /** Lookup was replaced meanwhile: the session is ended with a temporary failure. */
  | { readonly at: "lost" };

class Greeting {
  readonly #connection: Connection;
  readonly #context: ListenerContext;
  readonly #peer: Peer;
  readonly #deps: GreetingDeps;

  constructor(connection: Connection, context: ListenerContext, peer: Peer, deps: GreetingDeps) {
    this.#connection = connection;
    this.#context = context;
    this.#peer = peer;
    this.#deps = deps;
  }

  /** Does what the state requires, which leads to the next one, at once or when an answer comes. */
  enter(state: GreetingState): void {
    const connection = this.#connection;
    switch (state.at) {
      case "client-name":
        return this.#findClientName();
      case "mechanisms":
        return this.#findMechanisms(state.client);
      case "own-name":
        return this.#findOwnName(state.client);
      case "banner-delay":
        return this.#delayBanner(state.client);
      case "begun":
        return connection.begin(state.client);
      case "too-early":
        return connection.tooEarly(state.client.rdns);
      case "lost":
        return connection.peerGone();
    }
  }

  #findClientName(): void {
    this.#deps.lookup.clientName(plainAddress(this.#peer.address), (rdns: string | null, confirmed: Confirmed) => {
      this.enter(rdns === null ? { at: "lost" } : { at: "mechanisms", client: { rdns, confirmed, scram: false } });
    });
  }

  #findMechanisms(client: ClientIdentity): void {
    const table = this.#context.listener.auth?.table ?? null;
    if (table === null) return this.enter({ at: "own-name", client });
    this.#deps.lookup.mechanisms(table, (scram) => {
      this.enter(scram === null ? { at: "lost" } : { at: "own-name", client: { ...client, scram } });
    });
  }

  #findOwnName(client: ClientIdentity): void {
    const { hostnames } = this.#context.listener;
    const { local } = this.#peer;
    if (hostnames === null || local === undefined) return this.enter({ at: "banner-delay", client });
    this.#deps.lookup.ownName(hostnames, bracketed6(plainAddress(local)), (own) => {
      if (own.known === "lost") return this.enter({ at: "lost" });
      if (own.known === "name" && isDomain(own.name)) this.#connection.rename(own.name);
      this.enter({ at: "banner-delay", client });
    });
  }

  #delayBanner(client: ClientIdentity): void {
    const { bannerDelayMs } = this.#deps;
    if (bannerDelayMs === 0 || this.#context.listener.tls === "smtps" || this.#deps.trusts(this.#peer.address)) {
      return this.enter({ at: "begun", client });
    }
    this.#deps.after(bannerDelayMs, () => {
      this.enter({ at: this.#connection.early ? "too-early" : "begun", client });
    });
  }
}

/**
 * Finds out who the client of a new connection is, then has its session begin: calls `begin`, `tooEarly` or `peerGone` of `connection`, at
 * once or later. A client on the local socket is known without a question. Never throws.
 */
export function greet(connection: Connection, context: ListenerContext, peer: Peer, deps: GreetingDeps): void {
  const greeting = new Greeting(connection, context, peer, deps);
  if (!context.listener.socket) return greeting.enter({ at: "client-name" });
  greeting.enter({ at: "begun", client: { rdns: deps.serverName, confirmed: "pass", scram: false } });
}
