/** From which of its addresses a host sends, for the check of their names and of SPF. */

import { deepEqual } from "node:assert/strict";
import { sendingAddresses } from "../../src/daemon/checkup/check_host.ts";

const FOUR = "192.0.2.25", OTHER = "192.0.2.26", SIX = "2001:db8::25";
const rows: [about: string, Parameters<typeof sendingAddresses>[0], want: string[]][] = [
  ["the one that the DNS has, of several", { own: [FOUR, OTHER], named: [FOUR], family: null }, [FOUR]],
  ["all, where the DNS has none of them", { own: [FOUR, OTHER], named: ["192.0.2.99"], family: null }, [FOUR, OTHER]],
  ["of each family for itself", { own: [FOUR, OTHER, SIX], named: [FOUR], family: null }, [FOUR, SIX]],
  ["of one family only", { own: [FOUR, SIX], named: [FOUR, SIX], family: 4 }, [FOUR]],
  ["those of the DNS, behind a router that translates", { own: [], named: [FOUR, FOUR], family: null }, [FOUR]],
];
for (const [about, facts, want] of rows) {
  Deno.test(`addresses that mail is sent from: ${about}`, () => deepEqual(sendingAddresses(facts), want));
}
