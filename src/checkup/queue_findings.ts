/** The health of the queue: how old, how much, what is put off again and again. Pure. */

import type { Finding, QueueFacts } from "../protocol/mod.ts";
import { formatDuration } from "../events/mod.ts";
import { about } from "../findings/mod.ts";

const HOUR_MS = 3_600_000;
/** Mail that is older waits for something that will not come by itself. */
const OLD_MS = 24 * HOUR_MS;
/** So many envelopes put off to one domain are no longer one mistyped address. */
const MANY_DEFERRED = 10;
/** So much mail in the queue of a host is worth a look. */
const MANY_ENVELOPES = 10_000;

/** Findings about the queue. `now` in milliseconds since the epoch. */
export function queueFindings(facts: QueueFacts, now: number): readonly Finding[] {
  return [
    sizeFinding(facts),
    ageFinding(facts, now),
    ...facts.deferred.filter(({ envelopes }) => envelopes >= MANY_DEFERRED).map(({ domain, envelopes, error }) =>
      about("deferred", domain).warning(
        `${envelopes} envelopes wait for ${domain}: ${error}`,
        "see smtpctl show hoststats; smtpctl schedule domain tries again",
      )
    ),
    ...facts.paused.map((what) =>
      about("paused", what).warning(`${what} is paused`, `when that is over: smtpctl resume ${what}`)
    ),
    ...facts.diskErrors.map((line) =>
      about("spool", line.slice(0, 60)).error(line, "smtpctl show status and show damaged say more")
    ),
  ];
}

function sizeFinding({ envelopes, more, suspended }: QueueFacts): Finding {
  const { ok, info, warning } = about("queue", "size");
  const text = `${more ? "more than " : ""}${envelopes} envelope${envelopes === 1 ? "" : "s"}`;
  if (more || envelopes >= MANY_ENVELOPES) return warning(text, "see smtpctl show relays for what it waits for");
  return suspended > 0 ? info(`${text}, of which ${suspended} are suspended`, "smtpctl resume envelope") : ok(text);
}

function ageFinding({ oldestAt }: QueueFacts, now: number): Finding {
  const { ok, warning } = about("queue", "age");
  if (oldestAt === null) return ok("nothing waits");
  const age = Math.max(0, now - oldestAt), text = `the oldest envelope is ${formatDuration(age / 1000)} old`;
  return age > OLD_MS ? warning(text, "smtpctl show queue has the last error of each") : ok(text);
}
