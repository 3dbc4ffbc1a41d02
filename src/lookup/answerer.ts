/**
 * Answers the questions that come to the doors of lookup: in the same turn where no DNS is needed and no other isolate. It is long because each question
 * has its answer here.
 */

import type {
  AccountResult,
  Confirmed,
  Credentials,
  CredentialsLack,
  Expansion,
  FromLookup,
  LookupSettings,
  SharedSettings,
  ToLookup,
} from "../protocol/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import { logTrace, type Observer } from "../events/mod.ts";
import { formatMailbox } from "../envelope/mod.ts";
import type { Dns } from "../mail_auth/dns.ts";
import type { Configurations, Configured } from "./configurations.ts";
import { askDns } from "./dns_question.ts";
import { failureOf, nameless } from "./failures.ts";
import { LoginThrottle } from "./login_throttle.ts";
import { type Logins, REFUSED } from "./logins.ts";
import { systemClock } from "../clock.ts";

interface ClientName {
  readonly hostname: string;
  readonly confirmed: Confirmed;
}

/** Gives clients their names. `address`: IPv4 or bare IPv6. */
export interface ClientNamer {
  reverse(address: string): Promise<ClientName>;
}

/** What the answers need of where they are given. */
export interface AnswererSurroundings extends Observer {
  readonly settings: { readonly shared: Pick<SharedSettings, "serverName"> };
}

/** Clients whose names are looked up at one time; more have none. A session asks once, so this is never reached in peace. */
const MAX_NAMINGS = 10_000;
/** Questions of one isolate that have no answer yet; more fail for now, as they would while the name service stands still. */
const MAX_WAITING_QUESTIONS = 20_000;

/** Calls `use` at once when the value is there, else when it has come. */
export function soon<T>(value: T | Promise<T>, use: (value: T) => void | Promise<void>): void | Promise<void> {
  return value instanceof Promise ? value.then(use) : use(value);
}

type Answers = Channel<FromLookup, ToLookup>;
/** Who stands at a door. */
export interface Asker {
  /** Secrets may go through it. */
  readonly trusted: boolean;
  /** It asks about mail of the daemon itself. */
  readonly own: boolean;
  /** It asks for sessions, each by the configuration that it began with. */
  readonly sessions: boolean;
}
type ExpandQuestion = Extract<ToLookup, { type: "expand" }>;
type LoginQuestion = Extract<ToLookup, { type: "authenticate" | "mechanisms" | "challenge" | "prove" }>;

/** Answers what is asked of lookup, by the configurations that it is given. */
export class Answerer {
  readonly #around: AnswererSurroundings;
  readonly #configurations: Pick<Configurations, "of" | "current">;
  readonly #namer: ClientNamer;
  readonly #dns: Dns | undefined;
  /** For the whole daemon: whatever smtp isolate a client comes to. */
  readonly #guard = new LoginThrottle(systemClock.steady);
  readonly #warn: (text: string) => void;
  #namings = 0;
  /** Questions of each isolate that have no answer yet. */
  readonly #waiting = new WeakMap<Answers, number>();

  constructor(
    around: AnswererSurroundings,
    configurations: Pick<Configurations, "of" | "current">,
    { namer, dns }: { readonly namer: ClientNamer; readonly dns?: Dns },
    warn: (text: string) => void,
  ) {
    this.#around = around;
    this.#configurations = configurations;
    this.#namer = namer;
    this.#dns = dns;
    this.#warn = warn;
  }

  /** The configuration by which a question is answered. */
  #by({ generation = 0 }: ToLookup, { sessions }: Asker): Configured {
    return sessions ? this.#configurations.of(generation) : this.#configurations.current;
  }

  /**
   * A question that cannot be answered, ours or a hostile isolate's fault, fails alone: this isolate serves all others.
   */
  answer(channel: Answers, question: ToLookup, asker: Asker): void {
    const waiting = this.#waiting.get(channel) ?? 0;
    if (waiting >= MAX_WAITING_QUESTIONS) return this.#refuse(channel, question);
    try {
      if (question.type === "credentials" && !asker.trusted) throw new Error("Credentials are not for this isolate");
      const later = this.#answer(channel, question, asker);
      if (!(later instanceof Promise)) return;
      this.#waiting.set(channel, waiting + 1);
      later.catch((error) => this.#fail(channel, question, error)).finally(() => {
        this.#waiting.set(channel, this.#waiting.get(channel)! - 1);
      });
    } catch (error) {
      this.#fail(channel, question, error);
    }
  }

  #fail(channel: Answers, question: ToLookup, error: unknown): void {
    const reason = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#around.emit({ type: "log", level: "crit", text: `lookup: A question failed: ${reason}` });
    this.#refuse(channel, question);
  }

  #refuse(channel: Answers, question: ToLookup): void {
    const failure = failureOf(question);
    if (failure !== null) channel.send(failure);
  }

  /** Answers in this turn unless another isolate must be asked. */
  #answer(channel: Answers, question: ToLookup, asker: Asker): void | Promise<void> {
    const { call } = question;
    const configured = this.#by(question, asker), { lookups, settings } = configured;
    switch (question.type) {
      case "expand":
        return soon(
          lookups.expand(question),
          (result) => this.#expanded(channel, question, result, { ...asker, configured }),
        );
      case "client-name":
        return this.#nameClient(channel, call, question.address);
      case "account":
        return soon(
          lookups.account(question.action, question.user),
          (result) => this.#account(channel, question, result),
        );
      case "smarthost":
        return soon(
          lookups.smarthosts(question.action, question.domain),
          (urls) => this.#smarthosts(channel, question, urls),
        );
      case "test":
        return soon(lookups.test(question), (found) => channel.send({ type: "tested", call, found }));
      case "dns":
        return this.#askDns(channel, question, settings);
      case "authenticate":
      case "mechanisms":
      case "challenge":
      case "prove":
        return this.#answerLogin(channel, question, configured.logins);
      case "may-send":
        if (!settings.senderTables.includes(question.table)) throw new Error("Not a table of senders");
        return soon(
          lookups.maySend(question.table, question.user, question.sender),
          (result) => channel.send({ type: "may-send", call, result }),
        );
      case "listener-name":
        if (!settings.hostnameTables.includes(question.table)) throw new Error("Not a table of names");
        return soon(
          lookups.listenerName(question.table, question.address),
          (name) => channel.send({ type: "listener-name", call, name }),
        );
      case "sources":
        return soon(
          lookups.sources(question.action),
          (sources) => channel.send({ type: "sources", call, sources }),
        );
      case "credentials":
        return soon(
          lookups.relayCredentials(question.action, question.label),
          (credentials) => this.#credentials(channel, question, credentials),
        );
    }
    question satisfies never;
    throw new Error("The question is of no known type");
  }

  async #askDns(
    channel: Answers,
    { call, kind, name }: Extract<ToLookup, { type: "dns" }>,
    { answersDns }: LookupSettings,
  ): Promise<void> {
    if (!answersDns) throw new Error("No listener checks mail");
    const answer = this.#dns === undefined ? { kind: "temporary" } as const : await askDns(this.#dns, kind, name);
    if (this.#around.traces("lookup")) {
      const ending = answer.kind === "records" ? `${answer.records.length} records` : answer.kind;
      logTrace(this.#around, "lookup", `${kind.toUpperCase()} of ${name}: ${ending}`);
    }
    channel.send({ type: "dns", call, answer });
  }

  #answerLogin(channel: Answers, question: LoginQuestion, logins: Logins): void | Promise<void> {
    const { call } = question;
    switch (question.type) {
      case "authenticate":
        return this.#guard.attempt(
          question.client,
          () => question.password === "" ? Promise.resolve("permfail" as const) : logins.authenticate(question),
          (result) => result === "permfail",
        ).then((result) => channel.send({ type: "authenticated", call, result: result ?? "blocked" }));
      case "mechanisms":
        return channel.send({ type: "mechanisms", call, scram: logins.offersScram(question.table) });
      case "challenge":
        if (question.client !== null && this.#guard.blocked(question.client)) {
          return channel.send({ type: "challenge", call, challenge: "blocked" });
        }
        return logins.challenge(question.table, question.user).then((challenge) =>
          channel.send({ type: "challenge", call, challenge })
        );
      case "prove":
        return this.#guard.attempt(
          question.client,
          () => question.proof === "" ? Promise.resolve(REFUSED) : logins.prove(question),
          ({ result }) => result === "permfail",
        ).then((proved) => channel.send({ type: "proved", call, ...proved ?? { result: "blocked", signature: "" } }));
    }
    question satisfies never;
  }

  #account(
    channel: Answers,
    { call, action, user }: Extract<ToLookup, { type: "account" }>,
    result: AccountResult,
  ): void {
    if (this.#around.traces("lookup")) {
      const ending = result.ok ? `uid ${result.identity.uid}, home ${result.identity.home}` : result.text;
      logTrace(this.#around, "lookup", `account "${user}" of action "${action}": ${ending}`);
    }
    channel.send({ type: "account", call, result });
  }

  #smarthosts(
    channel: Answers,
    { call, action, domain }: Extract<ToLookup, { type: "smarthost" }>,
    urls: readonly string[],
  ): void {
    const url = urls[0] ?? null;
    if (this.#around.traces("lookup")) {
      // A URL may name whom to authenticate as.
      const ending = url === null ? "none" : url.replace(/\/\/.*@/, "//********@");
      logTrace(this.#around, "lookup", `smarthost of action "${action}" for ${domain}: ${ending}`);
    }
    channel.send({ type: "smarthost", call, url, others: urls.slice(1) });
  }

  #credentials(
    channel: Answers,
    { call, action }: Extract<ToLookup, { type: "credentials" }>,
    found: Credentials | CredentialsLack | null,
  ): void {
    const credentials = typeof found === "string" ? null : found;
    if (this.#around.traces("lookup")) {
      logTrace(
        this.#around,
        "lookup",
        `credentials of action "${action}": ${credentials === null ? "none" : "found"}`,
      );
    }
    channel.send({ type: "credentials", call, credentials, ...(typeof found === "string" ? { lack: found } : {}) });
  }

  #expanded(
    channel: Answers,
    question: ExpandQuestion,
    result: Expansion,
    asker: Asker & { readonly configured: Configured },
  ): void | Promise<void> {
    if (this.#around.traces("expand")) {
      const ending = result.ok ? `${result.targets.length} envelopes` : `${result.code} ${result.text}`;
      logTrace(this.#around, "expand", `${formatMailbox(question.rcpt)}: ${ending}`);
    }
    return soon(asker.configured.authoriser.authorise(question, result, asker), (authorised) => {
      channel.send({ type: "expanded", call: question.call, result: authorised });
    });
  }

  #nameClient(channel: Answers, call: number, address: string): void {
    if (address === "local") {
      const hostname = this.#around.settings.shared.serverName;
      return this.#named(channel, call, address, { hostname, confirmed: "pass" });
    }
    if (this.#namings >= MAX_NAMINGS) return channel.send(nameless(call));
    this.#namings++;
    const bare = address.startsWith("[") ? address.slice(1, -1) : address;
    this.#namer.reverse(bare).then(
      (name) => this.#named(channel, call, bare, name),
      (error) => {
        this.#warn(`No name for the client ${bare}: ${error instanceof Error ? error.message : error}`);
        channel.send(nameless(call));
      },
    ).finally(() => this.#namings--);
  }

  #named(channel: Answers, call: number, address: string, name: ClientName): void {
    if (this.#around.traces("lookup")) {
      logTrace(this.#around, "lookup", `name of ${address}: ${name.hostname}, forward-confirmed: ${name.confirmed}`);
    }
    channel.send({ type: "client-name", call, ...name });
  }
}
