/**
 * Kills a daemon, or one of its processes, again and again under mixed load, and keeps account: after each restart every acknowledged message is
 * delivered, queued, bounced or removed. See sent_mail.ts for the account, points.ts for the places.
 */

import assert from "node:assert/strict";
import { parseEnvelopeId, parseMessageId } from "../../src/envelope/mod.ts";
import { join } from "node:path";
import { askControl, type ControlRequest } from "../../src/control/mod.ts";
import type { ProcessName } from "../../src/protocol/mod.ts";
import { Client } from "../e2e/client.ts";
import { Daemon, type DaemonOptions, DOMAIN, Mailbox, ownDaemon, OWNER } from "../e2e/harness.ts";
import { processesOf } from "../e2e/walled_daemon.ts";
import { type FakeServer, fakeServer, type ServerSession } from "../smtp_client/fake_server.ts";
import { compose, identify, type Kind, originalOf, SentMail, type Sight, type Totals } from "./sent_mail.ts";
import { HALTED, POINTS } from "./points.ts";
import { pick, seeded } from "./random.ts";

const CLIENTS = 6;
/** A place that the load does not come to in this time is given up: the kill comes then. */
const POINT_LIMIT_MS = 4000;
/** Kills of a process after which the daemon begins anew. */
const KILLS_IN_A_ROW = 3;
/** For a process that was killed to serve again. */
const SERVES_LIMIT_MS = 60_000;
/** For what is still under way at the end. */
const DRAIN_LIMIT_MS = 120_000;
const KINDS: readonly Kind[] = ["local", "local", "relay", "relay", "bounce", "held"];
const RECIPIENT: Readonly<Record<Kind, string>> = {
  local: `crash@${DOMAIN}`,
  relay: "taken@relay.test",
  bounce: "unknown@relay.test",
  held: "later@relay.test",
};

/** When a daemon is killed. */
type Kill =
  | { readonly at: "moment"; readonly ms: number }
  | { readonly at: "acknowledgement"; readonly count: number }
  | { readonly at: "point"; readonly role: "queue" | "mailbox"; readonly point: string; readonly count: number }
  /** When the next host has the data: before it answers, or after. */
  | { readonly at: "relay"; readonly answered: boolean; readonly count: number };

/** Only the daemon of this folder has places, and it has no processes. */
function drawKill(random: () => number, { points }: { readonly points: boolean }): Kill {
  const draw = random() * (points ? 1 : 0.5), count = 1 + Math.floor(random() * random() * 60);
  if (draw < 0.15) return { at: "moment", ms: Math.floor(random() * 600) };
  if (draw < 0.3) return { at: "acknowledgement", count };
  if (!points) return { at: "relay", answered: random() < 0.5, count: 1 + Math.floor(count / 4) };
  if (draw < 0.55) return { at: "point", role: "queue", point: pick(random, POINTS.queue), count };
  if (draw < 0.8) return { at: "point", role: "mailbox", point: pick(random, POINTS.mailbox), count };
  return { at: "relay", answered: random() < 0.5, count: 1 + Math.floor(count / 4) };
}

/** Names a kill for the count by kind. */
function nameOf(kill: Kill): string {
  if (kill.at === "point") return `${kill.role} ${kill.point}`;
  return kill.at === "relay" ? `relay ${kill.answered ? "after" : "before"} its 250` : kill.at;
}

export interface BatchResult {
  readonly totals: Totals;
  readonly kills: number;
  readonly kinds: Readonly<Record<string, number>>;
  /** Places that the load did not come to: killed all the same. */
  readonly missed: number;
}

/** Which run it is, and where it goes on. */
export interface BatchPlan {
  readonly seed: number;
  /** Number of the first round. */
  readonly first: number;
  readonly kills: number;
  /** The process of the daemon that is killed, as root only; null: the daemon, which has one. */
  readonly process: ProcessName | null;
}

/** Kills `kills` times or once more; then lets all end, and checks that. */
export async function runBatch({ seed, first, kills, process }: BatchPlan): Promise<BatchResult> {
  const batch = await Batch.open(process);
  try {
    for (let number = first; batch.kills < kills; number++) await batch.round(number, seeded(seed + number * 7919));
    const result = { totals: await batch.finish(), kills: batch.kills, kinds: batch.kinds, missed: batch.missed };
    await batch.close();
    return result;
  } catch (error) {
    // What comes of the end is no news then.
    await batch.close().catch(() => {});
    throw error;
  }
}

class Batch {
  readonly kinds: Record<string, number> = {};
  kills = 0;
  missed = 0;
  readonly #mail = new SentMail();
  readonly #seen = new Set<string>();
  readonly #noticed = new Map<string, string>();
  #daemon!: Daemon;
  #server!: FakeServer;
  /** Number of this life of the daemon. */
  #life = 0;
  #relayKill: Extract<Kill, { at: "relay" }> | null = null;
  #relayLeft = 0;
  #reached: () => void = () => {};
  #up = false;
  readonly #process: ProcessName | null;

  private constructor(process: ProcessName | null) {
    this.#process = process;
  }

  static async open(process: ProcessName | null): Promise<Batch> {
    const batch = new Batch(process);
    batch.#server = await fakeServer({
      keywords: ["PIPELINING", "8BITMIME"],
      reply: (line) => {
        if (line === "RCPT TO:<unknown@relay.test>") return "550 5.1.1 No such user";
        return line === "RCPT TO:<later@relay.test>" ? "450 4.2.1 Later" : undefined;
      },
      dataReply: (session) => batch.#take(session),
    });
    const program: DaemonOptions = process === null ? { program: ownDaemon("crash/daemon.ts") } : { twoUsers: true };
    batch.#daemon = await Daemon.start({
      ...program,
      config: ({ port, mail, folder }) => {
        Deno.writeTextFileSync(join(folder, "crash-point"), "");
        return `smtp limit max-mails 100000
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:${batch.#server.port}"
match from any for domain "${DOMAIN}" action "inbox"
match from any for domain "relay.test" action "out"
`;
      },
    });
    batch.#up = true;
    return batch;
  }

  /** One life of the daemon: load, the kill, a new start, and the account. */
  async round(number: number, random: () => number): Promise<void> {
    const kill = drawKill(random, { points: this.#process === null });
    // The daemon that runs is the one of the check before: what is to be stopped at a place must start with it.
    if (kill.at === "point") {
      await this.#end("start");
      await this.#start(`${kill.role} ${kill.point} ${kill.count}`);
    }
    await this.#load(number, kill, random);
    await this.#start("");
    this.#mail.check(await this.#look());
  }

  async finish(): Promise<Totals> {
    this.#relayKill = null;
    for (const end = Date.now() + DRAIN_LIMIT_MS;;) {
      const sight = await this.#look();
      this.#mail.check(sight);
      for (const [id, promised] of this.#mail.promised) {
        if (promised.kind === "held" && promised.removal !== "sure") await this.#remove(id);
      }
      if (sight.queued.size === 0) return this.#mail.checkEnd();
      if (Date.now() > end) {
        const left = await this.#ask({ do: "show-queue", message: null });
        assert.fail(
          `${sight.queued.size} messages stay in the queue:\n${left.concat(this.#daemon.log.slice(-100)).join("\n")}`,
        );
      }
      // Some of these were never acknowledged: the kill came between the commit and the 250.
      for (const line of await this.#ask({ do: "show-queue", message: null })) {
        const [envelope, , , , , rcpt] = line.split("|");
        if (rcpt === RECIPIENT.held) {
          await this.#ask({ do: "remove", target: { envelope: parseEnvelopeId(envelope!)! } });
        }
      }
      await this.#ask({ do: "schedule", target: "all" });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async close(): Promise<void> {
    if (this.#up) assert.equal(await this.#daemon.stop(), 0);
    await this.#daemon.remove();
    await this.#server.close();
  }

  async #start(point: string): Promise<void> {
    if (this.#process !== null) return await this.#startAgain();
    await Deno.writeTextFile(join(this.#daemon.folder, "crash-point"), point);
    this.#life++;
    this.#server.sessions.length = 0;
    await this.#daemon.launch();
    this.#up = true;
  }

  /** The process comes back by itself. Now and then the daemon is stopped and started: whose process ends often waits longer each time. */
  async #startAgain(): Promise<void> {
    this.#life++;
    this.#server.sessions.length = 0;
    await this.#servesAgain();
    if (this.kills % KILLS_IN_A_ROW !== 0) return;
    assert.equal(await this.#daemon.stop(), 0);
    this.#life++;
    await this.#daemon.launch();
  }

  async #servesAgain(): Promise<void> {
    let last: unknown = "it does not run";
    for (const end = Date.now() + SERVES_LIMIT_MS; Date.now() < end;) {
      let client: Client | null = null;
      try {
        if (processesOf(this.#daemon.pid)[this.#process!] > 0) {
          client = await Client.connect(this.#daemon.port);
          await client.say("EHLO client.example.com", "250");
          await client.begin(`sender@${DOMAIN}`, RECIPIENT.local);
          await this.#look();
          return;
        }
      } catch (error) {
        // Not yet.
        last = error;
      } finally {
        client?.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const log = this.#daemon.log.slice(-50).join("\n");
    assert.fail(`the process ${this.#process} does not serve ${SERVES_LIMIT_MS} ms after its end: ${last}\n${log}`);
  }

  async #endProcess(): Promise<void> {
    const { [this.#process!]: pid } = processesOf(this.#daemon.pid);
    assert.ok(pid > 0, `the process ${this.#process} runs`);
    const from = this.#daemon.log.length;
    Deno.kill(pid, "SIGKILL");
    await this.#daemon.logged(new RegExp(`the process ${this.#process} ended: signal 9$`), from);
  }

  async #end(kind: string): Promise<void> {
    this.kills++;
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1;
    if (this.#process !== null) return await this.#endProcess();
    this.#up = false;
    await this.#daemon.kill();
  }

  /** Sends, and removes, until the time for the kill has come. */
  async #load(number: number, kill: Kill, random: () => number): Promise<void> {
    const reached = new Promise<void>((resolve) => this.#reached = resolve);
    this.#relayKill = kill.at === "relay" ? kill : null;
    this.#relayLeft = kill.at === "relay" ? kill.count : 0;
    let acknowledged = 0, going = true;
    const onacknowledged = () => {
      if (kill.at === "acknowledgement" && ++acknowledged === kill.count) this.#reached();
    };
    const clients = Array.from(
      { length: CLIENTS },
      (_, index) => this.#hammer(`${number}-${index}`, seeded(random() * 2 ** 32), onacknowledged, () => going),
    );
    const remover = this.#removeSome(seeded(random() * 2 ** 32), () => going);
    let late: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise<void>((resolve) => {
      const missed = () => {
        if (kill.at !== "moment") this.missed++;
        resolve();
      };
      late = setTimeout(missed, kill.at === "moment" ? kill.ms : POINT_LIMIT_MS);
    });
    if (kill.at === "point") this.#daemon.logged(new RegExp(HALTED)).then(() => this.#reached(), () => {});
    await Promise.race([reached, limit]);
    clearTimeout(late);
    going = false;
    await this.#end(nameOf(kill));
    await Promise.all([...clients, remover]);
  }

  /** Sends until the daemon dies. A message counts as acknowledged when its 250 was read, not before. */
  async #hammer(name: string, random: () => number, done: () => void, going: () => boolean): Promise<void> {
    let client: Client | null = null;
    try {
      client = await Client.connect(this.#daemon.port);
      await client.say("EHLO client.example.com", "250");
      for (let count = 0; going(); count++) {
        const id = `${name}-${count}`, kind = pick(random, KINDS);
        // Mostly small; now and then one of several chunks, so that a kill meets half-written bodies.
        const text = compose(id, random() < 0.05 ? 600_000 : 1500);
        const reply = await client.send(`sender@${DOMAIN}`, RECIPIENT[kind], text);
        this.#mail.acknowledge(id, kind, reply.split(" ")[2]!);
        done();
      }
    } catch {
      // The daemon is gone; so is what it did not acknowledge, or not: both are right.
    } finally {
      client?.close();
    }
  }

  /** Removes messages that wait. */
  async #removeSome(random: () => number, going: () => boolean): Promise<void> {
    while (going()) {
      const held = [...this.#mail.promised].filter(([, { kind, removal }]) => kind === "held" && removal === "none");
      try {
        if (held.length > 0) await this.#remove(pick(random, held)[0]);
        else await this.#look();
      } catch {
        // The daemon was killed meanwhile: it may have removed it or not.
        return;
      }
    }
  }

  async #remove(id: string): Promise<void> {
    const promised = this.#mail.promised.get(id)!;
    promised.removal = "asked";
    await this.#ask({ do: "remove", target: { message: parseMessageId(promised.message)! } });
    promised.removal = "sure";
  }

  /** The lines of the answer. */
  async #ask(request: ControlRequest): Promise<string[]> {
    const lines: string[] = [];
    for await (const answer of askControl(this.#daemon.env.SMTPD_SOCKET!, request)) {
      if ("line" in answer) lines.push(answer.line);
      if ("bytes" in answer) lines.push(atob(answer.bytes));
      if ("ok" in answer) assert.ok(answer.ok || request.do === "show-message", JSON.stringify(answer));
    }
    return lines;
  }

  /** First the queue, then the mailboxes: what leaves the one meanwhile is seen in the others. */
  async #look(): Promise<Sight> {
    const lines = (await this.#ask({ do: "show-queue", message: null })).map((line) => line.split("|"));
    const queued = new Set(lines.map(([id]) => id!.slice(0, 8)));
    for (const [id, , agent, , sender] of lines) {
      if (sender !== "@" || agent === "bounce" || this.#noticed.has(id!)) continue;
      const text = (await this.#ask({ do: "show-message", message: parseMessageId(id!.slice(0, 8))! })).join("");
      this.#noticed.set(id!, originalOf(text) ?? "");
    }
    const noticed = new Set(lines.map(([id]) => this.#noticed.get(id!) ?? ""));
    this.#read("crash", (text) => identify(text), this.#mail.delivered);
    this.#read("sender", (text) => originalOf(text)!, this.#mail.bounced);
    return { queued, noticed };
  }

  #read(user: string, idOf: (text: string) => string, counts: Map<string, number>): void {
    const mailbox: Mailbox = this.#daemon.mailbox(user);
    for (const name of mailbox.names()) {
      if (this.#seen.has(name)) continue;
      this.#seen.add(name);
      const id = idOf(new TextDecoder().decode(mailbox.read(name)));
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  }

  /** The next host has a message: takes it, and is where the kill may come. */
  #take(session: ServerSession): string {
    const id = identify(session.messages.at(-1)!);
    const kill = this.#relayKill;
    const now = kill !== null && --this.#relayLeft === 0;
    if (now && !kill.answered) {
      this.#reached();
      // Who lives on is not left to wait for an answer.
      return this.#process === null || this.#process === "out" ? "" : "451 4.3.0 Not now";
    }
    this.#mail.relay(id, this.#life);
    // The reply is on its way when the kill comes.
    if (now) setTimeout(this.#reached);
    return "250 2.0.0 Taken";
  }
}
