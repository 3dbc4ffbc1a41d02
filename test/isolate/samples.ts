/**
 * An example of every message of every door, at least one of each: a type that is left out does not compile. Long on purpose. For tests of what passes,
 * and of what a hostile isolate makes of it (hostile_messages.ts).
 */

import type { DoorName, Doors, FromFiles, FromSigner, ToFiles, ToSigner } from "../../src/protocol/mod.ts";
import { type Envelope, type EnvelopeContent } from "../../src/envelope/mod.ts";
import type { CounterKey, GaugeKey } from "../../src/events/mod.ts";
import { evpid, msgid } from "../ids.ts";
import {
  ATTEMPT_DETAILS,
  BARE_REFUSAL_DETAIL,
  CONNECTION_DETAIL,
  DIALOGUES,
  DSN_EVENTS,
  MESSAGE_DETAIL,
  REFUSAL_DETAIL,
  ROUTED,
  sent,
} from "./event_details.ts";

const ADMIN_TOKEN = {
  name: "ops",
  scope: "write",
  hash: "0123456789abcdef".repeat(4),
  createdAt: 1,
  expiresAt: null,
  usedAt: null,
} as const;

/** What is named in all of them: a message, an envelope of it, and a session. */
export const MESSAGE = msgid("0a0b0c0d"), ID = evpid("0a0b0c0d00000001"), SESSION = "00000000000000ff";
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
const LANE = {
  agent: "mta",
  action: "out",
  name: "example.org",
  envelopes: 2,
  inflight: 1,
  jobs: 1,
  maxJobs: 20,
  limit: "low-water",
} as const;

/** Messages of each kind, at least one: a kind that is left out does not compile. */
export type Samples<M extends { readonly type: string }> = {
  readonly [T in M["type"]]: readonly (M extends unknown ? T extends M["type"] ? Omit<M, "type"> : never : never)[];
};
const agent: Samples<Doors["relay-queue"]["asks"]> = {
  take: [{ message: MESSAGE, ids: [ID], mac: "m" }, { message: MESSAGE, ids: [ID], mac: "m", only: [] }],
  open: [{ call: 1, message: MESSAGE, ids: [ID] }],
  read: [{ call: 1, message: MESSAGE, index: 0 }],
  arrived: [{ call: 1 }],
  outcome: [
    { id: ID, outcome: { result: "ok", text: "t", dsnRelayed: true } },
    { id: ID, outcome: { result: "loop", text: "t", status: { class: 5, code: "4.6" } } },
  ],
};
const toAgent: Samples<Doors["relay-queue"]["answers"]> = {
  opened: [{ call: 1, envelopes: [envelope], bytes: 1, chunks: 1, first: bytes }],
  chunk: [{ call: 1, bytes }],
  arrived: [{ call: 1 }],
  unreadable: [{ call: 1, text: "t" }],
};
const toLookup: Samples<Doors["smtp-lookup"]["asks"]> = {
  expand: [
    { call: 1, message: MESSAGE, origin: content.origin, tls: true, sender: box, rcpt: box },
    { call: 1, message: MESSAGE, origin: content.origin, tls: true, sender: box, rcpt: box, explain: true },
  ],
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
    { call: 1, result: { ok: false, code: 550, text: "5.1.1 no", routed: ROUTED } },
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

/** What events have while the history records; see test/isolate/event_details.ts. */
const dialogue = DIALOGUES.map((one) => ({ ...one, session: SESSION }));

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

export const SAMPLES: {
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
  "acme-main": {
    asks: {
      connect: [{ call: 1, pki: "mx.example.org" }],
      listen: [{ call: 1, pki: "mx.example.org" }],
      unlisten: [{ pki: "mx.example.org" }],
      hook: [{ call: 1, pki: "mx.example.org", action: "present", name: "mx.example.org", value: "0".repeat(43) }],
      account: [{ call: 1, pki: "mx.example.org", key: "k", url: "u", contact: "" }],
      certificate: [{ call: 1, pki: "mx.example.org", cert: "c", key: "k" }],
      "put-off": [{ pki: "mx.example.org", until: 1, failures: 1 }],
    },
    answers: {
      connected: [{ call: 1, descriptor: 9 }],
      "not-connected": [{ call: 1, reason: "r" }],
      done: [{ call: 1, error: null }, { call: 1, error: "e" }],
      session: [{ descriptor: 9, pki: "mx.example.org" }],
      look: [{}],
    },
  },
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
      backup: [{ call: 1, step: "begin", hold: 0 }, { call: 1, step: "end", hold: 7 }],
      remove: [{ call: 1, target: "all", after: "" }, { call: 1, target: { ids: [ID] }, after: ID }],
      suspend: [{ call: 1, target: { message: MESSAGE }, after: "", suspended: true }],
    },
    answers: {
      listed: [{ call: 1, envelopes: [listed], next: null }],
      damaged: [{ call: 1, entries: [{ id: ID, foundAt: 1, reason: "r" }] }],
      "disk-errors": [{ call: 1, lines: [] }, { call: 1, lines: [], disk: { total: 2, free: 1 } }],
      envelope: [{ call: 1, text: null, envelope: null }, { call: 1, text: "t", envelope: listed }],
      body: [{ call: 1, chunks: 0, bytes: null }, { call: 1, chunks: 1, bytes }],
      exported: [{ call: 1, envelopes: [{ id: ID, text: null }] }],
      discovered: [{ call: 1, count: 0, error: "e" }],
      backup: [{ call: 1, hold: 7, bytes: 1, error: null }, { call: 1, hold: 0, bytes: 0, error: "e" }],
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
      waits: [{ call: 1, ids: [ID] }],
      lanes: [{ call: 1, most: 9 }],
      ages: [{ call: 1 }],
    },
    answers: {
      ages: [{ call: 1, counts: [1, 0, 2], sum: 3.5, oldest: 2.5 }],
      lanes: [
        { call: 1, lanes: [], count: 0, oldestAt: null },
        {
          call: 1,
          lanes: [{ ...LANE, oldestAt: 1 }],
          count: 1,
          oldestAt: 1,
        },
      ],
      suspended: [{ call: 1, count: 1 }],
      scheduled: [{ call: 1, count: 1, next: null }],
      found: [{ call: 1, ids: [ID], next: 7 }],
      paused: [{ call: 1, changed: true }],
      states: [{ call: 1, states: [{ id: ID, state: "held", at }] }],
      waits: [{
        call: 1,
        waits: [
          { state: { id: ID, state: "held", at }, lane: LANE },
          { state: { id: ID, state: "unknown", at: 0 }, lane: null },
        ],
      }],
    },
  },
  "control-relay": {
    asks: {
      show: [{ call: 1, what: "routes" }],
      "show-records": [{ call: 1, what: "hosts" }, { call: 1, what: "hosts", slowest: 3 }],
      "resume-route": [{ call: 1, route: 99 }],
    },
    answers: {
      shown: [{ call: 1, lines: ["l"] }],
      records: [
        {
          call: 1,
          hosts: [{
            ...{ address: "a", name: "n", references: 1, connections: 0 },
            ...{ lastConnectAt: null, transactionMs: 1, failedAt: 1, failureClass: "rate", failure: "450 slow" },
          }],
        },
        {
          call: 1,
          routes: [{
            ...{ route: 1, source: null, host: "h", isNew: true, disabled: null },
            ...{ connections: 0, errors: 0, penalty: 0, enabledAt: 1, blocks: 1, blockReply: "450 no" },
          }],
        },
        {
          call: 1,
          relays: [{
            ...{ relay: "r", source: "192.0.2.1", tasks: 1, connections: 1 },
            ...{ lastConnectAt: 1, retryAt: null, waitsForMx: false },
          }],
        },
        { call: 1, hoststats: [{ domain: "example.org", at: 1, status: "250 ok" }] },
      ],
    },
  },
  "control-history": {
    asks: {
      record: [{ call: 1, events: '{"at":1,"isolate":"smtp-0","event":{"type":"relay-connected","session":"x"}}' }],
      find: [
        { call: 1, query: { words: [] }, limit: 1, before: "" },
        {
          call: 1,
          query: {
            ...{ words: ["a"], from: "<>", to: "@x.test", domain: "x.test", messageId: "m", id: ID, peer: "::1" },
            ...{ login: "u", reply: "r*", outcome: "mixed", since: 0, until: 1 },
          },
          limit: 1000,
          before: "1.2",
        },
      ],
      story: [{ call: 1, id: ID }],
      dialogue: [{ call: 1, id: ID }],
      "history-state": [{ call: 1 }],
    },
    answers: {
      recorded: [{ call: 1, leftOut: 0 }],
      found: [{ call: 1, messages: [], next: null, more: false }, {
        call: 1,
        messages: [{
          ...{ id: MESSAGE, session: SESSION, at: 1, lastAt: 1, from: null, to: ["a@x.test"], rcpts: 1, peer: "::1" },
          ...{ login: "", messageId: "m", bytes: 1, outcome: "relayed", reply: "r", replyClass: "" },
        }],
        next: "1.2",
        more: true,
      }],
      story: [
        { call: 1, events: [], truncated: false },
        {
          call: 1,
          events: [{ at: 1, isolate: "relay", event: { type: "relay-connected", session: SESSION } }],
          truncated: true,
        },
      ],
      dialogue: [{ call: 1, events: [], truncated: false }],
      "history-state": [{
        call: 1,
        state: {
          ...{ messages: 1, bytes: 1, segments: 1, oldestAt: 1, leftOut: 0, stopped: null, damaged: ["d"] },
        },
      }, {
        call: 1,
        state: { messages: 0, bytes: 0, segments: 0, oldestAt: null, leftOut: 0, stopped: "s", damaged: [] },
      }],
    },
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
      "tried-rcpt": [{ question: 1, result: "refused" }],
      "dns-answer": [
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
      dns: [{ question: 1, kind: "txt", name: "s._domainkey.example.org" }],
      "try-rcpt": [{ question: 1, origin: content.origin, sender: box, rcpt: box }],
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
      checkup: [{
        call: 1,
        queue: {
          envelopes: 1,
          more: false,
          suspended: 0,
          oldestAt: 1,
          deferred: [{ domain: "example.net", envelopes: 1, error: "451" }],
          paused: ["mta"],
          diskErrors: ["QUEUE disk full"],
        },
        blocklists: ["list.test"],
        keeps: true,
      }],
      "last-checkup": [{ call: 1 }],
      reload: [{ call: 1 }],
      configuration: [{ call: 1 }],
      certificates: [{ call: 1 }],
      isolates: [{ call: 1 }],
      files: [{ call: 1 }],
      walls: [{ call: 1 }],
      "admin-tokens": [{ call: 1 }],
      "add-admin-token": [{ call: 1, token: ADMIN_TOKEN }],
      "remove-admin-token": [{ call: 1, name: "ops" }],
      "admin-token-used": [{ name: "ops", at: 1 }],
      verbosity: [{ call: 1, verbose: true, traces: ["io"] }],
      log: [
        { target: 1, lines: [{ level: "info", text: "t" }] },
        { target: 1, lines: [{ level: "info", text: "t", fields: [{ name: "VAULTPOST_EVENT", value: "log" }] }] },
      ],
    },
    answers: {
      session: [{ ...session, listener: -2 }],
      answer: [{ call: 1, changed: true, error: null }],
      dkim: [{ call: 1, lines: ["l"], error: null }, { call: 1, lines: [], error: "e" }, {
        call: 1,
        lines: [],
        keys: [{ domain: "d", selector: "s", use: "signs", state: "ok", ok: true, text: "t" }],
        error: null,
      }],
      files: [{ call: 1, paths: ["/etc/x"] }],
      checked: [
        { call: 1, checked: null, worse: [] },
        {
          call: 1,
          checked: { at: 1, findings: [{ check: "mx", subject: "s", level: "ok", text: "t", advice: null }] },
          worse: [{ check: "mx", subject: "s", level: "error", text: "t", advice: "a" }],
        },
      ],
      reloaded: [{ call: 1, lines: ["l"], faults: [] }, { call: 1, lines: [], faults: ["f"] }],
      certificates: [{
        call: 1,
        certificates: [{
          name: "mx.example.org",
          source: "acme",
          notAfter: 1,
          names: ["mx.example.org"],
          issuer: "i",
          failures: 0,
          retryAt: null,
        }],
      }],
      configuration: [
        { call: 1, file: "/etc/smtpd.conf", readAt: 1, generation: 0, olderGenerations: 0, olderSessions: 0 },
      ],
      "admin-tokens": [{ call: 1, tokens: [ADMIN_TOKEN, { ...ADMIN_TOKEN, expiresAt: 2, usedAt: 3 }], error: null }],
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
      "smtp-connected": [
        { session: SESSION, address: "a", host: "h", family: "inet6", smtps: true },
        { session: SESSION, address: "a", host: "h", family: "inet6", smtps: true, detail: sent(CONNECTION_DETAIL) },
      ],
      histogram: [{ key: "smtp.reply", counts: [0, 1], sum: 0.5 }],
      "smtp-tls": [{ session: SESSION, ciphers: "c" }],
      "smtp-cert-check": [{ session: SESSION, result: "verified", fingerprint: "f" }],
      "smtp-authentication": [{ session: SESSION, user: "u", result: "ok", mechanism: "PLAIN" }],
      "smtp-message": [
        { session: SESSION, message: MESSAGE, bytes: 0, rcpts: 1, proto: "SMTP" },
        { session: SESSION, message: MESSAGE, bytes: 0, rcpts: 1, proto: "SMTP", detail: sent(MESSAGE_DETAIL) },
      ],
      "smtp-committed": [{ number: 1 }],
      "smtp-signed": [{ session: SESSION, message: MESSAGE, domain: "example.org", selectors: ["s2026"] }],
      "smtp-unsigned": [{ session: SESSION, message: MESSAGE, deferred: false, reason: "r" }],
      "smtp-envelope": [{ session: SESSION, envelope: ID, from: null, to: box }],
      "smtp-failed-command": [
        { session: SESSION, command: "c\r\n", reply: "r", address: "a" },
        {
          session: SESSION,
          command: "c",
          reply: "r",
          address: "a",
          replyClass: "policy",
          detail: sent(REFUSAL_DETAIL),
        },
      ],
      "smtp-bad-input": [
        { session: SESSION, reply: "r", address: "" },
        { session: SESSION, reply: "r", address: "", replyClass: "protocol", detail: sent(BARE_REFUSAL_DETAIL) },
      ],
      "smtp-disconnected": [{ session: SESSION, reason: "quit", tls: true, smtps: false, local: false }],
      dialogue,
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
      "queue-message": [
        {
          ...{ message: MESSAGE, how: "import", from: null, bytes: 1, more: 0 },
          envelopes: DSN_EVENTS["queue-dsn-written"][0]!.envelopes,
        },
        { message: MESSAGE, how: "report", from: { local: "a", domain: "x.test" }, bytes: 1, envelopes: [], more: 2 },
      ],
      ...DSN_EVENTS,
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
      delivery: [
        { ...attempt, accepted: { isolate: 0, life: 1, number: 2 }, agent: "mta", source: "-", relay: "r" },
        ...ATTEMPT_DETAILS.map((detail) =>
          ({ ...attempt, agent: "mta", replyClass: "tls", detail: sent(detail) }) as const
        ),
      ],
      dialogue,
    },
    answers: {},
  },
  "delivery-control": {
    asks: { ...text, ...gauge("mda.user"), delivery: [{ ...attempt, agent: "mda", user: "u" }], dialogue },
    answers: {},
  },
  "privileged-control": {
    asks: { ...text, ...gauge("mda.user"), delivery: [{ ...attempt, agent: "mda", user: "u" }] },
    answers: {},
  },
  "filter-control": { asks: text, answers: {} },
  "login-control": { asks: text, answers: {} },
  "history-control": { asks: { ...text, ...gauge("history.size") }, answers: {} },
  "signer-control": { asks: text, answers: {} },
  "acme-control": { asks: { ...text, ...count("acme.failure"), ...gauge("acme.expiry") }, answers: {} },
};
