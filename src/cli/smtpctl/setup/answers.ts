/** What smtpctl setup has to know, from options or from answers to its questions: each is checked here, with words that say what to write instead. Pure. */

import { asciiDomain } from "../../../envelope/mod.ts";
import { isAddress, isReachableAddress, normalAddress, normalName } from "../../../net/mod.ts";
import type { GivenOptions } from "../command_options.ts";
import type { CommandOption } from "../words.ts";

export const SETUP_OPTIONS: readonly CommandOption[] = [
  { name: "--domain", value: "name", about: "The domain that mail is received for." },
  { name: "--hostname", value: "name", about: "The full name of this host; mail. before the domain by default." },
  { name: "--reader", value: "user", about: "The account that reads the mail for postmaster, abuse and root." },
  { name: "--address", value: "address", repeated: true, about: "A public address, where this host does not have it." },
  {
    name: "--certificate",
    value: "what",
    about: "self-signed (the default), acme for Let's Encrypt, the URL of another ACME directory, or a file.",
  },
  { name: "--key", value: "file", about: "The key of a certificate that is a file." },
  { name: "--mailbox", value: "kind", about: "maildir for ~/Maildir, the default; or mbox for /var/mail." },
  {
    name: "--probe",
    value: "domain",
    about: "Tries port 25 of an exchanger of this domain: are connections out blocked?",
  },
  { name: "--root", value: "folder", about: "Puts all files below this folder, for a trial. Needs no root." },
  { name: "--no-start", about: "Starts no daemon and sends no mail." },
  { name: "--dry-run", about: "Shows files and records, and writes nothing." },
];

export type CertificateChoice =
  | { readonly kind: "self-signed" }
  | { readonly kind: "acme"; readonly directory: string }
  | { readonly kind: "files"; readonly cert: string; readonly key: string };

/** What was given on the command line; null for what is asked. */
export interface SetupOrder {
  readonly domain: string | null;
  readonly hostname: string | null;
  readonly reader: string | null;
  readonly addresses: readonly string[];
  readonly certificate: string | null;
  readonly key: string | null;
  readonly mailbox: string | null;
  readonly probe: string | null;
  readonly root: string | null;
  readonly start: boolean;
  readonly dryRun: boolean;
}

/** All that was chosen, checked. */
export interface Answers {
  /** In lower-case A-labels. */
  readonly domain: string;
  readonly hostname: string;
  readonly reader: string;
  readonly addresses: readonly string[];
  readonly certificate: CertificateChoice;
  readonly mailbox: "maildir" | "mbox";
}

/** A value, or why it is none: a sentence without its end that says what to write. */
export type Checked<T> = { readonly value: T } | { readonly fault: string };

const LETS_ENCRYPT_DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory";
/** The directory that the word `acme` stands for. */
export const LETS_ENCRYPT = LETS_ENCRYPT_DIRECTORY;

/** Reads what was given, without checking it. */
export function orderOf(given: GivenOptions): SetupOrder {
  const one = (name: string) => given.get(name)?.[0] ?? null;
  return {
    domain: one("--domain"),
    hostname: one("--hostname"),
    reader: one("--reader"),
    addresses: given.get("--address") ?? [],
    certificate: one("--certificate"),
    key: one("--key"),
    mailbox: one("--mailbox"),
    probe: one("--probe"),
    root: one("--root"),
    start: !given.has("--no-start"),
    dryRun: given.has("--dry-run"),
  };
}

/** A domain that mail can be for: a name with a dot, of letters, digits and dashes; beyond ASCII it becomes A-labels (RFC 5890). */
export function checkDomain(text: string): Checked<string> {
  return checkName(text, { what: "a domain", example: "example.org" });
}

/** The name of a host that others connect to. */
export function checkHostname(text: string): Checked<string> {
  return checkName(text, { what: "the name of a host", example: "mail.example.org" });
}

function checkName(
  text: string,
  { what, example }: { readonly what: string; readonly example: string },
): Checked<string> {
  const said = text.trim();
  const no = (why: string) => ({ fault: `"${said}" is not ${what}: ${why}, as in ${example}` });
  if (said === "") return { fault: `an empty text is not ${what}: write a name, as in ${example}` };
  if (isAddress(said.replace(/^\[|\]$/g, ""))) {
    return no("it is an address, and others look for a name: write the name that the DNS has for it");
  }
  if (said.includes("@")) return no("write only what stands behind the @");
  if (said.includes("/")) return no("write the name alone, without https:// and slashes");
  const ascii = asciiDomain(said);
  const name = ascii === null ? null : normalName(ascii);
  if (name === null) {
    return no("a name has labels of letters, digits and dashes, with dots between, 253 characters in all");
  }
  if (name.includes("_")) return no('a name of a host or of mail has no "_"');
  if (!name.includes(".")) return no("it has no dot");
  if (/^\d+$/.test(name.slice(name.lastIndexOf(".") + 1))) return no("its last label is a number");
  return { value: name };
}

/** An account of the machine, as passwd(5) has it. */
export interface ReaderAccount {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
}

/** Who reads the mail: an account that exists, and is not root. `found` is null where there is no such account. */
export function checkReader(text: string, found: ReaderAccount | null): Checked<string> {
  const name = text.trim();
  if (name.includes("@")) return { fault: `"${name}" is an address: name an account of this machine, as in alice` };
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) {
    return { fault: `"${name}" is no name of an account: name one of this machine, as in alice` };
  }
  if (found === null) {
    return {
      fault: `this machine has no account "${name}": make it with "useradd --create-home ${name}", or name another`,
    };
  }
  if (found.uid === 0) {
    return { fault: `"${name}" is root, who should read no mail of strangers: name the account of a person` };
  }
  return { value: name };
}

/** Public addresses of the host, for those that it does not see itself. */
export function checkAddress(text: string): Checked<string> {
  const address = normalAddress(text.trim());
  if (address === null || address.includes("%")) {
    return { fault: `"${text}" is no address: write one as in 192.0.2.25 or 2001:db8::25` };
  }
  if (!isReachableAddress(address)) {
    return { fault: `others cannot reach this host by ${address}: name the address that they use` };
  }
  return { value: address };
}

/** How TLS gets its certificate. Files are named, and not read. */
export function checkCertificate(text: string, key: string | null): Checked<CertificateChoice> {
  const isFile = text.startsWith("/") || text.startsWith("./");
  if (key !== null && !isFile) {
    return { fault: "--key goes with a certificate that is a file: --certificate /path/fullchain.pem" };
  }
  if (text === "self-signed") return { value: { kind: "self-signed" } };
  if (text === "acme") return { value: { kind: "acme", directory: LETS_ENCRYPT } };
  if (/^https:\/\/[^\s"/]+\/[^\s"]*$/.test(text)) return { value: { kind: "acme", directory: text } };
  if (/^[a-z]+:\/\//.test(text)) {
    return { fault: `"${text}" is no directory of ACME: it begins with https://, as in ${LETS_ENCRYPT}` };
  }
  if (isFile && key === null) return { fault: `the key of ${text} is missing: add --key FILE` };
  if (isFile && [text, key!].some((path) => /["\n]/.test(path) || !path.startsWith("/"))) {
    return { fault: "the certificate and its key need absolute paths without quotes, as in /etc/ssl/mail.pem" };
  }
  if (isFile) return { value: { kind: "files", cert: text, key: key! } };
  return {
    fault:
      `"${text}" is no certificate: write self-signed, acme, the https:// URL of an ACME directory, or an absolute path`,
  };
}

/** Where local mail goes. */
export function checkMailbox(text: string): Checked<"maildir" | "mbox"> {
  return text === "maildir" || text === "mbox"
    ? { value: text }
    : { fault: `"${text}" is no kind of mailbox: write maildir or mbox` };
}
