/** What `smtpctl find --json` and `smtpctl story --json` print, as does the API: names in camelCase, times of RFC 3339. Pure. */

import type { FoundMessage } from "../protocol/mod.ts";
import type { Dialogue, Story } from "../story/mod.ts";
import type { JsonRecord, JsonValue } from "./protocol.ts";

/** What `find` has of a message. */
export function foundRecord(found: FoundMessage): JsonRecord {
  const { id, session, at, lastAt, from, to, rcpts, peer, login, messageId, bytes, outcome, reply, replyClass } = found;
  return {
    id,
    session: orNull(session),
    at: time(at),
    lastAt: time(lastAt),
    from: from === null ? "<>" : orNull(from),
    to,
    rcpts,
    peer: orNull(peer),
    login: orNull(login),
    messageId: orNull(messageId),
    bytes,
    outcome,
    reply: orNull(reply),
    replyClass: orNull(replyClass),
  };
}

/** What `story` has of one. */
export function storyRecord({ id, headline, level, facts, lines, now, notes }: Story): JsonRecord {
  return {
    id,
    headline,
    level,
    facts: {
      ...facts,
      from: facts.from === "" ? "<>" : facts.from,
      firstAt: facts.firstAt === null ? null : time(facts.firstAt),
      lastAt: facts.lastAt === null ? null : time(facts.lastAt),
    },
    lines: lines.map(({ at, kind, level, text, detail = [] }) => ({ at: time(at), kind, level, text, detail })),
    now,
    notes,
  };
}

/** What `story --dialogue` has of one session. */
export function dialogueRecord({ session, side, at, before, lines }: Dialogue): JsonRecord {
  return { session, side, at: time(at), before, lines: lines.map(({ ms, from, text }) => ({ ms, from, text })) };
}

function time(ms: number): JsonValue {
  return new Date(ms).toISOString();
}

function orNull(text: string): JsonValue {
  return text === "" ? null : text;
}
