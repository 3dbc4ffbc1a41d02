/** Tells how long the queue keeps an envelope that cannot be delivered: when it is tried again, when its sender hears of that, and when it is given up. */

import type { Config } from "../config/mod.ts";
import { SET_PLACES } from "../config/source_line.ts";
import type { Envelope, EnvelopeContent, Outcome } from "../envelope/mod.ts";
import { formatDuration } from "../events/mod.ts";
import type { QueueSettings } from "../protocol/mod.ts";
import { judge, judgeExpired } from "../queue/disposition.ts";
import { nextDue } from "../schedule/mod.ts";
import type { Step } from "./step.ts";

/** Attempts that are named, and that are looked at for warnings. */
const NAMED_ATTEMPTS = 4, MAX_ATTEMPTS = 10_000;

const LATER: Outcome = { result: "tempfail", text: "", status: { class: 4, code: "0.0" } };

/** Ages of an envelope, in seconds. */
export interface Keeping {
  readonly ttlSeconds: number;
  /** When it is tried again, if each attempt fails for now. */
  readonly tries: readonly number[];
  /** When its sender gets a DSN of delay. */
  readonly warned: readonly number[];
  /** Its sender gets a DSN when it is given up. */
  readonly returned: boolean;
}

/** Returns what the queue does with an envelope of which each attempt fails for now. */
export function keepingOf(
  content: EnvelopeContent,
  { ttlSeconds: usual, actionTtlSeconds, warnIntervalsSeconds }: Pick<
    QueueSettings,
    "ttlSeconds" | "actionTtlSeconds" | "warnIntervalsSeconds"
  >,
): Keeping {
  const ttlSeconds = actionTtlSeconds[content.action] ?? usual;
  const policy = { ttlSeconds, warnIntervalsSeconds };
  const { agent, createdAt } = content;
  let envelope: Envelope = {
    ...content,
    ...{ tries: 0, lastTryAt: 0, lastBounceAt: 0, errorLine: "", status: null, suspended: false },
  };
  const tries: number[] = [], warned: number[] = [];
  const age = (at: number) => Math.round((at - createdAt) / 1000);
  for (let now = createdAt; envelope.tries < MAX_ATTEMPTS;) {
    const { state, dsn } = judge(envelope, LATER, now, policy);
    if (dsn !== null) warned.push(age(now));
    envelope = { ...envelope, ...state! };
    now = nextDue(agent, { createdAt, tries: envelope.tries, now });
    if (now >= createdAt + ttlSeconds * 1000) break;
    tries.push(age(now));
  }
  return { ttlSeconds, tries, warned, returned: judgeExpired(envelope, policy).dsn !== null };
}

/** Returns the same as a step. */
export function keepingStep(
  content: EnvelopeContent,
  settings: QueueSettings,
  { declared }: Pick<Config, "declared">,
): Step {
  const { ttlSeconds, tries, warned, returned } = keepingOf(content, settings);
  const times = tries.slice(0, NAMED_ATTEMPTS).map(formatDuration);
  const again = times.length === 0
    ? "is not tried again"
    : `is tried again after ${times.join(", ")}${tries.length > times.length ? ", …" : ""}`;
  const warning = warned.length === 0
    ? ""
    : `, its sender is told of the delay after ${warned.map(formatDuration).join(", ")}`;
  const last = returned ? "is returned to its sender" : "is dropped without a notice";
  const own = settings.actionTtlSeconds[content.action] ?? null;
  const where = declared[own === null ? SET_PLACES.queueTtl : `action ${content.action}`];
  return {
    kind: "queue",
    ...where === undefined ? {} : { where },
    text: `what fails for now ${again}${warning}, and ${last} after ${formatDuration(ttlSeconds)}`,
    detail: { ttlSeconds, triesSeconds: [...tries], warnedSeconds: [...warned], returned },
  };
}
