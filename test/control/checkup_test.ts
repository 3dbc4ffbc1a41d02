/** The check of this host, at control: what it tells main of the queue, what it answers, shows and logs. */

import { deepEqual, equal } from "node:assert/strict";
import { ControlRequests } from "../../src/control/requests.ts";
import { Stats } from "../../src/events/mod.ts";
import type { Finding, QueueFacts } from "../../src/protocol/mod.ts";
import { evpid } from "../ids.ts";
import { envelope, FakeSystem } from "./harness.ts";

const DAY = 86_400_000;
const finding = (check: string, level: Finding["level"]): Finding => ({
  check,
  subject: "example.org",
  level,
  text: "found",
  advice: "do this",
});
/** Two envelopes to one domain that were put off, one that was not tried yet, one for a mailbox here. */
const QUEUED = [
  envelope(evpid("00000001aaaaaaaa"), { tries: 3, errorLine: "451 later", createdAt: DAY }),
  envelope(evpid("00000002aaaaaaaa"), { tries: 1, errorLine: "451 later", createdAt: 2 * DAY, suspended: true }),
  envelope(evpid("00000003aaaaaaaa"), { tries: 0, createdAt: 3 * DAY }),
  envelope(evpid("00000004aaaaaaaa"), { tries: 2, agent: "mda", createdAt: 4 * DAY }),
];

function harness() {
  const system = new FakeSystem({
    list: ({ after }) => ({ type: "listed", envelopes: after === "" ? QUEUED : [], next: null }),
    states: () => ({ type: "states", states: [] }),
    "disk-errors": () => ({ type: "disk-errors", lines: ["QUEUE damaged: 2"] }),
  });
  const log: string[] = [];
  const requests = new ControlRequests(
    system.isolate,
    system.callers(),
    new Stats(),
    (level, text) => log.push(`${level} ${text}`),
  );
  return { system, log, requests };
}

Deno.test("smtpctl check: main gets the queue in numbers, smtpctl each finding, the admin page the last check", async () => {
  const { system, log, requests } = harness();
  system.checked = { at: 7, findings: [finding("mx", "ok"), finding("spf", "error")] };
  const answers = [];
  for await (const answer of requests.answer({ do: "check", blocklists: ["list.test"] })) answers.push(answer);
  deepEqual(answers, [...system.checked.findings.map((one) => ({ finding: one })), { ok: true }]);
  const [asked] = system.requests as { type: string; queue: QueueFacts; blocklists: string[]; keeps: boolean }[];
  const { domain } = QUEUED[0]!.dest;
  deepEqual(asked, {
    type: "checkup",
    blocklists: ["list.test"],
    keeps: false,
    queue: {
      envelopes: 4,
      more: false,
      suspended: 1,
      oldestAt: DAY,
      deferred: [{ domain, envelopes: 2, error: "451 later" }],
      paused: ["mta"],
      diskErrors: ["QUEUE damaged: 2"],
    },
  });
  equal(requests.lastCheckup, system.checked);
  deepEqual(log, [], "who asks is told; the log is for what nobody asked for");
});

Deno.test("the check of the day logs a summary, and what became worse", async () => {
  const { system, log, requests } = harness();
  equal(await requests.loadCheckup(), null);
  system.checked = { at: 7, findings: [finding("mx", "ok"), finding("spf", "error"), finding("ptr", "error")] };
  system.worse = [finding("spf", "error")];
  await requests.dailyCheckup();
  deepEqual(log, ["info info: check: 2 errors", "warn warn: check: error spf example.org: found: do this"]);
  equal((system.requests.at(-1) as unknown as { keeps: boolean }).keeps, true);
  equal(requests.lastCheckup, system.checked);
});

Deno.test("what the last check found is shown again after a new start", async () => {
  const { system, requests } = harness();
  system.checked = { at: 7, findings: [finding("mx", "warning")] };
  equal(await requests.loadCheckup(), 7);
  equal(requests.lastCheckup, system.checked);
});
