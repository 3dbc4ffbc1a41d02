/** Front door of the DNS folder: a stub resolver and the files that configure it. */
export { parseHosts, parseResolvConf } from "./files.ts";
export { mailAuthDns, recordAsker } from "./mail_auth_dns.ts";
export type { MxRecord } from "./message.ts";
export { type DnsFailure, type DnsResult, Resolver, type ResolverOptions, type ReverseResult } from "./resolver.ts";
export type { Exchange, Server } from "./transport.ts";
