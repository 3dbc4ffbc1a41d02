/**
 * Every door of the house: who may speak to whom, with which messages. A door that is not listed does not exist: main makes the
 * ports from DOORS, and an isolate can only name a door of its own. Plain data only: all of this is posted.
 */

import type {
  Agent,
  Deliverable,
  Envelope,
  EnvelopeFacts,
  EnvelopeId,
  Mailbox,
  MessageId,
  Origin,
  Outcome,
  ReversePath,
} from "../envelope/mod.ts";
import type { Event, Trace } from "../events/mod.ts";
import type { Certificates } from "./settings.ts";
import type { FilterToSession, SessionToFilter } from "./filters.ts";

/** The roles. There may be several smtp isolates, and filter only stands where the config names programs, login where a listener asks for AUTH; the others have one isolate. */
export type Role =
  | "smtp"
  | "lookup"
  | "queue"
  | "scheduler"
  | "relay"
  | "delivery"
  | "errand"
  | "filter"
  | "login"
  | "control";

/** Each door as "caller-callee"; both sides may send. The value tells what each side says. */
export interface Doors {
  "smtp-lookup": { asks: ToLookup; answers: FromLookup };
  "smtp-queue": { asks: SmtpToQueue; answers: QueueToSmtp };
  "queue-scheduler": { asks: QueueToScheduler; answers: SchedulerToQueue };
  "scheduler-relay": { asks: Job; answers: RelayToScheduler };
  "scheduler-delivery": { asks: Job; answers: never };
  "relay-queue": { asks: AgentToQueue; answers: QueueToAgent };
  "delivery-queue": { asks: AgentToQueue; answers: QueueToAgent };
  /** Commands, and files that users name: delivery may not touch them. */
  "delivery-errand": { asks: ToErrand; answers: FromErrand };
  "errand-queue": { asks: AgentToQueue; answers: QueueToAgent };
  "errand-lookup": { asks: ToLookup; answers: FromLookup };
  "relay-lookup": { asks: ToLookup; answers: FromLookup };
  "delivery-lookup": { asks: ToLookup; answers: FromLookup };
  /** Bounces are ordinary mail: the queue asks where the sender's address goes before it enqueues the notice. */
  "queue-lookup": { asks: ToLookup; answers: FromLookup };
  /** Tables that programs answer for. */
  "lookup-filter": { asks: ToFilter; answers: FromFilter };
  /** Events of sessions with filters, and what their filters say to them. */
  "smtp-filter": { asks: SessionToFilter; answers: FilterToSession };
  "relay-filter": { asks: SessionToFilter; answers: FilterToSession };
  /** Is this the password of that hash? */
  "lookup-login": { asks: ToLogin; answers: FromLogin };
  "control-queue": { asks: ControlToQueue; answers: QueueToControl };
  "control-scheduler": { asks: ControlToScheduler; answers: SchedulerToControl };
  "control-relay": { asks: ControlToRelay; answers: RelayToControl };
  "control-lookup": { asks: ControlToLookup; answers: LookupToControl };
  /** Events flow one way, into control, which keeps the log and the counters. */
  "smtp-control": { asks: Event; answers: never };
  "lookup-control": { asks: Event; answers: never };
  "queue-control": { asks: Event; answers: never };
  "scheduler-control": { asks: Event; answers: never };
  "relay-control": { asks: Event; answers: never };
  "delivery-control": { asks: Event; answers: never };
  "errand-control": { asks: Event; answers: never };
  "filter-control": { asks: Event; answers: never };
  "login-control": { asks: Event; answers: never };
}
export type DoorName = keyof Doors;

export const DOORS: readonly DoorName[] = [
  "smtp-lookup",
  "smtp-queue",
  "queue-scheduler",
  "scheduler-relay",
  "scheduler-delivery",
  "relay-queue",
  "delivery-queue",
  "delivery-errand",
  "errand-queue",
  "relay-lookup",
  "delivery-lookup",
  "errand-lookup",
  "queue-lookup",
  "lookup-filter",
  "smtp-filter",
  "relay-filter",
  "lookup-login",
  "control-queue",
  "control-scheduler",
  "control-relay",
  "control-lookup",
  "smtp-control",
  "lookup-control",
  "queue-control",
  "scheduler-control",
  "relay-control",
  "delivery-control",
  "errand-control",
  "filter-control",
  "login-control",
];

// Every question carries `call`, a number of the asker's choosing; the answer carries the same. Messages without `call` want no answer.

// ── smtp, relay, delivery, queue → lookup ─────────────────────────────────────────────────────────────────────────────────────────

export type ToLookup =
  /** Who gets this recipient? Asked at RCPT. */
  | {
    readonly type: "expand";
    readonly call: number;
    readonly origin: Origin;
    readonly tls: boolean;
    readonly sender: ReversePath;
    readonly rcpt: Mailbox;
  }
  /** Name of an IP address, forward-confirmed or not. */
  | { readonly type: "client-name"; readonly call: number; readonly address: string }
  /** Account a local delivery acts for: of the action's userbase, or of its `user` option. */
  | { readonly type: "account"; readonly call: number; readonly action: string; readonly user: string }
  /** Next relay URL of the action's `host` table, or the URL for a domain of its `domain` table. */
  | { readonly type: "smarthost"; readonly call: number; readonly action: string; readonly domain: string }
  /** Local addresses of the action's `src` table, the next in turn first. */
  | { readonly type: "sources"; readonly call: number; readonly action: string }
  /** What the action's `auth` table holds for the label of a relay URL. Answered to the relay isolate only. */
  | { readonly type: "credentials"; readonly call: number; readonly action: string; readonly label: string }
  /** Does something that a filter looks at stand in one of the filters' tables? */
  | {
    readonly type: "test";
    readonly call: number;
    readonly table: string;
    readonly service: "domain" | "netaddr" | "mailaddr" | "regex" | "auth";
    readonly key: string;
  }
  /** May this user send as that? `table` is the `senders` of a listener. */
  | {
    readonly type: "may-send";
    readonly call: number;
    readonly table: string;
    readonly user: string;
    readonly sender: ReversePath;
  }
  /** What a listener is called at one of its addresses (IPv6 in brackets). `table` is its `hostnames`. */
  | { readonly type: "listener-name"; readonly call: number; readonly table: string; readonly address: string }
  /** Does the password belong to the user? `table` is that of the listener; null for the accounts of the system. */
  | {
    readonly type: "authenticate";
    readonly call: number;
    readonly table: string | null;
    readonly user: string;
    readonly password: string;
  }
  /** Can everybody in the listener's table log in by SCRAM? */
  | { readonly type: "mechanisms"; readonly call: number; readonly table: string | null }
  /** What the user's password is hashed with. */
  | { readonly type: "challenge"; readonly call: number; readonly table: string; readonly user: string }
  /** Does the client's proof (base64) fit the user's password and what was said? RFC 5802 §3: `message` is the AuthMessage. */
  | {
    readonly type: "prove";
    readonly call: number;
    readonly table: string;
    readonly user: string;
    readonly message: string;
    readonly proof: string;
  };

/** Secret: no log and no trace shows it. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** A local address to send from: IPv4 or bare IPv6. */
export interface RelaySource {
  readonly address: string;
  /** Its name in EHLO by `helo-src`; null when the action has none. */
  readonly helo: string | null;
}
/** Addresses that one answer tells. */
export const SOURCE_LIMIT = 64;

export type FromLookup =
  | { readonly type: "expanded"; readonly call: number; readonly result: Expansion }
  | {
    readonly type: "client-name";
    readonly call: number; /** `<unknown>` for none */
    readonly hostname: string;
    readonly confirmed: "pass" | "fail" | "error";
  }
  | { readonly type: "account"; readonly call: number; readonly result: AccountResult }
  | {
    readonly type: "smarthost";
    readonly call: number; /** null: cannot retrieve smarthost */
    readonly url: string | null;
  }
  | { readonly type: "authenticated"; readonly call: number; readonly result: AuthResult }
  | { readonly type: "mechanisms"; readonly call: number; readonly scram: boolean }
  | { readonly type: "challenge"; readonly call: number; readonly challenge: Challenge | null }
  | {
    readonly type: "proved";
    readonly call: number;
    readonly result: AuthResult; /** In base64; "" unless `ok`. */
    readonly signature: string;
  }
  /** False also when it cannot be told. */
  | { readonly type: "tested"; readonly call: number; readonly found: boolean }
  /** `permfail`: the sender is not this user's. */
  | { readonly type: "may-send"; readonly call: number; readonly result: AuthResult }
  | {
    readonly type: "listener-name";
    readonly call: number; /** null: the usual name */
    readonly name: string | null;
  }
  | { readonly type: "sources"; readonly call: number; readonly sources: readonly RelaySource[] }
  | {
    readonly type: "credentials";
    readonly call: number; /** null: there are none, or they cannot be had now */
    readonly credentials: Credentials | null;
  };

/** `permfail`: wrong password or no such user, which nobody outside is told apart. */
export type AuthResult = "ok" | "permfail" | "tempfail";

/** Null in its place: it cannot be had now. Whoever does not exist has one too. */
export interface Challenge {
  /** In base64. */
  readonly salt: string;
  readonly iterations: number;
}

export type Expansion =
  | {
    readonly ok: true;
    readonly targets: readonly Deliverable[]; /** Made by expansion: the envelope is internal. Same index as targets. */
    readonly internal: readonly boolean[];
  }
  /** `text` is the full reply without the code: "2.1.5 …", ends without CRLF. */
  | { readonly ok: false; readonly code: number; readonly text: string };

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}
export type AccountResult =
  /** `identity` is who the delivery runs as (the action's `user`, else the account); `account` is the recipient. */
  | { readonly ok: true; readonly account: Account; readonly identity: Account }
  | { readonly ok: false; readonly temporary: boolean; readonly text: string };

// ── lookup → filter ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a table can be asked for; the names are those of the protocol of table programs. */
export const TABLE_SERVICES = [
  "alias",
  "domain",
  "credentials",
  "netaddr",
  "userinfo",
  "source",
  "mailaddr",
  "addrname",
  "mailaddrmap",
  "relayhost",
  "string",
  "regex",
  "auth",
] as const;
export type TableService = typeof TABLE_SERVICES[number];

export type TableRequest =
  | { readonly op: "update" }
  | { readonly op: "check" | "lookup"; readonly service: TableService; readonly key: string }
  | { readonly op: "fetch"; readonly service: TableService };

export type TableAnswer =
  /** Of an update. */
  | { readonly result: "ok" }
  /** `value` is "" for a check. */
  | { readonly result: "found"; readonly value: string }
  | { readonly result: "not-found" }
  /** The mail operation that needed it fails temporarily; `reason` is for the operator. `unserved`: the program has no such service. */
  | { readonly result: "error"; readonly reason: string; readonly unserved?: true };

export type ToFilter = {
  readonly type: "table";
  readonly call: number;
  readonly table: string;
  readonly request: TableRequest;
};
export type FromFilter = { readonly type: "table"; readonly call: number; readonly answer: TableAnswer };

// ── lookup → login ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type ToLogin =
  | { readonly type: "verify"; readonly call: number; readonly hash: string; readonly password: string }
  /** As the question to lookup, with the user's SCRAM verifier. */
  | {
    readonly type: "prove";
    readonly call: number;
    readonly verifier: string;
    readonly message: string;
    readonly proof: string;
  };
/** `unknown`: it cannot be told, the hash is of no known scheme or too many wait. */
export type Verdict = "match" | "mismatch" | "unknown";
export type FromLogin =
  | { readonly type: "verified"; readonly call: number; readonly verdict: Verdict }
  | { readonly type: "proved"; readonly call: number; readonly verdict: Verdict; readonly signature: string };

// ── smtp ⇄ queue ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * A message on its way in. Lines end with LF and are not dot-stuffed. `chunk`s are sent only while there is credit; a small message is
 * one `commit` with the whole body as `tail`.
 */
export type SmtpToQueue =
  | { readonly type: "chunk"; readonly message: MessageId; readonly bytes: Uint8Array<ArrayBuffer> }
  | {
    readonly type: "commit";
    readonly message: MessageId;
    readonly tail: Uint8Array<ArrayBuffer>;
    readonly envelopes: readonly EnvelopeFacts[];
  }
  | { readonly type: "abort"; readonly message: MessageId }
  /** All ids are with sessions whose messages are still coming in: more are wanted. */
  | { readonly type: "ids-wanted" };

export type QueueToSmtp =
  /** Message ids that are free and reserved for this isolate. Sent at start, before they are used up, and when wanted. */
  | { readonly type: "ids"; readonly ids: readonly MessageId[] }
  /**
   * One more `chunk` of this message may be sent. A session starts with CHUNK_CREDIT of them. `spent` is the buffer of the chunk that was
   * written, transferred back to be filled again: buffers that are dropped pile up until the collector comes.
   */
  | { readonly type: "credit"; readonly message: MessageId; readonly spent?: ArrayBuffer }
  /** It is on stable storage. Only now may the client see 250. */
  | { readonly type: "committed"; readonly message: MessageId }
  /** So large a message can be stored now; 0 is none, Infinity more than anybody asks for, which holds until something else is said. */
  | { readonly type: "room"; readonly bytes: number }
  /** Nothing of it is kept. `code` and `text` make the reply, as in 452 "4.3.1 …". */
  | { readonly type: "refused"; readonly message: MessageId; readonly code: number; readonly text: string };

/** Bytes of body that fill a chunk, and how many chunks a session may have on the way. */
export const CHUNK_BYTES = 256 * 1024;
export const CHUNK_CREDIT = 2;

// ── queue ⇄ scheduler ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the scheduler keeps of an envelope. */
export interface Ticket {
  readonly id: EnvelopeId;
  readonly agent: Agent;
  readonly action: string;
  /** What shares a fate: the local user for mda, the lower-case destination domain for mta, "" for bounces. */
  readonly key: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly tries: number;
  readonly suspended: boolean;
}

export type QueueToScheduler =
  | { readonly type: "enqueued"; readonly tickets: readonly Ticket[] }
  /** The outcome of an attempt is durable: forget it, or try again later. */
  | { readonly type: "settled"; readonly id: EnvelopeId; readonly again: boolean }
  /** Removed by the administrator, or gone for another reason. */
  | { readonly type: "dropped"; readonly ids: readonly EnvelopeId[] }
  /** Start-up: all tickets have been sent. */
  | { readonly type: "loaded" };

export type SchedulerToQueue =
  /** Its time is over: the queue writes the bounce, deletes it, and answers `dropped`. */
  | { readonly type: "expired"; readonly ids: readonly EnvelopeId[] }
  /** Bounce envelopes of one message that are due: the queue writes the notice and settles them. */
  | { readonly type: "bounce"; readonly message: MessageId; readonly ids: readonly EnvelopeId[] };

// ── scheduler → relay, delivery; relay, delivery ⇄ queue ──────────────────────────────────────────────────────────────────────────

/** Envelopes of one message that go the same way. */
export interface Job {
  readonly type: "job";
  readonly message: MessageId;
  readonly action: string;
  readonly key: string;
  readonly ids: readonly EnvelopeId[];
}

/** A destination that could not be reached takes mail again: these envelopes, which failed for that, need not wait for their time. */
export type RelayToScheduler = { readonly type: "reschedule"; readonly ids: readonly EnvelopeId[] };

export type AgentToQueue =
  /** The envelopes of a job and the start of the body. */
  | { readonly type: "open"; readonly call: number; readonly message: MessageId; readonly ids: readonly EnvelopeId[] }
  /** The body from chunk `index` on (one chunk). */
  | { readonly type: "read"; readonly call: number; readonly message: MessageId; readonly index: number }
  | { readonly type: "outcome"; readonly id: EnvelopeId; readonly outcome: Outcome };

export type QueueToAgent =
  /** Ids that are no longer queued are missing from `envelopes`. `bytes` is the whole size, `first` chunk 0, `chunks` their number. */
  | {
    readonly type: "opened";
    readonly call: number;
    readonly envelopes: readonly Envelope[];
    readonly bytes: number;
    readonly chunks: number;
    readonly first: Uint8Array<ArrayBuffer>;
  }
  | { readonly type: "chunk"; readonly call: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "unreadable"; readonly call: number; readonly text: string };

// ── delivery → errand ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Envelopes that take a command, or a file that a user named. The errand isolate asks the queue what they hold and tells it what became of them. */
export type ToErrand = Omit<Job, "type"> & { readonly type: "errand"; readonly call: number };
/** All of it is done, or was done before. */
export type FromErrand = { readonly type: "errand-done"; readonly call: number };

// ── control → the others ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A message, an envelope, everything, or what is to be relayed to a domain (lower-case). */
export type Target =
  | { readonly message: MessageId }
  | { readonly envelope: EnvelopeId }
  | { readonly domain: string }
  | "all";
/** The queue knows no domains: the scheduler finds their envelopes. */
export type QueueTarget = Exclude<Target, { readonly domain: string }> | { readonly ids: readonly EnvelopeId[] };

export type ControlToQueue =
  /** Envelopes after `after` in order of id, at most `limit` and of at most so many messages: a listing is a loop of these until there is no `next`. */
  | {
    readonly type: "list";
    readonly call: number;
    readonly message: MessageId | null;
    readonly after: EnvelopeId;
    readonly limit: number;
    readonly messages?: number;
  }
  | { readonly type: "envelope"; readonly call: number; readonly id: EnvelopeId }
  /** What cannot be read and is set aside, as lines of text. */
  | { readonly type: "damaged"; readonly call: number }
  /** What is wrong with the spool now, a line each; none when all is well. */
  | { readonly type: "troubles"; readonly call: number }
  | { readonly type: "body"; readonly call: number; readonly message: MessageId; readonly index: number }
  /** Texts of envelopes after `after` in order of id, for an import elsewhere: an export is a loop of these until nothing comes. */
  | { readonly type: "export"; readonly call: number; readonly after: EnvelopeId }
  /** Takes in a message, or one envelope of it, that lies in the spool's folder `import`. */
  | {
    readonly type: "discover";
    readonly call: number;
    readonly message: MessageId;
    readonly envelope: EnvelopeId | null;
  }
  /** Deletes those of the target after `after`, a slice of them; the scheduler hears of it through `dropped`. */
  | { readonly type: "remove"; readonly call: number; readonly target: QueueTarget; readonly after: EnvelopeId }
  /** Durable mark of `pause envelope` and `resume envelope`, on a slice as well. */
  | {
    readonly type: "suspend";
    readonly call: number;
    readonly target: QueueTarget;
    readonly after: EnvelopeId;
    readonly suspended: boolean;
  };

export type QueueToControl =
  | {
    readonly type: "listed";
    readonly call: number;
    readonly envelopes: readonly (Envelope & { readonly expiresAt: number })[];
    /** Where to go on: there may be more behind it, even if there are no envelopes here. Null at the end. */
    readonly next: EnvelopeId | null;
  }
  | { readonly type: "damaged" | "troubles"; readonly call: number; readonly lines: readonly string[] }
  /** `text`: the envelope as key/value lines, null when there is none. */
  | { readonly type: "envelope"; readonly call: number; readonly text: string | null }
  | {
    readonly type: "body";
    readonly call: number;
    readonly chunks: number;
    readonly bytes: Uint8Array<ArrayBuffer> | null;
  }
  /** `text` is null when the envelope is damaged. */
  | {
    readonly type: "exported";
    readonly call: number;
    readonly envelopes: readonly { readonly id: EnvelopeId; readonly text: string | null }[];
  }
  /** `count`: envelopes; `error`: why nothing of the message was taken in. */
  | { readonly type: "discovered"; readonly call: number; readonly count: number; readonly error: string | null }
  /** Those of the slice that changed. `next`: where the next slice begins, null when this was the last. */
  | {
    readonly type: "removed" | "suspended";
    readonly call: number;
    readonly ids: readonly EnvelopeId[];
    readonly next: EnvelopeId | null;
  };

export type ControlToScheduler =
  /** Makes a slice of the target due; `from` is 0 at first, then `next` of the answer before. */
  | { readonly type: "schedule"; readonly call: number; readonly target: Target; readonly from: number }
  /** A slice of the envelopes that are to be relayed to a domain. */
  | { readonly type: "find"; readonly call: number; readonly domain: string; readonly from: number }
  | {
    readonly type: "suspend";
    readonly call: number;
    readonly ids: readonly EnvelopeId[];
    readonly suspended: boolean;
  }
  /** `pause mta`, `resume mda`: `changed` in the answer is false when it was so already. */
  | { readonly type: "pause"; readonly call: number; readonly agent: "mda" | "mta"; readonly paused: boolean }
  /** Where each of these envelopes stands, for a listing. */
  | { readonly type: "states"; readonly call: number; readonly ids: readonly EnvelopeId[] };

/** `at`: ms since the epoch; when it is due (pending, held) or since when it runs (inflight). */
export interface RunState {
  readonly id: EnvelopeId;
  readonly state: "pending" | "inflight" | "held" | "suspended" | "unknown";
  readonly at: number;
}
export type SchedulerToControl =
  | { readonly type: "suspended"; readonly call: number; readonly count: number }
  /** `next` is null after the last slice. */
  | { readonly type: "scheduled"; readonly call: number; readonly count: number; readonly next: number | null }
  | {
    readonly type: "found";
    readonly call: number;
    readonly ids: readonly EnvelopeId[];
    readonly next: number | null;
  }
  | { readonly type: "paused"; readonly call: number; readonly changed: boolean }
  | { readonly type: "states"; readonly call: number; readonly states: readonly RunState[] };

export type ControlToRelay = {
  readonly type: "show";
  readonly call: number;
  readonly what: "hosts" | "hoststats" | "relays" | "routes";
} | { readonly type: "resume-route"; readonly call: number; readonly route: number };
export type RelayToControl = { readonly type: "shown"; readonly call: number; readonly lines: readonly string[] };

export type ControlToLookup = { readonly type: "update-table"; readonly call: number; readonly table: string };
export type LookupToControl = { readonly type: "updated"; readonly call: number; readonly error: string | null };

// ── main ⇄ every isolate, over the worker's own port ──────────────────────────────────────────────────────────────────────────────

export interface Peer {
  /** IPv4, bare IPv6, or "local". */
  readonly address: string;
  readonly port: number;
  /** Who is on the other end of a unix socket; null when unknown. */
  readonly uid: number | null;
  /** The address that the client connected to, for listeners whose name depends on it. */
  readonly local?: string;
}

export type FromMain<Settings = unknown> =
  | {
    readonly type: "start";
    readonly role: Role;
    readonly index: number;
    readonly settings: Settings;
    readonly verbose: boolean;
    readonly traces: readonly Trace[];
  }
  /** The other side of a door, at start and again whenever that side was replaced. `peer` tells several smtp isolates apart. */
  | { readonly type: "door"; readonly name: DoorName; readonly peer: number; readonly port: MessagePort }
  /** The other side has ended; another will follow. */
  | { readonly type: "door-closed"; readonly name: DoorName; readonly peer: number }
  | { readonly type: "ping"; readonly count: number }
  /** An accepted connection (smtp: of `listener`; control: of the control socket, listener -1). `ticket` comes back in `sessions-ended`. */
  | {
    readonly type: "session";
    readonly descriptor: number;
    readonly listener: number;
    readonly peer: Peer;
    readonly ticket: number;
  }
  | { readonly type: "verbosity"; readonly verbose: boolean; readonly traces: readonly Trace[] }
  /** smtp and relay only: in the place of those in the settings, for connections that begin from now on. */
  | { readonly type: "certificates"; readonly certificates: Certificates }
  /** control only: main's answer to a request. */
  | MainAnswer
  /** lookup only: what main knows of what it was asked, in no order. */
  | { readonly type: "told"; readonly answers: readonly HouseAnswer[] }
  /** Finish what can be finished and say `stopped`. */
  | { readonly type: "stop" };

export type ToMain =
  | { readonly type: "ready" }
  | { readonly type: "pong"; readonly count: number }
  /** smtp: these sessions ended, main may accept others. */
  | { readonly type: "sessions-ended"; readonly tickets: readonly number[] }
  | { readonly type: "stopped" }
  /** control only: what smtpctl asked of main. */
  | { readonly type: "request"; readonly call: number; readonly request: MainRequest }
  /** filter only: a program was started, or has ended. */
  | { readonly type: "program"; readonly pid: number; readonly running: boolean }
  /** filter only: without this program no mail may pass. */
  | { readonly type: "lost-program"; readonly reason: string }
  /** lookup only: what only main may find out. Answered by `told`. */
  | { readonly type: "ask"; readonly questions: readonly HouseQuestion[] }
  /** control only, when main logs to syslog: finished lines. */
  | {
    readonly type: "syslog";
    readonly lines: readonly { readonly level: "debug" | "info" | "warn" | "crit"; readonly text: string }[];
  };

export type MainRequest =
  | { readonly type: "stop" }
  | { readonly type: "pause-smtp"; readonly paused: boolean }
  /** Load all certificates, keys and CA files again. */
  | { readonly type: "update-pki" }
  | { readonly type: "verbosity"; readonly verbose: boolean; readonly traces: readonly Trace[] };
/** Main's answer to control. `changed` is false when it was so already. */
export interface MainAnswer {
  readonly type: "answer";
  readonly call: number;
  readonly changed: boolean;
  /** Why it could not be done, or not all of it. */
  readonly error: string | null;
}

/** What lookup asks of main, which has the rights of the user, and the C library. */
export type HouseQuestion =
  /** The user's `.forward`; with a suffix, as in `+tag`, the file `.forward+tag` before it. */
  | { readonly type: "forward"; readonly call: number; readonly who: Account; readonly suffix: string }
  /** getpwnam(3): accounts of whatever the name service knows. */
  | { readonly type: "account"; readonly call: number; readonly name: string }
  /** The password of a system account, */
  | { readonly type: "login"; readonly call: number; readonly user: string; readonly password: string }
  /** or of a hash that only crypt(3) knows. */
  | { readonly type: "crypt"; readonly call: number; readonly hash: string; readonly password: string };
export type HouseAnswer =
  | { readonly type: "forward"; readonly call: number; readonly result: Forward }
  | { readonly type: "account"; readonly call: number; readonly result: Account | null | { readonly error: string } }
  | { readonly type: "login"; readonly call: number; readonly result: Verdict }
  | { readonly type: "crypt"; readonly call: number; readonly result: Verdict };

/** What was found in a home; `refused` says why nothing of the file is used. */
export type Forward =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "refused"; readonly temporary: boolean; readonly reason: string };

/** A `.forward` is smaller than this, in bytes. */
export const FORWARD_LIMIT = 4096;
