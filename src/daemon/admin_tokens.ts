/**
 * The tokens of the admin page, in a file of the state folder that root alone may read. It has hashes: who reads it cannot log in by it. Control asks for
 * each change, and goes by what is answered.
 */

import { systemReason } from "../events/mod.ts";
import type { AdminToken, ControlToMain, MainToControl } from "../protocol/mod.ts";
import { adminToken, MAX_ADMIN_TOKENS } from "../protocol/main.ts";
import { claimState, removeIfPresent } from "./claim.ts";
import { Fatal } from "./fatal.ts";

const FILE_MODE = 0o600;
const FORMAT = 1;

type TokenRequest = Extract<ControlToMain, { type: "admin-tokens" | "add-admin-token" | "remove-admin-token" }>;
type TokenAnswer = Pick<Extract<MainToControl, { type: "admin-tokens" }>, "tokens" | "error">;

/** What the file holds. */
interface Kept {
  readonly tokens: readonly AdminToken[];
  /** Why it cannot be used: then there are none, and it stays as it is. */
  readonly fault: string | null;
}

export class AdminTokens {
  readonly #folder: string;
  readonly #warn: (text: string) => void;
  #kept: Kept | null = null;
  /** The fault that was logged last. */
  #warned = "";

  /** `folder`: that of the state. `warn` writes a line into the log. */
  constructor(folder: string, warn: (text: string) => void) {
    this.#folder = folder;
    this.#warn = warn;
  }

  /** Does what is asked for. Returns the tokens that are kept then, and why it was not done. Never throws. */
  answer(request: TokenRequest): TokenAnswer {
    const { tokens, fault } = this.#read();
    if (request.type === "admin-tokens") return { tokens, error: fault };
    if (fault !== null) return { tokens, error: fault };
    if (request.type === "remove-admin-token") {
      const left = tokens.filter(({ name }) => name !== request.name);
      if (left.length === tokens.length) return { tokens, error: `there is no token "${request.name}"` };
      return this.#keep(left);
    }
    const { token } = request;
    if (tokens.some(({ name }) => name === token.name)) {
      return { tokens, error: `there is a token "${token.name}" already: revoke it first, or choose another name` };
    }
    if (tokens.length >= MAX_ADMIN_TOKENS) {
      return { tokens, error: `there are ${MAX_ADMIN_TOKENS} tokens, which is the most: revoke one first` };
    }
    return this.#keep([...tokens, token]);
  }

  /** Notes when a token was used. That it may get lost is no harm. */
  used({ name, at }: { readonly name: string; readonly at: number }): void {
    const { tokens, fault } = this.#read();
    if (fault !== null || !tokens.some((one) => one.name === name)) return;
    this.#keep(tokens.map((one) => one.name === name ? { ...one, usedAt: at } : one));
  }

  #keep(tokens: readonly AdminToken[]): TokenAnswer {
    const before = this.#read().tokens;
    try {
      this.#write(tokens);
    } catch (error) {
      const reason = error instanceof Fatal ? error.message : systemReason(error);
      this.#warn(`warn: tokens of the admin page cannot be written to ${this.#path}: ${reason}`);
      return { tokens: before, error: `cannot write ${this.#path}: ${reason}` };
    }
    this.#kept = { tokens, fault: null };
    return { tokens, error: null };
  }

  get #path(): string {
    return `${this.#folder}/admin-tokens.json`;
  }

  #write(tokens: readonly AdminToken[]): void {
    claimState(this.#folder);
    const next = `${this.#path}.new`;
    removeIfPresent(next);
    {
      using file = Deno.openSync(next, { write: true, createNew: true, mode: FILE_MODE });
      const octets = new TextEncoder().encode(`${JSON.stringify({ format: FORMAT, tokens }, null, 1)}\n`);
      for (let written = 0; written < octets.length;) written += file.writeSync(octets.subarray(written));
      file.syncSync();
    }
    Deno.renameSync(next, this.#path);
    using folder = Deno.openSync(this.#folder, { read: true });
    folder.syncSync();
  }

  #read(): Kept {
    if (this.#kept !== null) return this.#kept;
    const loaded = this.#load();
    // What is wrong may be mended meanwhile.
    if (loaded.fault === null) this.#kept = loaded;
    return loaded;
  }

  #load(): Kept {
    let text: string;
    try {
      text = Deno.readTextFileSync(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return { tokens: [], fault: null };
      return this.#unusable(systemReason(error));
    }
    try {
      const { format, tokens } = JSON.parse(text) as { readonly format: unknown; readonly tokens: unknown };
      if (format !== FORMAT) return this.#unusable("it is of another version");
      const whole = Array.isArray(tokens) && tokens.length <= MAX_ADMIN_TOKENS &&
        tokens.every((one) => adminToken(one) === null);
      return whole ? { tokens: tokens as AdminToken[], fault: null } : this.#unusable("it is damaged");
    } catch {
      return this.#unusable("it is damaged");
    }
  }

  /** Nobody gets in by what cannot be read. */
  #unusable(reason: string): Kept {
    const fault = `${this.#path} cannot be used, so that no token is good: ${reason}; move it away and make new tokens`;
    if (fault !== this.#warned) this.#warn(`warn: ${fault}`);
    this.#warned = fault;
    return { tokens: [], fault };
  }
}
