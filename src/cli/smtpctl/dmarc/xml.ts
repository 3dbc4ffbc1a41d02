/**
 * A strict reader of the XML (1.0) that reports come in: elements and their text. A stranger wrote it: no DTD, no entity but the five of XML
 * itself and characters by number, bounds on depth and size. Attributes, comments and processing instructions are read over.
 */

export interface XmlElement {
  /** Without its namespace prefix. */
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** Of the element itself, references replaced, blanks around it taken off. */
  readonly text: string;
}

/** What was given is not XML, or is not read; the message says why and where. */
export class XmlError extends Error {}

export interface XmlReading {
  /** Called for each child of the root element, in order. They are not kept. */
  readonly child: (element: XmlElement, root: string) => void;
}

const MAX_NESTED_ELEMENTS = 20;
/** Elements within one child of the root element, characters of one text, and of one reference to a character: `&#x10ffff;`. */
const MAX_ELEMENTS = 10_000, MAX_TEXT_CHARACTERS = 100_000, MAX_REFERENCE_CHARACTERS = 14;
/** Characters of the name of an element. */
const MAX_NAME_CHARACTERS = 64;

const NAME = /[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?/y;
const ATTRIBUTE = /\s+[A-Za-z_][A-Za-z0-9_.:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*')/y;
const TAG_END = /\s*(\/?)>/y;
const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

interface Open {
  /** As it is written, with its prefix. */
  readonly written: string;
  readonly children: XmlElement[];
  text: string;
}

/** Reads a document. Throws XmlError for what is not well-formed, and for what it does not read. */
export function readXml(text: string, reading: XmlReading): void {
  new Reader(text, reading).read();
}

class Reader {
  readonly #text: string;
  readonly #reading: XmlReading;
  readonly #open: Open[] = [];
  #at = 0;
  #elements = 0;
  #rootSeen = false;

  constructor(text: string, reading: XmlReading) {
    this.#text = text;
    this.#reading = reading;
  }

  read(): void {
    const text = this.#text;
    while (this.#at < text.length) {
      const next = text.indexOf("<", this.#at);
      const end = next < 0 ? text.length : next;
      if (end > this.#at) this.#characters(text.slice(this.#at, end));
      this.#at = end;
      if (end < text.length) this.#markup();
    }
    if (this.#open.length > 0) this.#fail(`<${this.#open.at(-1)!.written}> is not closed`);
    if (!this.#rootSeen) this.#fail("there is no element in it");
  }

  #markup(): void {
    const text = this.#text, at = this.#at;
    if (text.startsWith("<!--", at)) this.#skip("-->", 4);
    else if (text.startsWith("<?", at)) this.#skip("?>", 2);
    else if (text.startsWith("<![CDATA[", at)) {
      this.#skip("]]>", 9);
      this.#add(text.slice(at + 9, this.#at - 3));
    } else if (text.startsWith("<!", at)) this.#fail("a document type is not read: reports have none");
    else if (text.startsWith("</", at)) this.#close();
    else this.#start();
  }

  #skip(mark: string, from: number): void {
    const end = this.#text.indexOf(mark, this.#at + from);
    if (end < 0) this.#fail(`"${mark}" is missing`);
    this.#at = end + mark.length;
  }

  #name(): string {
    const name = this.#match(NAME);
    if (name === null) this.#fail("a name is missing");
    if (name[0].length > MAX_NAME_CHARACTERS) {
      this.#fail(
        `the name ${name[0].slice(0, MAX_NAME_CHARACTERS)}... has more than ${MAX_NAME_CHARACTERS} characters`,
      );
    }
    return name[0];
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }

  #start(): void {
    this.#at++;
    const written = this.#name();
    while (this.#match(ATTRIBUTE) !== null);
    const end = this.#match(TAG_END);
    if (end === null) this.#fail(`the tag of <${written}> is malformed`);
    const depth = this.#open.length;
    if (depth === 0 && this.#rootSeen) this.#fail("there is a second document in it");
    if (depth >= MAX_NESTED_ELEMENTS) this.#fail(`elements are nested more than ${MAX_NESTED_ELEMENTS} deep`);
    if (depth <= 1) this.#elements = 0;
    if (++this.#elements > MAX_ELEMENTS) this.#fail(`more than ${MAX_ELEMENTS} elements in one`);
    this.#rootSeen = true;
    this.#open.push({ written, children: [], text: "" });
    if (end[1] === "/") this.#finish();
  }

  #close(): void {
    this.#at += 2;
    const written = this.#name();
    if (this.#match(TAG_END)?.[1] !== "") this.#fail(`the end of <${written}> is malformed`);
    const open = this.#open.at(-1);
    if (open?.written !== written) {
      this.#fail(
        open === undefined ? `</${written}> closes nothing` : `</${written}> stands where </${open.written}> must`,
      );
    }
    this.#finish();
  }

  #finish(): void {
    const { written, children, text } = this.#open.pop()!;
    const element = { name: localName(written), children, text: text.trim() };
    const parent = this.#open.at(-1);
    if (parent === undefined) return;
    if (this.#open.length === 1) this.#reading.child(element, localName(parent.written));
    else parent.children.push(element);
  }

  /** What stands between two tags. Between the children of the root only blanks are expected; whatever it is, it is not kept. */
  #characters(text: string): void {
    if (this.#open.length > 0) {
      if (text.length > MAX_TEXT_CHARACTERS * MAX_REFERENCE_CHARACTERS && text.includes("&")) this.#failLong();
      return this.#add(text.includes("&") ? this.#decode(text) : text);
    }
    if (/[^\s\ufeff]/.test(text)) this.#fail("there is text outside of the elements");
  }

  #add(text: string): void {
    const open = this.#open.at(-1);
    if (open === undefined) this.#fail("there is text outside of the elements");
    if (this.#open.length === 1) return;
    if (open.text.length + text.length > MAX_TEXT_CHARACTERS) this.#failLong();
    open.text += text;
  }

  #decode(text: string): string {
    return text.replace(/&([^;\s&]{0,12})(;?)/g, (_, name: string, end: string) => {
      const character = end === "" ? undefined : Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : numbered(name);
      if (character === undefined) this.#fail(`the entity &${name}; is not one of XML itself`);
      return character;
    });
  }

  #failLong(): never {
    this.#fail(`a text has more than ${MAX_TEXT_CHARACTERS} characters`);
  }

  #fail(why: string): never {
    let line = 1;
    for (let at = this.#text.indexOf("\n"); at >= 0 && at < this.#at; at = this.#text.indexOf("\n", at + 1)) line++;
    throw new XmlError(`line ${line}: ${why}`);
  }
}

function localName(written: string): string {
  return written.slice(written.indexOf(":") + 1);
}

/** `#233` or `#xe9`; undefined for what is no character of XML. */
function numbered(name: string): string | undefined {
  const [, hex, digits] = /^#(?:x([0-9a-f]{1,6})|([0-9]{1,7}))$/i.exec(name) ?? [];
  const code = hex !== undefined ? parseInt(hex, 16) : digits !== undefined ? Number(digits) : -1;
  const valid = code === 9 || code === 10 || code === 13 || (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff);
  return valid ? String.fromCodePoint(code) : undefined;
}
