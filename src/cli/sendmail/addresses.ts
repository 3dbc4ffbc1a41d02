/** Addresses in header fields and on command lines, RFC 5322 §3.4, taken as people write them. Pure; whether an address is deliverable is decided by the server. */

/** An ambiguous list of addresses. The message says what is wrong with it, for the person who wrote it. */
export class AddressListError extends Error {
  override readonly name = "AddressListError";
}

/**
 * The addresses of a list without names, comments and groups: `local@domain`, or `local` alone. Quoted local parts keep their quotes. Throws
 * AddressListError for a list that would lose a recipient, or give the mail to one whom its writer has not named.
 */
export function parseAddressList(text: string): string[] {
  const { addresses, fault } = readAddressList(text);
  if (fault !== null) throw new AddressListError(fault);
  return addresses;
}

/** The same with what is wrong, null for nothing: the addresses are those in front of it. */
export function readAddressList(text: string): { readonly addresses: string[]; readonly fault: string | null } {
  const reader = new ListReader();
  for (let at = 0; at < text.length && reader.fault === null; at++) {
    // A quoted pair is one thing, whatever its second character means elsewhere.
    if (text[at] === "\\" && at + 1 < text.length) reader.take(text.slice(at, ++at + 1));
    else reader.take(text[at]!);
  }
  reader.close();
  return { addresses: reader.found, fault: reader.fault };
}

class ListReader {
  readonly found: string[] = [];
  fault: string | null = null;
  /** What stands outside of angle brackets; once they are closed, what stands behind them. */
  #plain = "";
  /** What stands in angle brackets; null before there are any. */
  #angle: string | null = null;
  #inAngle = false;
  #inQuotes = false;
  #comments = 0;

  take(character: string): void {
    if (this.#comments > 0) {
      if (character === "(") this.#comments++;
      if (character === ")") this.#comments--;
      return;
    }
    if (character === '"') this.#inQuotes = !this.#inQuotes;
    if (this.#inQuotes || character === '"') return this.#add(character);
    if (character === "(") this.#comments++;
    else if (character === "<") this.#open();
    else if (character === ">") {
      this.#inAngle = false;
      this.#plain = "";
    } else if (this.#inAngle) this.#add(character);
    else if (character === "," || character === ";") this.#end();
    else if (character === ":") this.#colon();
    else this.#add(character);
  }

  /** The text ends here. */
  close(): void {
    if (this.fault === null && this.#inQuotes) this.fault = "a quote is not closed";
    if (this.fault === null && this.#comments > 0) this.fault = "a comment is not closed: ) is missing";
    if (this.fault === null) this.#end();
  }

  #open(): void {
    if (this.#angle !== null) return this.#together();
    this.#inAngle = true;
    this.#angle = "";
  }

  /**
   * The name of a group ends, RFC 5322 §3.4. It is a phrase, which has no @ and no angle brackets: what has them is an address, and behind it
   * stands something that is no part of the list.
   */
  #colon(): void {
    const bare = unquoted(this.#plain);
    const inLiteral = bare.lastIndexOf("[") > bare.lastIndexOf("]");
    // A source route, RFC 5321 §4.1.2, is left out with the rest of the address's decoration.
    if (inLiteral || /^\s*@\S*$/.test(bare)) return this.#add(":");
    if (this.#angle === null && !bare.includes("@")) this.#plain = "";
    else {
      const name = tidy(this.#angle === null ? this.#plain : `<${this.#angle}>${this.#plain}`);
      this.fault = `${JSON.stringify(name)} is not the name of a group, which the colon behind it makes of it`;
    }
  }

  /** One address is complete. */
  #end(): void {
    if (this.#angle !== null && unquoted(this.#plain).includes("@")) return this.#together();
    const address = tidy(this.#angle ?? this.#plain);
    if (address !== "") this.found.push(address);
    this.#plain = "";
    this.#angle = null;
    this.#inAngle = false;
  }

  #together(): void {
    this.fault = `there is no comma between <${this.#angle}> and the address behind it`;
  }

  #add(character: string): void {
    if (this.#inAngle) this.#angle += character;
    else this.#plain += character;
  }
}

/** Without what stands in quotes. */
function unquoted(text: string): string {
  return text.replace(/"(?:\\.|[^"\\])*"/g, '""');
}

/** Without blanks around its parts (RFC 5322 §4.4 allows them), and without a source route (RFC 5321 §4.1.2: it is ignored). */
function tidy(address: string): string {
  const route = address.replace(/^\s*@[^:]*:/, "");
  return route.trim().replace(/\s*([@.])\s*(?=[^"]*$)/g, "$1");
}
