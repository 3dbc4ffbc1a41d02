/** What mail authentication asks of the DNS, as an interface that is passed in: this folder itself opens no socket. */

/**
 * What a question brought. A TXT record is the strings of one record joined, one character per octet. Aliases (CNAME) are followed by whoever
 * answers.
 */
export type DnsAnswer<T> =
  /** At least one. */
  | { readonly kind: "records"; readonly records: readonly T[] }
  /** No such record: of a name that exists, or of one that does not (NXDOMAIN). */
  | { readonly kind: "none"; readonly exists: boolean }
  /** No answer now: SERVFAIL, refused, or too late. */
  | { readonly kind: "temporary" };

export interface DnsMx {
  readonly preference: number;
  /** "" for the root of a null MX (RFC 7505 §3). */
  readonly host: string;
}

/** Takes names as A-labels without a last dot, and addresses without brackets. Nothing here throws or rejects. */
export interface Dns {
  txt(name: string): Promise<DnsAnswer<string>>;
  /** A records for 4, AAAA records for 6, as text. */
  addresses(name: string, family: 4 | 6): Promise<DnsAnswer<string>>;
  mx(name: string): Promise<DnsAnswer<DnsMx>>;
  /** The names of the PTR records of an address. */
  names(address: string): Promise<DnsAnswer<string>>;
}
