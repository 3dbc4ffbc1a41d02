/** Rows of the envelopes table and the envelopes that they hold: how one becomes the other, and how damage is noticed. Pure. */

import type { Agent, Envelope, EnvelopeContent, EnvelopeId, EnvelopeState, Status } from "../../envelope/mod.ts";
import { envelopeId, envelopeNumber, messageNumber } from "./keys.ts";
import { Damaged, type Records, rowSum } from "./records.ts";

/** A row as start-up reads it: what the scheduler needs. */
export interface TicketRow {
  readonly message: number;
  readonly id: number;
  readonly agent: Agent;
  readonly action: string;
  readonly lane: string;
  readonly created_at: number;
  readonly tries: number;
  readonly suspended: number;
  /** Why it cannot be read. */
  readonly damaged?: string;
}

export interface EnvelopeRow {
  readonly message: number;
  readonly id: number;
  readonly agent: Agent;
  readonly action: string;
  readonly lane: string;
  readonly created_at: number;
  readonly facts: string;
  readonly sealed: Uint8Array<ArrayBuffer> | null;
  readonly sum: number | null;
  readonly tries: number;
  readonly last_try_at: number;
  readonly last_bounce_at: number;
  readonly error_line: string;
  readonly status: string;
  readonly suspended: number;
}

/** What a new envelope puts into its row: what never changes. */
export type NewEnvelope = Pick<
  EnvelopeRow,
  "message" | "id" | "agent" | "action" | "lane" | "created_at" | "facts" | "sealed" | "sum"
>;

const STATE = "tries, last_try_at, last_bounce_at, error_line, status, suspended";
/** Columns of an EnvelopeRow. */
export const ENVELOPE = `message, id, agent, action, lane, created_at, facts, sealed, sum, ${STATE}`;

/** What shares a fate with this envelope: the local user, or the destination domain. */
export function laneOf(facts: EnvelopeContent): string {
  if (facts.agent === "mda") return (facts.user ?? "").toLowerCase();
  return facts.agent === "mta" ? facts.dest.domain.toLowerCase() : "";
}

/** Set aside: an envelope, or with id 0 a whole message. */
export interface DamagedRow {
  readonly message: number;
  readonly id: number;
  readonly reason: string;
  readonly found_at: number;
}

/** An envelope whose row is damaged. */
export interface Unreadable {
  readonly id: EnvelopeId;
  readonly unreadable: string;
}

/** The row of a new envelope. */
export function makeRow(facts: EnvelopeContent, records: Records): NewEnvelope {
  const { id, agent, action, createdAt } = facts;
  const json = JSON.stringify(facts);
  const sealed = records.sealFacts(contentName(id, agent, action, createdAt), json);
  const lane = sealed === null ? laneOf(facts) : "", text = sealed === null ? json : "";
  return {
    message: messageNumber(id),
    id: envelopeNumber(id),
    agent,
    action,
    lane,
    created_at: createdAt,
    facts: text,
    sealed,
    sum: rowSum(sumText(agent, action, lane, createdAt, text), sealed),
  };
}

/** The envelope of a row. Throws Damaged. */
export function toEnvelope(row: EnvelopeRow, records: Records): Envelope {
  const { message, id, agent, action, created_at, sealed, sum } = row;
  if (sum !== null && rowSum(sumText(agent, action, row.lane, created_at, row.facts), sealed) !== sum) {
    throw new Damaged("its row is altered");
  }
  const name = envelopeId(message, id);
  const text = sealed === null ? row.facts : records.openFacts(contentName(name, agent, action, created_at), sealed);
  return {
    ...parseContent(name, text),
    tries: row.tries,
    lastTryAt: row.last_try_at,
    lastBounceAt: row.last_bounce_at,
    ...errorOf(row, records),
    status: parseStatus(row.status),
    suspended: row.suspended === 1,
  };
}

/** Written anew after each attempt, maybe under a later key than the envelope: mail does not wait for an old error. */
function errorOf({ message, id, error_line }: EnvelopeRow, records: Records): Pick<Envelope, "errorLine" | "remote"> {
  try {
    const [errorLine = "", remote] = records.openText(errorName(message, id), error_line).split(REMOTE);
    return remote === undefined ? { errorLine } : { errorLine, remote };
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return { errorLine: `(the last error cannot be read: ${error.message})` };
  }
}

/** Stands between the error and the host that it is about; neither holds control characters. */
const REMOTE = "\u0002";

/** The text of the column `error_line`, before it is sealed. */
export function errorColumn({ errorLine, remote = "" }: Pick<EnvelopeState, "errorLine" | "remote">): string {
  return remote === "" ? errorLine : `${errorLine}${REMOTE}${remote}`;
}

function parseContent(id: EnvelopeId, text: string): EnvelopeContent {
  let facts: EnvelopeContent | null = null;
  try {
    facts = JSON.parse(text) as EnvelopeContent;
  } catch {
    // Told below.
  }
  if (facts?.id !== id) throw new Damaged("its row is altered");
  return facts;
}

/** What a sealed record is sealed for, so that none can take the place of another. */
export function contentName(id: EnvelopeId, agent: Agent, action: string, createdAt: number): string {
  return `envelope ${id} ${agent} ${createdAt} ${action}`;
}

export function errorName(message: number, number: number): string {
  return `error ${envelopeId(message, number)}`;
}

function sumText(agent: Agent, action: string, lane: string, createdAt: number, facts: string): string {
  return `${agent}\n${action}\n${lane}\n${createdAt}\n${facts}`;
}

export function hexOfKey(id: number): string {
  return id.toString(16).toUpperCase().padStart(12, "0");
}

/** "4.4.7", "" for none. */
export function formatStatus(status: Status | null): string {
  return status === null ? "" : `${status.class}.${status.code}`;
}

function parseStatus(text: string): Status | null {
  if (text === "") return null;
  return { class: Number(text[0]) as Status["class"], code: text.slice(2) };
}
