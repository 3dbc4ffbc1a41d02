/** Fills a spool through the store's own code: a million messages by SMTP would take half an hour. The daemon must be down. */

import {
  type EnvelopeContent,
  type MessageId,
  messageNumber,
  newEnvelopeId,
  NO_DSN,
  rowOf,
} from "../../src/envelope/mod.ts";
import { Ids } from "../../src/queue/ids.ts";
import { Store } from "../../src/queue/store/store.ts";
import { LOCAL_DOMAIN } from "./server.ts";
import { msgid } from "../ids.ts";

const BLOCK = 256;
const MESSAGES_A_COMMIT = 20 * BLOCK;
const BODY_BYTES = 1024;
/** Domains that share the queue evenly. */
export const DOMAINS = 10;
export const domainOf = (index: number) => `d${index % DOMAINS}.test`;
/** The id that start-up comes to last. */
const LAST_MESSAGE = msgid("fffffffe");

/** Due in two hours; one more failure is too early for a notice of the delay. */
const WAITING_TRIES = 4;

const body = new TextEncoder().encode(
  `From: sender@example.com\nSubject: waits\n\n${"x".repeat(70)}\n`.padEnd(BODY_BYTES - 1, "y") + "\n",
);

/** Adds `count` messages to the queue in `spool`, of one envelope each, that are due in two hours. */
export function fillQueue(spool: string, count: number): void {
  const store = new Store(spool);
  const ids = new Ids((range) => store.taken(range));
  const now = Date.now();
  for (let index = 0; index < count;) {
    store.begin("unsynced");
    for (const end = Math.min(count, index + MESSAGES_A_COMMIT); index < end;) {
      for (const message of ids.reserve(store)) {
        if (index === end) break;
        ids.take(store, message);
        const local = `user${index}`, domain = domainOf(index);
        index++;
        add(store, {
          ...common(message, local, domain, now),
          action: "out",
          agent: "mta",
        }, WAITING_TRIES);
      }
    }
    store.commit();
  }
  store.close();
}

/** Adds a local message that is due now, under the highest id; it is delivered by the account `user`. */
export function addDueMessage(spool: string, recipient: string, user: string): void {
  const store = new Store(spool);
  store.begin("synced");
  add(store, {
    ...common(LAST_MESSAGE, recipient, LOCAL_DOMAIN, Date.now()),
    action: "in",
    agent: "mda",
    user,
    subAddress: "",
    exec: "",
  }, 0);
  store.commit();
  store.close();
}

function add(store: Store, content: EnvelopeContent, tries: number): void {
  const message = messageNumber(content.id);
  store.addMessage(message, { bytes: body.length, chunks: 1 });
  const chunk = store.makeChunk(message, 0, body);
  if (chunk instanceof Promise) throw new Error("The body of a bench is not large");
  store.putChunk(message, 0, chunk);
  store.addEnvelope(content);
  if (tries === 0) return;
  const state = { tries, lastTryAt: content.createdAt, lastBounceAt: 0, errorLine: "450 4.2.1 Try again later" };
  store.setState(rowOf(content.id), { ...state, status: { class: 4, code: "2.1" } });
}

function common(message: MessageId, local: string, domain: string, createdAt: number) {
  const to = { local, domain };
  return {
    id: newEnvelopeId(message),
    sender: { local: "sender", domain: "example.com" },
    rcpt: to,
    dest: to,
    origin: {
      address: "192.0.2.7",
      hostname: "client.example.net",
      helo: "client.example.net",
      smtpname: "bench.example.org",
      tag: "",
      username: "",
      authenticated: false,
    },
    dsn: NO_DSN,
    internal: false,
    createdAt,
  } as const;
}
