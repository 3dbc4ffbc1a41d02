/** Tells which keys of DKIM would sign a message and which of its fields, or why none would. Has no key: signatures are made of nothing. */

import type { Config } from "../config/mod.ts";
import type { EnvelopeContent } from "../envelope/mod.ts";
import { signingActions, type SigningObstacle, signingObstacle } from "../lookup/authorise.ts";
import { headerEnd } from "./message.ts";
import type { SigningKeyName } from "../protocol/mod.ts";
import { MessageSigner } from "../signer_client/mod.ts";
import type { Step } from "./step.ts";

export interface SigningDeps {
  readonly config: Pick<Config, "actions" | "dkim">;
  /** Those that sign now. */
  readonly keys: readonly SigningKeyName[];
  /** Milliseconds since the epoch. */
  now(): number;
}

const OBSTACLES: Readonly<Record<SigningObstacle, string>> = {
  action: 'none of its recipients goes by an action with "dkim"',
  stranger: "a stranger has sent it, and what is only passed on keeps its octets",
};

/** A signature that stands for one. */
const NO_SIGNATURE = new Uint8Array(1);

/** Returns what signs a message with these envelopes, as smtp would have it signed. `text`: the message as it is stored. */
export async function explainSigning(
  envelopes: readonly EnvelopeContent[],
  text: Uint8Array,
  { config, keys, now }: SigningDeps,
): Promise<Step> {
  const signs = signingActions(config.actions);
  if (signs.size === 0 || envelopes.length === 0) return unsigned('no action has "dkim"');
  const { origin } = envelopes[0]!;
  const internal = envelopes.map((envelope) => envelope.internal);
  // Of a message that is not the daemon's own every decision of lookup is in its envelopes.
  const targets = envelopes.map((envelope) => ({ ...envelope, agent: "mta" as const }));
  const obstacle = signingObstacle({ origin, own: false }, { targets, internal }, signs);
  if (obstacle !== null) return unsigned(OBSTACLES[obstacle]);
  if (keys.length === 0) return config.dkim.length > 0 ? unknown("there is none of them") : unsigned("there is no key");
  const client = { deadline: () => Infinity, sign: () => Promise.resolve(NO_SIGNATURE) };
  const signer = new MessageSigner({ keys: () => keys, client, now });
  const end = headerEnd(text);
  signer.header(text.subarray(0, end.header));
  signer.body(text.subarray(end.body));
  const result = await signer.finish({ message: MESSAGE, grant: "" });
  if (result.kind !== "signed") {
    // Those of a domain are read together, or none.
    const unread = config.dkim.some(({ domain }) => !keys.some((key) => key.domain === domain));
    const reason = result.kind === "unsigned" ? result.reason : "it cannot be signed now";
    return unread ? unknown(reason) : unsigned(reason);
  }
  const { domain, selectors, fields } = result;
  const signed = signedFields(fields);
  return {
    kind: "signing",
    text: `signed for ${domain}`,
    detail: { domain, selectors: [...selectors] },
    children: selectors.map((selector) => keyStep({ domain, selector }, signed.get(selector) ?? [], config)),
  };
}

const MESSAGE = "00000000" as Parameters<MessageSigner["finish"]>[0]["message"];

function keyStep(
  { domain, selector }: Pick<SigningKeyName, "domain" | "selector">,
  fields: readonly string[],
  { dkim }: SigningDeps["config"],
): Step {
  // A key that has taken the place of another stands in no line.
  const lines = dkim.filter((line) => line.domain === domain);
  const where = (lines.find((line) => line.selector === selector) ?? lines[0])?.at;
  return {
    kind: "key",
    ...where === undefined ? {} : { where },
    text: `by the key of the selector ${selector}: ${[...new Set(fields)].join(", ")}`,
    detail: { domain, selector, fields: [...fields] },
  };
}

/** Not all keys of the configuration can be read by who asks. */
function unknown(reason: string): Step {
  const text = `whether it is signed is not known: not by the keys that can be read here, ${reason}`;
  return { kind: "signing", text, detail: { domain: null, reason } };
}

function unsigned(reason: string): Step {
  return { kind: "signing", text: `not signed: ${reason}`, detail: { domain: null, reason } };
}

/** The names in `h=` of each of the fields, by selector. */
function signedFields(fields: string): ReadonlyMap<string, string[]> {
  const tag = (field: string, name: string) =>
    new RegExp(`\\s${name}=([^;]*);`).exec(field)?.[1]?.replace(/\s+/g, "") ?? "";
  const each = fields.split(/^(?=DKIM-Signature:)/m);
  return new Map(each.map((field) => [tag(field, "s"), tag(field, "h").split(":")]));
}
