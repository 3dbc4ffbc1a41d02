/** The tokens of the admin page as control knows them: main keeps them, and every change goes there first. */

import type { AdminToken } from "../protocol/mod.ts";
import { MAX_ADMIN_TOKENS } from "../protocol/main.ts";
import type { Clock } from "../clock.ts";
import type { MainCaller } from "./main_caller.ts";

/** That a token was used is kept so often, in ms. */
const USED_EVERY_MS = 60_000;

export class AdminTokens {
  readonly #main: MainCaller;
  readonly #clock: Pick<Clock, "now">;
  #tokens: readonly AdminToken[] | null = null;
  /** When they were used last; main knows it some time later. */
  readonly #usedAt = new Map<string, number>();

  constructor(main: MainCaller, clock: Pick<Clock, "now">) {
    this.#main = main;
    this.#clock = clock;
  }

  /** Those that are kept now, the expired ones included. Rejects while main cannot be asked. */
  async list(): Promise<readonly AdminToken[]> {
    return (await this.state()).tokens;
  }

  /** The same, and why they cannot be read, if so: then there are none. */
  async state(): Promise<{ readonly tokens: readonly AdminToken[]; readonly error: string | null }> {
    if (this.#tokens !== null) return { tokens: this.#withUse(this.#tokens), error: null };
    const { tokens, error } = await this.#main.ask<"admin-tokens">({ type: "admin-tokens" });
    if (error === null) this.#tokens = tokens;
    return { tokens: this.#withUse(tokens), error };
  }

  #withUse(tokens: readonly AdminToken[]): readonly AdminToken[] {
    return tokens.map((token) => ({ ...token, usedAt: this.#usedAt.get(token.name) ?? token.usedAt }));
  }

  /** Has another one kept; without a name it gets one. Returns its name, or why it is not kept. */
  async add(
    { name, ...token }: Pick<AdminToken, "scope" | "hash" | "expiresAt"> & { readonly name: string | null },
  ): Promise<{ readonly name: string } | { readonly error: string }> {
    const chosen = name ?? freeName(await this.list());
    const added: AdminToken = { name: chosen, ...token, createdAt: this.#clock.now(), usedAt: null };
    const { tokens, error } = await this.#main.ask<"admin-tokens">({ type: "add-admin-token", token: added });
    this.#tokens = error === null ? tokens : null;
    return error === null ? { name: chosen } : { error };
  }

  /** Has one forgotten: nobody gets in by it from now on. Returns why not, or null. */
  async remove(name: string): Promise<string | null> {
    const { tokens, error } = await this.#main.ask<"admin-tokens">({ type: "remove-admin-token", name });
    this.#tokens = error === null ? tokens : null;
    this.#usedAt.delete(name);
    return error;
  }

  /** It was used just now. */
  used(name: string): void {
    const now = this.#clock.now(), last = this.#usedAt.get(name) ?? 0;
    if (now >= last && now - last < USED_EVERY_MS) return;
    this.#usedAt.set(name, now);
    this.#main.send({ type: "admin-token-used", name, at: now });
  }
}

function freeName(tokens: readonly AdminToken[]): string {
  const taken = new Set(tokens.map(({ name }) => name));
  let number = 1;
  while (number <= MAX_ADMIN_TOKENS && taken.has(`token-${number}`)) number++;
  return `token-${number}`;
}
