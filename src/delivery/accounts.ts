/** Accounts as the lookup isolate returns them, cached for a few seconds: mail to one user comes in bursts. */

import type { AccountResult, FromLookup, ToLookup } from "../protocol/mod.ts";
import { Caller, type Channel } from "../isolate/mod.ts";

const KEEP_MS = 5_000;
const MAX_KEPT_ACCOUNTS = 1_000;
const UNREACHABLE: AccountResult = { ok: false, temporary: true, text: "" };

export class Accounts {
  readonly #caller: Caller<ToLookup, FromLookup>;
  readonly #now: () => number;
  readonly #kept = new Map<string, { readonly result: AccountResult; readonly until: number }>();
  readonly #asked = new Map<string, Promise<AccountResult>>();

  constructor(channel: Channel<ToLookup, FromLookup>, now: () => number) {
    this.#caller = new Caller(channel);
    this.#now = now;
  }

  /** Returns the account that an action delivers to and as; at once when it is remembered. Never rejects: no answer is a temporary failure. */
  find(action: string, user: string): AccountResult | Promise<AccountResult> {
    const key = `${action}\0${user}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > this.#now()) return kept.result;
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    const answer = this.#ask(action, user, key).finally(() => this.#asked.delete(key));
    this.#asked.set(key, answer);
    return answer;
  }

  async #ask(action: string, user: string, key: string): Promise<AccountResult> {
    try {
      const { result } = await this.#caller.ask<"account">({ type: "account", action, user });
      // Only what was found is kept: an account that was just made should not have to wait.
      if (result.ok) this.#keep(key, result);
      return result;
    } catch {
      return UNREACHABLE;
    }
  }

  #keep(key: string, result: AccountResult): void {
    if (this.#kept.size >= MAX_KEPT_ACCOUNTS) this.#kept.clear();
    this.#kept.set(key, { result, until: this.#now() + KEEP_MS });
  }
}
