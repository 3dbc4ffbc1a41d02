/** One certificate from order to chain (RFC 8555 §7.1): makes the answers to challenges, waits for the authority, and takes the answers away again. */

import type { AcmeChallenge } from "../config/mod.ts";
import { type Clock, sleep } from "../clock.ts";
import type { Account, AcmeClient, Authorization, Order } from "./client.ts";
import { AcmeFailure } from "./failure.ts";
import { certificateRequest, type KeyType, makeCertificateKey } from "./request.ts";

export interface Wanted {
  readonly names: readonly string[];
  readonly challenge: AcmeChallenge;
  readonly keyType: KeyType;
  /** Id of the certificate that is replaced (RFC 9773); null for none, or where the authority does not ask for it. */
  readonly replaces: string | null;
}

/** Puts the answers to challenges where the authority looks for them. */
export interface Responder {
  /** Rejects with an AcmeFailure. `authorization`: the key authorization (RFC 8555 §8.1). */
  present(name: string, token: string, authorization: string): Promise<void>;
  /** Takes away what `present` made. Never rejects. */
  cleanUp(name: string, token: string, authorization: string): Promise<void>;
}

/** PEM texts. */
export interface Obtained {
  readonly cert: string;
  readonly key: string;
}

/** The authority is asked again after these times, then after the last of them; an answer may say more. */
const POLL_MS = [250, 500, 1000, 2000, 4000] as const;
const MAX_POLL_MS = 60_000;
/** Time for all challenges of an order, and for its certificate. */
const CHALLENGE_MS = 600_000, ISSUE_MS = 600_000;

/** Obtains a certificate. Rejects with an AcmeFailure. */
export async function obtain(
  client: AcmeClient,
  account: Account,
  wanted: Wanted,
  { responder, clock }: { readonly responder: Responder; readonly clock: Clock },
): Promise<Obtained> {
  const order = await newOrder(client, account, wanted);
  await authorize({ client, account, responder, clock }, order, wanted.challenge);
  const key = await makeCertificateKey(wanted.keyType);
  const until = clock.steady() + ISSUE_MS;
  let now = await client.order(account, order.url);
  if (now.status === "ready") now = await client.finalize(account, now, certificateRequest(wanted.names, key));
  for (let poll = 0; now.status === "processing" || now.status === "pending" || now.status === "ready"; poll++) {
    await wait({ poll, retryAfterMs: now.retryAfterMs, until }, clock);
    now = await client.order(account, order.url);
  }
  if (now.status !== "valid" || now.certificate === null) {
    throw new AcmeFailure(
      "refused",
      `the authority gives no certificate: ${now.fault ?? `the order is ${now.status}`}`,
    );
  }
  return { cert: await client.certificate(account, now.certificate), key };
}

/** RFC 9773 §5: an authority that does not take the certificate that is to be replaced is asked without it. */
async function newOrder(client: AcmeClient, account: Account, { names, replaces }: Wanted): Promise<Order> {
  if (replaces === null) return await client.newOrder(account, names, null);
  try {
    return await client.newOrder(account, names, replaces);
  } catch (error) {
    const known = error instanceof AcmeFailure && ["alreadyReplaced", "malformed", "conflict"].includes(error.type);
    if (!known) throw error;
    return await client.newOrder(account, names, null);
  }
}

interface Tools {
  readonly client: AcmeClient;
  readonly account: Account;
  readonly responder: Responder;
  readonly clock: Clock;
}

/** Satisfies all authorizations of an order that are not valid yet: all answers are in place before the authority is told of the first. */
async function authorize(tools: Tools, order: Order, kind: AcmeChallenge): Promise<void> {
  const { client, account, responder } = tools;
  const open: { readonly authorization: Authorization; readonly token: string; readonly answer: string }[] = [];
  try {
    for (const url of order.authorizations) {
      const authorization = await client.authorization(account, url, kind);
      if (authorization.status === "valid") continue;
      const { challenge, name, status } = authorization;
      if (status !== "pending") {
        throw new AcmeFailure(
          "refused",
          `the authorization of ${name} is ${status}: ${authorization.fault ?? "no reason given"}`,
        );
      }
      if (challenge === null) throw new AcmeFailure("refused", `the authority does not offer ${kind} for ${name}`);
      const answer = await account.key.authorization(challenge.token);
      open.push({ authorization, token: challenge.token, answer });
      await responder.present(name, challenge.token, answer);
    }
    for (const { authorization } of open) await client.ready(account, authorization.challenge!.url);
    for (const { authorization } of open) await validated(tools, authorization, kind);
  } finally {
    for (const { authorization, token, answer } of open) await responder.cleanUp(authorization.name, token, answer);
  }
}

async function validated(
  { client, account, clock }: Tools,
  { url, name }: Authorization,
  kind: AcmeChallenge,
): Promise<void> {
  const until = clock.steady() + CHALLENGE_MS;
  for (let poll = 0;; poll++) {
    const { status, fault, retryAfterMs } = await client.authorization(account, url, kind);
    if (status === "valid") return;
    if (status !== "pending") {
      throw new AcmeFailure("refused", `${kind} for ${name} failed: ${fault ?? `the authorization is ${status}`}`);
    }
    await wait({ poll, retryAfterMs, until }, clock);
  }
}

async function wait(
  { poll, retryAfterMs, until }: {
    readonly poll: number;
    readonly retryAfterMs: number | null;
    readonly until: number;
  },
  clock: Clock,
): Promise<void> {
  if (clock.steady() > until) throw new AcmeFailure("unreached", "the authority takes too long");
  const own = POLL_MS[Math.min(poll, POLL_MS.length - 1)]!;
  await sleep(Math.min(MAX_POLL_MS, Math.max(own, retryAfterMs ?? 0)), clock);
}
