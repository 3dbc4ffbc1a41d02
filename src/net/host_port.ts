/** `host:port` as people and programs write it: IPv6 addresses stand in brackets (RFC 3986 §3.2.2). */

/** Takes a name or an address and returns it as it stands before a colon: IPv6 in brackets, anything else as it is. */
export function bracketed6(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Returns `host:port`, and `[ip6]:port` for an IPv6 address without brackets. */
export function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${bracketed6(host)}:${port}`;
}

/**
 * Reads `host`, `host:port`, `[ip6]`, `[ip6]:port` or `[IPv6:ip6]:port`. Returns the host without brackets and the port, null when none is
 * written; null for anything else, and for a port that is not from 1 to 65535.
 */
export function parseHostPort(text: string): { readonly host: string; readonly port: number | null } | null {
  const [, literal, name, digits] = /^(?:\[(?:IPv6:)?([0-9a-f:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = literal ?? name;
  if (host === undefined) return null;
  const port = digits === undefined ? null : Number(digits);
  return port !== null && (port < 1 || port > 65_535) ? null : { host, port };
}
