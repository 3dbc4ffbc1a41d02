/** Signs the messages that lookup lets out by an action with `dkim`, while they stream through this isolate. */

import type { EmitEvent } from "../events/mod.ts";
import { type Granted, MessageSigner, type SigningDeps } from "../signer_client/mod.ts";
import type { Authenticated, Authenticator, AuthenticatorSource } from "./message/authentication.ts";
import { recipients } from "./session/envelopes.ts";

/** RFC 3463 §3.8: a security function that does not work now. */
const NOT_NOW: Authenticated = {
  kind: "refused",
  code: 451,
  text: "4.7.0 Temporary Error: the message cannot be signed now",
};

/** Returns what signs messages; null for those that are not to be signed. */
export function signingBy(deps: SigningDeps & { readonly emit: EmitEvent }): AuthenticatorSource {
  return (message, { transaction }, facts) => {
    if (transaction === null || deps.keys().length === 0) return null;
    const grant = recipients(transaction).find(({ expansion }) => expansion.grant !== undefined)?.expansion.grant;
    return grant === undefined ? null : new Signing({ message, grant }, facts.session, deps);
  };
}

class Signing implements Authenticator {
  readonly sees = "stored";
  readonly #signer: MessageSigner;
  readonly #granted: Granted;
  readonly #session: string;
  readonly #emit: EmitEvent;

  constructor(granted: Granted, session: string, deps: SigningDeps & { readonly emit: EmitEvent }) {
    this.#granted = granted;
    this.#session = session;
    this.#emit = deps.emit;
    this.#signer = new MessageSigner(granted, deps);
  }

  header(block: Uint8Array | null): void {
    this.#signer.header(block);
  }

  body(octets: Uint8Array): void {
    this.#signer.body(octets);
  }

  async finish(): Promise<Authenticated> {
    const result = await this.#signer.finish();
    const about = { session: this.#session, message: this.#granted.message };
    switch (result.kind) {
      case "signed": {
        const { fields, domain, selectors } = result;
        this.#emit({ type: "smtp-signed", ...about, domain, selectors });
        return { kind: "fields", fields: new TextEncoder().encode(fields) };
      }
      case "unsigned":
        this.#emit({ type: "smtp-unsigned", ...about, deferred: false, reason: result.reason });
        return { kind: "fields", fields: new Uint8Array() };
      case "failed":
        this.#emit({ type: "smtp-unsigned", ...about, deferred: true, reason: "the isolate signer does not answer" });
        return NOT_NOW;
    }
  }
}
