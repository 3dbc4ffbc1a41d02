/**
 * Turns the isolate that it is loaded into, before its own code, against its neighbours: what a BroadcastChannel of its process names goes out through a
 * door of it, between what the isolate itself says there.
 */

import { pbkdf2Sync } from "node:crypto";
import { PortTransport, SocketTransport, type Transport } from "../../../src/isolate/mod.ts";

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
/** Numbers of the attacker's questions, from this one on. */
const OWN_CALLS = 1e9;
const EMPTY = new Uint8Array(0);

/** What is said, by name: the messages of one post. */
const PAYLOADS: Readonly<Record<string, (post: Post) => readonly unknown[]>> = {
  // What only the receiver can see is wrong.
  "mail for root": () => [commit(ids.at(-1)!, envelopeOf(ids.at(-1)!))],
  "mail with a command": () => [commit(ids.at(-1)!, { ...envelopeOf(ids.at(-1)!), exec: "id > /tmp/owned" })],
  "other messages": ({ message }) => [
    { type: "abort", message },
    { type: "chunk", message, bytes: new Uint8Array(1) },
    commit(message, envelopeOf(message)),
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
  "huge": () => [{ type: "chunk", message: ids.at(-1), bytes: new Uint8Array(32 << 20) }],
  "wrong shapes": () => [{ type: "commit", message: ids.at(-1), tail: EMPTY, envelopes: [{ id: 7 }] }],
  // Of a relay.
  "others' bodies": ({ message, envelope }) => [
    { type: "open", call: OWN_CALLS, message, ids: [envelope] },
    { type: "read", call: OWN_CALLS + 1, message, index: 0 },
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

function envelopeOf(message: string): Record<string, unknown> {
  const box = { local: "root", domain: "example.org" };
  const address = "local", hostname = "localhost";
  return {
    id: `${message}00000001`,
    sender: null,
    rcpt: box,
    dest: box,
    origin: { address, hostname, helo: hostname, smtpname: hostname, tag: "", username: "", authenticated: true },
    dsn: { notify: 0, ret: "", envid: "", orcpt: "" },
    action: "inbox",
    agent: "mda",
    internal: true,
    createdAt: 1,
    user: "root",
    subAddress: "",
    exec: "",
    mac: "0".repeat(64),
  };
}

interface Scope {
  readonly name: string;
  postMessage(message: unknown): void;
}
const scope = self as unknown as Scope;
const doors = new Map<string, Transport>();
/** The door that is being opened. */
let opening: string | null = null;

self.addEventListener("message", (event) => {
  const { type, name } = (event as MessageEvent).data as { readonly type?: string; readonly name?: string };
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
      const messages = post as { readonly type: string; readonly call?: number; readonly ids?: readonly string[] }[];
      for (const { type, call = 0, ids: given } of messages) {
        if (call >= OWN_CALLS) console.error(`got: ${type}`);
        if (type !== "ids") continue;
        ids = given!;
        if (!announced) console.error(`ids: ${scope.name}`);
        announced = true;
      }
      // The isolate's own code would accuse whoever answers what it has not asked.
      onpost(messages.filter(({ call = 0 }) => call < OWN_CALLS));
    };
    if (name !== null) console.error(`up: ${scope.name} ${name}`);
    receive.call(this as never, receiver);
  };
}

const orders = new BroadcastChannel("hostile");
orders.onmessage = ({ data }) => {
  const post = data as Post;
  if (post.who !== scope.name) return;
  if (post.payload.startsWith("nothing, and ")) console.error("loops");
  if (post.payload === "nothing, and loops") { for (;;); }
  // The engine cannot end it.
  if (post.payload === "nothing, and computes") pbkdf2Sync("x", "y", 2 ** 31 - 1, 64, "sha512");
  const messages = PAYLOADS[post.payload]!(post);
  try {
    if (post.door === "main") scope.postMessage(messages);
    else doors.get(post.door)!.post(messages, []);
    console.error(`said: ${post.payload}`);
  } catch (error) {
    console.error(`said: ${post.payload}: ${error}`);
  }
};
