/** Delivery to an LMTP server (RFC 2033) on this host or near it: one recipient a connection. The dialogue is src/smtp/client's. */

import { type EnvelopeFacts, formatMailbox, type Handling, newSessionId } from "../envelope/mod.ts";
import { NO_OBSERVER, type Observer, tell } from "../events/mod.ts";
import { type Body, type Client, ClientError, connectClient, type Timeouts } from "../smtp/client/mod.ts";
import type { LmtpEndpoint } from "./plan.ts";
import type { Delivered } from "./source.ts";
import { DELIVERED, type DeliveryEnd, EX, exited, interrupted, reasonOf } from "./sysexits.ts";

const LHLO_NAME = "localhost";

export interface LmtpTarget {
  readonly to: LmtpEndpoint;
  /** Argument of RCPT: an address, or the bare name of an account. */
  readonly recipient: string;
  /** Argument of LHLO; `localhost` for null or none. */
  readonly lhlo?: string | null;
}

/**
 * Runs the delivery to its end, and lets who traces `mta` and `io` listen. Each step has its own time, and there is no limit for the whole that
 * would cut off a server that is still filing the message. Never rejects. A 5xx is final, everything else is worth another try.
 */
export async function deliverLmtp(
  target: LmtpTarget,
  envelope: Pick<EnvelopeFacts, "sender" | "handling">,
  message: Delivered,
  timeouts: Timeouts,
  observer: Observer = NO_OBSERVER,
): Promise<DeliveryEnd> {
  const session = newSessionId();
  const trace = (way: string, line: string) => tell(observer, "mta", `${session}: ${way} ${line}`);
  const count = (what: string, bytes: number) => tell(observer, "io", `${session}: ${what} ${bytes} bytes`);
  let client: Client | null = null;
  try {
    client = await connectClient({
      to: target.to,
      timeouts,
      lmtp: true,
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
    const { verdict, text, reply, enhanced } = result.recipients[0]!;
    if (verdict === "ok") {
      // The answer is there: the goodbye may take its time.
      void client.quit();
      return DELIVERED;
    }
    client.close();
    if (result.error?.kind === "timeout") return interrupted("terminated; timeout");
    return exited(verdict === "permfail" ? EX.UNAVAILABLE : EX.TEMPFAIL, text, enhanced ?? reply?.text);
  } catch (error) {
    client?.close();
    if (error instanceof ClientError && error.kind === "timeout") return interrupted("terminated; timeout");
    const reply = error instanceof ClientError ? error.reply : null;
    const final = (reply?.code ?? 0) >= 500;
    const text = reply === null ? `${placeOf(target.to)}: ${reasonOf(error)}` : reasonOf(error);
    return exited(final ? EX.UNAVAILABLE : EX.TEMPFAIL, text, reply?.text);
  }
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

/** RFC 8689 §1: REQUIRETLS is about the way to this host. A server to which the operator gives the mail of his users is behind it. */
function withoutTls({ requireTls: _, ...others }: Handling = {}): Handling {
  return others;
}
