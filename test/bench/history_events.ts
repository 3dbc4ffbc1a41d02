/** Events of made-up messages, as the isolates of a mail host would report them: for the benchmark of the history. The same number makes the same message. */

import type { Line } from "../../src/history/mod.ts";
import type { Event } from "../../src/events/mod.ts";

const DAY_MS = 86_400_000;
/** Users of the host, domains that it exchanges mail with, and people there. */
const USERS = 5_000, DOMAINS = 20_000, PEOPLE = 400_000, PEERS = 60_000;

/** The texts by which one message is looked for. */
export interface MadeMessage {
  readonly id: string;
  readonly envelope: string;
  readonly session: string;
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly domain: string;
  readonly peer: string;
  readonly login: string;
  readonly messageId: string;
  /** A word of the reply that no other message has. */
  readonly reply: string;
  readonly refused: boolean;
}

/** A number that looks random, the same for the same `seed` and `salt`. */
function scatter(seed: number, salt: number): number {
  let value = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(salt + 1, 0xc2b2ae35)) >>> 0;
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0;
  value = Math.imul(value ^ (value >>> 12), 0x297a2d39) >>> 0;
  return (value ^ (value >>> 15)) >>> 0;
}

const hex = (value: number) => value.toString(16).padStart(8, "0");
/** Most mail is of few: the square of a number below 1 is mostly small. */
const skewed = (seed: number, salt: number, most: number) => Math.floor((scatter(seed, salt) / 2 ** 32) ** 2 * most);

/** The message with this number, of `count` in the last thirty days. */
export function madeMessage(number: number, count: number, now: number): MadeMessage {
  // Ids are drawn without regard to those that are gone.
  const id = hex(scatter(number, 1) || 1), session = hex(scatter(number, 2)) + hex(number);
  const outbound = number % 2 === 0, user = `user${skewed(number, 3, USERS)}@example.org`;
  const domain = `domain${skewed(number, 4, DOMAINS)}.example`, person = `person${skewed(number, 5, PEOPLE)}@${domain}`;
  const peer = skewed(number, 6, PEERS);
  return {
    id,
    envelope: id + hex(scatter(number, 7) || 1),
    session,
    at: now - 30 * DAY_MS + Math.floor((number / count) * 30 * DAY_MS),
    from: outbound ? user : person,
    to: outbound ? person : user,
    domain,
    peer: `10.${peer >>> 16}.${(peer >>> 8) & 255}.${peer & 255}`,
    login: outbound ? user.split("@")[0]! : "",
    messageId: `${hex(scatter(number, 8))}${hex(number)}@${outbound ? "mail.example.org" : domain}`,
    reply: `q${hex(scatter(number, 9))}${number}`,
    refused: number % 25 === 24,
  };
}

/** What happens to it, with the isolates that report it. */
export function eventsOf(made: MadeMessage): Line[] {
  const { id, envelope, session, at, peer, login, reply } = made;
  const box = (text: string) => ({ local: text.split("@")[0]!, domain: text.split("@")[1]! });
  const from = box(made.from), to = box(made.to), outbound = login !== "";
  const origin = {
    address: peer,
    hostname: `mail.${made.domain}`,
    helo: `mail.${made.domain}`,
    smtpname: "mx.example.org",
    tag: "",
    username: login,
    authenticated: outbound,
  };
  const lines: Line[] = [];
  const say = (isolate: string, ms: number, event: unknown) => {
    const recorded = { at: at + ms, isolate, event: event as Event };
    lines.push({ text: JSON.stringify(recorded), recorded });
  };
  const detail = { confirmed: "pass", listener: "192.0.2.1:25", tag: "" };
  say("smtp-0", 0, {
    ...{ type: "smtp-connected", session, address: peer, host: origin.hostname, family: "inet4", smtps: false },
    detail,
  });
  const ciphers = "TLSv1.3:TLS_AES_256_GCM_SHA384:256";
  say("smtp-0", 20, { type: "smtp-tls", session, ciphers });
  if (outbound) {
    say("smtp-0", 40, { type: "smtp-authentication", session, user: login, result: "ok", mechanism: "PLAIN" });
  }
  if (made.refused) {
    say("smtp-0", 60, {
      ...{ type: "smtp-failed-command", session, command: `RCPT TO:<${made.to}>`, address: peer },
      ...{ reply: `550 5.1.1 Invalid recipient: ${made.to} ${reply}`, replyClass: "no-such-user" },
      detail: { ref: `${session}-1`, origin, host: origin.hostname, tag: "", ciphers, sender: from, rcpts: [made.to] },
    });
  } else {
    say("smtp-0", 90, {
      ...{ type: "smtp-message", session, message: id, bytes: 2_000 + (at % 50_000), rcpts: 1, proto: "ESMTP" },
      mailAuth: { spf: "pass", dkim: "pass", arc: "none", dmarc: "pass" },
      detail: {
        ...{ origin, ciphers, sender: from, messageId: `<${made.messageId}>`, eightBit: false },
        ...{ begunAt: at + 70, durableAt: at + 90, suppressed: [], filters: [], more: 0 },
        envelopes: [{ id: envelope, rcpt: to, dest: to, agent: outbound ? "mta" : "mda", action: "a" }],
        routed: [{
          ...{ address: made.to, how: "recipient", rule: { file: "/etc/vaultpost/smtpd.conf", line: 12 } },
          ...{ result: "action", action: "a", children: [] },
          goal: outbound ? { kind: "relay", text: "" } : { kind: "maildir", user: to.local, text: "~/Maildir" },
        }],
      },
    });
    const attempt = { type: "delivery", envelope, from, to, rcpt: to, outcome: "ok", delayMs: 700 };
    if (outbound) {
      const out = hex(scatter(at, 11)) + hex(scatter(at, 12));
      say("relay", 400, { type: "relay-connecting", session: out, address: "smtp://198.51.100.7:25", host: "mx" });
      say("relay", 450, { type: "relay-connected", session: out });
      say("relay", 500, { type: "relay-tls", session: out, ciphers });
      say("relay", 800, {
        ...{ ...attempt, agent: "mta", session: out, stat: `Ok (250 2.0.0 Ok: queued as ${reply})` },
        ...{ source: "192.0.2.1", relay: "198.51.100.7 (mx.example.net)" },
      });
    } else say("delivery", 120, { ...attempt, agent: "mda", session: "0000000000000000", stat: `Delivered ${reply}` });
  }
  say("smtp-0", 130, {
    ...{ type: "smtp-disconnected", session, reason: "quit", tls: true, smtps: false, local: false },
  });
  return lines;
}
