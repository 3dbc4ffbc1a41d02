/** Verifies with what an isolate of the daemon has: no permission at all. */

import { DkimVerifier, parseKeyRecord } from "../../../src/mail_auth/dkim/mod.ts";

const scope = self as unknown as {
  onmessage: (event: MessageEvent<string>) => void;
  postMessage(message: unknown): void;
};

scope.onmessage = async ({ data }) => {
  const parsed = parseKeyRecord(data);
  const dns = { txt: () => Promise.resolve({ kind: "none", exists: false } as const) };
  const verifier = new DkimVerifier({ now: Date.now(), dns });
  const signature = "v=1; a=rsa-sha256; d=a.example; s=b; h=from; bh=AQID; b=AQID";
  verifier.header(new TextEncoder().encode(`DKIM-Signature: ${signature}\n`));
  verifier.body(new TextEncoder().encode("x\n"));
  const [verdict] = await verifier.finish();
  scope.postMessage({ result: verdict?.result, bits: parsed.ok ? parsed.record.bits : null });
};
