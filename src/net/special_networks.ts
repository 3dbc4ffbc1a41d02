/** Which addresses others on the Internet can reach, by the registries of special-purpose addresses (RFC 6890). Pure. */

import { isInNetwork, type Network, parseAddress, parseNetwork } from "./networks.ts";

/** Networks of addresses that another machine can never reach this one by. */
const LOCAL: readonly Network[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "::/96",
  "fe80::/10",
  "ff00::/8",
].map((text) => parseNetwork(text)!);

/** Networks of addresses that are not reached from elsewhere. Those of documentation are left out: they stand for public ones. */
const SPECIAL: readonly Network[] = [
  ...LOCAL,
  ...[
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "fc00::/7",
    "fec0::/10",
  ].map((text) => parseNetwork(text)!),
];

/** Returns whether other machines, of a private network perhaps, can reach one by this address; false for what is no address. */
export function isReachableAddress(text: string): boolean {
  const words = parseAddress(text.replace(/%.*$/s, ""));
  return words !== null && !LOCAL.some((network) => isInNetwork(words, network));
}

/** Returns whether an address can be a public one; false for what is no address. A zone does not count. */
export function isPublicAddress(text: string): boolean {
  const words = parseAddress(text.replace(/%.*$/s, ""));
  return words !== null && !SPECIAL.some((network) => isInNetwork(words, network));
}
