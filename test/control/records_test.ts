/** Records for `--json`: the names that smtpctl(8) has, in every form that a record can take. */

import { classifyOutcome } from "../../src/control/classified.ts";
import assert from "node:assert/strict";
import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";
import * as records from "../../src/control/records.ts";
import type { ListedEnvelope } from "../../src/control/mod.ts";
import { safeJson, Stats } from "../../src/events/mod.ts";
import { evpid } from "../ids.ts";

const envelope: ListedEnvelope = {
  id: evpid("7b23f1c8a1b2c3d4"),
  sender: null,
  rcpt: { local: "bob", domain: "example.net" },
  dest: { local: "a|b", domain: "example.net" },
  origin: {
    address: "192.0.2.7",
    hostname: "mx.example.net",
    helo: "he\x1b[2Jlo",
    smtpname: "mx.example.org",
    tag: "",
    username: "",
    authenticated: true,
  },
  dsn: { notify: 5, ret: "HDRS", envid: "x", orcpt: "" },
  action: "out",
  agent: "mta",
  internal: false,
  createdAt: Date.UTC(2026, 0, 2),
  expiresAt: Date.UTC(2026, 0, 6),
  tries: 2,
  lastTryAt: 0,
  lastBounceAt: 0,
  errorLine: "450 \x9bno\n\u2028",
  status: { class: 4, code: "2.1" },
  suspended: true,
};

const names = (words: string) => Object.keys(JSON_FORMS[words]!.fields).sort();
const keys = (record: object) => Object.keys(record).sort();

Deno.test("show queue: flags, states and times", () => {
  const at = Date.UTC(2026, 0, 3);
  const record = records.queueRecord(envelope, { id: envelope.id, state: "held", at }, classifyOutcome);
  assert.deepEqual(keys(record), names("show queue"));
  assert.deepEqual(
    [record.sender, record.flags, record.state, record.dueAt, record.inflightSince, record.lastTryAt, record.createdAt],
    [null, ["auth", "suspend", "hold"], "held", "2026-01-03T00:00:00.000Z", null, null, "2026-01-02T00:00:00.000Z"],
  );
  assert.equal(
    records.queueRecord(envelope, { id: envelope.id, state: "inflight", at }, classifyOutcome).inflightSince,
    "2026-01-03T00:00:00.000Z",
  );
  assert.equal(records.queueRecord(envelope, null, classifyOutcome).state, "offline");
});

Deno.test("show envelope: strangers' controls are escaped in the line, and read back as they were", () => {
  const record = records.envelopeRecord(envelope, classifyOutcome);
  assert.deepEqual(keys(record), names("show envelope"));
  const line = safeJson(record);
  assert.match(line, /^[ -~]*$/);
  assert.deepEqual(JSON.parse(line), JSON.parse(JSON.stringify(record)));
  assert.deepEqual([record.status, (record.dsn as { notify: unknown }).notify], ["4.2.1", ["success", "delay"]]);
});

Deno.test("monitor prints its samples as they are", () => {
  assert.deepEqual(keys(new Stats().sample()), names("monitor"));
});

Deno.test("the others have the names of smtpctl(8) too", () => {
  const process = { process: "out", pid: 7, stands: [], says: [], missing: [], isolates: [] };
  const call = { type: "records", call: 1 } as const;
  const host = {
    address: "192.0.2.1",
    name: "mx",
    references: 1,
    connections: 0,
    lastConnectAt: null,
    transactionMs: 3,
    ...{ failedAt: null, failureClass: null, failure: null },
  };
  const route = { route: 1, source: null, host: "192.0.2.1", isNew: true, disabled: null, connections: 0 } as const;
  const relay = { relay: "[relay]", source: null, tasks: 1, connections: 0, lastConnectAt: 1, retryAt: null };
  const certificate = {
    name: "n",
    source: "acme",
    notAfter: 1,
    names: ["a", "b"],
    issuer: "i",
    failures: 1,
    retryAt: 2,
  } as const;
  assert.equal(
    records.describeCertificate(certificate),
    "n|acme|1970-01-01T00:00:00.001Z|a,b|i|1|1970-01-01T00:00:00.002Z",
  );
  const rows: [string, readonly object[]][] = [
    ["show stats", [records.statsRecord([{ key: "smtp.session", value: 1, kind: "gauge" }], 1.5)]],
    ["show status", [
      records.statusRecord({ mda: true, mta: false, smtp: false }, {
        problems: ["QUEUE x"],
        history: null,
        configuration: { file: "/f", readAt: 0, generation: 1, olderGenerations: 1, olderSessions: 2 },
        processes: [process],
      }),
    ]],
    ["show certificates", [records.certificateRecord(certificate)]],
    ["show damaged", [records.damagedRecord({ id: "7b23f1c8", foundAt: 1, reason: "r" })]],
    ["dkim check", [
      records.dkimRecord({ domain: "d", selector: "s", use: "signs", state: "ok", ok: true, text: "t" }),
    ]],
    ["show hosts", records.relayRecords({ ...call, hosts: [host] })],
    [
      "show routes",
      records.relayRecords({
        ...call,
        routes: [{ ...route, errors: 0, penalty: 0, enabledAt: 1, blocks: 0, blockReply: null }],
      }),
    ],
    ["show relays", records.relayRecords({ ...call, relays: [{ ...relay, waitsForMx: false }] })],
    ["show hoststats", records.relayRecords({ ...call, hoststats: [{ domain: "d", at: 1, status: "ok" }] })],
  ];
  for (const [words, found] of rows) {
    assert.ok(found.length === 1, words);
    assert.deepEqual(keys(found[0]!), names(words), words);
  }
});
