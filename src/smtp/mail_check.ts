/**
 * Checks what a listener with `mail-auth` receives: the authenticator that gives a message to src/mail_auth as it streams, puts our
 * Authentication-Results in front of it, and tells sessions, filters and rules what was found.
 */

import { formatMailbox, type MailAuth } from "../envelope/mod.ts";
import { authenticationResults } from "../mail_auth/authentication_results.ts";
import { MessageCheck, shownVerdict, summaryOf, type Verdict } from "../mail_auth/check.ts";
import type { Dns, DnsAnswer } from "../mail_auth/dns.ts";
import type { LookupClient } from "./lookup_client.ts";
import type { Authenticated, Authenticator, AuthenticatorSource } from "./message/authentication.ts";
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
  /** Calls `run` once after `ms` milliseconds, unless what is returned is called before. */
  after(ms: number, run: () => void): () => void;
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
  #verdict: Promise<Verdict> | null = null;
  #junk = false;

  constructor(session: Session, facts: ConnectionFacts, dns: Dns, deps: MailCheckDeps) {
    this.#facts = facts;
    this.#deps = deps;
    const sender = session.transaction!.sender;
    const trusted = facts.mailAuth?.trusted ?? null;
    this.#check = new MessageCheck({
      client: facts.address.replace(/^\[|\]$/g, ""),
      helo: session.origin!.helo,
      sender: sender === null ? "" : formatMailbox(sender),
      receiver: facts.hostname,
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

  markJunk(): void {
    this.#junk = true;
  }

  async finish(): Promise<Authenticated> {
    const verdict = await this.#finished();
    const text = authenticationResults(this.#facts.hostname, shownVerdict(verdict));
    return { kind: "fields", fields: new TextEncoder().encode(this.#junk ? `${text}X-Spam: Yes\n` : text) };
  }

  #finished(): Promise<Verdict> {
    return this.#verdict ??= this.#judge();
  }

  async #judge(): Promise<Verdict> {
    const cancel = this.#deps.after(MAX_WAIT_MS, () => this.#check.expire());
    try {
      return await this.#check.finish();
    } finally {
      cancel();
    }
  }
}

/** The DNS as lookup answers for it. */
function lookupDns(lookup: Pick<LookupClient, "dns">): Dns {
  const ask = (kind: Parameters<LookupClient["dns"]>[0], name: string) =>
    new Promise<DnsAnswer<string>>((resolve) => lookup.dns(kind, name, resolve));
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
