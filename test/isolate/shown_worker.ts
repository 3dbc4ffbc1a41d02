/** An smtp isolate for the supervisor's test: tells which certificates it has, and dies when told. */

import { runIsolate } from "../../src/isolate/mod.ts";

runIsolate("smtp", (isolate) => {
  const tell = () => {
    const text = `has ${Object.keys(isolate.settings.pki).join(" ")}`;
    isolate.tell({ type: "syslog", lines: [{ level: "info", text }] });
  };
  tell();
  isolate.oncertificates = tell;
  isolate.onsession = () => {
    queueMicrotask(() => {
      throw new Error("told to die");
    });
  };
});
