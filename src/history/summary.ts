/**
 * What is known of one message from its events, in whatever order and version they come: what a listing shows of it, and the keys that it is found by. Fields that are
 * missing or of another kind are passed over. Pure.
 */

import type { RecordedEvent } from "../events/mod.ts";
import type { FoundMessage, HistoryOutcome } from "../protocol/mod.ts";
import { MAX_FOUND_RECIPIENTS } from "../protocol/history.ts";
import { Several } from "./several.ts";
import { type Field, fieldHash, type FieldKey, replyForm } from "./fields.ts";

/** Recipients that one message is found by, and envelopes that are told apart. */
export const MAX_SUMMARY_RECIPIENTS = 5_000;
/** Replies of one message that it is found by. */
const MAX_REPLIES = 100;
/** Characters of a reply, and of any other text, that are kept. */
const MAX_REPLY_CHARS = 600, MAX_SUMMARY_CHARS = 1_000;

/** What has become of an envelope. */
type EnvelopeFate = Exclude<HistoryOutcome, "mixed" | "refused">;
const FINAL: ReadonlySet<HistoryOutcome> = new Set([
  "delivered",
  "relayed",
  "bounced",
  "expired",
  "removed",
  "refused",
  "mixed",
]);

/** Whether nothing more is to be expected of a message with this outcome. */
export function isFinal(outcome: HistoryOutcome): boolean {
  return FINAL.has(outcome);
}

type Fields = Readonly<Record<string, unknown>>;

export class MessageSummary {
  /** Of the message; "" for a session that brought none. */
  readonly id: string;
  session = "";
  at = Infinity;
  lastAt = -Infinity;
  /** In lower case; "<>" is the null sender, "" none. */
  from = "";
  /** In lower case: those that the client named, and what became of them by aliases. */
  readonly addresses = new Several<string>();
  peer = "";
  login = "";
  messageId = "";
  bytes = 0;
  readonly replies = new Several<string>();
  readonly replyClasses = new Several<string>();
  readonly envelopes = new Map<string, EnvelopeFate>();
  /** Recipients as the client named them, and those that were refused. */
  readonly #named = new Several<string>();
  readonly #refused = new Several<string>();
  #reply = "";
  #replyClass = "";
  #count = 0;
  #accepted = false;
  /** Keys that were taken by `takeKeys`, and forms of replies. */
  readonly #taken = new Several<FieldKey>();
  readonly #fresh: FieldKey[] = [];
  readonly #freshForms: string[] = [];

  constructor(id: string) {
    this.id = id;
    if (id !== "") this.#key("id", id);
  }

  /** Takes one event of the message. */
  add({ at, event }: RecordedEvent): void {
    this.at = Math.min(this.at, at);
    this.lastAt = Math.max(this.lastAt, at);
    const fields = event as unknown as Fields;
    if (this.session === "" && typeof fields.session === "string" && event.type.startsWith("smtp-")) {
      this.session = fields.session;
      this.#key("session", fields.session);
    }
    switch (event.type) {
      case "smtp-connected":
        return this.#peer(fields.address);
      case "smtp-authentication":
        return fields.result === "ok" ? this.#login(fields.user) : undefined;
      case "smtp-message":
        return this.#message(fields);
      case "smtp-envelope":
        this.#sender(fields.from);
        this.#recipient(fields.to, { named: true });
        return this.#fate(fields.envelope, "queued");
      case "smtp-failed-command":
      case "smtp-bad-input":
        return this.#refusal(fields);
      case "delivery":
        return this.#attempt(fields);
      case "queue-expire":
        return this.#gone(fields, "expired");
      case "queue-remove":
        return this.#gone(fields, "removed");
      case "queue-message":
        return this.#queued(fields);
      case "queue-dsn-written":
        return fields.dsn === this.id && this.id !== "" ? this.#notice(fields) : undefined;
    }
    if (String(event.type) === "admin-act") this.#act(fields);
  }

  get outcome(): HistoryOutcome {
    if (this.envelopes.size === 0 && !this.#accepted) return "refused";
    const fates = new Several<HistoryOutcome>();
    for (const fate of this.envelopes.values()) fates.add(fate);
    if (this.#count > this.envelopes.size && this.envelopes.size < MAX_SUMMARY_RECIPIENTS) fates.add("queued");
    for (const open of ["held", "deferred", "queued"] as const) if (fates.has(open)) return open;
    return fates.size === 1 ? [...fates][0]! : fates.size === 0 ? "queued" : "mixed";
  }

  /** What a listing shows. */
  found(): FoundMessage {
    const to = [...[this.#named, this.#refused].find(({ size }) => size > 0) ?? this.addresses];
    return {
      id: this.id === "" ? this.session : this.id,
      session: this.session,
      at: this.at,
      lastAt: this.lastAt,
      from: this.from === "<>" ? null : this.from,
      to: to.slice(0, MAX_FOUND_RECIPIENTS),
      rcpts: Math.max(this.#count, to.length),
      peer: this.peer,
      login: this.login,
      messageId: this.messageId,
      bytes: this.bytes,
      outcome: this.outcome,
      reply: this.#reply,
      replyClass: this.#replyClass,
    };
  }

  /** The keys that have come since the last call, and the forms of replies among them. */
  takeKeys(): { readonly keys: readonly FieldKey[]; readonly forms: readonly string[] } {
    const { outcome } = this;
    if (isFinal(outcome)) this.#key("outcome", outcome);
    return { keys: this.#fresh.splice(0), forms: this.#freshForms.splice(0) };
  }

  #key(field: Field, text: string): void {
    const key = fieldHash(field, text);
    if (this.#taken.add(key)) this.#fresh.push(key);
  }

  #message({ bytes, rcpts, detail }: Fields): void {
    this.#accepted = true;
    if (isWhole(bytes)) this.bytes = bytes;
    if (isWhole(rcpts)) this.#count = rcpts;
    if (!isObject(detail)) return;
    this.#sender(detail.sender);
    this.#origin(detail.origin);
    const id = text(detail.messageId).replace(/^<|>$/g, "");
    if (id !== "") {
      this.messageId = id;
      this.#key("messageId", id.toLowerCase());
    }
    for (const one of list(detail.envelopes)) this.#envelope(one);
    for (const one of list(detail.suppressed)) this.#recipient(one.rcpt, { named: true });
  }

  #envelope({ id, rcpt, dest }: Fields): void {
    this.#recipient(rcpt, { named: true });
    this.#recipient(dest, { named: false });
    this.#fate(id, "queued");
  }

  #notice({ to, bytes, envelopes }: Fields): void {
    this.#accepted = true;
    this.#sender(null);
    this.#recipient(to, { named: true });
    if (isWhole(bytes)) this.bytes = bytes;
    for (const one of list(envelopes)) this.#envelope(one);
  }

  #queued({ from, bytes, envelopes, more }: Fields): void {
    this.#accepted = true;
    this.#sender(from);
    if (isWhole(bytes)) this.bytes = bytes;
    for (const one of list(envelopes)) this.#envelope(one);
    if (isWhole(more) && more > 0) this.#count = this.envelopes.size + more;
  }

  #refusal({ command, reply, replyClass, address, detail }: Fields): void {
    this.#peer(address);
    this.#said(reply, replyClass);
    const words = text(command);
    const [, verb, path] = /^\s*(MAIL FROM|RCPT TO)\s*:\s*<([^>]*)>/i.exec(words) ?? [];
    if (verb?.toUpperCase() === "RCPT TO") this.#refusedAddress(path!);
    else if (verb !== undefined) this.#sender(path!);
    if (!isObject(detail)) return;
    this.#origin(detail.origin);
    if (detail.sender !== undefined) this.#sender(detail.sender);
    for (const rcpt of Array.isArray(detail.rcpts) ? detail.rcpts : []) this.#refusedAddress(text(rcpt));
  }

  #refusedAddress(address: string): void {
    if (address !== "" && this.#refused.size < MAX_SUMMARY_RECIPIENTS) this.#refused.add(address.toLowerCase());
    this.#address(address, { named: false });
  }

  #attempt({ envelope, from, to, rcpt, agent, outcome, stat, replyClass }: Fields): void {
    this.#sender(from);
    this.#recipient(rcpt, { named: true });
    this.#recipient(to, { named: false });
    this.#said(stat, replyClass);
    const fate = outcome === "ok" ? agent === "mda" ? "delivered" : "relayed" : null;
    this.#fate(envelope, fate ?? (outcome === "tempfail" ? "deferred" : "bounced"));
  }

  #gone({ envelope, from, to, rcpt, stat }: Fields, fate: EnvelopeFate): void {
    this.#sender(from);
    this.#recipient(rcpt, { named: true });
    this.#recipient(to, { named: false });
    this.#said(stat, undefined);
    this.#fate(envelope, fate);
  }

  #act({ act, envelope }: Fields): void {
    if (act !== "hold" && act !== "release") return;
    const open = [...this.envelopes].filter(([, fate]) => !FINAL.has(fate)).map(([id]) => id);
    for (const id of typeof envelope === "string" ? [envelope] : open) {
      this.#fate(id, act === "hold" ? "held" : "deferred");
    }
  }

  /** What has ended stays so: an event that comes late says nothing new. */
  #fate(envelope: unknown, fate: EnvelopeFate): void {
    if (typeof envelope !== "string") return;
    const before = this.envelopes.get(envelope);
    if (before === undefined && this.envelopes.size >= MAX_SUMMARY_RECIPIENTS) return;
    if (before !== undefined && (fate === "queued" || (FINAL.has(before) && !FINAL.has(fate)))) return;
    this.envelopes.set(envelope, fate);
  }

  #origin(origin: unknown): void {
    if (!isObject(origin)) return;
    this.#peer(origin.address);
    this.#login(origin.username);
  }

  #peer(address: unknown): void {
    const peer = peerText(text(address));
    if (peer === "" || this.peer !== "") return;
    this.peer = peer;
    this.#key("peer", peer);
  }

  #login(user: unknown): void {
    const login = text(user);
    if (login === "") return;
    this.login = login;
    this.#key("login", login.toLowerCase());
  }

  #sender(sender: unknown): void {
    if (this.from !== "" || sender === undefined) return;
    const address = sender === null || sender === "" ? "<>" : addressOf(sender);
    if (address === "") return;
    this.from = address;
    this.#key("from", address);
    const { name, domain } = parts(address);
    if (name !== "") this.#key("fromName", name);
    if (domain !== "") this.#key("fromDomain", domain);
  }

  #recipient(mailbox: unknown, how: { readonly named: boolean }): void {
    this.#address(addressOf(mailbox), how);
  }

  #address(text: string, { named }: { readonly named: boolean }): void {
    const address = text.toLowerCase();
    if (address === "") return;
    if (named && this.#named.size < MAX_SUMMARY_RECIPIENTS) this.#named.add(address);
    if (this.addresses.size >= MAX_SUMMARY_RECIPIENTS || !this.addresses.add(address)) return;
    this.#key("to", address);
    const { name, domain } = parts(address);
    if (name !== "") this.#key("toName", name);
    if (domain !== "") this.#key("toDomain", domain);
  }

  #said(reply: unknown, replyClass: unknown): void {
    const said = typeof reply === "string" ? reply.slice(0, MAX_REPLY_CHARS) : "";
    this.#replyClass = text(replyClass);
    if (said !== "") this.#reply = said;
    if (this.#replyClass !== "" && this.replyClasses.add(this.#replyClass)) {
      this.#key("replyClass", this.#replyClass.toLowerCase());
    }
    const known = said.toLowerCase();
    if (known === "" || this.replies.size >= MAX_REPLIES || !this.replies.add(known)) return;
    const { form, varying } = replyForm(known);
    const before = this.#fresh.length;
    this.#key("reply", form);
    if (this.#fresh.length > before) this.#freshForms.push(form);
    for (const word of varying) this.#key("replyWord", word);
  }
}

/** An address of a client without the brackets of IPv6. */
export function peerText(address: string): string {
  return address.replace(/^\[(?:IPv6:)?(.*)\]$/i, "$1").toLowerCase();
}

/** What stands before and behind the last @. */
export function parts(address: string): { readonly name: string; readonly domain: string } {
  const at = address.lastIndexOf("@");
  return at < 0 ? { name: address, domain: "" } : { name: address.slice(0, at), domain: address.slice(at + 1) };
}

/** A mailbox, or its text, in lower case; "" for what is none. */
function addressOf(mailbox: unknown): string {
  if (typeof mailbox === "string") return mailbox.slice(0, MAX_SUMMARY_CHARS).toLowerCase();
  if (!isObject(mailbox)) return "";
  const local = text(mailbox.local), domain = text(mailbox.domain);
  return `${local}@${domain}`.toLowerCase();
}

function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, MAX_SUMMARY_CHARS) : "";
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
