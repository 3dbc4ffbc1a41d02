/** Who runs sendmail(8): account, full name, qualified address. Pure: the account file and the names are given. */

import { parseAddressList } from "./addresses.ts";

/** One line of passwd(5), as far as a sender is concerned. */
export interface Person {
  readonly name: string;
  readonly uid: number;
  /** Full name and more, up to the first comma. */
  readonly gecos: string;
  readonly home: string;
}

/** The first account for which `wanted` holds. */
export function findPerson(passwd: string, wanted: (person: Person) => boolean): Person | null {
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = "", , gecos = "", home = ""] = line.split(":");
    if (name === "" || !/^\d+$/.test(uid)) continue;
    const person = { name, uid: Number(uid), gecos: gecos.split(",", 1)[0]!, home };
    if (wanted(person)) return person;
  }
  return null;
}

/** The login name counts when it is of the same user, or when root asks; else the account of the uid; else there is none. */
export function whoIs(passwd: string, uid: number, login: string | undefined): Person {
  const named = login ? findPerson(passwd, ({ name }) => name === login) : null;
  if (named !== null && (named.uid === uid || uid === 0)) return named;
  return findPerson(passwd, (person) => person.uid === uid) ?? { name: "anonymous", uid, gecos: "", home: "" };
}

/** `&` in the account file stands for the capitalised login name. */
export function fullNameOf(person: Person): string {
  return person.gecos.replaceAll("&", person.name.slice(0, 1).toUpperCase() + person.name.slice(1)).trim();
}

/** Adds the mail name to an address that has no domain. */
export function qualify(address: string, mailname: string): string {
  return address.includes("@") ? address : `${address}@${mailname}`;
}

/** Items of comma lists, all qualified, each once, in order. */
export function qualifyAll(lists: readonly string[], mailname: string): string[] {
  return [...new Set(lists.flatMap(parseAddressList).map((address) => qualify(address, mailname)))];
}

/** Value of a From field, RFC 5322 §3.6.2: the name as it is, quoted, or as an encoded word (RFC 2047). */
export function formatFrom(name: string, address: string): string {
  const clean = name.replace(/[\p{Cc}\s]+/gu, " ").trim();
  if (clean === "") return `<${address}>`;
  if (/^[\w !#$%&'*+/=?^`{|}~-]+$/.test(clean)) return `${clean} <${address}>`;
  if (/^[ -~]+$/.test(clean)) return `"${clean.replace(/["\\]/g, "\\$&")}" <${address}>`;
  return `${encodedWords(clean)} <${address}>`;
}

/** RFC 2047 §2: an encoded word has at most 75 characters, so that it holds 45 octets in base64, and no character is cut. */
function encodedWords(text: string): string {
  const words: string[] = [];
  let octets: number[] = [];
  const encoder = new TextEncoder();
  const close = () => {
    if (octets.length > 0) words.push(`=?UTF-8?B?${Uint8Array.from(octets).toBase64()}?=`);
    octets = [];
  };
  for (const character of text) {
    const encoded = encoder.encode(character);
    if (octets.length + encoded.length > 45) close();
    octets.push(...encoded);
  }
  close();
  return words.join(" ");
}
