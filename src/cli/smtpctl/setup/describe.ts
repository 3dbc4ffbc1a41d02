/** What smtpctl setup says of the machine that it found, and honestly what cannot be seen from inside. Pure. */

import type { DnsAnswer } from "../../../mail_auth/dns.ts";
import type { Answers } from "./answers.ts";
import type { MachineFacts, NameFacts } from "./machine.ts";

/** Lines about addresses and port 25. `addresses`: the public ones that the records are made of; `probes`: port 25 of others is tried as well. */
export function describeMachine(
  machine: MachineFacts,
  { hostname, addresses, probes }: {
    readonly hostname: string;
    readonly addresses: readonly string[];
    readonly probes: boolean;
  },
): readonly string[] {
  const { privateAddresses, port25, servers } = machine;
  const given = addresses.filter((one) => !machine.publicAddresses.includes(one));
  const own = addresses.length > 0
    ? `Addresses: ${addresses.join(", ")}${
      given.length > 0 ? " (not of an interface of this host: a router translates)" : ""
    }.`
    : privateAddresses.length > 0
    ? `Addresses: only ${privateAddresses.join(", ")}, which others do not reach: give the public one with --address.`
    : "Addresses: none that others reach; give the public one with --address.";
  const installed = servers.length === 0 ? "" : `Installed: ${servers.map(({ name }) => name).join(", ")}. `;
  return [
    own,
    port25.taken && /\bVaultpost\b/.test(port25.greeting)
      ? "Port 25 here: smtpd itself listens, as it was configured before."
      : port25.taken
      ? `Port 25 here: another server listens${
        port25.greeting === "" ? "" : `, which says "${port25.greeting}"`
      }. ${installed}`
        .trimEnd()
      : `Port 25 here: free. ${installed}`.trimEnd(),
    `Port 25 from outside: cannot be seen from here. When smtpd runs, try from another network: nc -vz ${hostname} 25`,
    ...probes ? [] : ["Port 25 of others from here: not tried; --probe DOMAIN connects to an exchanger of a domain."],
  ];
}

/** Lines about what the DNS has already. */
export function describeNames({ domain, hostname }: Pick<Answers, "domain" | "hostname">, names: NameFacts): string[] {
  return [
    `The DNS has for ${hostname}: ${said(names.ofHost, "no address")}.`,
    `The DNS has for mail to ${domain}: ${said(names.mx, "no MX record")}.`,
    ...names.ptr.map(({ address, names }) => {
      const fits = names.kind === "records" && names.records.includes(hostname);
      const next = fits || names.kind === "temporary"
        ? ""
        : `; it should be ${hostname}: ask whoever gave you the address`;
      return `The name of ${address}: ${said(names, "none")}${next}.`;
    }),
  ];
}

function said(answer: DnsAnswer<string>, none: string): string {
  if (answer.kind === "records") return answer.records.join(", ");
  return answer.kind === "none" ? none : "no answer now";
}
