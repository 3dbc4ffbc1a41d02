/** Turns the isolate that it is loaded into against its neighbours: what a BroadcastChannel of the process names goes out through a door of it. */

import type { ToIsolate } from "../../src/protocol/mod.ts";
import { rootEnvelope } from "./redteam/root_envelope.ts";

interface Order {
  readonly who: string;
  readonly door: string;
  readonly payload: string;
}

const ID = "00000001";
/** Ids of messages that the queue has given this isolate: those of a queue that has ended mean nothing to the one in its place. */
let ids: readonly string[] = [];
let given = Promise.withResolvers<void>();
interface Payload {
  readonly message: unknown;
  readonly transfer?: Transferable[];
  /** How often it is said; once when it is left out. */
  readonly times?: number;
}

/** Posts of as many messages as one may have, all of them such as may be said there. */
const flood = (message: object, posts: number): Payload => ({
  message: new Array(100_000).fill(message),
  times: posts,
});

/** What is said, as it is posted: a door takes lists. */
const PAYLOADS: Readonly<Record<string, () => Payload>> = {
  null: () => ({ message: null }),
  number: () => ({ message: 7 }),
  text: () => ({ message: "x".repeat(100_000) }),
  "list of null": () => ({ message: [null] }),
  "endless list": () => ({ message: Object.assign([], { length: 2 ** 32 - 1 }) }),
  "no type": () => ({ message: [{}] }),
  prototype: () => ({ message: [{ type: "__proto__" }] }),
  inherited: () => ({ message: [{ type: "hasOwnProperty" }] }),
  "strange type": () => ({ message: [{ type: "\x1b[2J\ncrit: queue: forged" }] }),
  port: () => {
    const { port1 } = new MessageChannel();
    return { message: [{ type: "log", level: "info", text: "x", port: port1 }], transfer: [port1] };
  },
  "no octets": () => ({ message: [{ type: "chunk", message: ID, bytes: "text" }] }),
  "too many octets": () => ({ message: [{ type: "chunk", message: ID, bytes: new Uint8Array(1 << 20) }] }),
  "wrong inside": () => ({
    message: [{ type: "commit", message: ID, tail: new Uint8Array(1), envelopes: [{ id: 7 }] }],
  }),
  // Well-formed: only the queue can see what is wrong with it.
  "mail for root's command": () => ({
    message: [{
      ...{ type: "commit", message: ids.at(-1), tail: new Uint8Array(1) },
      envelopes: [rootEnvelope(ids.at(-1)!, { action: "local", exec: "id > /tmp/owned" })],
    }],
  }),
  "a job that nobody gave": () => ({
    message: [{ type: "take", message: ID, ids: [`${ID}${ID}`], mac: "0".repeat(64) }],
  }),
  "not asked": () => ({ message: [{ type: "chunk", call: 123_456_789, bytes: new Uint8Array(1) }] }),
  "not asked of lookup": () => ({ message: [{ type: "tested", call: 123_456_789, found: true }] }),
  "not asked of scheduler": () => ({ message: [{ type: "paused", call: 123_456_789, changed: true }] }),
  "not asked of signer": () => ({ message: [{ type: "signed", call: 123_456_789, signature: new Uint8Array(1) }] }),
  "not asked of history": () => ({
    message: [{ type: "story", call: 123_456_789, events: [], truncated: false }],
  }),
  // Well-formed: only the signer can see what is wrong with it.
  "a signature for what nobody let out": () => ({
    message: [{
      ...{ type: "sign", call: 1, message: ID, grant: "0".repeat(64), domain: "example.org", selector: "s" },
      hash: new Uint8Array(32),
    }],
  }),
  "not a number": () => ({ message: [{ type: "reschedule", ids: [Number.NaN] }] }),
  fraction: () => ({ message: [{ type: "read", call: 1, message: ID, index: 0.5 }] }),
  negative: () => ({ message: [{ type: "open", call: -1, message: ID, ids: [] }] }),
  "bad id": () => ({ message: [{ type: "settled", id: `${ID}\n1234567`, again: true }] }),
  "bad job": () => ({ message: [{ type: "job", message: ID, action: {}, key: "", ids: [] }] }),
  "another's question": () => ({ message: [{ type: "credentials", call: 1, action: "out", label: "x" }] }),
  "another's event": () => ({
    message: [{ type: "queue-remove", agent: "mda", envelope: `${ID}${ID}` }],
  }),
  "another's statistic": () => ({ message: [{ type: "count", key: "mta.session", by: 1 }] }),
  "a session with escapes": () => ({ message: [{ type: "relay-connected", session: "\x1b[31m\nforged" }] }),
  forged: () => ({
    message: [{ type: "log", level: "info", text: `${"0".repeat(16)} mda delivery result=Ok\n\x1b[2J\u202efdp` }],
  }),
  "another's request to main": () => ({ message: [{ type: "stop", call: 1 }] }),
  "a flood": () => flood({ type: "reschedule", ids: [] }, 20),
  "a flood to main": () => flood({ type: "sessions-ended", sessionNumbers: [] }, 10),
  // To the supervisor: no lists.
  "the same word over and over": () => ({ message: { type: "ready" }, times: 5_000 }),
  "another's message": () => ({ message: { type: "request", call: 1, request: { type: "stop" } } }),
  "pong of no ping": () => ({ message: { type: "pong", count: 1e9 } }),
  "a false word": () => ({ message: { type: "refused", door: "smtp-queue", peer: 77, life: 1, fault: "x" } }),
};

const scope = self as unknown as {
  readonly name: string;
  postMessage(message: unknown, transfer?: Transferable[]): void;
};
const doors = new Map<string, MessagePort>();
self.addEventListener("message", (event) => {
  const door = (event as MessageEvent).data as ToIsolate;
  // The other smtp isolates behave.
  if (door.type !== "door" || door.peer !== 0) return;
  if (!("port" in door)) return;
  doors.set(door.name, door.port);
  if (door.name === "smtp-queue") {
    ids = [];
    given = Promise.withResolvers<void>();
    door.port.addEventListener("message", ({ data }) => listen(data));
  }
  console.error(`up: ${scope.name} ${door.name} ${door.life}`);
});

function listen(post: unknown): void {
  // The queue says what no isolate says, too: this one goes on until its own code has seen that.
  if (!Array.isArray(post) || post.length > 1000) return;
  for (const message of post) if (message?.type === "ids") ids = message.ids;
  if (ids.length > 0) given.resolve();
}

const orders = new BroadcastChannel("hostile");
orders.onmessage = async ({ data }) => {
  const { who, door, payload } = data as Order;
  if (who !== scope.name) return;
  if (payload === "mail for root's command") await given.promise;
  const { message, transfer = [], times = 1 } = PAYLOADS[payload]!();
  for (let said = 0; said < times; said++) {
    if (door === "main") scope.postMessage(message, transfer);
    else doors.get(door)!.postMessage(message, transfer);
  }
};
