/** What becomes of a message behind its 250: signatures, local delivery, relaying, and how long it is kept, by envelope. */

import type { Config } from "../config/mod.ts";
import type { EnvelopeContent } from "../envelope/mod.ts";
import type { Lookups } from "../lookup/mod.ts";
import type { Settings } from "../protocol/mod.ts";
import { CHUNK_BYTES } from "../protocol/smtp_queue.ts";
import { bodyOf, isEightBit, type Wire, wireOctets } from "../smtp_client/mod.ts";
import type { Names } from "../relay/routes/mx.ts";
import type { OwnHost } from "../relay/routes/own.ts";
import { explainDelivery } from "./delivery.ts";
import { keepingStep } from "./keeping.ts";
import type { Look } from "./place.ts";
import { explainRoute } from "./route.ts";
import { explainSigning } from "./signing.ts";
import type { Step } from "./step.ts";

/** A message as the queue would have stored it. */
export interface Stored {
  readonly envelopes: readonly EnvelopeContent[];
  /** With LF at the end of its lines. */
  readonly text: Uint8Array;
}

export interface BehindDeps {
  readonly config: Pick<Config, "actions" | "declared" | "dkim">;
  readonly settings: Pick<Settings, "smtp" | "queue" | "relay" | "delivery">;
  readonly lookups: Pick<Lookups, "account" | "smarthosts" | "sources" | "relayCredentials">;
  readonly names: Names;
  readonly own: OwnHost;
  readonly look: Look;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Envelopes of one message that are explained: each may take questions to the DNS. */
const MAX_EXPLAINED_ENVELOPES = 100;
const SMTP_PORT = 25;
/** Outcomes of which there is no second try. */
const FINAL: ReadonlySet<unknown> = new Set(["permfail", "loop"]);

/** Returns what would become of each envelope of a message. Nothing is sent, made or stored. Rejects only as the lookups do. */
export async function explainEnvelopes({ envelopes, text }: Stored, deps: BehindDeps): Promise<Step[]> {
  const { config, settings, now } = deps;
  const keys = settings.smtp.signing ?? [];
  const steps: Step[] = [];
  if (
    config.dkim.length > 0 || Object.values(config.actions).some((action) => action.kind === "relay" && action.dkim)
  ) {
    steps.push(await explainSigning(envelopes, text, { config, keys, now }));
  }
  const wire: Wire = {
    octets: await wireOctets(bodyOf(text)),
    // What is in several chunks is not looked at.
    eightBit: text.length > CHUNK_BYTES || isEightBit(text),
  };
  const explained = envelopes.slice(0, MAX_EXPLAINED_ENVELOPES);
  // Beside one another: name servers that do not answer are waited for once.
  steps.push(...await Promise.all(explained.map((envelope) => explainOne(envelope, text, wire, deps))));
  const more = envelopes.length - MAX_EXPLAINED_ENVELOPES;
  if (more > 0) steps.push({ kind: "more", text: `and ${more} more envelopes`, detail: { more } });
  return steps;
}

async function explainOne(envelope: EnvelopeContent, text: Uint8Array, wire: Wire, deps: BehindDeps): Promise<Step> {
  const { config, settings, lookups, names, own, look, now } = deps;
  const step = envelope.agent === "mda"
    ? await explainDelivery(envelope, text, { settings: settings.delivery, lookups, config, look })
    : await explainRoute(envelope, wire, {
      ...{ settings: settings.relay, lookups, config, names, own, now },
      // The first of equals: it is said that any of them may be.
      random: () => 0,
      mxPort: SMTP_PORT,
    });
  const { children = [] } = step;
  // What is returned at once is not kept.
  if (children.some(({ kind, detail }) => kind === "end" && FINAL.has(detail?.["result"]))) return step;
  return { ...step, children: [...children, keepingStep(envelope, settings.queue, config)] };
}
