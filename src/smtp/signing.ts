/** Signs the messages that lookup lets out by an action with `dkim`, while they stream through this isolate. */

import type { MessageId } from "../envelope/mod.ts";
import type { EmitEvent } from "../events/mod.ts";
import { MessageSigner, type SigningDeps } from "../signer_client/mod.ts";
import type { Authenticated, Authenticator, AuthenticatorSource } from "./message/authentication.ts";
import { recipients } from "./session/envelopes.ts";
import type { Session } from "./session/state.ts";

/** RFC 3463 §3.8: a security function that does not work now. */
const NOT_NOW: Authenticated = {
  kind: "refused",
  code: 451,
  text: "4.7.0 Temporary Error: the message cannot be signed now",
};

export interface MailSigningDeps extends SigningDeps {
  readonly emit: EmitEvent;
  /** Of messages that are checked, lookup decides about the recipients anew at the end. */
  readonly decidesLater: boolean;
}

/** Returns what signs messages; null for those that are not to be signed. */
export function signingBy(deps: MailSigningDeps): AuthenticatorSource {
  return (message, session, facts) => {
    if (deps.keys().length === 0) return null;
    const mayBeGranted = grantOf(session) !== null || (deps.decidesLater && facts.mailAuth !== null);
    return mayBeGranted ? new Signing(message, facts.session, deps) : null;
  };
}

/** What lookup has given to one of the recipients: it is the same for all. */
function grantOf({ transaction }: Session): string | null {
  const accepted = transaction === null ? [] : recipients(transaction);
  return accepted.find(({ expansion }) => expansion.grant !== undefined)?.expansion.grant ?? null;
}

class Signing implements Authenticator {
  readonly sees = "stored";
  readonly #signer: MessageSigner;
  readonly #message: MessageId;
  readonly #session: string;
  readonly #emit: EmitEvent;

  constructor(message: MessageId, session: string, deps: MailSigningDeps) {
    this.#message = message;
    this.#session = session;
    this.#emit = deps.emit;
    this.#signer = new MessageSigner(deps);
  }

  header(block: Uint8Array | null): void {
    this.#signer.header(block);
  }

  body(octets: Uint8Array): void {
    this.#signer.body(octets);
  }

  async finish(session: Session): Promise<Authenticated> {
    const grant = grantOf(session);
    if (grant === null) return { kind: "fields", fields: new Uint8Array() };
    const result = await this.#signer.finish({ message: this.#message, grant });
    const about = { session: this.#session, message: this.#message };
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
