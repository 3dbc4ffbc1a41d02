/** The temporary answers to questions that cannot be answered now. Pure. */

import type { FromLookup, ToLookup } from "../protocol/mod.ts";
import { refusals } from "../rules/mod.ts";

/** A client whose name cannot be determined now. */
export function nameless(call: number): FromLookup {
  return { type: "client-name", call, hostname: "<unknown>", confirmed: "temporary" };
}

/** Returns the temporary answer to a question that failed; null when no caller can be waiting for one. */
export function failureOf(question: ToLookup): FromLookup | null {
  if (typeof question?.call !== "number") return null;
  const { call } = question;
  switch (question.type) {
    case "expand": {
      const { local, domain } = question.rcpt ?? {};
      const result = refusals.temporary({ local: String(local), domain: String(domain) });
      return { type: "expanded", call, result };
    }
    case "client-name":
      return nameless(call);
    case "account":
      return {
        type: "account",
        call,
        result: { ok: false, temporary: true, text: "Temporary failure in user lookup" },
      };
    case "smarthost":
      return { type: "smarthost", call, url: null };
    case "sources":
      return { type: "sources", call, sources: [] };
    case "credentials":
      return { type: "credentials", call, credentials: null };
    case "dns":
      return { type: "dns", call, answer: { kind: "temporary" } };
    case "test":
      return { type: "tested", call, found: null };
    case "authenticate":
      return { type: "authenticated", call, result: "tempfail" };
    case "mechanisms":
      return { type: "mechanisms", call, scram: false };
    case "challenge":
      return { type: "challenge", call, challenge: null };
    case "prove":
      return { type: "proved", call, result: "tempfail", signature: "" };
    case "may-send":
      return { type: "may-send", call, result: "tempfail" };
    case "listener-name":
      return { type: "listener-name", call, name: null };
  }
  question satisfies never;
  return null;
}
