/**
 * What `--json` prints of each command that has it: the names, which stay as they are. smtpctl(8) gets its list from here by scripts/tidy.ts, and a test
 * compares what the running daemon answers.
 */

import type { ControlRequest } from "../../control/mod.ts";

export interface JsonForm {
  /** `lines`: an object on each line, none where there is nothing; `document`: one object. */
  readonly form: "lines" | "document";
  /** Names in order, with a few words on what is not clear from the name. */
  readonly fields: Readonly<Record<string, string>>;
}

const ENVELOPE = {
  envelope: "id of the envelope",
  message: "id of the message",
  agent: "mda, mta or bounce",
  sender: "null for the null sender",
  rcpt: "recipient of the RCPT command",
  dest: "recipient after expansion",
};
const ATTEMPTS = {
  lastTryAt: "null for never",
  tries: "attempts so far",
  error: "of the last attempt, or null",
  errorClass: "what that means; null for none, and while no daemon runs",
};

/** By the words of the command. */
export const JSON_FORMS: Readonly<Record<string, JsonForm>> = {
  "admin tokens": {
    form: "lines",
    fields: {
      name: "",
      scope: "read or write, which includes read",
      createdAt: "",
      expiresAt: "null for never",
      lastUsedAt: "null for never",
      expired: "",
    },
  },
  "dkim check": {
    form: "lines",
    fields: {
      domain: "",
      selector: "",
      use: "signs, waits or replaced",
      state: "of its record: ok, missing, differs, several or unknown",
      ok: "nothing is wrong",
      text: "the line as it is printed without --json",
    },
  },
  "dmarc read": {
    form: "lines",
    fields: {
      reporter: "",
      contact: "",
      id: "of the report",
      domain: "",
      policy: "",
      begin: "or null",
      end: "or null",
      messages: "in all",
      sources: "a list: source, messages, dkim, spf, failed, quarantined, rejected, from, authenticated",
    },
  },
  explain: {
    form: "document",
    fields: {
      steps: "a list of decisions in order: kind, text, file and line (or null), detail, steps",
      results: "a list by recipient: recipient, result, file and line (or null)",
      unknown: "what could not be read, a list of sentences",
    },
  },
  find: {
    form: "lines",
    fields: {
      id: "of the message; of the session where there is no message",
      session: "or null",
      at: "when it came",
      lastAt: "of the last that happened",
      from: "<> for the null sender, null where none was named",
      to: "a list: the first recipients",
      rcpts: "how many there are",
      peer: "address of the client, or null",
      login: "or null",
      messageId: "or null",
      bytes: "",
      outcome: "queued, delivered, relayed, deferred, bounced, expired, removed, held, refused or mixed",
      reply: "the last, or null",
      replyClass: "what it means, or null",
    },
  },
  monitor: {
    form: "lines",
    fields: {
      sessions: "open now",
      connects: "this and the following are totals since the start, but for envelopes",
      disconnects: "",
      envelopes: "in the queue now",
      enqueued: "",
      ok: "deliveries",
      tempfail: "",
      permfail: "",
      loop: "",
      expired: "",
      removed: "",
      bounces: "",
    },
  },
  "show certificates": {
    form: "lines",
    fields: {
      name: "of the pki line",
      source: "file, acme or temporary",
      notAfter: "when it ends",
      names: "a list",
      issuer: "",
      failures: "of attempts to obtain the next, in a row",
      retryAt: "when that is tried again, or null",
    },
  },
  "show damaged": {
    form: "lines",
    fields: { id: "of an envelope or a message", foundAt: "", reason: "" },
  },
  "show envelope": {
    form: "document",
    fields: {
      ...ENVELOPE,
      action: "",
      user: "or null",
      subAddress: "or null",
      exec: "command or file that an alias names, or null",
      internal: "made by expansion or the daemon",
      suspended: "",
      origin: "an object: address, hostname, helo, smtpname, tag, username, authenticated",
      dsn: "an object: notify (a list), ret, envid, orcpt",
      createdAt: "",
      expiresAt: "",
      lastTryAt: "null for never",
      lastBounceAt: "null for never",
      tries: "attempts so far",
      error: "of the last attempt, or null",
      errorClass: "what that means; null for none, and while no daemon runs",
      status: "enhanced status code of it, or null",
      remote: "host that it failed at, or null",
      smtpUtf8: "",
      requireTls: "",
      tlsOptional: "",
      mailAuth: "an object: spf, dkim, arc, dmarc, policy; or null",
      bounce: "of an envelope that asks for a DSN, an object: kind, text; or null",
    },
  },
  "show hosts": {
    form: "lines",
    fields: {
      address: "",
      name: "by reverse DNS, or the address",
      references: "",
      connections: "",
      lastConnectAt: "null for never",
      transactionMs: "how long transactions take on average, or null",
      failedAt: "when it last did not take something, or null",
      failureClass: "what that means, or null",
      failure: "what it said, or null",
    },
  },
  "show hoststats": { form: "lines", fields: { domain: "", at: "", status: "the last answer" } },
  "show message": { form: "document", fields: { message: "id of the message", content: "base64" } },
  "show queue": {
    form: "lines",
    fields: {
      ...ENVELOPE,
      source: "address of the client, or local",
      flags: "a list of: bounce, auth, internal, suspend, hold",
      createdAt: "",
      expiresAt: "",
      ...ATTEMPTS,
      state: "pending, inflight, held, suspended, unknown, or offline while no daemon runs",
      dueAt: "or null",
      inflightSince: "or null",
    },
  },
  "show relays": {
    form: "lines",
    fields: {
      relay: "the destination",
      source: "local address, null for any",
      tasks: "that wait",
      connections: "",
      lastConnectAt: "null for never",
      retryAt: "when it connects again, or null",
      waitsForMx: "",
    },
  },
  "show routes": {
    form: "lines",
    fields: {
      route: "number for resume route",
      source: "local address, null for any",
      host: "address",
      isNew: "no session was ready yet",
      disabled: "network, rejects, blocked or null",
      connections: "",
      errors: "",
      penalty: "",
      enabledAt: "until when it is disabled, or null",
      blocks: "times in a row that the host said that it blocks this server",
      blockReply: "what it said last, or null",
    },
  },
  "show stats": {
    form: "document",
    fields: { uptimeSeconds: "", stats: "an object: the statistics by name" },
  },
  "show status": {
    form: "document",
    fields: {
      mda: "running or paused",
      mta: "running or paused",
      smtp: "running or paused",
      problems: "of the spool, a list of sentences",
      history:
        "messages, bytes, segments, leftOut, stopped, damaged, oldestAt; null when there is none, or it does not answer",
      configuration: "file, readAt, generation, olderGenerations, olderSessions; null when the parent does not answer",
      processes: "a list: process, pid, stands, says, missing, isolates; null when the parent does not answer",
    },
  },
  story: {
    form: "document",
    fields: {
      id: "what it is the story of",
      headline: "the reason, in a sentence",
      level: "ok, info, warn or bad",
      facts: "an object: message, session, from, to, recipients, peer, login, messageId, bytes, firstAt, lastAt",
      lines: "a list: at, kind, level, text, detail (a list)",
      now: "how it stands in the queue, a list of sentences",
      notes: "what is missing, a list of sentences",
    },
  },
  top: {
    form: "lines",
    fields: {
      at: "",
      serverName: "",
      uptimeSeconds: "",
      rates: "per second since the line before, an object: accepted, delivered, relayed, deferred, failed, refused",
      sessions: "open now",
      relaySessions: "open connections to other hosts",
      localDeliveries: "under way",
      envelopes: "in the queue",
      inflight: "of these",
      oldestAt: "or null",
      paused: "a list of: smtp, mda, mta",
      laneCount: "destinations and users that mail waits for",
      lanes: "the largest and the oldest, a list: agent, action, name, envelopes, inflight, oldestAt",
      hosts: "the slowest, a list: address, name, connections, transactionMs",
    },
  },
};

/** The words under which a request stands in JSON_FORMS, if it does. */
export function jsonWords(request: ControlRequest): string {
  return request.do === "show-relay" ? `show ${request.what}` : request.do.replace("-", " ");
}
