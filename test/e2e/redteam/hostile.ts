/**
 * Turns the isolate that it is loaded into, before its own code, against its neighbours: what a BroadcastChannel of its process names goes out through a
 * door of it, between what the isolate itself says there.
 */

import { callsOf, type Owned } from "./calls.ts";
import { pbkdf2Sync } from "node:crypto";
import { rootEnvelope } from "./root_envelope.ts";
import { PortTransport, SocketTransport, type Transport } from "../../../src/isolate/mod.ts";

type Everything = typeof import("./everything.ts");
/** Set when all is said. */
let saidAll: Everything | null = null;

interface Post {
  readonly who: string;
  readonly door: string;
  readonly payload: string;
  /** A message that is queued, and an envelope of it, which are not this isolate's business. */
  readonly message: string;
  readonly envelope: string;
}

/** Ids of messages that the queue has given this isolate. */
let ids: readonly string[] = [];
const EMPTY = new Uint8Array(0);

/** An id of these that no session has: they take them from the ends. */
const unused = () => ids[ids.length >> 1]!;
/** One that is spent on chunks beyond the credit. */
const spent = () => ids[(ids.length >> 1) + 1]!;

const QUESTION = { type: "request", session: "00000000000000cc", process: "quiet", token: "00000000000000cc" };

const SIGN = { type: "sign", domain: "example.org", selector: "e1", hash: new Uint8Array(32) };

/** What is said, by name: the messages of one post. */
const PAYLOADS: Readonly<Record<string, (post: Post) => readonly unknown[]>> = {
  // What only the receiver can see is wrong.
  "mail for root": () => [commit(unused(), rootEnvelope(unused(), { action: "inbox", exec: "" }))],
  "mail with a command": () => [commit(unused(), rootEnvelope(unused(), { action: "inbox", exec: "id > /tmp/owned" }))],
  "other messages": ({ message }) => [
    { type: "abort", message },
    { type: "chunk", message, bytes: new Uint8Array(1) },
    commit(message, rootEnvelope(message, { action: "inbox", exec: "" })),
    ...Array.from({ length: 5000 }, () => ({ type: "ids-wanted" })),
  ],
  "others' sessions":
    () => [{ type: "sessions-ended", sessionNumbers: Array.from({ length: 5000 }, (_, at) => at + 1e9) }],
  "lines of others":
    () => [{ type: "log", level: "info", text: "0000000000000000 mda delivery result=Ok\n\x1b[2Jcrit: queue: forged" }],
  // What the door does not let through.
  "others' events": ({ envelope }) => [{ type: "queue-remove", agent: "mda", envelope }],
  "credentials": () => [{ type: "credentials", call: 1, action: "out", label: "x" }],
  "stop": () => [{ type: "stop", call: 1 }],
  "huge": () => [{ type: "chunk", message: unused(), bytes: new Uint8Array(32 << 20) }],
  "wrong shapes": () => [{ type: "commit", message: unused(), tail: EMPTY, envelopes: [{ id: 7 }] }],
  "two questions at once": () => [0, 1].map((at) => ({ ...QUESTION, param: "x", phase: "connect", at })),
  "a grant of its own": ({ message }) => [{ ...SIGN, call: calls.first, message, grant: "0".repeat(64) }],
  // Of the others.
  "an answer to nothing": () => [{ type: "tested", call: 7, found: true }],
  "a wrong slice": () => [{ type: "remove", call: 7, target: { ids: [7] }, after: "" }],
  "a wrong delay": () => [{ type: "reschedule", ids: ["../../etc/shadow"] }],
  // Of acme.
  "other lines": () => {
    const known = { pki: "mx.example.org" }, text = "../../../../tmp/owned";
    const hook = { type: "hook", action: "present", value: "0".repeat(43) };
    return [
      { type: "connect", pki: text },
      { type: "account", pki: text, key: "k", url: "u", contact: "" },
      { ...hook, ...known, name: "mx.example.org" },
      { ...hook, ...known, name: "example.net" },
      { type: "certificate", ...known, cert: "-----BEGIN CERTIFICATE-----", key: "k" },
    ].map((message, at) => ({ ...message, call: calls.first + at }));
  },
  // Of a relay.
  "others' bodies": ({ message, envelope }) => [
    { type: "open", call: calls.first, message, ids: [envelope] },
    { type: "read", call: calls.first + 1, message, index: 0 },
    { type: "outcome", id: envelope, outcome: { result: "ok", text: "250 made up" } },
  ],
  "a job of its own": ({ message, envelope }) => [{ type: "take", message, ids: [envelope], mac: "0".repeat(64) }],
};

function commit(message: string, envelope: unknown): unknown {
  return {
    type: "commit",
    message,
    tail: new TextEncoder().encode("Subject: owned\n\nowned\n"),
    envelopes: [envelope],
  };
}

interface Scope {
  readonly name: string;
  postMessage(message: unknown): void;
}
const scope = self as unknown as Scope;
const role = scope.name.replace(/-\d+$/, "") as Owned;
/** Numbers of the attacker's questions. */
const calls = callsOf(role);
const doors = new Map<string, Transport>();
/** The door that is being opened. */
let opening: string | null = null;

interface Received {
  readonly type: string;
  readonly call?: number;
  readonly ids?: readonly string[];
  readonly message?: unknown;
  readonly session?: unknown;
}

/** An answer to what the attacker has said. */
function isOwn({ call = 0, message, session }: Received): boolean {
  return (call >= calls.first && call <= calls.last) ||
    (saidAll !== null && (isSpent(message) || isLastSession(session)));
}

function isSpent(message: unknown): boolean {
  return message !== undefined && message === spent();
}

function isLastSession(session: unknown): boolean {
  return session !== undefined && session === (saidAll?.LAST_SESSIONS as Record<string, string> | undefined)?.[role];
}

/** The last of its answers at a door: chunks beyond the credit are refused. */
function isLastAnswer({ type, call, message, session }: Received): boolean {
  if (saidAll === null) return false;
  if (call === calls.last || isLastSession(session)) return true;
  return type === "refused" && isSpent(message);
}

self.addEventListener("message", (event) => {
  const { data } = event as MessageEvent;
  if (Array.isArray(data)) {
    // The door to main.
    if (data.some(isLastAnswer)) console.error(`got: ${scope.name} ${role}-main`);
    data.splice(0, data.length, ...data.filter((message) => !isOwn(message)));
    return;
  }
  const { type, name } = data as { readonly type?: string; readonly name?: string };
  opening = type === "door" ? name! : null;
});
for (const { prototype } of [SocketTransport, PortTransport]) {
  const receive = prototype.receive;
  prototype.receive = function (this: Transport, receiver) {
    const name = opening;
    if (name !== null) doors.set(name, this);
    let announced = false;
    const onpost = receiver.onpost.bind(receiver);
    receiver.onpost = (post) => {
      const messages = post as Received[];
      for (const message of messages) {
        const { type, ids: given } = message;
        if (isLastAnswer(message)) console.error(`got: ${scope.name} ${name}`);
        if (type !== "ids" || announced) continue;
        ids = given!;
        console.error(`ids: ${scope.name}`);
        announced = true;
      }
      // The isolate's own code would accuse whoever answers what it has not asked.
      onpost(messages.filter((message) => !isOwn(message)));
    };
    if (name !== null) console.error(`up: ${scope.name} ${name}`);
    receive.call(this as never, receiver);
  };
}

/** Says all that may be said in the right form, see everything.ts. */
async function sayEverything({ message, envelope }: Post): Promise<void> {
  saidAll = await import("./everything.ts");
  let count = 0;
  for (const { door, messages } of saidAll.everything(role, { known: { message, envelope }, own: spent() ?? "" })) {
    if (door.endsWith("-main")) scope.postMessage(messages);
    else doors.get(door)!.post(messages, []);
    count += messages.length;
  }
  console.error(`said: everything, ${count} messages`);
}

const orders = new BroadcastChannel("hostile");
orders.onmessage = ({ data }) => {
  const post = data as Post;
  if (post.who !== scope.name) return;
  if (post.payload.startsWith("nothing, and ")) console.error("loops");
  if (post.payload === "nothing, and loops") { for (;;); }
  // The engine cannot end it.
  if (post.payload === "nothing, and computes") pbkdf2Sync("x", "y", 2 ** 31 - 1, 64, "sha512");
  if (post.payload === "everything") {
    return void sayEverything(post).catch((error) => console.error(`said: nothing: ${error.stack}`));
  }
  const messages = PAYLOADS[post.payload]!(post);
  try {
    if (post.door === "main") scope.postMessage(messages);
    else doors.get(post.door)!.post(messages, []);
    console.error(`said: ${post.payload}`);
  } catch (error) {
    console.error(`said: ${post.payload}: ${error}`);
  }
};
