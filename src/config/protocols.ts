/** The `protocols` option: which versions of TLS may be spoken. Nothing older than TLS 1.2 ever is (RFC 8996). */

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

export interface VersionRange {
  readonly min: TlsVersion;
  readonly max: TlsVersion;
}

export const ALL_VERSIONS: VersionRange = { min: "TLSv1.2", max: "TLSv1.3" };

/**
 * Reads a list of keywords as in `tls_config_parse_protocols(3)`: `tlsv1.2`, `tlsv1.3`, `all`, `secure`, `default`, `legacy`, `tlsv1`,
 * separated by commas or colons; `!` or `-` takes one away, and a list that starts so starts from all. Older versions are accepted and
 * left out. Null: not such a list, or nothing is left.
 */
export function parseProtocols(text: string): VersionRange | null {
  const allowed = new Set<TlsVersion>();
  let first = true;
  for (const raw of text.split(/[,:]/)) {
    const word = raw.trim().toLowerCase();
    if (word === "") return null;
    const negated = word.startsWith("!") || word.startsWith("-");
    const versions = versionsOf(negated ? word.slice(1) : word);
    if (versions === null) return null;
    if (first && negated) { for (const version of versionsOf("all")!) allowed.add(version); }
    for (const version of versions) {
      if (negated) allowed.delete(version);
      else allowed.add(version);
    }
    first = false;
  }
  if (allowed.size === 2) return ALL_VERSIONS;
  const [only] = allowed;
  return only === undefined ? null : { min: only, max: only };
}

function versionsOf(word: string): readonly TlsVersion[] | null {
  switch (word) {
    case "all":
    case "legacy":
    case "secure":
    case "default":
    case "tlsv1":
      return ["TLSv1.2", "TLSv1.3"];
    case "tlsv1.0":
    case "tlsv1.1":
      return [];
    case "tlsv1.2":
      return ["TLSv1.2"];
    case "tlsv1.3":
      return ["TLSv1.3"];
    default:
      return null;
  }
}
