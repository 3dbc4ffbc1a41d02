/** Macros of smtpd.conf: `name = value` and `-D name=value`. Expansion is the lexer's work. */

import type { SourceLine } from "../config/mod.ts";

interface Macro {
  readonly value: string;
  /** Given on the command line: wins over the file. */
  readonly persistent: boolean;
  used: boolean;
}

/** The macros known so far while a file is read from top to bottom. */
export class Macros {
  readonly #macros = new Map<string, Macro>();
  readonly #broken = new Set<string>();
  /** Where each was defined last. */
  readonly #places = new Map<string, SourceLine>();

  constructor(defines: ReadonlyArray<readonly [string, string]>) {
    for (const [name, value] of defines) this.#macros.set(name, { value, persistent: true, used: false });
  }

  /** Remembers a name whose definition was reported as wrong: its uses are then not mistakes too. */
  defineBroken(name: string): void {
    if (!this.#macros.has(name)) this.#broken.add(name);
  }

  isBroken(name: string): boolean {
    return this.#broken.has(name) && !this.#macros.has(name);
  }

  /** The value, and the macro counts as used; undefined when there is none. */
  use(name: string): string | undefined {
    const macro = this.#macros.get(name);
    if (macro === undefined) return undefined;
    macro.used = true;
    return macro.value;
  }

  /** Defines or replaces; a macro of the command line stays as it is. */
  define(name: string, value: string, at: SourceLine): void {
    this.#places.set(name, at);
    const known = this.#macros.get(name);
    if (known?.persistent) return;
    this.#macros.set(name, { value, persistent: false, used: known?.used ?? false });
  }

  placeOf(name: string): SourceLine | undefined {
    return this.#places.get(name);
  }

  names(): Iterable<string> {
    return this.#macros.keys();
  }

  /** Those that were never used, with the place of the definition; null for one of the command line. */
  unused(): { readonly name: string; readonly at: SourceLine | null }[] {
    return [...this.#macros].filter(([, macro]) => !macro.used).map(([name, { persistent }]) => {
      return { name, at: persistent ? null : this.#places.get(name) ?? null };
    });
  }
}

/** Splits the argument of `-D` at its last `=`, as OpenSMTPD does; null when there is none or the name is no macro name. */
export function splitDefine(argument: string): readonly [string, string] | null {
  const at = argument.lastIndexOf("=");
  if (at <= 0) return null;
  const name = argument.slice(0, at);
  return /\s/.test(name) ? null : [name, argument.slice(at + 1)];
}
