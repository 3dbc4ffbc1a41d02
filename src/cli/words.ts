/** Finds the command that abbreviated words mean, as `sh ro` means `show routes`. Knows no command itself. */

/** Words and parameters separated by blanks, as in "show queue <msgid>". */
export interface Command<T> {
  readonly pattern: string;
  /** Makes the value of the parameters, in order. */
  readonly make: (...parameters: string[]) => T;
}

export type Resolved<T> =
  | { readonly ok: true; readonly value: T }
  /** The commands that could have been meant; none when the first word is unknown. */
  | { readonly ok: false; readonly possibilities: readonly string[] };

const PARAMETERS: Readonly<Record<string, RegExp>> = {
  "<msgid>": /^(?!0{8})[0-9a-fA-F]{8}$/,
  "<evpid>": /^(?!0{8})[0-9a-fA-F]{16}$/,
  "<domain>": /^[^\s@/]{1,255}$/,
  // What could be an id is one: `./` before it makes it a folder.
  "<folder>": /^(?!(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{16})$)[^]+$/,
  "<keyfile>": /^[^]+$/,
  "<routeid>": /^\d{1,15}$/,
  "<str>": /^[^]+$/,
};

/** Each word may be cut to a prefix that only one command has at its place; a whole word wins over a prefix. Options are never cut. */
export function resolveCommand<T>(commands: readonly Command<T>[], args: readonly string[]): Resolved<T> {
  let left = commands.map((command) => ({ command, tokens: command.pattern.split(" ") }));
  for (const [place, arg] of args.entries()) {
    const exact = left.filter(({ tokens }) => tokens[place] === arg);
    const meant = exact.length > 0 ? exact : left.filter(({ tokens }) => matches(tokens[place], arg));
    const words = new Set(meant.map(({ tokens }) => tokens[place]));
    if (meant.length === 0) return { ok: false, possibilities: place === 0 ? [] : patterns(left) };
    if (words.size > 1) return { ok: false, possibilities: patterns(meant) };
    left = meant;
  }
  const found = left.find(({ tokens }) => tokens.length === args.length);
  if (found === undefined) return { ok: false, possibilities: patterns(left) };
  const parameters = args.filter((_, place) => found.tokens[place]! in PARAMETERS);
  return { ok: true, value: found.command.make(...parameters) };
}

function matches(token: string | undefined, arg: string): boolean {
  if (token === undefined || arg === "") return false;
  const parameter = PARAMETERS[token];
  return parameter === undefined ? token.startsWith(arg) && !token.startsWith("-") : parameter.test(arg);
}

function patterns(list: readonly { readonly command: { readonly pattern: string } }[]): string[] {
  return list.map(({ command }) => command.pattern);
}
