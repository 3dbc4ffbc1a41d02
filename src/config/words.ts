/** The reserved words of smtpd.conf(5) and guesses at what a misspelt one was meant to be. */

/** Words that are never names unless quoted. Case matters. `admin` is not one: macros of that name keep working. */
export const RESERVED: ReadonlySet<string> = new Set(
  `action admd alias any auth auth-optional backup bounce bypass ca cert chain chroot ciphers commit compression connect
  data data-line dhe disconnect domain ehlo encryption expand-only fcrdns filter for forward-only from group helo helo-src
  host hostname hostnames include inet4 inet6 junk key limit listen lmtp local mail-from maildir mask-src masquerade match
  max-deferred max-message-size mbox mda mta mx no-dsn no-verify noop on phase pki port proc proc-exec protocols proxy-v2
  queue quit rcpt-to rdns received-auth recipient regex reject relay report rewrite rset scheduler senders smtp smtp-in
  smtp-out smtps socket src srs sub-addr-delim table tag tagged tls tls-require ttl user userbase verify virtual
  warn-interval wrapper`.split(/\s+/),
);

/** Words that begin a directive of OpenSMTPD. Ours begin with `admin`, `dkim`, `dmarc`, `history` and `log`. */
export const DIRECTIVES: readonly string[] = [
  ...["action", "admd", "bounce", "ca", "filter", "include", "listen", "match", "mda", "mta", "pki", "proc", "queue"],
  ...["scheduler", "smtp", "srs", "table"],
];

/** Steps (insert, delete, replace, swap two neighbours) from one word to the other, for short words. */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        best = Math.min(best, beforeLast[column - 2]! + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length]!;
}

/** Words that began a line in OpenSMTPD before 6.4, and what stands for them now. */
export const BEFORE_6_4: ReadonlyMap<string, string> = new Map([
  ["accept", `"action" and "match"`],
  ["deliver", `"action" and "match"`],
  ["limit", `"smtp limit" or "mta limit"`],
  ["expire", `"queue ttl"`],
  ["bounce-warn", `"bounce warn-interval"`],
  ["max-message-size", `"smtp max-message-size"`],
  ["ciphers", `"smtp ciphers"`],
  ["map", `"table"`],
  ["reject", `"match … reject"`],
  ["enqueuer", `"listen on socket filter"`],
  ["subaddressing-delimiter", `"smtp sub-addr-delim"`],
]);

/** Words that said in a rule of OpenSMTPD before 6.4 how mail is delivered: they belong to its action now. */
export const OF_THE_ACTION: ReadonlySet<string> = new Set(
  [
    "alias",
    "virtual",
    "userbase",
    "deliver",
    "mbox",
    "maildir",
    "mda",
    "lmtp",
    "forward-only",
    "backup",
    "via",
  ],
);

/** Words of other servers, of older versions and of everyday speech, and the words here that say the same. */
const SYNONYMS: ReadonlyMap<string, readonly string[]> = new Map([
  ["starttls", ["tls"]],
  ["ssl", ["smtps", "tls"]],
  ["secure", ["tls-require", "tls"]],
  ["tls-optional", ["tls"]],
  ["tls-required", ["tls-require"]],
  ["auth-require", ["auth"]],
  ["auth-required", ["auth"]],
  ["certificate", ["cert", "pki"]],
  ["via", ["host"]],
  ["as", ["mail-from"]],
  ["sender", ["mail-from", "senders"]],
  ["recipient", ["rcpt-to"]],
  ["recipients", ["rcpt-to"]],
  ["source", ["src"]],
  ["all", ["any"]],
  ["anyone", ["any"]],
  ["everyone", ["any"]],
  ["deliver", ["action"]],
  ["relay", ["action"]],
  ["deny", ["reject"]],
  ["drop", ["reject"]],
  ["block", ["reject"]],
  ["domain", ["for"]],
  ["any", ["from"]],
  ["local", ["from"]],
  ["aliases", ["alias"]],
  ["users", ["userbase"]],
  ["hostname", ["helo"]],
  ["tagged", ["tag"]],
  ["mask-source", ["mask-src"]],
]);

/** The candidate that `word` was probably meant to be, or null when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  // A config word longer than this is no misspelt keyword, and comparing it would cost time.
  if (word.length > 32) return null;
  const lower = word.toLowerCase();
  const known = [...candidates];
  const same = SYNONYMS.get(lower)?.find((synonym) => known.includes(synonym));
  if (same !== undefined) return same;
  let best: string | null = null;
  // Three characters say enough to be taken for a word that was not written to its end.
  if (word.length >= 3) best = known.find((candidate) => candidate.startsWith(lower)) ?? null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    if (candidate.length > 64) continue;
    const distance = editDistance(lower, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `, did you mean "port"?` or nothing. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const guess = nearest(word, candidates);
  return guess === null ? "" : `, did you mean "${guess}"?`;
}
