/** The real signer isolate, of which the first dies when it is asked to sign. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SIGNER_DOORS } from "../../src/protocol/isolates/signer.ts";
import { serveSigner } from "../../src/signer/serve.ts";

runIsolate("signer", SIGNER_DOORS, (isolate) => {
  if ((isolate.life ?? 1) > 1) return serveSigner(isolate, { reason: "this is a test" });
  isolate.serve("queue-signer", () => {});
  isolate.serve("smtp-signer", (channel) => {
    channel.onmessage = () => {
      throw new Error("made to die");
    };
  });
});
