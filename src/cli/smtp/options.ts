/** Options and server URLs of smtp(1). Pure. */

import { cipherFault } from "../../config/ciphers.ts";
import { ALL_VERSIONS, parseProtocols } from "../../config/protocols.ts";
import { getopt, type InfoOption } from "../getopt.ts";
import { lettersOf } from "../usage.ts";

export interface ServerUrl {
  readonly lmtp: boolean;
  /** opportunistic: STARTTLS when offered; mandatory: or nothing; never: in clear; implicit: before the greeting. */
  readonly tls: "opportunistic" | "mandatory" | "never" | "implicit";
  readonly user: string | null;
  readonly password: string;
  readonly host: string;
  readonly port: number;
}

export interface SmtpOptions {
  readonly server: ServerUrl;
  /** null: the login name. */
  readonly from: string | null;
  /** null: the host name. */
  readonly helo: string | null;
  readonly verify: boolean;
  readonly sni: boolean;
  /** Name to verify and to send; null: the server's. */
  readonly serverName: string | null;
  readonly caFile: string | null;
  readonly protocols: string | null;
  readonly authFile: string | null;
  /** Only connect, greet and quit. */
  readonly dry: boolean;
  readonly verbose: number;
  readonly recipients: readonly string[];
}

export type SmtpCommand =
  | { readonly kind: "run"; readonly options: SmtpOptions }
  /** `-h`. */
  | { readonly kind: "help" }
  /** `--help`, `--version`. */
  | { readonly kind: "info"; readonly info: InfoOption }
  /** `text` for stderr; with `usage` the usage follows. */
  | { readonly kind: "error"; readonly text: string; readonly usage: boolean };

const SCHEMES: Readonly<Record<string, Pick<ServerUrl, "lmtp" | "tls">>> = {
  "smtp": { lmtp: false, tls: "opportunistic" },
  "smtp+tls": { lmtp: false, tls: "mandatory" },
  "smtp+notls": { lmtp: false, tls: "never" },
  "lmtp": { lmtp: true, tls: "opportunistic" },
  "lmtp+tls": { lmtp: true, tls: "mandatory" },
  "lmtp+notls": { lmtp: true, tls: "never" },
  "smtps": { lmtp: false, tls: "implicit" },
};

/** `[proto://[user:pass@]]host[:port]`; a text is the error. */
export function parseServerUrl(text: string): ServerUrl | string {
  const [, scheme = "smtp", rest] = /^(?:(.*?):\/\/)?(.*)$/s.exec(text)!;
  const known = Object.hasOwn(SCHEMES, scheme.toLowerCase()) ? SCHEMES[scheme.toLowerCase()]! : null;
  if (known === null) return `invalid url scheme ${scheme}`;
  const at = rest!.lastIndexOf("@");
  const [, user, password] = at < 0 ? [] : /^([^:]+):(.*)$/s.exec(rest!.slice(0, at)) ?? [];
  if (at >= 0 && user === undefined) return "invalid credentials: user:password is wanted";
  if (user !== undefined && known.tls === "never") return "authentication requires TLS";
  const [, inside, name, portText] = /^(?:\[([^\]]+)\]|([^:[\]\s]+))?(?::(\d{1,5}))?$/.exec(rest!.slice(at + 1)) ?? [];
  const host = inside ?? name;
  if (host === undefined) return `invalid server ${JSON.stringify(rest!.slice(at + 1))}`;
  const port = portText === undefined ? known.tls === "implicit" ? 465 : 25 : Number(portText);
  if (port < 1 || port > 65535) return `invalid port ${portText}`;
  return { ...known, user: user ?? null, password: password ?? "", host, port };
}

/** Reads the command line. */
export function readSmtpOptions(args: readonly string[]): SmtpCommand {
  const options = getopt(args, lettersOf("smtp"));
  if (!options.ok) {
    if (options.info !== null) return { kind: "info", info: options.info };
    return { kind: "error", text: options.text, usage: true };
  }
  const { given, list, operands } = options;
  if (given.has("h")) return { kind: "help" };
  const server = parseServerUrl(given.get("s") ?? "smtp://localhost:25");
  if (typeof server === "string") return { kind: "error", text: server, usage: false };
  const params = readTlsParams(list.filter(([letter]) => letter === "T").map(([, value]) => value));
  if (typeof params === "string") return { kind: "error", text: params, usage: false };
  const authFile = given.get("a") ?? null;
  if (authFile !== null && server.tls === "never") {
    return { kind: "error", text: "authentication requires TLS", usage: false };
  }
  return {
    kind: "run",
    options: {
      server,
      authFile,
      from: given.get("F") ?? null,
      helo: given.get("H") ?? null,
      verify: !given.has("C") && !params.has("noverify"),
      sni: !params.has("nosni"),
      serverName: given.get("S") ?? params.get("servername") ?? null,
      caFile: params.get("cafile") ?? null,
      protocols: params.get("protocols") ?? null,
      dry: given.has("n"),
      verbose: list.filter(([letter]) => letter === "v").length,
      recipients: operands,
    },
  };
}

/** `-T key=value,flag`; a text is the error. */
function readTlsParams(values: readonly string[]): ReadonlyMap<string, string> | string {
  const params = new Map<string, string>();
  for (const word of values.flatMap((value) => value.split(","))) {
    const equals = word.indexOf("=");
    const key = equals < 0 ? word : word.slice(0, equals);
    const flag = key === "noverify" || key === "nosni";
    const valued = ["cafile", "ciphers", "protocols", "servername"].includes(key);
    if (!flag && !valued) return `unknown TLS parameter ${JSON.stringify(key)}`;
    if (valued && equals < 0) return `TLS parameter ${JSON.stringify(key)} wants a value`;
    if (flag && equals >= 0) return `TLS parameter ${JSON.stringify(key)} takes no value`;
    params.set(key, equals < 0 ? "" : word.slice(equals + 1));
  }
  return versionsFault(params.get("protocols"), params.get("ciphers")) ?? params;
}

/** What is wrong with these lists; null when TLS keeps to them. */
function versionsFault(protocols: string | undefined, ciphers: string | undefined): string | null {
  const versions = protocols === undefined ? ALL_VERSIONS : parseProtocols(protocols);
  if (versions === null) return `protocols ${JSON.stringify(protocols)} names no TLS version that is offered`;
  return ciphers === undefined ? null : cipherFault(ciphers, versions);
}
