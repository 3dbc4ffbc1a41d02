/** Delivery to an LMTP server (RFC 2033) on this host or near it: one recipient per connection. The dialogue is src/smtp_client's. */

import { type Clock, systemClock } from "../../clock.ts";
import { type EnvelopeContent, formatMailbox, type Handling, messageOf, newSessionId } from "../../envelope/mod.ts";
import { type AttemptDetail, logTrace, NO_OBSERVER, type Observer, systemReason } from "../../events/mod.ts";
import {
  type Body,
  type Client,
  ClientDialogue,
  ClientError,
  codeOfFailure,
  connectClient,
  enhancedCode,
  type RecipientResult,
  type Reply,
  type Timeouts,
} from "../../smtp_client/mod.ts";
import type { LmtpEndpoint } from "../plan.ts";
import type { Delivered } from "../delivered.ts";
import { DELIVERED, type DeliveryEnd, EX, exited, interrupted, unaccepted } from "./sysexits.ts";

const LHLO_NAME = "localhost";

export interface LmtpTarget {
  readonly to: LmtpEndpoint;
  /** Argument of RCPT: an address, or the bare name of an account. */
  readonly recipient: string;
  /** Argument of LHLO; `localhost` for null or none. */
  readonly lhlo?: string | null;
}

/**
 * Runs the delivery to its end; lines and octets are logged where `mta` and `io` are traced. Each step has its own time, and there is no limit for the whole that
 * would cut off a server that is still filing the message. Never rejects. A 5xx is final, everything else is worth another try.
 */
export async function deliverLmtp(
  target: LmtpTarget,
  envelope: Pick<EnvelopeContent, "sender" | "handling"> & Partial<Pick<EnvelopeContent, "id">>,
  message: Delivered,
  timeouts: Timeouts,
  observer: Observer = NO_OBSERVER,
  clock: Pick<Clock, "steady"> = systemClock,
): Promise<DeliveryEnd> {
  const session = newSessionId();
  const trace = (way: string, line: string) => logTrace(observer, "mta", `${session}: ${way} ${line}`);
  const count = (what: string, bytes: number) => logTrace(observer, "io", `${session}: ${what} ${bytes} bytes`);
  const dialogue = ClientDialogue.where(session, observer, clock);
  const attempt = observer.recording === true ? { session, ...endpointOf(target.to) } : null;
  const ended = (end: DeliveryEnd, reply: Reply | null): DeliveryEnd => {
    if (end.outcome.result !== "ok") {
      dialogue?.wentWrong(envelope.id === undefined ? undefined : messageOf(envelope.id));
    }
    if (attempt === null) return end;
    return { ...end, attempt: { ...attempt, ...(reply === null ? {} : { code: reply.code }) } };
  };
  let client: Client | null = null;
  try {
    client = await connectClient({
      to: target.to,
      timeouts,
      lmtp: true,
      recorder: dialogue ?? undefined,
      get trace() {
        return observer.traces("mta") ? trace : undefined;
      },
      get count() {
        return observer.traces("io") ? count : undefined;
      },
    });
    await client.hello(target.lhlo ?? LHLO_NAME);
    const result = await client.transaction({
      sender: envelope.sender === null ? "" : formatMailbox(envelope.sender),
      recipients: [{ address: target.recipient }],
      handling: withoutTls(envelope.handling),
      body: withTrace(message),
    });
    const end = result.recipients[0]!;
    if (end.outcome === "ok") {
      // The reply is there: QUIT may take its time.
      void client.quit();
      return ended(DELIVERED, end.reply);
    }
    client.close();
    if (end.reply === null && result.error !== null) return ended(broken(target.to, result.error), null);
    return ended(refused(target.to, { ...end, outcome: end.outcome }), end.reply);
  } catch (error) {
    client?.close();
    if (!(error instanceof ClientError)) return exited(EX.TEMPFAIL, `${placeOf(target.to)}: ${systemReason(error)}`);
    const { reply, message: text } = error;
    if (reply === null) return ended(broken(target.to, error), null);
    return ended(refused(target.to, { outcome: reply.code >= 500 ? "permfail" : "tempfail", text, reply }), reply);
  }
}

/** There was no reply: the connection did not come about, broke, or was silent for too long. */
function broken(to: LmtpEndpoint, error: ClientError): DeliveryEnd {
  const enhanced = codeOfFailure(error);
  if (error.kind !== "timeout") {
    return unaccepted("tempfail", { text: `${placeOf(to)}: ${error.message}`, enhanced, ...remoteOf(to) });
  }
  const { outcome, stat } = interrupted("terminated; timeout");
  const text = `${placeOf(to)}: ${outcome.text}`;
  return {
    outcome: { result: "tempfail", text, status: { class: 4, code: enhanced.slice(2) }, ...remoteOf(to) },
    stat,
  };
}

/** The server's reply, or a reason found here (what it lacks), is against the mail. */
function refused(
  to: LmtpEndpoint,
  { outcome: outcome, text, reply, enhanced }: Pick<RecipientResult, "text" | "enhanced"> & {
    readonly outcome: "tempfail" | "permfail";
    readonly reply: Reply | null;
  },
): DeliveryEnd {
  const severity = outcome === "permfail" ? 5 : 4;
  const code = enhancedCode(enhanced ?? reply?.text ?? "", severity);
  return unaccepted(outcome, { text, ...(code === null ? {} : { enhanced: `${severity}.${code}` }), ...remoteOf(to) });
}

/** RFC 3464 §2.3.5: the name of the server, for the DSN. A socket of this host has none. */
function remoteOf(to: LmtpEndpoint): { readonly remote?: string } {
  return "path" in to ? {} : { remote: to.host };
}

function endpointOf(to: LmtpEndpoint): Pick<AttemptDetail, "host" | "port" | "address"> {
  return "path" in to ? { address: to.path } : { host: to.host, port: to.port };
}

function placeOf(to: LmtpEndpoint): string {
  return "path" in to ? to.path : `${to.host} port ${to.port}`;
}

/** The body with our lines in front of it. */
function withTrace({ trace, body }: Delivered): Body {
  return {
    bytes: trace.length + body.bytes,
    chunks: Math.max(body.chunks, 1),
    chunk(index) {
      if (index > 0) return body.chunk(index);
      const start = new Uint8Array(trace.length + body.first.length);
      start.set(trace);
      start.set(body.first, trace.length);
      return start;
    },
  };
}

/** RFC 8689 §1: REQUIRETLS is about the way to this host. A server to which the operator gives the mail of their users is behind it. */
function withoutTls({ requireTls: _, ...others }: Handling = {}): Handling {
  return others;
}
