/**
 * Who may log in: finds the hash of a user's password and has it compared, by the login isolate or by main. Says only ok, permfail or
 * tempfail, and of a SCRAM verifier its salt; a user who does not exist takes as long as a wrong password. No password and no hash is logged
 * or kept.
 */

import type { AuthResult, Challenge, FromLogin, PasswordCheck, ToLogin } from "../protocol/mod.ts";
import { Caller, type Isolate } from "../isolate/mod.ts";
import { tableKey } from "../config/tablefile.ts";
import { fakeSalt, nobodysVerifier, parseVerifier, readStored, type ScramShape, verifierIn } from "../sasl/mod.ts";
import { LookupError } from "../tables/mod.ts";
import type { MainClient } from "./main_client.ts";
import type { Lookups } from "./lookup_engine.ts";

export interface Login {
  /** Null for the accounts of the system. */
  readonly table: string | null;
  readonly user: string;
  readonly password: string;
}

/** The proof of a SCRAM exchange, as protocol/lookup.ts has it. */
export interface Proof {
  readonly table: string;
  readonly user: string;
  readonly message: string;
  readonly proof: string;
}

export interface Proved {
  readonly result: AuthResult;
  readonly signature: string;
}

type Known = Pick<Lookups, "authenticate" | "passwordOf" | "somePassword" | "scramOf">;

/** Logins that wait for an answer; more are temporary failures. */
const MAX_WAITING_LOGINS = 1000;
const MAX_USER_CHARS = 255, MAX_PASSWORD_CHARS = 1023, MAX_MESSAGE_CHARS = 4096;
/** What is compared for a user who does not exist when the table has no hash to take for a pattern. */
export const NOBODYS = "$2b$10$qNp6gRmDk0yvLZ1SxWbAeusPtoPzO8/nGl0FQPbM3IGZ176ho1G9W";
/** Schemes of the login isolate; the others are of the C library. */
const OURS = /^(?:(?:\$(?:[56]|2[aby]|argon2id?)|SCRAM-SHA-256)\$|\{PLAIN\})/;
export const REFUSED: Proved = { result: "permfail", signature: "" };
const FAILED: Proved = { result: "tempfail", signature: "" };

export class Logins {
  readonly #lookups: Known;
  readonly #main: Pick<MainClient, "login" | "crypt"> | null;
  readonly #warn: (text: string) => void;
  readonly #allowed: ReadonlySet<string | null>;
  readonly #login: Caller<ToLogin, FromLogin> | null;
  readonly #saltKey: Uint8Array;
  /** For each table the hash that was found last: what a hash of it costs. */
  readonly #patterns = new Map<string, string>();
  #waiting = 0;

  /** `main`: asks main, for system accounts and for crypt(3). `login` returns what asks the login isolate; there is one for all that share the door. */
  constructor(
    isolate: Pick<Isolate<"lookup">, "settings" | "ask">,
    lookups: Known,
    main: Pick<MainClient, "login" | "crypt"> | null,
    warn: (text: string) => void,
    login: () => Caller<ToLogin, FromLogin> = () => new Caller(isolate.ask("lookup-login")),
  ) {
    this.#lookups = lookups;
    this.#main = main;
    this.#warn = warn;
    this.#allowed = new Set(isolate.settings.authTables);
    this.#saltKey = isolate.settings.saltKey;
    this.#login = this.#allowed.size === 0 ? null : login();
  }

  async authenticate({ table, user, password }: Login): Promise<AuthResult> {
    if (!this.#allowed.has(table) || !isText(user, MAX_USER_CHARS) || !isText(password, MAX_PASSWORD_CHARS)) {
      return "tempfail";
    }
    if (this.#waiting >= MAX_WAITING_LOGINS) return "tempfail";
    this.#waiting++;
    try {
      return table === null ? await this.#system(user, password) : await this.#byTable(table, user, password);
    } finally {
      this.#waiting--;
    }
  }

  /** Can every user of the listener's table log in by SCRAM? False where the entries of the table cannot be listed. */
  offersScram(table: string | null): boolean {
    return table !== null && this.#allowed.has(table) && this.#lookups.scramOf(table) !== null;
  }

  /** What a client needs for its proof. A user who does not exist has a salt too, always the same. Null: it cannot be determined now. */
  async challenge(table: string, user: string): Promise<Challenge | null> {
    const shape = this.#shapeOf(table, user);
    if (shape === null) return null;
    const found = await this.#verifierOf(table, user, shape);
    if (found === null) return null;
    const verifier = parseVerifier(found.text);
    if (verifier === null) this.#warnOf(table, user);
    return verifier === null ? null : { salt: verifier.salt, iterations: verifier.iterations };
  }

  /** Does the proof show that the client has the user's password? */
  async prove({ table, user, message, proof }: Proof): Promise<Proved> {
    const shape = this.#shapeOf(table, user);
    if (shape === null || !isText(message, MAX_MESSAGE_CHARS) || !isText(proof, MAX_USER_CHARS)) return FAILED;
    if (this.#waiting >= MAX_WAITING_LOGINS) return FAILED;
    this.#waiting++;
    try {
      const found = await this.#verifierOf(table, user, shape);
      if (found === null) return FAILED;
      const { result, signature } = await this.#login!.ask<"proved">(
        { type: "prove", verifier: found.text, message, proof },
      );
      if (result === "unknown") this.#warnOf(table, user);
      if (result === "unknown") return FAILED;
      return result === "match" && found.exists ? { result: "ok", signature } : REFUSED;
    } catch {
      // The login isolate was replaced.
      return FAILED;
    } finally {
      this.#waiting--;
    }
  }

  #shapeOf(table: string, user: string): ScramShape | null {
    if (!this.#allowed.has(table) || typeof table !== "string" || !isText(user, MAX_USER_CHARS)) return null;
    return this.#lookups.scramOf(table);
  }

  /** The user's verifier, or one whose password is not known to anybody. Null when the table cannot be read. */
  async #verifierOf(table: string, user: string, shape: ScramShape): Promise<{ text: string; exists: boolean } | null> {
    const found = await this.#lookups.passwordOf(table, user);
    if (found instanceof LookupError) {
      this.#warn(`Credentials in table "${table}": ${found.reason}`);
      return null;
    }
    const text = found === null ? null : verifierIn(found);
    if (text !== null) return { text, exists: true };
    const salt = fakeSalt(this.#saltKey, `${table}\0${tableKey(user)}`, shape.saltBytes);
    return { text: nobodysVerifier(salt, shape.iterations), exists: false };
  }

  #warnOf(table: string, user: string): void {
    this.#warn(`Credentials in table "${table}": the hash of "${user}" cannot be verified`);
  }

  async #system(user: string, password: string): Promise<AuthResult> {
    const check = await this.#main?.login(user, password) ?? "unknown";
    if (check === "unknown") this.#warn("Accounts of the system cannot be verified: that needs root and libcrypt");
    return resultOf(check);
  }

  async #byTable(table: string, user: string, password: string): Promise<AuthResult> {
    const known = await this.#lookups.authenticate(table, user, password);
    if (typeof known === "boolean") return known ? "ok" : "permfail";
    const found = known ?? await this.#lookups.passwordOf(table, user);
    if (found instanceof LookupError) {
      this.#warn(`Credentials in table "${table}": ${found.reason}`);
      return "tempfail";
    }
    if (found === null) {
      await this.#verify(this.#patternOf(table), password);
      return "permfail";
    }
    const hash = hashIn(found);
    if (readStored(found).kind === "locked") {
      await this.#verify(this.#patternOf(table), password);
      return "permfail";
    }
    if (hash !== null) this.#patterns.set(table, hash);
    const check = hash === null ? "unknown" : await this.#verify(hash, password);
    if (check === "unknown") this.#warnOf(table, user);
    return resultOf(check);
  }

  #patternOf(table: string): string {
    const known = this.#patterns.get(table);
    if (known !== undefined) return known;
    const some = this.#lookups.somePassword(table);
    return some === null ? NOBODYS : hashIn(some) ?? NOBODYS;
  }

  async #verify(hash: string, password: string): Promise<PasswordCheck> {
    try {
      if (!OURS.test(hash)) return await this.#main?.crypt(hash, password) ?? "unknown";
      return (await this.#login!.ask<"verified">({ type: "verify", hash, password })).result;
    } catch {
      // The login isolate was replaced.
      return "unknown";
    }
  }
}

/** What a password is compared with; null when the value of the table holds nothing of the kind. */
function hashIn(value: string): string | null {
  const stored = readStored(value);
  return stored.kind === "hash" || stored.kind === "clear" ? stored.hash : null;
}

function resultOf(check: PasswordCheck): AuthResult {
  return check === "match" ? "ok" : check === "mismatch" ? "permfail" : "tempfail";
}

function isText(value: unknown, limit: number): value is string {
  return typeof value === "string" && value !== "" && value.length <= limit;
}
