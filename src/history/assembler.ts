/**
 * Puts the events of all isolates in order of messages. What a session says before its message has an id is kept until it has one, and belongs to that message then; what
 * is said of a connection, here or to another host, belongs to each of its messages. Keeps no more than so many sessions and lines. Pure.
 */

import type { RecordedEvent } from "../events/mod.ts";
import { Recent } from "./recent.ts";

/** Sessions that are remembered, those of clients and those to other hosts; the oldest goes first. */
const MAX_SESSIONS = 20_000;
/** Lines of one session that wait for its message, and of one connection. */
const MAX_WAITING_LINES = 1_000, MAX_COMMON_LINES = 20;

/** An envelope's id begins with that of its message. */
const MESSAGE_DIGITS = 8;

/** One event, and the line that says it. */
export interface Line {
  readonly text: string;
  readonly recorded: RecordedEvent;
}

/** Whom lines belong to: a message, or a session that has none. */
export interface Owner {
  readonly message: string;
  readonly session: string;
  /** They are the first of it: what is known of another message with this id has nothing to do with it. */
  readonly begins: boolean;
}

/** Is called with lines that belong together. */
export type Assign = (owner: Owner, lines: readonly Line[]) => void;

interface Client {
  /** What was said of the connection. */
  readonly common: Line[];
  /** What was said since the last message. */
  current: Line[];
  /** Its last message. */
  message: string;
  /** Something in `current` is worth an entry of the session itself. */
  wrong: boolean;
}

interface Connection {
  readonly common: Line[];
  /** The message that has `common` already. */
  message: string;
}

/** Events of a client's connection, which concern all that comes over it. */
const OF_CONNECTION = new Set(["smtp-connected", "smtp-tls", "smtp-cert-check", "smtp-authentication"]);
/** What is said of a notice before it is on stable storage, and while nothing else is known of its id. */
const OF_UNWRITTEN_NOTICE = new Set(["queue-signed", "queue-unsigned"]);
/** Notices that wait to be written, and lines of one. */
const MAX_UNWRITTEN_NOTICES = 1_000, MAX_NOTICE_LINES = 20;
/** Events for which a session is remembered that brought no message. */
const WRONG = new Set(["smtp-failed-command", "smtp-bad-input"]);

export class Assembler {
  readonly #assign: Assign;
  readonly #clients = new Recent<Client>(MAX_SESSIONS, (session, { common, current, wrong }) => {
    if (wrong) this.#assign({ message: "", session, begins: true }, [...common, ...current]);
  });
  readonly #connections = new Recent<Connection>(MAX_SESSIONS);
  /** Lines of notices that are not written yet, by their ids. */
  readonly #notices = new Recent<Line[]>(MAX_UNWRITTEN_NOTICES);

  constructor(assign: Assign) {
    this.#assign = assign;
  }

  /** Takes the next event. */
  take(line: Line): void {
    const fields = line.recorded.event as unknown as Readonly<Record<string, unknown>>;
    const { type } = line.recorded.event;
    const session = typeof fields.session === "string" ? fields.session : "";
    const message = messageIn(fields);
    if (session !== "" && (type.startsWith("smtp-") || (type as string) === "dialogue" && fields.side !== "out")) {
      return this.#ofClient(line, { session, message });
    }
    if (message === "") return session === "" ? undefined : this.#ofConnection(session, line);
    if (OF_UNWRITTEN_NOTICE.has(type)) return this.#ofNotice(message, line);
    if (type === "queue-message") {
      return this.#assign({ message, session: "", begins: true }, [...this.#takeNotice(message), line]);
    }
    const common = session === "" ? [] : this.#commonFor(session, message);
    this.#assign({ message, session: "", begins: false }, [...common, line]);
    // The notice is a message of its own, which begins with this.
    if (typeof fields.dsn === "string") {
      this.#assign({ message: fields.dsn, session: "", begins: true }, [...this.#takeNotice(fields.dsn), line]);
    }
  }

  /** It may come to nothing: a notice that cannot be signed now is written later, under another id. */
  #ofNotice(message: string, line: Line): void {
    const lines = this.#notices.get(message) ?? [];
    if (lines.length < MAX_NOTICE_LINES) lines.push(line);
    this.#notices.set(message, lines);
  }

  #takeNotice(message: string): readonly Line[] {
    const lines = this.#notices.get(message) ?? [];
    this.#notices.delete(message);
    return lines;
  }

  /** Lines of sessions that go on and have said something that has no message yet, for questions about them. */
  open(session: string): readonly Line[] {
    const client = this.#clients.get(session);
    return client === undefined ? [] : [...client.common, ...client.current];
  }

  #ofClient(line: Line, { session, message }: { readonly session: string; readonly message: string }): void {
    const { type } = line.recorded.event;
    // The dialogue of a session that has ended already.
    if ((type as string) === "dialogue" && !this.#clients.has(session)) {
      return this.#assign({ message, session, begins: false }, [line]);
    }
    const client = this.#client(session);
    // Of a session in which nothing was refused since its message.
    if ((type as string) === "dialogue" && client.message !== "" && !client.wrong) {
      return this.#assign({ message: client.message, session, begins: false }, [line]);
    }
    if (type === "smtp-disconnected") return this.#disconnected(session, client, line);
    if (type === "smtp-message") {
      this.#assign({ message, session, begins: true }, [...client.common, ...client.current, line]);
      Object.assign(client, { current: [], wrong: false, message });
    } else if (message !== "" && message === client.message) {
      this.#assign({ message, session, begins: false }, [line]);
    } else if (OF_CONNECTION.has(type)) {
      if (client.common.length < MAX_COMMON_LINES) client.common.push(line);
      if (failedLogin(line)) this.#waits(client, line);
    } else this.#waits(client, line);
  }

  #waits(client: Client, line: Line): void {
    const { type } = line.recorded.event;
    if (WRONG.has(type) || failedLogin(line) || (type as string) === "dialogue") client.wrong = true;
    if (!client.common.includes(line)) client.current.push(line);
    // The last are what matters.
    if (client.current.length > MAX_WAITING_LINES) client.current.shift();
  }

  #disconnected(session: string, client: Client, line: Line): void {
    this.#clients.delete(session);
    const { reason } = line.recorded.event as unknown as { readonly reason?: unknown };
    const broken = typeof reason === "string" && reason !== "quit";
    if (client.wrong || (broken && client.message === "" && client.common.length > 0)) {
      this.#assign({ message: "", session, begins: true }, [...client.common, ...client.current, line]);
    } else if (broken && client.message !== "") {
      this.#assign({ message: client.message, session, begins: false }, [line]);
    }
  }

  #client(session: string): Client {
    const known = this.#clients.get(session);
    if (known !== undefined) return known;
    const client: Client = { common: [], current: [], message: "", wrong: false };
    this.#clients.set(session, client);
    return client;
  }

  #ofConnection(session: string, line: Line): void {
    let connection = this.#connections.get(session);
    if (connection === undefined) {
      connection = { common: [], message: "" };
      this.#connections.set(session, connection);
    }
    if (connection.common.length < MAX_COMMON_LINES) connection.common.push(line);
  }

  /** What a message has not yet of a connection to another host: mostly the next recipient of the same message comes next. */
  #commonFor(session: string, message: string): readonly Line[] {
    const connection = this.#connections.get(session);
    if (connection === undefined || connection.message === message) return [];
    connection.message = message;
    return connection.common;
  }
}

function failedLogin({ recorded: { event } }: Line): boolean {
  return event.type === "smtp-authentication" && event.result !== "ok";
}

/** The message that an event names by its id, or by that of an envelope. */
function messageIn({ message, envelope }: Readonly<Record<string, unknown>>): string {
  if (typeof message === "string") return message;
  return typeof envelope === "string" ? envelope.slice(0, MESSAGE_DIGITS) : "";
}
