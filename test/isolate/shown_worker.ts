/** An smtp isolate for the supervisor's test: tells which certificates it has, and dies when told. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SMTP_DOORS } from "../../src/protocol/isolates/smtp.ts";
import { say } from "./toy.ts";

runIsolate("smtp", SMTP_DOORS, (isolate) => {
  const tell = () => {
    const text = `has ${Object.keys(isolate.settings.pki).join(" ")}`;
    say("smtp", text);
  };
  tell();
  isolate.onsettings = tell;
  isolate.ask("smtp-main").onmessage = () => {
    queueMicrotask(() => {
      throw new Error("told to die");
    });
  };
});
