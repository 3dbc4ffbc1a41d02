/**
 * The isolates that a message meets, put together in one process: lookup and login as they serve their doors, the service of smtp, and a queue in memory that
 * takes what the real one takes. Shares no code with src/explain, and its client says what it has to say in its own way.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { EnvelopeContent } from "../../src/envelope/mod.ts";
import { systemClock } from "../../src/clock.ts";
import type { Channel, Isolate } from "../../src/isolate/mod.ts";
import type { Machine } from "../../src/lookup/lookup_engine.ts";
import { type ClientNamer, serveLookup } from "../../src/lookup/serve.ts";
import { serveLogin } from "../../src/login/serve.ts";
import { EnvelopeMac } from "../../src/mac/mod.ts";
import type { Dns } from "../../src/mail_auth/dns.ts";
import type {
  DoorName,
  FilterToSession,
  FromLogin,
  FromLookup,
  Peer,
  QueueToSmtp,
  Role,
  SessionToFilter,
  Settings,
  SmtpToQueue,
  ToLogin,
  ToLookup,
} from "../../src/protocol/mod.ts";
import { copyContent } from "../../src/queue/validate_envelope.ts";
import { SmtpService } from "../../src/smtp/service.ts";
import { msgid } from "../ids.ts";
import { FakeChannel, MemoryWire } from "../smtp/support.ts";

/** A door whose answering side is another isolate of the test. */
function door<Asks, Answers>(): {
  readonly asking: FakeChannel<Asks, Answers>;
  readonly answering: FakeChannel<Answers, Asks>;
} {
  const asking: FakeChannel<Asks, Answers> = new FakeChannel((message) => answering.onmessage(message));
  const answering: FakeChannel<Answers, Asks> = new FakeChannel((message) => asking.onmessage(message));
  return { asking, answering };
}

function isolate<R extends Role>(
  role: R,
  settings: Settings[R],
  doors: { readonly asks?: Partial<Record<DoorName, unknown>>; readonly serves: Partial<Record<DoorName, unknown>> },
  trace: (text: string) => void = () => {},
): Isolate<R> {
  return {
    role,
    index: 0,
    settings,
    emit: (event) => event.type === "trace" && trace(event.text),
    traces: (one) => one === "rules",
    verbose: false,
    ask: (name) => (doors.asks?.[name] ?? door().asking) as never,
    serve: (name, welcome) => {
      const channel = doors.serves[name];
      if (channel !== undefined) welcome(channel as never, { peer: 0, life: 1, refuse: assert.fail });
    },
    onstop: () => {},
  };
}

export interface Stored {
  readonly text: string;
  readonly envelopes: readonly EnvelopeContent[];
}

export interface RealParts {
  readonly machine: Machine;
  readonly dns: Dns;
  readonly namer: ClientNamer;
  now(): number;
}

export class RealThing {
  readonly stored: Stored[] = [];
  /** Lines of the configuration whose rules have matched. */
  readonly matched = new Set<string>();
  readonly #service: SmtpService;
  readonly #chunks = new Map<string, string>();

  constructor(settings: Settings, { machine, dns, namer, now }: RealParts) {
    const lookup = door<ToLookup, FromLookup>(), login = door<ToLogin, FromLogin>();
    serveLogin(isolate("login", settings.login, { serves: { "lookup-login": login.answering } }));
    serveLookup(
      isolate("lookup", settings.lookup, {
        asks: { "lookup-login": login.asking },
        serves: { "smtp-lookup": lookup.answering },
      }, (text) => {
        const line = /rule (\S+:\d+) (?:matches|cannot)/.exec(text)?.[1];
        if (line !== undefined) this.matched.add(line);
      }),
      { machine, dns, namer },
    );
    const mac = new EnvelopeMac(settings.queue.envelopeMacKey);
    const queue = new FakeChannel<SmtpToQueue, QueueToSmtp>((message, channel) => this.#queued(message, channel, mac));
    this.#service = new SmtpService({
      settings: settings.smtp,
      lookup: lookup.asking,
      queue,
      filter: new FakeChannel<SessionToFilter, FilterToSession>(() => {}),
      emit: () => {},
      random: () => 0,
      clock: { ...systemClock, now, soon: (run) => void setTimeout(run, 0) },
      ownTls: true,
      ended: () => {},
    });
    queue.onmessage({ type: "ids", ids: [msgid("00000002"), msgid("00000001")] });
  }

  #queued(message: SmtpToQueue, channel: Channel<SmtpToQueue, QueueToSmtp>, mac: EnvelopeMac): void {
    if (message.type === "ids-wanted" || message.type === "dmarc-result" || message.type === "abort") return;
    const before = this.#chunks.get(message.message) ?? "";
    if (message.type === "chunk") {
      this.#chunks.set(message.message, before + Buffer.from(message.bytes).toString("latin1"));
      return channel.onmessage({ type: "credit", message: message.message } as never);
    }
    const { front, tail, envelopes, message: id } = message;
    const copies = envelopes.map((one) => {
      const copy = copyContent(id, one);
      assert.ok(
        copy !== null && mac.verify({ ...copy, message: id }, one.mac),
        "an envelope that the queue does not take",
      );
      return copy;
    });
    const latin1 = (octets: Uint8Array | undefined) =>
      octets === undefined ? "" : Buffer.from(octets).toString("latin1");
    this.stored.push({ text: latin1(front) + before + latin1(tail), envelopes: copies });
    channel.onmessage({ type: "committed", message: id, number: 1 } as never);
  }

  /** A client of a listener. */
  connect(listener: number, peer: Peer, piece: number): RealClient {
    return new RealClient(this.#service, { listener, peer, piece });
  }
}

/** Says commands in pieces of some octets. */
export class RealClient {
  readonly #wire: MemoryWire;
  readonly #service: SmtpService;
  readonly #connection: ReturnType<SmtpService["connect"]>;
  readonly #piece: number;
  #handshakes = 0;

  constructor(
    service: SmtpService,
    { listener, peer, piece }: { readonly listener: number; readonly peer: Peer; readonly piece: number },
  ) {
    this.#wire = new MemoryWire();
    this.#service = service;
    this.#piece = piece;
    this.#connection = service.connect(listener, peer, this.#wire);
  }

  get closed(): boolean {
    return this.#wire.closed;
  }

  get secured(): boolean {
    return this.#handshakes > 0;
  }

  /** Does the handshake that the server waits for. */
  #secure(): void {
    if (this.#wire.handshakes === this.#handshakes) return;
    this.#handshakes = this.#wire.handshakes;
    this.#connection.secured({
      ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
      verified: false,
      fingerprint: null,
      binding: null,
    });
  }

  /** Sends octets and waits for so many replies; fewer when the server closes. */
  async say(octets: string | Uint8Array, replies: number): Promise<string[]> {
    const bytes = typeof octets === "string" ? Buffer.from(octets) : octets;
    for (let at = 0; at < bytes.length && !this.#wire.closed; at += this.#piece) {
      while (this.#wire.paused && !this.#wire.closed && this.#count() === 0) await turn();
      this.#connection.data(bytes.slice(at, at + this.#piece));
    }
    return await this.take(replies);
  }

  async take(replies: number): Promise<string[]> {
    const end = performance.now() + 20_000;
    for (let turns = 0; this.#count() < replies && !this.#wire.closed; turns++) {
      this.#secure();
      if (turns < 100) await Promise.resolve();
      else await turn();
      assert.ok(performance.now() < end, "no reply");
    }
    this.#secure();
    const text = Buffer.from(this.#wire.take(), "latin1").toString();
    return text.split(/(?<=^\d{3}(?: [^\r\n]*)?\r\n)/m).filter((one) => one !== "").map((one) => one.trimEnd());
  }

  #count(): number {
    return this.#wire.output.match(/^\d{3}(?: [^\r\n]*)?\r\n/gm)?.length ?? 0;
  }

  leave(): void {
    this.#service.closed(this.#connection, "disconnect");
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
