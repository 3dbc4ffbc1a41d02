/** Signs what the daemon itself writes, DSNs and reports, where it goes by an action with `dkim`. */

import type { MessageId } from "../envelope/mod.ts";
import type { EmitEvent } from "../events/mod.ts";
import { MessageSigner, type SigningDeps } from "../signer_client/mod.ts";

const LF = 0x0a;

export class NoticeSigner {
  readonly #deps: SigningDeps & { readonly emit: EmitEvent };

  constructor(deps: SigningDeps & { readonly emit: EmitEvent }) {
    this.#deps = deps;
  }

  /**
   * Returns the octets of a message, whose lines end with LF, with its signatures in front. `grant` is that of the expansion; without one they are
   * returned as they are. Rejects when the message cannot be signed now: its id must not serve for another one then.
   */
  async sign(
    message: MessageId,
    grant: string | undefined,
    octets: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (grant === undefined) return octets;
    const signer = new MessageSigner(this.#deps);
    const end = headerEnd(octets);
    signer.header(octets.subarray(0, end));
    signer.body(octets.subarray(end + 1));
    const result = await signer.finish({ message, grant });
    switch (result.kind) {
      case "signed": {
        const { domain, selectors } = result;
        this.#deps.emit({ type: "queue-signed", message, domain, selectors });
        return inFront(new TextEncoder().encode(result.fields), octets);
      }
      case "unsigned":
        this.#deps.emit({ type: "queue-unsigned", message, deferred: false, reason: result.reason });
        return octets;
      case "failed": {
        const reason = "the isolate signer does not answer";
        this.#deps.emit({ type: "queue-unsigned", message, deferred: true, reason });
        throw new Error(`it cannot be signed now: ${reason}`);
      }
    }
  }
}

/** Where the blank line behind the header section begins. */
function headerEnd(octets: Uint8Array): number {
  for (let at = octets.indexOf(LF); at >= 0; at = octets.indexOf(LF, at + 1)) {
    if (octets[at + 1] === LF) return at + 1;
  }
  return octets.length;
}

function inFront(front: Uint8Array, octets: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(front.length + octets.length);
  whole.set(front);
  whole.set(octets, front.length);
  return whole;
}
