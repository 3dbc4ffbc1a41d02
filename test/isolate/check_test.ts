/**
 * Every message of every door passes its check, and what is wrong in one place is refused with the place named. Long on purpose: one example per
 * message.
 */

import assert from "node:assert/strict";
import {
  type Check,
  compileTable,
  flag,
  nullOr,
  optional,
  passing,
  record,
  text as textOf,
  whole,
} from "../../src/protocol/check.ts";
import { EVENTS, REPORTERS } from "../../src/protocol/events.ts";
import type {
  DoorName,
  Doors,
  FromFiles,
  FromSigner,
  ToFiles,
  ToSigner,
  ToSupervisor,
} from "../../src/protocol/mod.ts";
import { DOOR_NAMES, DOORS } from "../../src/protocol/doors.ts";
import { attributed } from "../../src/protocol/events.ts";
import { TO_SUPERVISOR } from "../../src/protocol/lifecycle.ts";
import { type Envelope, type EnvelopeContent, isMessageId } from "../../src/envelope/mod.ts";
import type { CounterKey, Event, GaugeKey } from "../../src/events/mod.ts";
import { evpid, msgid } from "../ids.ts";

const MESSAGE = msgid("0a0b0c0d"), ID = evpid("0a0b0c0d00000001"), SESSION = "00000000000000ff";
const box = { local: "a", domain: "x.test" };
const content: EnvelopeContent = {
  id: ID,
  sender: null,
  rcpt: box,
  dest: box,
  origin: { address: "[::1]", hostname: "h", helo: "h", smtpname: "s", tag: "", username: "", authenticated: false },
  dsn: { notify: 3, ret: "HDRS", envid: "", orcpt: "" },
  action: "a",
  agent: "mda",
  internal: false,
  createdAt: 1,
  user: "u",
  subAddress: "",
  exec: "",
  handling: { smtpUtf8: true, requireTls: true },
};
const envelope: Envelope = {
  ...content,
  tries: 1,
  lastTryAt: 0,
  lastBounceAt: 0,
  errorLine: "x",
  status: { class: 4, code: "4.7" },
  suspended: false,
  bounce: { kind: "delayed", text: "t", status: { class: 4, code: "4.7" }, delaySeconds: 1, ttlSeconds: 2 },
};
const bytes = new Uint8Array([1]);
const account = { name: "u", uid: 0, gid: 0, home: "/" };
const at = 0.5;

/** Messages of each kind, at least one: a kind that is left out does not compile. */
type Samples<M extends { readonly type: string }> = {
  readonly [T in M["type"]]: readonly (M extends unknown ? T extends M["type"] ? Omit<M, "type"> : never : never)[];
};
const agent: Samples<Doors["relay-queue"]["asks"]> = {
  take: [{ message: MESSAGE, ids: [ID], mac: "m" }, { message: MESSAGE, ids: [ID], mac: "m", only: [] }],
  open: [{ call: 1, message: MESSAGE, ids: [ID] }],
  read: [{ call: 1, message: MESSAGE, index: 0 }],
  outcome: [
    { id: ID, outcome: { result: "ok", text: "t", dsnRelayed: true } },
    { id: ID, outcome: { result: "loop", text: "t", status: { class: 5, code: "4.6" } } },
  ],
};
const toAgent: Samples<Doors["relay-queue"]["answers"]> = {
  opened: [{ call: 1, envelopes: [envelope], bytes: 1, chunks: 1, first: bytes }],
  chunk: [{ call: 1, bytes }],
  unreadable: [{ call: 1, text: "t" }],
};
const toLookup: Samples<Doors["smtp-lookup"]["asks"]> = {
  expand: [{ call: 1, message: MESSAGE, origin: content.origin, tls: true, sender: box, rcpt: box }],
  "client-name": [{ call: 1, address: "::1" }],
  account: [{ call: 1, action: "a", user: "u" }],
  smarthost: [{ call: 1, action: "a", domain: "x.test" }],
  sources: [{ call: 1, action: "a" }],
  credentials: [{ call: 1, action: "a", label: "l" }],
  test: [{ call: 1, table: "t", service: "regex", key: "k" }],
  dns: [{ call: 1, kind: "txt", name: "example.org" }],
  "may-send": [{ call: 1, table: "t", user: "u", sender: null }],
  "listener-name": [{ call: 1, table: "t", address: "::1" }],
  authenticate: [{ call: 1, table: null, user: "u", password: "p", client: null }],
  mechanisms: [{ call: 1, table: null }],
  challenge: [{ call: 1, table: "t", user: "u", client: "[::1]" }],
  prove: [{ call: 1, table: "t", user: "u", message: "m", proof: "p", client: null }],
};
const fromLookup: Samples<Doors["smtp-lookup"]["answers"]> = {
  expanded: [
    { call: 1, result: { ok: false, code: 550, text: "5.1.1 no" } },
    {
      call: 1,
      result: {
        ok: true,
        targets: [
          { agent: "mta", action: "a", dest: box, mac: "s" },
          { agent: "mda", action: "a", dest: box, user: "u", subAddress: "", exec: "|x", mac: "s" },
        ],
        internal: [true, false],
      },
    },
    {
      call: 1,
      result: { ok: true, targets: [{ agent: "mta", action: "a", dest: box }], internal: [false], grant: "0" },
    },
  ],
  "client-name": [{ call: 1, hostname: "<unknown>", confirmed: "error" }],
  dns: [
    { call: 1, answer: { kind: "records", records: ["v=spf1 -all"] } },
    { call: 1, answer: { kind: "none", exists: true } },
    { call: 1, answer: { kind: "temporary" } },
  ],
  account: [
    { call: 1, result: { ok: true, account, identity: account } },
    { call: 1, result: { ok: false, temporary: true, text: "t" } },
  ],
  smarthost: [{ call: 1, url: null }, { call: 1, url: "smtp://x", others: ["smtp://y"] }],
  authenticated: [{ call: 1, result: "permfail" }],
  mechanisms: [{ call: 1, scram: true }],
  challenge: [{ call: 1, challenge: null }, { call: 1, challenge: { salt: "s", iterations: 4096 } }],
  proved: [{ call: 1, result: "ok", signature: "" }],
  tested: [{ call: 1, found: true }],
  "may-send": [{ call: 1, result: "tempfail" }],
  "listener-name": [{ call: 1, name: null }],
  sources: [{ call: 1, sources: [{ address: "::1", helo: null }] }],
  credentials: [{ call: 1, credentials: null }, { call: 1, credentials: null, lack: "form" }, {
    call: 1,
    credentials: { user: "u", password: "p" },
  }],
};
const toFilter: Samples<Doors["smtp-filter"]["asks"]> = {
  event: [{ session: SESSION, processes: ["p"], subsystem: "smtp-in", event: "tx-mail", params: "", at }],
  request: [{ session: SESSION, process: "p", phase: "connect", token: SESSION, param: "x", at }],
  lines: [{ session: SESSION, process: "p", token: SESSION, bytes, at }],
  taken: [{ process: "p", bytes: 1 }],
  gone: [{ session: SESSION }],
};
const fromFilter: Samples<Doors["smtp-filter"]["answers"]> = {
  registered: [{
    registrations: [{ process: "p", phases: ["data-line"], events: { "smtp-in": ["timeout"], "smtp-out": [] } }],
  }],
  hold: [{ on: true }],
  lost: [{}],
  answer: [
    { session: SESSION, token: SESSION, decision: { kind: "junk" } },
    { session: SESSION, token: SESSION, decision: { kind: "reject", text: "550 no" } },
  ],
  lines: [{ session: SESSION, process: "p", token: SESSION, bytes }],
  taken: [{ session: SESSION, process: "p", bytes: 1 }],
  reported: [{ session: SESSION, name: "n", message: "m" }],
};
const job = { message: MESSAGE, action: "a", lane: "k", ids: [ID], mac: "m" };
const listed = { ...envelope, expiresAt: 2 };

const path = { from: null, to: box, rcpt: box };
const attempt = {
  ...path,
  session: SESSION,
  envelope: ID,
  delayMs: -1,
  outcome: "ok",
  stat: "s",
} as const;
const gone = { ...path, agent: "bounce", envelope: ID, delayMs: 1, stat: "s" } as const;
const text = { log: [{ level: "crit", text: "t" }], trace: [{ trace: "io", text: "io: t" }] } as const;
const count = (key: CounterKey) => ({ count: [{ key, by: -1 }] });
const gauge = (key: GaugeKey) => ({ gauge: [{ key, to: 1 }] });

const session = { descriptor: 3, listener: 0, peer: { address: "::1", port: 25, uid: 0 }, sessionNumber: 1 };
const written = { trace: bytes, first: bytes, bytes: 6, chunks: 1 };
const files: { asks: Samples<FromFiles>; answers: Samples<ToFiles> } = {
  asks: {
    done: [
      { number: 1, result: { kind: "written" } },
      { number: 1, result: { kind: "locked", text: "why" } },
      { number: 1, result: { kind: "failed", code: 75, text: "why" } },
      { number: 1, result: { kind: "forward", forward: { kind: "text", path: "/h/.forward", text: "bob" } } },
    ],
    read: [{ number: 1, index: 2 }],
  },
  answers: {
    flags: [{ flags: new SharedArrayBuffer(12) }],
    task: [
      { number: 1, task: { kind: "forward", who: account, suffix: "+x" } },
      { number: 1, task: { kind: "mbox", who: account, path: "/b", from: "a@b", message: written } },
      {
        number: 1,
        task: {
          kind: "maildir",
          who: account,
          directory: "/m",
          junk: false,
          extension: "",
          spam: false,
          envelope: { id: evpid("a".repeat(16)), createdAt: 1 },
          message: written,
        },
      },
    ],
    chunk: [{ number: 1, bytes: bytes, text: "" }, { number: 1, bytes: null, text: "no" }],
  },
};

const signer: { asks: Samples<ToSigner>; answers: Samples<FromSigner> } = {
  asks: {
    sign: [
      { call: 1, message: MESSAGE, grant: "0", domain: "example.org", selector: "s2026", hash: new Uint8Array(32) },
    ],
  },
  answers: {
    signed: [
      { call: 1, signature: new Uint8Array(256) },
      { call: 1, signature: null, refusal: "key" },
      { call: 1, signature: null, refusal: "spent" },
    ],
  },
};

const SAMPLES: {
  readonly [N in DoorName]: { asks: Samples<Doors[N]["asks"]>; answers: Samples<Doors[N]["answers"]> };
} = {
  "mailbox-delivery": files,
  "file-privileged": files,
  "forward-main": files,
  "smtp-lookup": { asks: toLookup, answers: fromLookup },
  "relay-lookup": { asks: toLookup, answers: fromLookup },
  "delivery-lookup": { asks: toLookup, answers: fromLookup },
  "privileged-lookup": { asks: toLookup, answers: fromLookup },
  "queue-lookup": { asks: toLookup, answers: fromLookup },
  "smtp-queue": {
    asks: {
      chunk: [{ message: MESSAGE, bytes }],
      commit: [{ message: MESSAGE, tail: bytes, envelopes: [content] }],
      abort: [{ message: MESSAGE }],
      "dmarc-result": [{
        result: {
          policy: {
            domain: "a.example",
            p: "reject",
            sp: null,
            np: "none",
            adkim: "r",
            aspf: "s",
            fo: "1:d",
            testing: false,
          },
          row: {
            source: "2001:db8::1",
            disposition: "none",
            dkim: "fail",
            spf: "fail",
            override: "local_policy",
            headerFrom: "b.a.example",
            envelopeFrom: "",
            dkimAuth: [{ domain: "c.example", selector: "s", result: "fail" }],
            spfAuth: null,
          },
        },
      }],
      "ids-wanted": [{}],
    },
    answers: {
      ids: [{ ids: [MESSAGE] }],
      credit: [{ message: MESSAGE }, { message: MESSAGE, spent: bytes.buffer }, {
        message: MESSAGE,
        spent: new ArrayBuffer(300_000),
      }],
      committed: [{ message: MESSAGE, number: 1 }],
      room: [{ bytes: Infinity }, { bytes: 0 }],
      refused: [{ message: MESSAGE, code: 452, text: "4.3.1 full" }],
    },
  },
  "queue-scheduler": {
    asks: {
      enqueued: [{
        tickets: [{
          id: ID,
          agent: "mta",
          action: "a",
          lane: "",
          createdAt: 1,
          expiresAt: 2,
          tries: 0,
          suspended: false,
        }],
      }],
      settled: [{ id: ID, again: true }],
      dropped: [{ ids: [ID] }],
      loaded: [{}],
    },
    answers: { expired: [{ ids: [ID] }], dsn: [{ message: MESSAGE, ids: [ID] }] },
  },
  "scheduler-relay": { asks: { job: [job] }, answers: { reschedule: [{ ids: [ID] }] } },
  "scheduler-delivery": { asks: { job: [job] }, answers: {} },
  "relay-queue": { asks: agent, answers: toAgent },
  "delivery-queue": { asks: agent, answers: toAgent },
  "privileged-queue": { asks: agent, answers: toAgent },
  "delivery-privileged": {
    asks: { "privileged-job": [{ call: 1, ...job, only: [ID] }] },
    answers: { "privileged-job-done": [{ call: 1 }] },
  },
  "lookup-filter": {
    asks: {
      table: [
        { call: 1, table: "t", request: { op: "update" } },
        { call: 1, table: "t", request: { op: "lookup", service: "auth", key: "k" } },
        { call: 1, table: "t", request: { op: "fetch", service: "source" } },
      ],
    },
    answers: {
      table: [
        { call: 1, answer: { result: "ok" } },
        { call: 1, answer: { result: "found", value: "" } },
        { call: 1, answer: { result: "error", reason: "r", unserved: true } },
      ],
    },
  },
  "smtp-filter": { asks: toFilter, answers: fromFilter },
  "relay-filter": { asks: toFilter, answers: fromFilter },
  "smtp-signer": signer,
  "queue-signer": signer,
  "lookup-login": {
    asks: {
      verify: [{ call: 1, hash: "h", password: "p" }],
      prove: [{ call: 1, verifier: "v", message: "m", proof: "p" }],
    },
    answers: {
      verified: [{ call: 1, result: "unknown" }],
      proved: [{ call: 1, result: "match", signature: "s" }],
    },
  },
  "control-queue": {
    asks: {
      list: [{ call: 1, message: null, after: "", limit: 1 }, {
        call: 1,
        message: MESSAGE,
        after: ID,
        limit: 1,
        messages: 1,
      }],
      envelope: [{ call: 1, id: ID }],
      damaged: [{ call: 1 }],
      "disk-errors": [{ call: 1 }],
      body: [{ call: 1, message: MESSAGE, index: 0 }],
      export: [{ call: 1, after: "" }],
      discover: [{ call: 1, message: MESSAGE, envelope: null }],
      remove: [{ call: 1, target: "all", after: "" }, { call: 1, target: { ids: [ID] }, after: ID }],
      suspend: [{ call: 1, target: { message: MESSAGE }, after: "", suspended: true }],
    },
    answers: {
      listed: [{ call: 1, envelopes: [listed], next: null }],
      damaged: [{ call: 1, lines: ["l"] }],
      "disk-errors": [{ call: 1, lines: [] }],
      envelope: [{ call: 1, text: null }],
      body: [{ call: 1, chunks: 0, bytes: null }, { call: 1, chunks: 1, bytes }],
      exported: [{ call: 1, envelopes: [{ id: ID, text: null }] }],
      discovered: [{ call: 1, count: 0, error: "e" }],
      removed: [{ call: 1, ids: [ID], next: ID }],
      suspended: [{ call: 1, ids: [], next: null }],
    },
  },
  "control-scheduler": {
    asks: {
      schedule: [{ call: 1, target: { domain: "x.test" }, from: 0 }],
      find: [{ call: 1, domain: "x.test", from: 0 }],
      suspend: [{ call: 1, ids: [ID], suspended: false }],
      pause: [{ call: 1, agent: "mda", paused: true }],
      states: [{ call: 1, ids: [] }],
    },
    answers: {
      suspended: [{ call: 1, count: 1 }],
      scheduled: [{ call: 1, count: 1, next: null }],
      found: [{ call: 1, ids: [ID], next: 7 }],
      paused: [{ call: 1, changed: true }],
      states: [{ call: 1, states: [{ id: ID, state: "held", at }] }],
    },
  },
  "control-relay": {
    asks: { show: [{ call: 1, what: "routes" }], "resume-route": [{ call: 1, route: 99 }] },
    answers: { shown: [{ call: 1, lines: ["l"] }] },
  },
  "control-lookup": {
    asks: { "update-table": [{ call: 1, table: "t" }], "table-faults": [{ call: 1 }] },
    answers: { updated: [{ call: 1, error: null }], "table-faults": [{ call: 1, faults: ["f"] }] },
  },
  "smtp-main": {
    asks: {
      "sessions-ended": [{ sessionNumbers: [1] }],
      source: [{ call: 1, sessionNumber: 1, address: "2001:db8::1" }],
    },
    answers: {
      session: [session, { ...session, peer: { ...session.peer, uid: null, local: "::1" } }],
      source: [{ call: 1, admitted: true }],
    },
  },
  "lookup-main": {
    asks: {
      account: [{ call: 1, name: "n" }],
      login: [{ call: 1, user: "u", password: "p" }],
      crypt: [{ call: 1, hash: "h", password: "p" }],
      forward: [{ call: 1, who: account, suffix: "+x" }],
      "table-file": [{ call: 1, path: "/t", from: 0, stamp: null }, { call: 1, path: "/t", from: 9, stamp: "1 2" }],
      "table-stamp": [{ call: 1, path: "/t" }],
      "txt-answer": [
        { question: 1, answer: { kind: "records", records: ["v=DKIM1"] } },
        { question: 2, answer: { kind: "none", exists: true } },
        { question: 3, answer: { kind: "temporary" } },
      ],
    },
    answers: {
      account: [{ call: 1, result: account }, { call: 1, result: null }, { call: 1, result: { error: "e" } }],
      login: [{ call: 1, result: "match" }],
      crypt: [{ call: 1, result: "unknown" }],
      forward: [{ call: 1, result: { kind: "none" } }, { call: 1, result: { error: "e" } }],
      "table-file": [
        { call: 1, result: { stamp: "1 2", size: 1, octets: new Uint8Array(1) } },
        { call: 1, result: { error: "e" } },
      ],
      "table-stamp": [{ call: 1, result: { stamp: "1 2" } }, { call: 1, result: { error: "e" } }],
      txt: [{ question: 1, name: "s._domainkey.example.org" }],
    },
  },
  "control-main": {
    asks: {
      stop: [{ call: 1 }],
      "pause-smtp": [{ call: 1, paused: true }],
      "update-pki": [{ call: 1 }],
      "update-dkim": [{ call: 1 }],
      "dkim-check": [{ call: 1 }],
      "dkim-rotate": [{ call: 1, domain: "example.org" }],
      "check-table": [{ call: 1, table: "t" }],
      isolates: [{ call: 1 }],
      walls: [{ call: 1 }],
      verbosity: [{ call: 1, verbose: true, traces: ["io"] }],
      syslog: [{ lines: [{ level: "info", text: "t" }] }],
    },
    answers: {
      session: [{ ...session, listener: -2 }],
      answer: [{ call: 1, changed: true, error: null }],
      dkim: [{ call: 1, lines: ["l"], error: null }, { call: 1, lines: [], error: "e" }],
      walls: [
        { call: 1, processes: [] },
        {
          call: 1,
          processes: [
            { process: "front", pid: 2, stands: ["a"], says: ["b"], missing: ["c"], isolates: ["d"] },
            { process: "out", pid: null, stands: [], says: [], missing: [], isolates: [] },
          ],
        },
      ],
    },
  },
  "filter-main": {
    asks: { program: [{ pid: 2, running: true }], "lost-program": [{ reason: "r" }] },
    answers: {},
  },
  "delivery-main": { asks: { grow: [{ role: "mailbox" }] }, answers: {} },
  "privileged-main": { asks: { grow: [{ role: "file" }] }, answers: {} },
  "smtp-control": {
    asks: {
      ...text,
      "smtp-connected": [{ session: SESSION, address: "a", host: "h", family: "inet6", smtps: true }],
      "smtp-tls": [{ session: SESSION, ciphers: "c" }],
      "smtp-cert-check": [{ session: SESSION, result: "verified", fingerprint: "f" }],
      "smtp-authentication": [{ session: SESSION, user: "u", result: "ok" }],
      "smtp-message": [{ session: SESSION, message: MESSAGE, bytes: 0, rcpts: 1, proto: "SMTP" }],
      "smtp-committed": [{ number: 1 }],
      "smtp-signed": [{ session: SESSION, message: MESSAGE, domain: "example.org", selectors: ["s2026"] }],
      "smtp-unsigned": [{ session: SESSION, message: MESSAGE, deferred: false, reason: "r" }],
      "smtp-envelope": [{ session: SESSION, envelope: ID, from: null, to: box }],
      "smtp-failed-command": [{ session: SESSION, command: "c\r\n", reply: "r", address: "a" }],
      "smtp-bad-input": [{ session: SESSION, reply: "r", address: "" }],
      "smtp-disconnected": [{ session: SESSION, reason: "quit", tls: true, smtps: false, local: false }],
    },
    answers: {},
  },
  "lookup-control": { asks: text, answers: {} },
  "queue-control": {
    asks: {
      ...text,
      ...count("scheduler.delivery.ok"),
      ...gauge("queue.damaged"),
      "queue-expire": [gone],
      "queue-remove": [gone],
      "queue-signed": [{ message: MESSAGE, domain: "example.org", selectors: [] }],
      "queue-unsigned": [{ message: MESSAGE, deferred: true, reason: "r" }],
    },
    answers: {},
  },
  "scheduler-control": {
    asks: { ...text, ...count("scheduler.envelope.incoming"), ...gauge("scheduler.envelope") },
    answers: {},
  },
  "relay-control": {
    asks: {
      ...text,
      ...gauge("mta.session"),
      "relay-connecting": [{ session: SESSION, address: "a", host: "h" }],
      "relay-connected": [{ session: SESSION }],
      "relay-tls": [{ session: SESSION, ciphers: "c" }],
      "relay-cert-check": [{ session: SESSION, result: "valid", fingerprint: "f" }],
      "relay-error": [{ session: SESSION, reason: "r" }],
      "relay-disconnected": [{ session: SESSION, reason: "r", messages: 0 }],
      delivery: [{ ...attempt, accepted: { isolate: 0, life: 1, number: 2 }, agent: "mta", source: "-", relay: "r" }],
    },
    answers: {},
  },
  "delivery-control": {
    asks: { ...text, ...gauge("mda.user"), delivery: [{ ...attempt, agent: "mda", user: "u" }] },
    answers: {},
  },
  "privileged-control": {
    asks: { ...text, ...gauge("mda.user"), delivery: [{ ...attempt, agent: "mda", user: "u" }] },
    answers: {},
  },
  "filter-control": { asks: text, answers: {} },
  "login-control": { asks: text, answers: {} },
  "signer-control": { asks: text, answers: {} },
};

const LIFECYCLE: Samples<ToSupervisor> = {
  ready: [{}],
  failed: [{ reason: "r" }],
  pong: [{ count: 1 }],
  stopped: [{}],
  refused: [{ door: "smtp-queue", peer: 0, life: 1, fault: "f" }],
};

const WRONG: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  -1,
  0.5,
  "\n",
  [],
  {},
  new Map(),
  1n,
  [null],
  "x".repeat(5_000_000),
];

/** Every field of a sample, and what becomes of the sample with each wrong value in its place. */
function tryAll(check: Check<unknown>, sample: Record<string, unknown>, what: string): void {
  assert.equal(check(structuredClone(sample)), null, what);
  for (const name of Object.keys(sample)) {
    if (name === "type") continue;
    const refused = WRONG.filter((wrong) => check({ ...sample, [name]: wrong }) !== null);
    // A symbol of the worst: no field takes more than a few of them.
    assert.ok(refused.length >= WRONG.length - 5, `${what}.${name} is believed too much`);
    const fault = check({ ...sample, [name]: new Map() });
    assert.ok(fault?.startsWith(name), `${what}: ${fault}`);
  }
}

for (const door of DOOR_NAMES) {
  for (const side of ["asks", "answers"] as const) {
    const samples = Object.entries(SAMPLES[door][side] as Record<string, readonly object[]>);
    if (samples.length === 0) continue;
    Deno.test(`what passes the door ${door} (${side}): ${samples.map(([type]) => type).join(", ")}`, () => {
      const checks = compileTable(DOORS[door][side]);
      assert.deepEqual(samples.map(([type]) => type).sort(), [...checks.keys()].sort());
      for (const [type, list] of samples) {
        for (const sample of list) tryAll(checks.get(type)!, { type, ...sample }, `${door} ${type}`);
      }
    });
  }
}

Deno.test("what main takes, and from whom", () => {
  const checks = compileTable(TO_SUPERVISOR);
  for (const [type, list] of Object.entries(LIFECYCLE)) {
    for (const sample of list) tryAll(checks.get(type)!, { type, ...sample }, `main ${type}`);
  }
  assert.deepEqual(DOOR_NAMES.filter((name) => name.endsWith("-main")).sort(), [
    "control-main",
    "delivery-main",
    "filter-main",
    "forward-main",
    "lookup-main",
    "privileged-main",
    "smtp-main",
  ]);
});

Deno.test("a door of events stands for every role but control, which keeps the log itself", () => {
  assert.deepEqual(
    REPORTERS.map((role) => `${role}-control`).sort(),
    DOOR_NAMES.filter((name) => name.endsWith("-control")).sort(),
  );
  assert.ok("delivery" in EVENTS.relay && !("delivery" in EVENTS.smtp));
});

Deno.test("an id is exactly so many lower-case digits", () => {
  const check = passing(isMessageId, "an id");
  for (const good of ["00000001", "0a9f0000", "ffffffff"]) assert.equal(check(good), null);
  for (
    const bad of [
      "0a0b0c0",
      "0a0b0c0d0",
      "0A0b0c0d",
      "0g0b0c0d",
      "0a0b0c0/",
      "0a0b0c0:",
      "0a0b0c0`",
      "0a0b0c0d\n",
      "00000000",
    ]
  ) {
    assert.equal(check(bad), `is text of ${bad.length} characters, not an id`);
  }
  assert.equal(check(12345678), "is the number 12345678, not an id");
  assert.equal(check(["0a0b0c0d"]), "is a list, not an id");
});

Deno.test("record() takes names of any spelling, and is the same at every use", () => {
  const check = record<{ "a-b": number; 'c"]': number }>({ "a-b": whole(), 'c"]': whole({ least: 1 }) });
  for (let use = 0; use < 2; use++) {
    assert.equal(check({ "a-b": 0, 'c"]': 1 }), null);
    assert.equal(check({ 'c"]': 1 }), "a-b is missing, not a whole number from 0 to 9007199254740991");
    assert.equal(check({ "a-b": 0, 'c"]': 0 }), 'c"] is the number 0, not a whole number from 1 to 9007199254740991');
    assert.equal(check(Object.create({ "a-b": 0 })), "is an object, not an object");
  }
});

Deno.test("record() judges an object by itself, whatever names and order those before it had", () => {
  const check = record<{ a: number; b?: string; c: boolean | null }>({
    a: whole({ least: 0, most: 9 }),
    b: optional(textOf(2)),
    c: nullOr(flag),
  });
  const rows: readonly [value: Record<string, unknown>, fault: string | null][] = [
    [{ a: 1, c: true }, null],
    [{ c: null, a: 1 }, null],
    [{ a: 1, b: "x", c: true }, null],
    [{ a: 1, b: "xyz", c: true }, "b has 3 characters, more than 2"],
    [{ a: 1, b: undefined, c: false }, null],
    [{ a: 1, b: null, c: false }, "b is null, not text"],
    [{ a: 1, more: 1, c: true }, null],
    [{ a: 1, more: 1 }, "c is missing, not a boolean"],
    [{ c: true, b: "x" }, "a is missing, not a whole number from 0 to 9"],
    [{ a: 10, c: true }, "a is the number 10, not a whole number from 0 to 9"],
    [{}, "a is missing, not a whole number from 0 to 9"],
    [{ a: 1, c: true, d: 1, e: 2, f: 3 }, null],
    [{ a: undefined, c: true }, "a is missing, not a whole number from 0 to 9"],
  ];
  for (const [first] of rows) {
    for (const [value, fault] of rows) {
      check(first);
      assert.equal(check(value), fault);
      assert.equal(check(value), fault);
    }
  }
});

Deno.test("octets are measured and not walked through; a buffer that is shared is refused", () => {
  const { chunk } = DOORS["smtp-queue"].asks;
  assert.equal(chunk.bytes(new Uint8Array(262_144)), null);
  assert.equal(chunk.bytes(new Uint8Array(262_145)), "has 262145 octets, more than 262144");
  assert.match(chunk.bytes(new Uint8Array(new SharedArrayBuffer(4)))!, /shared/);
  assert.match(chunk.bytes(new Uint8Array(new ArrayBuffer(65 * 1024 * 1024), 0, 1))!, /too large/);
  assert.match(chunk.bytes(new DataView(new ArrayBuffer(1)))!, /not octets/);
  assert.equal(whole({ least: 1, most: 2 })(3), "is the number 3, not a whole number from 1 to 2");
});

const LINES: readonly [role: Parameters<typeof attributed>[0], given: string, said: string][] = [
  ["smtp", "smtp: 192.0.2.1 is turned away", "smtp: 192.0.2.1 is turned away"],
  ["smtp", "queue: the disk is full", "smtp: queue: the disk is full"],
  ["smtp", `${SESSION} mda delivery result=Ok`, `smtp: ${SESSION} mda delivery result=Ok`],
  ["smtp", "Exiting", "smtp: Exiting"],
  ["relay", `${SESSION} mta host-rejects-all-mails`, `${SESSION} mta host-rejects-all-mails`],
  ["relay", `${SESSION} smtp connected`, `relay: ${SESSION} smtp connected`],
  ["relay", "smtp-out: Enabling route", "smtp-out: Enabling route"],
  ["lookup", 'info: Table "t" successfully updated', 'info: Table "t" successfully updated'],
  ["lookup", "isolate queue ended", "lookup: isolate queue ended"],
  ["filter", "spam: a line of its program", "spam: a line of its program"],
];
for (const [role, given, said] of LINES) {
  Deno.test(`attributed(): ${role} says "${given}"`, () => {
    const event: Event = { type: "log", level: "info", text: given };
    assert.equal((attributed(role, event) as { text: string }).text, said);
  });
}
