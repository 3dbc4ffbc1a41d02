/**
 * What a signature says of the header section, RFC 6376 §3.7 and §5.4.2: the fields it names, in canonical form, as octets to hash. For DKIM
 * and for the fields of ARC that sign in the same way.
 */

import { Buffer } from "node:buffer";
import { type HeaderField, latin1 } from "../header_fields.ts";
import type { Canonicalization } from "./canonicalize_body.ts";

/** Returns a field in its canonical form with its CRLF, RFC 6376 §3.4.1 and §3.4.2. */
export function canonicalField(field: HeaderField, form: Canonicalization): Buffer {
  return Buffer.from(`${canonicalText(field.name, latin1(field.octets), { form, at: field.bodyStart })}\r\n`, "latin1");
}

/** The same for a field of one character per octet, whose value begins at `at`; without its last CRLF. */
function canonicalText(
  name: string,
  text: string,
  { form, at }: { readonly form: Canonicalization; readonly at: number },
): string {
  if (form === "simple") return (text.endsWith("\n") ? text.slice(0, -1) : text).replace(/\n/g, "\r\n");
  const value = text.slice(at).replace(/[ \t\n]{2,}|[\t\n]/g, " ");
  const start = value.startsWith(" ") ? 1 : 0;
  return `${name}:${value.slice(start, value.endsWith(" ") ? Math.max(start, value.length - 1) : value.length)}`;
}

/**
 * Returns a field that carries a signature in its canonical form, without its last CRLF and without the value of its tag `b=` with the blanks
 * around it: RFC 6376 §3.5 and §3.7.
 */
export function unsignedField(field: HeaderField, form: Canonicalization): Buffer {
  const text = latin1(field.octets);
  const specs = text.slice(field.bodyStart).split(";").map((spec) => spec.replace(/^([ \t\n]*b[ \t\n]*=)[^]*$/, "$1"));
  const stripped = text.slice(0, field.bodyStart) + specs.join(";");
  return Buffer.from(canonicalText(field.name, stripped, { form, at: field.bodyStart }), "latin1");
}

/** The fields of one message; a canonical form is made once, however many signatures want it. */
export class SignedHeader {
  readonly #fields = new Map<string, HeaderField[]>();
  readonly #forms: Readonly<Record<Canonicalization, Map<HeaderField, Buffer>>> = {
    simple: new Map(),
    relaxed: new Map(),
  };

  constructor(fields: readonly HeaderField[]) {
    for (const field of fields) {
      const same = this.#fields.get(field.name);
      if (same === undefined) this.#fields.set(field.name, [field]);
      else same.push(field);
    }
  }

  /** How many fields of that name, in lower case, the message has. */
  count(name: string): number {
    return this.#fields.get(name)?.length ?? 0;
  }

  /**
   * Returns the canonical octets of the fields that `names` (in lower case) selects, in that order: a name that comes again means the next field above, and
   * nothing when there is none (RFC 6376 §5.4.2).
   */
  select(names: readonly string[], form: Canonicalization): readonly Buffer[] {
    const left = new Map<string, number>();
    const forms = this.#forms[form];
    const selected: Buffer[] = [];
    for (const name of names) {
      const at = (left.get(name) ?? this.count(name)) - 1;
      const field = this.#fields.get(name)?.[at];
      if (field === undefined) continue;
      left.set(name, at);
      let octets = forms.get(field);
      if (octets === undefined) forms.set(field, octets = canonicalField(field, form));
      selected.push(octets);
    }
    return selected;
  }
}
