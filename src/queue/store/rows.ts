/** Rows of the envelopes table and the envelopes that they hold: how one becomes the other, and how damage is noticed. Pure. */

import {
  type Agent,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  envelopeIdOf,
  type EnvelopeRow,
  type EnvelopeState,
  rowOf,
  type Status,
} from "../../envelope/mod.ts";
import { Damaged, type Records, rowSum } from "./records.ts";

/** A row as start-up reads it: what the scheduler needs. */
export interface TicketRow extends EnvelopeRow {
  readonly agent: Agent;
  readonly action: string;
  readonly lane: string;
  readonly created_at: number;
  readonly tries: number;
  readonly last_try_at: number;
  /** The last failure as `errorLine` has it; "" where there was none. */
  readonly error: string;
  readonly suspended: number;
  /** Why it cannot be read. */
  readonly damaged?: string;
}

/** All columns of an envelope. */
export interface StoredEnvelope extends EnvelopeRow {
  readonly agent: Agent;
  readonly action: string;
  readonly lane: string;
  readonly created_at: number;
  readonly content: string;
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
  StoredEnvelope,
  "message" | "envelope" | "agent" | "action" | "lane" | "created_at" | "content" | "sealed" | "sum"
>;

const STATE = "tries, last_try_at, last_bounce_at, error_line, status, suspended";
/** Columns of a StoredEnvelope. */
export const ENVELOPE =
  `message, id AS envelope, agent, action, lane, created_at, facts AS content, sealed, sum, ${STATE}`;

/** What shares a fate with this envelope: the local user, or the destination domain. */
export function laneOf(content: EnvelopeContent): string {
  if (content.agent === "mda") return (content.user ?? "").toLowerCase();
  return content.agent === "mta" ? content.dest.domain.toLowerCase() : "";
}

/** What is in quarantine: an envelope, or with `envelope` 0 a whole message. */
export interface DamagedRow extends EnvelopeRow {
  readonly reason: string;
  readonly found_at: number;
}

/** An envelope whose row is damaged. */
export interface Unreadable {
  readonly id: EnvelopeId;
  readonly unreadable: string;
}

/** The row of a new envelope. */
export function makeRow(content: EnvelopeContent, records: Records): NewEnvelope {
  const { id, agent, action, createdAt } = content;
  const json = JSON.stringify(content);
  const sealed = records.encryptContent(contentName(content), json);
  const lane = sealed === null ? laneOf(content) : "", text = sealed === null ? json : "";
  const row = { ...rowOf(id), agent, action, lane, created_at: createdAt, content: text };
  return { ...row, sealed, sum: rowSum(sumText(row), sealed) };
}

/** The envelope of a row. Throws Damaged. */
export function toEnvelope(row: StoredEnvelope, records: Records): Envelope {
  const { agent, action, created_at, sealed, sum } = row;
  if (sum !== null && rowSum(sumText(row), sealed) !== sum) {
    throw new Damaged("its row is altered");
  }
  const id = envelopeIdOf(row);
  const text = sealed === null
    ? row.content
    : records.decryptContent(contentName({ id, agent, action, createdAt: created_at }), sealed);
  return {
    ...parseContent(id, text),
    tries: row.tries,
    lastTryAt: row.last_try_at,
    lastBounceAt: row.last_bounce_at,
    ...errorOf(row, records),
    status: parseStatus(row.status),
    suspended: row.suspended === 1,
  };
}

/** Written anew after each attempt, maybe under a later key than the envelope: mail does not wait for an old error. */
export function errorOf(
  row: Pick<StoredEnvelope, "message" | "envelope" | "error_line">,
  records: Records,
): Pick<Envelope, "errorLine" | "remote"> {
  try {
    const [errorLine = "", remote] = records.decryptText(errorName(row), row.error_line).split(REMOTE);
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
  let content: EnvelopeContent | null = null;
  try {
    content = JSON.parse(text) as EnvelopeContent;
  } catch {
    // Reported below.
  }
  if (content?.id !== id) throw new Damaged("its row is altered");
  return content;
}

/** What a sealed record is sealed for, so that none can take the place of another. */
export function contentName(
  { id, agent, action, createdAt }: Pick<EnvelopeContent, "id" | "agent" | "action" | "createdAt">,
): string {
  return `envelope ${id} ${agent} ${createdAt} ${action}`;
}

/** As contentName, for the text of the column `error_line`. */
export function errorName(row: EnvelopeRow): string {
  return `error ${envelopeIdOf(row)}`;
}

function sumText(
  { agent, action, lane, created_at, content }: Pick<
    StoredEnvelope,
    "agent" | "action" | "lane" | "created_at" | "content"
  >,
): string {
  return `${agent}\n${action}\n${lane}\n${created_at}\n${content}`;
}

/** Returns the number of a key as `hex()` of SQLite writes its 6 octets at the start of a sealed record. */
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
