/**
 * The `ciphers` option. The TLS library always offers the suites below and takes no list, so a list is accepted when it admits them all, and
 * refused when it leaves one out. Reads lists as ciphers(1) of OpenSSL has them; negotiates nothing.
 */

import type { VersionRange } from "./protocols.ts";
import { shown } from "./values.ts";
import { suggestion } from "./words.ts";

interface Suite {
  readonly name: string;
  readonly version: "TLSv1.2" | "TLSv1.3";
  /** Bits of the symmetric key, and words of ciphers(1) that stand for this suite and others like it. */
  readonly bits: 128 | 256;
  readonly words: ReadonlySet<string>;
}

const suite = (name: string, version: Suite["version"], bits: Suite["bits"], words: string): Suite => ({
  name,
  version,
  bits,
  words: new Set(words.split(" ")),
});
const AES = (bits: 128 | 256) => `AES AESGCM AES${bits} FIPS`;
const ANY = "ALL DEFAULT HIGH AEAD";
const ECDHE = `${ANY} ECDHE EECDH kECDHE kEECDH ECDH TLSv1.2`;
const ECDSA = `${ECDHE} aECDSA ECDSA`, RSA = `${ECDHE} aRSA`;

/** What rustls negotiates, as a probe with `openssl s_client` and the ClientHello show. */
const SUITES: readonly Suite[] = [
  suite("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256, `${ANY} ${AES(256)} TLSv1.3 AEAD-AES256-GCM-SHA384`),
  suite("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128, `${ANY} ${AES(128)} TLSv1.3 AEAD-AES128-GCM-SHA256`),
  suite("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", 256, `${ANY} CHACHA20 TLSv1.3 AEAD-CHACHA20-POLY1305-SHA256`),
  suite("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", 256, `${ECDSA} ${AES(256)} SUITEB128 SUITEB192`),
  suite("ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2", 128, `${ECDSA} ${AES(128)} SUITEB128 SUITEB128ONLY`),
  suite("ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", 256, `${ECDSA} CHACHA20`),
  suite("ECDHE-RSA-AES256-GCM-SHA384", "TLSv1.2", 256, `${RSA} ${AES(256)}`),
  suite("ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2", 128, `${RSA} ${AES(128)}`),
  suite("ECDHE-RSA-CHACHA20-POLY1305", "TLSv1.2", 256, `${RSA} CHACHA20`),
];

/** Words of ciphers(1), OpenSSL's and LibreSSL's, that stand for none of our suites. */
const OTHERS: ReadonlySet<string> = new Set(
  `COMPLEMENTOFALL COMPLEMENTOFDEFAULT MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 NULL eNULL aNULL ADH AECDH DH DHE EDH kDHE
  kEDH RSA kRSA kECDH kECDHe kECDHr kDH kDHd kDHr aDH aECDH DSS aDSS PSK aPSK kPSK kRSAPSK kDHEPSK kECDHEPSK SRP aSRP kSRP
  GOST GOST12 GOST18 GOST89 GOST89MAC GOST94 aGOST aGOST01 aGOST12 kGOST kGOST18 STREEBOG256 STREEBOG512 3DES DES RC2 RC4
  IDEA SEED AESCCM AESCCM8 ARIA ARIA128 ARIA256 ARIAGCM CAMELLIA CAMELLIA128 CAMELLIA256 CBC MD5 SHA SHA1 SHA256 SHA384
  SSLv2 SSLv3 TLSv1 TLSv1.0 TLSv1.1 KRB5`.split(/\s+/),
);
const WORDS: ReadonlySet<string> = new Set(SUITES.flatMap(({ words }) => [...words]));
/** What the names of suites are made of: such a name may stand in a list, though it is never negotiated here. */
const PARTS: ReadonlySet<string> = new Set(
  `128 256 ADH AECDH AEAD AES AES128 AES256 ARIA128 ARIA256 CAMELLIA128 CAMELLIA256 CBC CBC3 CCM CCM8 CHACHA20 DES DH DHE DSS
  ECDH ECDHE ECDSA EDE EDE3 EDH EXP EXP1024 GCM GOST2001 GOST2012 GOST89 GOST94 IDEA KRB5 MD5 NULL POLY1305 PSK RC2 RC4 RSA
  SEED SHA SHA1 SHA256 SHA384 SRP STREEBOG512`.split(/\s+/),
);
const OTHER_TLS13: ReadonlySet<string> = new Set(["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"]);

/** Names of whole lists, see tls_config_set_ciphers(3). */
const LISTS: ReadonlyMap<string, string> = new Map([
  ["default", "HIGH:!aNULL"],
  ["secure", "HIGH:!aNULL"],
  ["compat", "HIGH:!aNULL"],
  ["legacy", "HIGH:MEDIUM:!aNULL"],
  ["insecure", "ALL:!aNULL:!eNULL"],
  ["all", "ALL:!aNULL:!eNULL"],
]);

/** Levels of `@SECLEVEL` that hold here: from 3 on they ask for longer keys in certificates too. */
const MAX_SECURITY_LEVELS = 2;

/** What is wrong with a list of ciphers where these versions are spoken; null when it is obeyed. */
export function cipherFault(text: string, { min, max }: VersionRange): string | null {
  const list = LISTS.get(text.toLowerCase()) ?? text;
  const admitted = new Set<Suite>(), never = new Set<Suite>();
  let own13 = false;
  for (const item of list.split(/[:,; ]+/).filter((word) => word !== "")) {
    if (item.startsWith("@")) {
      const fault = commandFault(item);
      if (fault !== null) return fault;
      continue;
    }
    const sign = /^[!+-]/.exec(item)?.[0] ?? "";
    const words = item.slice(sign.length).split("+");
    const unknown = words.find((word) => !isKnown(word));
    if (unknown !== undefined) return unknownFault(unknown);
    const meant = SUITES.filter((suite) => words.every((word) => stands(word, suite)));
    if (sign === "!") { for (const suite of meant) never.add(suite); }
    if (sign === "-") { for (const suite of meant) admitted.delete(suite); }
    if (sign === "") {
      for (const suite of meant) admitted.add(suite);
      own13 ||= words.some(namesVersion13);
    }
  }
  // ciphers(1): a list says nothing about TLS 1.3, unless it names suites of it, or forbids what they are made of.
  const admits = (suite: Suite) =>
    !never.has(suite) && (admitted.has(suite) || (suite.version === "TLSv1.3" && !own13));
  return missingFault(
    SUITES.filter(({ version }) => version >= min && version <= max).filter((suite) => !admits(suite)),
  );
}

function stands(word: string, { name, words }: Suite): boolean {
  return word === name || words.has(word);
}

function namesVersion13(word: string): boolean {
  return word === "TLSv1.3" || word.startsWith("TLS_") || word.startsWith("AEAD-");
}

function isKnown(word: string): boolean {
  if (WORDS.has(word) || OTHERS.has(word) || OTHER_TLS13.has(word)) return true;
  if (SUITES.some(({ name }) => name === word)) return true;
  const parts = word.split("-");
  return parts.length > 1 && parts.every((part) => PARTS.has(part));
}

function commandFault(item: string): string | null {
  if (item === "@STRENGTH") return null;
  const level = /^@SECLEVEL=([0-5])$/.exec(item)?.[1];
  if (level === undefined) return unknownFault(item);
  return Number(level) <= MAX_SECURITY_LEVELS ? null : `ciphers "${item}" is not kept: 0 to ${MAX_SECURITY_LEVELS} is`;
}

function unknownFault(word: string): string {
  const known = [...SUITES.map(({ name }) => name), ...WORDS, ...OTHERS, "@STRENGTH", "@SECLEVEL=2"];
  return `unknown word "${shown(word)}" in the list of ciphers${suggestion(word, known)}`;
}

function missingFault(missing: readonly Suite[]): string | null {
  if (missing.length === 0) return null;
  const names = missing.map(({ name }) => name).join(", ");
  return `ciphers leave out ${names}, which cannot be switched off: add them, or write "HIGH:!aNULL", or no list`;
}
