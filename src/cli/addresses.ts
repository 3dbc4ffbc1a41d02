/** Addresses in header fields and on command lines, RFC 5322 §3.4, taken as people write them. Pure; what is deliverable the server says. */

/** The addresses of a list without names, comments and groups: `local@domain`, or `local` alone. Quoted local parts keep their quotes. */
export function parseAddressList(text: string): string[] {
  const reader = new ListReader();
  for (let at = 0; at < text.length; at++) {
    // A quoted pair is one thing, whatever its second character means elsewhere.
    if (text[at] === "\\" && at + 1 < text.length) reader.take(text.slice(at, ++at + 1));
    else reader.take(text[at]!);
  }
  reader.end();
  return reader.found;
}

class ListReader {
  readonly found: string[] = [];
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
    else if (character === "<") {
      this.#inAngle = true;
      this.#angle = "";
    } else if (character === ">") this.#inAngle = false;
    else if (this.#inAngle) this.#add(character);
    else if (character === "," || character === ";") this.end();
    // The name of a group, RFC 5322 §3.4, ends with a colon; so would one inside an address literal's brackets not.
    else if (character === ":" && !this.#plain.includes("[")) this.#plain = "";
    else this.#add(character);
  }

  /** One address is complete. */
  end(): void {
    const address = tidy(this.#angle ?? this.#plain);
    if (address !== "") this.found.push(address);
    this.#plain = "";
    this.#angle = null;
    this.#inAngle = false;
    this.#inQuotes = false;
    this.#comments = 0;
  }

  #add(character: string): void {
    if (this.#inAngle) this.#angle += character;
    else this.#plain += character;
  }
}

/** Without blanks around its parts (RFC 5322 §4.4 allows them), and without a source route (RFC 5321 §4.1.2 wants it ignored). */
function tidy(address: string): string {
  const route = address.replace(/^\s*@[^:]*:/, "");
  return route.trim().replace(/\s*([@.])\s*(?=[^"]*$)/g, "$1");
}
