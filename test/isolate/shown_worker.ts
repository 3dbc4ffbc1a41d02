/** An smtp isolate for the supervisor's test: reports which certificates it has, and dies on request. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SMTP_DOORS } from "../../src/protocol/isolates/smtp.ts";
import { say } from "./toy.ts";

runIsolate("smtp", SMTP_DOORS, (isolate) => {
  const report = () => {
    const text = `has ${Object.keys(isolate.settings.pki).join(" ")}`;
    say("smtp", text);
  };
  report();
  isolate.onsettings = report;
  isolate.ask("smtp-main").onmessage = () => {
    queueMicrotask(() => {
      throw new Error("made to die");
    });
  };
});
