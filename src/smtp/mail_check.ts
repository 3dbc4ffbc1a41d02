/**
 * Checks what a listener with `mail-auth` receives: the authenticator that gives a message to src/mail_auth as it streams, puts our
 * Authentication-Results in front of it, and tells sessions, filters and rules what was found.
 */

import { formatMailbox, type MailAuth } from "../envelope/mod.ts";
import { authenticationResults } from "../mail_auth/authentication_results.ts";
import { MessageCheck, type MessageCheckOptions, shownVerdict, summaryOf, type Verdict } from "../mail_auth/check.ts";
import type { Dns, DnsAnswer } from "../mail_auth/dns.ts";
import type { LookupClient } from "./lookup_client.ts";
import type { Authenticated, Authenticator, AuthenticatorSource, Disposition } from "./message/authentication.ts";
import type { ConnectionFacts, Session } from "./session/state.ts";

/** How long the checks of a message may go on behind its end, in milliseconds: what is not known then is a temporary error. */
const MAX_WAIT_MS = 10_000;

/** Of a message whose checks are broken: `finish` refuses it for now. */
const UNKNOWN: MailAuth = { spf: "temperror", dkim: "temperror", arc: "none", dmarc: "temperror" };

/** What the checks need of their isolate. */
export interface MailCheckDeps {
  readonly lookup: Pick<LookupClient, "dns" | "test">;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Is called with what was found about a message, in the turn in which it is given to the queue or refused. */
  decided?(checked: CheckedSession): void;
  /** Calls `run` once after `ms` milliseconds, unless what is returned is called before. */
  after(ms: number, run: () => void): () => void;
}

/** What became of a message that was checked. */
export interface CheckedSession {
  readonly verdict: Verdict;
  readonly disposition: "accepted" | "junked" | "rejected";
  /** Address of the client, without brackets. */
  readonly client: string;
  /** In its data or queue phase. */
  readonly session: Session;
}

/** True where what the session sends is checked: not what users who have logged in submit, nor what comes through the local socket. */
export function isChecked(session: Session, { mailAuth, socket }: ConnectionFacts): boolean {
  return mailAuth !== null && !socket && session.username === "";
}

/** Returns what checks the messages of sessions for which `isChecked`. */
export function mailChecks(deps: MailCheckDeps): AuthenticatorSource {
  const dns = lookupDns(deps.lookup);
  return (_message, session, facts) => isChecked(session, facts) ? new MailCheck(session, facts, dns, deps) : null;
}

class MailCheck implements Authenticator {
  readonly sees = "received";
  readonly #check: MessageCheck;
  readonly #facts: ConnectionFacts;
  readonly #deps: MailCheckDeps;
  readonly #session: Session;
  readonly #client: string;
  #judging: Promise<Verdict> | null = null;
  #verdict: Verdict | null = null;
  #junk = false;

  constructor(session: Session, facts: ConnectionFacts, dns: Dns, deps: MailCheckDeps) {
    this.#facts = facts;
    this.#deps = deps;
    this.#session = session;
    this.#client = facts.address.replace(/^\[|\]$/g, "");
    const trusted = facts.mailAuth?.trusted ?? null;
    this.#check = new MessageCheck({
      ...checkedBy(session, facts),
      dns,
      now: deps.now(),
      trusts: trusted === null ? null : (key) =>
        new Promise((resolve) => {
          const question = { table: trusted, service: "domain", key } as const;
          deps.lookup.test(question, resolve, () => resolve(null));
        }),
    });
  }

  header(block: Uint8Array | null): void {
    this.#check.header(block);
  }

  body(octets: Uint8Array): void {
    this.#check.body(octets);
  }

  async mailAuth(): Promise<MailAuth> {
    try {
      return summaryOf(await this.#finished());
    } catch {
      return UNKNOWN;
    }
  }

  decided(disposition: Disposition): void {
    const verdict = this.#verdict;
    if (verdict === null) return;
    const what = disposition === "accepted" && this.#junk ? "junked" : disposition;
    this.#deps.decided?.({ verdict, disposition: what, client: this.#client, session: this.#session });
  }

  markJunk(): void {
    this.#junk = true;
  }

  async finish(): Promise<Authenticated> {
    const verdict = await this.#finished();
    return {
      kind: "fields",
      fields: new TextEncoder().encode(resultFields(this.#facts, verdict, { junk: this.#junk })),
    };
  }

  #finished(): Promise<Verdict> {
    return this.#judging ??= this.#judge();
  }

  async #judge(): Promise<Verdict> {
    const cancel = this.#deps.after(MAX_WAIT_MS, () => this.#check.expire());
    try {
      return this.#verdict = await this.#check.finish();
    } finally {
      cancel();
    }
  }
}

/** Returns what the checks of a message go by, of the session that brings it: the client, what it calls itself, the sender, and who receives it. */
export function checkedBy(
  { origin, transaction }: Session,
  { address, hostname }: Pick<ConnectionFacts, "address" | "hostname">,
): Pick<MessageCheckOptions, "client" | "helo" | "sender" | "receiver"> {
  const sender = transaction!.sender;
  return {
    client: address.replace(/^\[|\]$/g, ""),
    helo: origin!.helo,
    sender: sender === null ? "" : formatMailbox(sender),
    receiver: hostname,
  };
}

/** Returns the header fields that a checked message gets, each line with its LF. `junk`: a filter has found it to be junk. */
export function resultFields(
  { hostname }: Pick<ConnectionFacts, "hostname">,
  verdict: Verdict,
  { junk }: { readonly junk: boolean },
): string {
  const text = authenticationResults(hostname, shownVerdict(verdict));
  return junk ? `${text}X-Spam: Yes\n` : text;
}

/** The DNS as lookup answers for it. */
function lookupDns(lookup: Pick<LookupClient, "dns">): Dns {
  return dnsBy((kind, name) => new Promise((resolve) => lookup.dns(kind, name, resolve)));
}

/** Returns a Dns over a function that answers questions as text, as the door of lookup has them. */
export function dnsBy(
  ask: (kind: Parameters<LookupClient["dns"]>[0], name: string) => Promise<DnsAnswer<string>>,
): Dns {
  return {
    txt: (name) => ask("txt", name),
    addresses: (name, family) => ask(family === 4 ? "a" : "aaaa", name),
    names: (address) => ask("ptr", address),
    async mx(name) {
      const answer = await ask("mx", name);
      if (answer.kind !== "records") return answer;
      const records = answer.records.map((text) => {
        const [preference, host = ""] = text.split(" ");
        return { preference: Number(preference), host };
      });
      return { kind: "records", records };
    },
  };
}
