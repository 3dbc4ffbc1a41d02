/** From a line of the control socket to a request. Nothing is trusted: the line may come from any program. Pure. */

import { TRACES } from "../events/mod.ts";
import type { Target } from "../protocol/mod.ts";
import { type ControlRequest, MAX_DISCOVER } from "./protocol.ts";

const MESSAGE_ID = /^(?!0{8})[0-9a-f]{8}$/;
const DOMAIN = /^[^\s@/]{1,255}$/;
const ENVELOPE_ID = /^(?!0{8})[0-9a-f]{16}$/;

/** The request, or null when the line is not one. */
export function parseRequest(line: string): ControlRequest | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  return typeof value === "object" && value !== null ? readRequest(value as Record<string, unknown>) : null;
}

function readRequest(given: Record<string, unknown>): ControlRequest | null {
  const { do: verb } = given;
  switch (verb) {
    case "show-queue":
      return given.message === null || isMessageId(given.message) ? { do: verb, message: given.message } : null;
    case "show-message":
      return isMessageId(given.message) ? { do: verb, message: given.message } : null;
    case "show-envelope":
      return isEnvelopeId(given.envelope) ? { do: verb, envelope: given.envelope } : null;
    case "show-stats":
    case "show-status":
    case "show-damaged":
    case "monitor":
    case "stop":
    case "update-pki":
      return { do: verb };
    case "show-relay":
      return isOneOf(given.what, ["hosts", "hoststats", "relays", "routes"]) ? { do: verb, what: given.what } : null;
    case "export":
      return { do: verb };
    case "discover": {
      const { messages, envelope } = given;
      if (isEnvelopeId(envelope)) return { do: verb, envelope };
      const sound = Array.isArray(messages) && messages.length <= MAX_DISCOVER && messages.every(isMessageId);
      return sound ? { do: verb, messages } : null;
    }
    case "schedule":
    case "remove":
    case "pause-envelope":
    case "resume-envelope": {
      const target = readTarget(given.target);
      return target === null ? null : { do: verb, target };
    }
    case "pause":
    case "resume":
      return isOneOf(given.what, ["mda", "mta", "smtp"]) ? { do: verb, what: given.what } : null;
    case "resume-route":
      return Number.isSafeInteger(given.route) ? { do: verb, route: given.route as number } : null;
    case "log":
      return typeof given.verbose === "boolean" ? { do: verb, verbose: given.verbose } : null;
    case "trace":
    case "untrace":
      return isOneOf(given.what, ["all", ...TRACES]) ? { do: verb, what: given.what } : null;
    case "update-table":
      return typeof given.table === "string" ? { do: verb, table: given.table } : null;
    default:
      return null;
  }
}

function readTarget(given: unknown): Target | null {
  if (given === "all") return given;
  if (typeof given !== "object" || given === null) return null;
  const { message, envelope, domain } = given as Record<string, unknown>;
  if (typeof domain === "string" && DOMAIN.test(domain)) return { domain };
  if (isMessageId(message)) return { message };
  return isEnvelopeId(envelope) ? { envelope } : null;
}

function isMessageId(value: unknown): value is string {
  return typeof value === "string" && MESSAGE_ID.test(value);
}

function isEnvelopeId(value: unknown): value is string {
  return typeof value === "string" && ENVELOPE_ID.test(value);
}

function isOneOf<const T extends string>(value: unknown, words: readonly T[]): value is T {
  return words.includes(value as T);
}
