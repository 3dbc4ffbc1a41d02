/** getopt(3): one-letter options in front of the operands, which may share a word. Pure. */

export type Options =
  | {
    readonly ok: true;
    /** Value of each option, "" for one without argument; of an option given twice the last. */
    readonly given: ReadonlyMap<string, string>;
    /** Every option as it was given. */
    readonly list: ReadonlyArray<readonly [letter: string, value: string]>;
    readonly operands: readonly string[];
  }
  | { readonly ok: false; readonly text: string };

/** `plain` letters take no argument, those of `valued` take one, those of `optional` only in the same word. */
export function getopt(args: readonly string[], plain: string, valued: string, optional = ""): Options {
  const list: [string, string][] = [];
  const done = (operands: readonly string[]): Options => ({ ok: true, given: new Map(list), list, operands });
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") return done(args.slice(at + 1));
    if (!arg.startsWith("-") || arg === "-") return done(args.slice(at));
    for (let place = 1; place < arg.length; place++) {
      const letter = arg[place]!;
      if (plain.includes(letter)) {
        list.push([letter, ""]);
        continue;
      }
      const rest = arg.slice(place + 1);
      if (optional.includes(letter)) {
        list.push([letter, rest]);
        break;
      }
      if (!valued.includes(letter)) return { ok: false, text: `unknown option -- ${letter}` };
      if (rest === "" && at + 1 === args.length) return { ok: false, text: `option requires an argument -- ${letter}` };
      list.push([letter, rest === "" ? args[++at]! : rest]);
      break;
    }
  }
  return done([]);
}
