/** Rules on parameter lists: what a call says must be readable without the declaration. Knows types by their words alone; see text.ts. */

import { code, lineOf, type Source } from "./text.ts";

/**
 * Two numbers that may stand side by side, by their names: the usual form of what reads octets in place, where an object for each call would cost
 * more than the call, and of what asks for no order.
 */
const NUMBER_PAIRS: readonly (readonly [string, string])[] = [
  // A span of octets or characters: from a place to behind the last, or so many from a place on.
  ["start", "end"],
  ["start", "length"],
  ["offset", "length"],
  ["at", "length"],
  // A span that ends before the octet of this name.
  ["start", "colon"],
  ["start", "newline"],
  // The key and the value of a line of a table file, which may have millions.
  ["keyStart", "keyEnd"],
  ["keyEnd", "valueStart"],
  ["valueStart", "valueEnd"],
  // A place in a plane.
  ["x", "y"],
  // Two of the same kind, and none is the first: the sum of them, or which is greater.
  ["one", "other"],
];

const PARAMETER =
  /^(?:(?:public|private|protected|readonly|override)\s+)*([\w$]+)(?:\?? *:\s*([^=]+?))?(?:\s*=\s*([^]+))?$/;

interface Parameter {
  readonly name: string;
  readonly type: "boolean" | "number" | null;
}

/** Complaints about the parameter lists of functions, methods, constructors and function types; one line each. */
export function checkParameters(sources: readonly Source[]): string[] {
  return sources.flatMap(({ file, text }) => {
    const complaints: string[] = [];
    for (const { index, parameters } of parameterLists(code(text))) {
      const where = `${file}:${lineOf(text, index)}:`;
      const flag = parameters.find(({ type }) => type === "boolean");
      // A setter, a predicate on truth or an answer has nothing else to be confused with.
      if (flag !== undefined && parameters.length > 1) {
        complaints.push(
          `${where} "${flag.name}" is a boolean by position: take { ${flag.name} }, a literal such as "${flag.name}", or make two functions`,
        );
      }
      parameters.slice(1).forEach((second, at) => {
        const first = parameters[at]!;
        if (first.type !== "number" || second.type !== "number") return;
        if (NUMBER_PAIRS.some(([one, other]) => one === first.name && other === second.name)) return;
        complaints.push(
          `${where} "${first.name}" and "${second.name}" are bare numbers side by side: take { ${first.name}, ${second.name} }, or brand one`,
        );
      });
    }
    return complaints;
  });
}

/** What stands between round brackets, where that may be a parameter list. */
function* parameterLists(
  text: string,
): Generator<{ readonly index: number; readonly parameters: readonly Parameter[] }> {
  for (const { index } of text.matchAll(/\(/g)) {
    const parameters: Parameter[] = [];
    for (const part of split(text, index + 1)) {
      const [, name, type, value] = PARAMETER.exec(part.trim()) ?? [];
      parameters.push({ name: name ?? "", type: typeOf(type, value) });
    }
    yield { index, parameters };
  }
}

/** The parts between the commas from `at` to the bracket that closes, which stand in no other brackets. */
function split(text: string, at: number): string[] {
  const parts: string[] = [];
  let depth = 0, start = at;
  for (; at < text.length; at++) {
    const octet = text[at]!;
    if ("([{".includes(octet)) depth++;
    else if (")]}".includes(octet) && depth-- === 0) break;
    else if (octet === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  const last = text.slice(start, at);
  // A comma may stand behind the last one.
  return last.trim() === "" ? parts : [...parts, last];
}

/** By what is declared, else by a literal that it is when nothing is given; of numbers also by a length. */
function typeOf(type: string | undefined, value: string | undefined): Parameter["type"] {
  if (type === undefined && value === undefined) return null;
  const words = type?.split("|").map((word) => word.trim()).filter((word) => word !== "null" && word !== "undefined");
  const is = (name: "boolean" | "number", literal: RegExp) =>
    words === undefined ? literal.test(value!) : words.length === 1 && words[0] === name;
  if (is("boolean", /^(?:true|false)$/)) return "boolean";
  return is("number", /^(?:-?\d[\w.]*|Infinity|Number\.\w+|[\w.]+\.length)$/) ? "number" : null;
}
