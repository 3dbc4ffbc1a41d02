/** The events that filters are sent about a step of a session: the events in their order, derived from the state before and after. Pure. */

import { type EnvelopeId, formatMailbox, type MessageId } from "../../envelope/mod.ts";
import type { FilterEvent } from "../../protocol/mod.ts";
import type { Accepted, Effect, Input, Session } from "../session/state.ts";

/** An event with its parameters, parted by `|`; "" for none. */
export type FilterReport = readonly [event: FilterEvent, params: string];

/** A transaction as its filters know it. */
export interface KnownTransaction {
  readonly message: MessageId;
  /** A name for each delivery of a recipient that was accepted. */
  name(accepted: Accepted): readonly EnvelopeId[];
}

/** The command that this step answers. */
export interface SentCommand {
  readonly verb: string;
  /** Of MAIL and RCPT: what stands between the brackets. */
  readonly address: string;
}

/** Whether a step ends the transaction that filters know: it does not when the filters know of none. */
export interface StepReports {
  readonly reports: readonly FilterReport[];
  readonly over: boolean;
}

/** `known` is null outside of transactions; a MAIL that begins one has it already. */
export function reportsOf(
  hostname: string,
  input: Input,
  before: Session,
  after: Session,
  effects: readonly Effect[],
  sent: SentCommand,
  known: KnownTransaction | null,
): StepReports {
  const replies = effects.flatMap((effect) => effect.do === "reply" ? effect.text.trimEnd().split("\r\n") : []);
  const code = replies.at(-1)?.slice(0, 3) ?? "";
  const ended = before.transaction !== null && after.transaction === null;
  const early = ended && input.on === "command" && known !== null;
  const reports: FilterReport[] = [
    ...linkReports(input, before, after, effects),
    ...envelopeReports(before, after, known),
  ];
  if (early) reports.push(...rollback(known.message));
  for (const line of replies) reports.push(["protocol-server", line]);
  if ((input.on === "connected" || input.on === "secured") && code === "220") reports.push(["link-greeting", hostname]);
  if (known !== null) {
    const begins = before.transaction === null && after.transaction !== null;
    reports.push(...mailReports(input, { begins, code, sent, message: known.message }));
    if (input.on === "committed") {
      reports.push(["tx-commit", `${known.message}|${input.bytes}`], ["tx-reset", known.message]);
    } else if (ended && !early) reports.push(...rollback(known.message));
  }
  // No filter has received a MAIL that lookup has refused.
  return { reports, over: ended || (input.on === "sender-judged" && after.transaction === null) };
}

/** A transaction that comes to nothing. */
export function rollback(message: MessageId): FilterReport[] {
  return [["tx-rollback", message], ["tx-reset", message]];
}

const AUTH_RESULT = { ok: "pass", permfail: "fail", tempfail: "error" } as const;

function linkReports(input: Input, before: Session, after: Session, effects: readonly Effect[]): FilterReport[] {
  if (input.on === "secured") return [["link-tls", input.ciphers]];
  if (input.on === "idle") return [["timeout", ""]];
  for (const effect of effects) {
    if (effect.do !== "emit" || effect.event.type !== "smtp-authentication") continue;
    return [["link-auth", `${AUTH_RESULT[effect.event.result]}|${effect.event.user}`]];
  }
  const { origin } = after;
  if (input.on !== "command" || origin === null || origin === before.origin) return [];
  return [["link-identify", `${after.esmtp ? "EHLO" : "HELO"}|${origin.helo}`]];
}

function envelopeReports(before: Session, after: Session, transaction: KnownTransaction | null): FilterReport[] {
  const reports: FilterReport[] = [];
  const known = before.transaction?.accepted ?? null;
  for (let one = after.transaction?.accepted ?? null; one !== null && one !== known; one = one.before) {
    for (const id of transaction?.name(one) ?? []) reports.push(["tx-envelope", `${transaction!.message}|${id}`]);
  }
  return reports;
}

function mailReports(
  input: Input,
  { begins, code, sent, message }: {
    readonly begins: boolean;
    readonly code: string;
    readonly sent: SentCommand;
    readonly message: MessageId;
  },
): FilterReport[] {
  if (code === "") return [];
  const result = /^[23]/.test(code) ? "ok" : code.startsWith("5") ? "permfail" : "tempfail";
  if (begins) return [["tx-begin", message], ["tx-mail", `${message}|${result}|${sent.address}`]];
  if (input.on === "expanded" || sent.verb === "RCPT") return [["tx-rcpt", `${message}|${result}|${sent.address}`]];
  if (input.on === "refused" || (input.on === "received" && input.fault !== null) || sent.verb === "DATA") {
    return input.on === "committed" ? [] : [["tx-data", `${message}|${result}`]];
  }
  return [];
}

/** The key of a sender for tables; the null sender is "". */
export function senderKey(session: Session): string {
  const sender = session.transaction?.sender ?? null;
  return sender === null ? "" : formatMailbox(sender);
}
