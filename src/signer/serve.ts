/** The signer isolate at its doors: the only one with the keys of DKIM. It answers signatures, and may do nothing else. */

import { systemClock } from "../clock.ts";
import type { Channel, DoorPeer, Isolate } from "../isolate/mod.ts";
import { prepareHashing } from "../mail_auth/dkim/mod.ts";
import type { FromSigner, ToSigner } from "../protocol/mod.ts";
import { Signatures } from "./signatures.ts";

/** How often keys are looked for whose time is over, in milliseconds. */
const TIDY_MS = 60_000;

/** Runs the signer isolate: each question is answered in the turn in which it comes. */
export function serveSigner(isolate: Isolate<"signer">): void {
  prepareHashing();
  const signatures = new Signatures(isolate.settings, systemClock.steady);
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
  isolate.onstop = systemClock.every(TIDY_MS, () => signatures.tidy());
}
