/** The signer isolate at its doors: the only one with the keys of DKIM. It answers signatures, and may do nothing else. */

import { systemClock } from "../clock.ts";
import type { Channel, DoorPeer, Isolate } from "../isolate/mod.ts";
import { prepareHashing } from "../mail_auth/dkim/mod.ts";
import type { FromSigner, ToSigner } from "../protocol/mod.ts";
import { Libcrypto, type OpenedLibcrypto } from "./libcrypto.ts";
import { Signatures } from "./signatures.ts";

/** How often keys are looked for whose time is over, in milliseconds. */
const TIDY_MS = 60_000;

/** Runs the signer isolate: each question is answered in the turn in which it comes. */
export function serveSigner(isolate: Isolate<"signer">, opened: OpenedLibcrypto): void {
  prepareHashing();
  const libcrypto = opened instanceof Libcrypto ? opened : null;
  const signatures = new Signatures(isolate.settings, { now: systemClock.steady, libcrypto });
  if ((isolate.life ?? 1) === 1) saySlow(isolate, { slow: signatures.slow, opened });
  const serve = (channel: Channel<FromSigner, ToSigner>, { refuse }: DoorPeer) => {
    channel.onmessage = (question) => {
      const { call, message } = question;
      const result = signatures.sign(question);
      if (result.ok) return channel.send({ type: "signed", call, signature: result.signature });
      if (result.refusal === "forged") return refuse(`sign: the grant of ${message} is not as lookup has made it`);
      channel.send({ type: "signed", call, signature: null, refusal: result.refusal });
    };
  };
  isolate.serve("smtp-signer", serve);
  isolate.serve("queue-signer", serve);
  isolate.onsettings = ({ keys }) => {
    if (keys !== undefined) signatures.renew(keys);
  };
  isolate.onreload = () => signatures.renew(isolate.settings.keys);
  const stopTidying = systemClock.every(TIDY_MS, () => signatures.tidy());
  isolate.onstop = () => {
    stopTidying();
    signatures.close();
  };
}

/** Says, of the first isolate, which keys the runtime signs with, since that takes much longer. */
function saySlow(
  isolate: Isolate<"signer">,
  { slow, opened }: { readonly slow: readonly string[]; readonly opened: OpenedLibcrypto },
): void {
  if (slow.length === 0) return;
  const reason = opened instanceof Libcrypto ? "libcrypto does not sign with them as it should" : opened.reason;
  const text = `info: signer: RSA signatures of ${slow.join(", ")} take six times as long as by OpenSSL 3: ${reason}`;
  isolate.emit({ type: "log", level: "info", text });
}
