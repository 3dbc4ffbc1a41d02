/**
 * The end of a message on its way through the filters of its session: it is checked where that is configured, the programs are told what was
 * found, and then the filters have the last word. One per session; see session_filters.ts.
 */

import { formatMailAuth, type MailAuth, type MessageId } from "../../envelope/mod.ts";
import type { FilterEvent } from "../../protocol/mod.ts";
import type { Authentication } from "../message/authentication.ts";
import type { ChainDecision } from "./chain.ts";

/** What is called in the course of it. */
export interface CommitHooks {
  report(event: FilterEvent, params: string): void;
  /** Asks the filters; `done` is called once, unless the session ends before. */
  ask(mailAuth: MailAuth | null, done: (decision: ChainDecision) => void): void;
  /** Something was done for the session. */
  progress(): void;
}

/** What the filters have decided, and what the message was found to be. */
export type CommitDecision = (decision: ChainDecision, mailAuth: MailAuth | null) => void;

export class CommitPhase {
  readonly #hooks: CommitHooks;
  #authentication: Authentication | null = null;
  #checking = false;

  constructor(hooks: CommitHooks) {
    this.#hooks = hooks;
  }

  /** The message is being checked. */
  get checking(): boolean {
    return this.#checking;
  }

  /** A message begins; null for one that nothing authenticates. */
  begin(authentication: Authentication | null): void {
    this.#authentication = authentication;
  }

  /** The message is whole. `decided` is called once, unless `end` comes before. */
  decide(message: MessageId, decided: CommitDecision): void {
    const authentication = this.#authentication;
    if (authentication === null) return this.#ask(null, decided);
    this.#checking = true;
    authentication.mailAuth().then((mailAuth) => {
      if (this.#authentication !== authentication) return;
      this.#checking = false;
      if (mailAuth !== null) this.#hooks.report("mail-auth", `${message}|${formatMailAuth(mailAuth)}`);
      this.#ask(mailAuth, decided);
      this.#hooks.progress();
    });
  }

  #ask(mailAuth: MailAuth | null, decided: CommitDecision): void {
    this.#hooks.ask(mailAuth, (decision) => {
      if (decision.kind === "junk") this.#authentication?.markJunk();
      if (decision.kind === "refuse") this.#authentication?.decided("rejected");
      decided(decision, mailAuth);
    });
  }

  /** The transaction is over. */
  end(): void {
    this.#authentication = null;
    this.#checking = false;
  }
}
