/** The numbers of the questions that attackers ask: each role has its own, which no isolate comes to by itself. */

/** The roles that strangers' input reaches, or that live with one that it reaches. */
export const OWNED = ["smtp", "relay", "lookup", "login", "control", "acme"] as const;
export type Owned = typeof OWNED[number];

const CALLS = 1e9;

/** Returns the first of the numbers of a role, and the one of its last question at a door: its answer shows that all before it was taken. */
export function callsOf(role: Owned): { readonly first: number; readonly last: number } {
  const first = CALLS * (1 + OWNED.indexOf(role));
  return { first, last: first + CALLS - 1 };
}
