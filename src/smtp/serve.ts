/** Entry of the smtp isolate: ties the service to the doors that main has made. */

import type { EmitEvent, Event } from "../events/mod.ts";
import { Caller, type Isolate, Tally } from "../isolate/mod.ts";
import { SignerClient } from "../signer_client/mod.ts";
import { type ServiceClock, SmtpService } from "./service.ts";
import { signingBy } from "./signing.ts";
import { soon, systemClock } from "../clock.ts";

const serviceClock: ServiceClock = { ...systemClock, soon };

/** How long an event may wait for others, in milliseconds: waking the log for each would cost more than writing it. */
const REPORT_DELAY_MS = 5;

/** A report that passes events on in groups, in order. `flush` passes on at once what it holds. */
function grouped(emit: EmitEvent): { emit: EmitEvent; flush(): void } {
  let held: Event[] = [];
  const flush = () => {
    const events = held;
    held = [];
    for (const event of events) emit(event);
  };
  return {
    emit(event) {
      if (held.push(event) === 1) systemClock.after(REPORT_DELAY_MS, flush);
    },
    flush,
  };
}

/** Collects ended sessions and reports several to main at once, for the same reason. */
function collected(send: (sessionNumbers: readonly number[]) => void): (sessionNumber: number) => void {
  let sessionNumbers: number[] = [];
  return (sessionNumber) => {
    if (sessionNumbers.push(sessionNumber) > 1) return;
    systemClock.after(REPORT_DELAY_MS, () => {
      send(sessionNumbers);
      sessionNumbers = [];
    });
  };
}

/** Serves sessions until main says stop. */
export function serveSmtp(isolate: Isolate<"smtp">): void {
  const events = grouped(isolate.emit);
  const tally = new Tally(isolate.emit);
  const main = new Caller(isolate.ask("smtp-main"));
  const signer = new SignerClient(isolate.ask("smtp-signer"), systemClock);
  const service = new SmtpService({
    settings: isolate.settings,
    lookup: isolate.ask("smtp-lookup"),
    queue: isolate.ask("smtp-queue"),
    filter: isolate.ask("smtp-filter"),
    filterOf: (index) => isolate.ask("smtp-filter", index),
    emit: events.emit,
    replied: (afterMs) => tally.observe("smtp.reply", afterMs / 1000),
    observer: isolate,
    askSource(sessionNumber, address, answer) {
      main.request<"source">({ type: "source", sessionNumber, address }, ({ admitted }) => answer(admitted));
    },
    clock: serviceClock,
    generation: isolate.generation ?? 0,
    authenticators: ({ rulesSeeMailAuth }) => [signingBy({
      keys: () => isolate.settings.signing ?? [],
      client: signer,
      now: systemClock.now,
      emit: events.emit,
      decidesLater: rulesSeeMailAuth === true,
    })],
    ended: collected((sessionNumbers) => main.send({ type: "sessions-ended", sessionNumbers })),
  });
  main.onmessage = (message) => {
    if (message.type === "session") service.session(message);
  };
  isolate.onsettings = ({ pki }) => {
    // Names of keys that sign are asked for with each message.
    if (pki !== undefined) service.renew(isolate.settings);
  };
  isolate.onreload = (generation) => service.reload(isolate.settings, generation);
  isolate.onretire = (generation) => void service.retire(generation);
  isolate.onforget = (generation) => service.forget(generation);
  isolate.onstop = async () => {
    await service.stop();
    events.flush();
    tally.flush();
  };
}
