/** Random walks of sessions with filters that answer what they like, when they like: no message id and no credit of a program is lost. */

import assert from "node:assert/strict";
import type { FilterDecision, FilterToSession, SessionToFilter } from "../../src/protocol/mod.ts";
import { FILTER_PHASES, weightOf } from "../../src/protocol/filters.ts";
import { type Client, delivered, settle, World } from "./support.ts";

const SEEDS = 60;
const STEPS = 100;
const IDS = 6;

const ENVELOPE = "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n";
const LARGE = `S: x\r\n\r\n${`${"y".repeat(900)}\r\n`.repeat(330)}`;
const SAID = [
  ...["EHLO a.example", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>", "DATA", "RSET", "NOOP", "QUIT", "."],
  ...["AUTH PLAIN AGNhcm9sAHNlc2FtZQ==", "AUTH LOGIN", "Y2Fyb2w=", "*", "MAIL FROM:<eve@example.org>", "x: y"],
].map((line) => `${line}\r\n`).concat(
  ["BDAT 5\r\nabcde", "a\rb\r\n.\r\n", `x\r\n\r\n${"\r\n".repeat(3000)}`],
  [
    `EHLO a.example\r\n${ENVELOPE}`,
    `${ENVELOPE}S: y\r\n\r\nbody\r\n.\r\n`,
    `${ENVELOPE}${LARGE}.\r\n`,
    ENVELOPE,
    LARGE,
  ],
);
const DECISIONS: readonly FilterDecision[] = [
  { kind: "junk" },
  ...["550 No", "450 Later", "421 Bye", "200 Yes\r\n250 Yes"].map((text) => ({ kind: "reject", text }) as const),
  { kind: "disconnect", text: "554 Go" },
  ...["<r@example.com>", "x\r\nRSET", "c.example"].map((text) => ({ kind: "rewrite", text }) as const),
  { kind: "report", text: "hm" },
];

/** Numbers from 0 to 1 that a seed makes (mulberry32). */
function randomFrom(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

class Walk {
  readonly world: World;
  /** Octets of lines that the programs have said. */
  given = 0;
  /** From now on filters let all pass, at once. */
  calm = false;
  readonly #random: () => number;
  readonly #mild: number;
  /** What programs will say later, in the order of each message's lines. */
  readonly #late: (() => void)[] = [];
  readonly #ended = new Set<string>();

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.#mild = this.#random() < 0.5 ? 0.97 : 0.5;
    this.world = new World({
      ids: IDS,
      expand: delivered,
      listener: {
        filter: "f",
        local: true,
        auth: { required: false, table: "users" },
        senders: { table: "allowed", masquerade: true },
      },
      settings: { filters: { f: ["p", "q"].map((process) => ({ kind: "process", name: process, process })) } },
      commit: ({ message }) =>
        this.calm || this.chance(0.8)
          ? { type: "committed", message, number: 1 }
          : { type: "refused", message, code: 452, text: "4.3.1 Full" },
      filter: (message, { onmessage }) => this.#receive(message, onmessage),
    });
    const registrations = ["p", "q"].map((process) => ({
      process,
      phases: FILTER_PHASES.filter(() => this.chance(0.5)),
      events: { "smtp-in": [], "smtp-out": [] },
    }));
    this.world.filter.onmessage({ type: "registered", registrations });
  }

  chance(of: number): boolean {
    return this.#random() < of;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }

  #receive(message: SessionToFilter, say: (message: FilterToSession) => void): void {
    if (message.type === "request") this.#soon(() => say(this.#answer(message)));
    if (message.type !== "lines") return;
    const { session, process, token, bytes } = message;
    const weight = weightOf(bytes);
    this.#soon(() => say({ type: "taken", session, process, bytes: weight }));
    if (this.#ended.has(token)) return;
    // Now and then a program ends a message before the client does.
    const lines = !this.calm && this.chance(0.05) ? new TextEncoder().encode("S: cut\n\n.\n") : bytes;
    if (/(?:^|\n)\.\n$/.test(new TextDecoder("latin1").decode(lines.subarray(-3)))) this.#ended.add(token);
    this.given += lines.length;
    // Lines keep their order: what is late makes all behind it late.
    if (this.#late.length === 0 && this.chance(0.6)) say({ type: "lines", session, process, token, bytes: lines });
    else this.#late.push(() => say({ type: "lines", session, process, token, bytes: lines }));
  }

  #answer({ session, token, phase }: Extract<SessionToFilter, { type: "request" }>): FilterToSession {
    const decision = this.calm || this.chance(this.#mild) || phase === "commit" && this.chance(0.5)
      ? { kind: "proceed" } as const
      : this.pick(phase === "commit" ? DECISIONS.filter(({ kind }) => kind !== "junk") : DECISIONS);
    return { type: "answer", session, token, decision };
  }

  #soon(run: () => void): void {
    if (this.calm || this.chance(0.6)) run();
    else this.#late.push(run);
  }

  async late(count = this.#late.length): Promise<void> {
    for (; count > 0 && this.#late.length > 0; count--) {
      this.#late.shift()!();
      await settle();
    }
  }
}

async function wander(walk: Walk): Promise<void> {
  const { world } = walk;
  const clients: Client[] = [];
  let hold = false;
  for (let step = 0; step < STEPS; step++) {
    if (clients.length === 0 || (clients.length < 5 && walk.chance(0.1))) {
      const client = await world.connect();
      clients.push(client);
      if (walk.chance(0.8)) await client.say("EHLO a.example\r\n");
    }
    const client = walk.pick(clients);
    if (walk.chance(0.75)) {
      const said = walk.pick(SAID) + (walk.chance(0.5) ? walk.pick(SAID) : "");
      const cut = walk.chance(0.3) ? said.length >> 1 : said.length;
      await client.say(said.slice(0, cut));
      if (cut < said.length) await client.say(said.slice(cut));
    } else if (walk.chance(0.3)) clients.splice(clients.indexOf(client), 1)[0]!.leave();
    else if (walk.chance(0.1)) client.connection.ended();
    else if (walk.chance(0.12)) world.filter.onmessage({ type: "hold", on: hold = !hold });
    else if (walk.chance(0.05)) await world.pass(70_000);
    else await walk.late(1);
  }
  walk.calm = true;
  world.filter.onmessage({ type: "hold", on: false });
  while (true) {
    await settle();
    const before = walk.given;
    await walk.late();
    if (before === walk.given) break;
  }
  for (const client of clients) client.leave();
  await settle();
  await walk.late();
}

Deno.test(`${SEEDS} random walks of sessions with filters lose no message id and no credit`, async () => {
  let stored = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const walk = new Walk(seed);
    const { world } = walk;
    await wander(walk);
    assert.equal(world.service.size, 0);
    const used = world.filter.sent.reduce((sum, one) => one.type === "taken" ? sum + one.bytes : sum, 0);
    assert.equal(used, walk.given, `seed ${seed}: what programs said counts as used`);
    const spent = new Set(world.aborted);
    for (const message of world.queue.sent) if (message.type === "commit") spent.add(message.message);
    let free = 0;
    for (let count = 0; count < IDS; count++) {
      const client = await world.connect();
      if ((await client.say(`EHLO a.example\r\n${ENVELOPE}`)).includes("\r\n354 ")) free++;
    }
    assert.equal(free, IDS - spent.size, `seed ${seed}: every id is free, or is of a message`);
    stored += world.stored.length;
  }
  assert.ok(stored > 10, `some mail got through: ${stored}`);
});
