/** What the checks of a received message have found, in short, as its envelopes, the log and the rules have it: RFC 8601 §2.7 has the words. */

/** Results by method. */
export const MAIL_AUTH_RESULTS = {
  spf: ["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"],
  dkim: ["none", "pass", "fail", "policy", "neutral", "temperror", "permerror"],
  arc: ["none", "pass", "fail"],
  dmarc: ["none", "pass", "fail", "temperror", "permerror"],
} as const;

/** What a domain may ask for where a message fails DMARC. */
export const DMARC_POLICIES = ["quarantine", "reject"] as const;

export type MailAuthMethod = keyof typeof MAIL_AUTH_RESULTS;

/** One result of each method. That of DKIM is the best of the message's signatures. */
export interface MailAuth {
  readonly spf: typeof MAIL_AUTH_RESULTS.spf[number];
  readonly dkim: typeof MAIL_AUTH_RESULTS.dkim[number];
  readonly arc: typeof MAIL_AUTH_RESULTS.arc[number];
  readonly dmarc: typeof MAIL_AUTH_RESULTS.dmarc[number];
  /** The message fails DMARC, and its domain asks for this. */
  readonly policy?: typeof DMARC_POLICIES[number];
}

const METHODS = Object.keys(MAIL_AUTH_RESULTS) as MailAuthMethod[];

/** Returns the words by which conditions know the result of one method: for a message that fails DMARC, what its domain asks for as well. */
export function mailAuthWords(mailAuth: MailAuth, method: MailAuthMethod): readonly string[] {
  const { policy } = mailAuth;
  return method === "dmarc" && policy !== undefined ? [policy, mailAuth.dmarc] : [mailAuth[method]];
}

/** Returns all of them, each as `method=word`. */
export function mailAuthKeys(mailAuth: MailAuth): readonly string[] {
  return METHODS.flatMap((method) => mailAuthWords(mailAuth, method).map((word) => `${method}=${word}`));
}

/** Returns whether `key` is one of those that a message may have: `method=word`. */
export function isMailAuthKey(key: string): boolean {
  const [method = "", word = "", more] = key.split("=");
  return more === undefined && METHODS.some((one) => one === method) && isMailAuthWord(method as MailAuthMethod, word);
}

/** Returns whether a condition may ask for `word` of this method: a result, or for DMARC a policy. */
export function isMailAuthWord(method: MailAuthMethod, word: string): boolean {
  return mailAuthWordsOf(method).includes(word);
}

/** Returns all words of a method, for messages. */
export function mailAuthWordsOf(method: MailAuthMethod): readonly string[] {
  return method === "dmarc" ? [...MAIL_AUTH_RESULTS.dmarc, ...DMARC_POLICIES] : MAIL_AUTH_RESULTS[method];
}

/** Returns it in one line: `spf=pass dkim=pass arc=none dmarc=fail policy=reject`. */
export function formatMailAuth(mailAuth: MailAuth): string {
  const { policy } = mailAuth;
  const results = METHODS.map((method) => `${method}=${mailAuth[method]}`).join(" ");
  return policy === undefined ? results : `${results} policy=${policy}`;
}

/** Returns what `formatMailAuth` has written; null for anything else. */
export function parseMailAuth(text: string): MailAuth | null {
  const entries = text.split(" ").map((part) => part.split("=") as [string, string?]);
  const mailAuth = copyMailAuth(Object.fromEntries(entries));
  return mailAuth !== null && formatMailAuth(mailAuth) === text ? mailAuth : null;
}

/** Returns a copy of a sound value; null when it is none. */
export function copyMailAuth(value: unknown): MailAuth | null {
  if (typeof value !== "object" || value === null) return null;
  const { spf, dkim, arc, dmarc, policy } = value as Record<string, unknown>;
  const found: Record<MailAuthMethod, unknown> = { spf, dkim, arc, dmarc };
  if (METHODS.some((method) => !(MAIL_AUTH_RESULTS[method] as readonly unknown[]).includes(found[method]))) return null;
  if (policy !== undefined && !(DMARC_POLICIES as readonly unknown[]).includes(policy)) return null;
  return { ...found, ...(policy === undefined ? {} : { policy }) } as MailAuth;
}
