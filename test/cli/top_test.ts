/** smtpctl top: what is known as lines of any size, the keys, and a daemon that goes away and comes back. */

import assert from "node:assert/strict";
import type net from "node:net";
import type { TopSample } from "../../src/control/mod.ts";
import { topOrder } from "../../src/cli/smtpctl/top/order.ts";
import type { Screen } from "../../src/cli/smtpctl/top/screen.ts";
import { topMain } from "../../src/cli/smtpctl/top/top.ts";
import { renderScreen, renderText, type TopState } from "../../src/cli/smtpctl/top/view.ts";
import { systemClock } from "../../src/clock.ts";
import { FakeTerminal, withFolder, withServer } from "./fakes.ts";

const HOUR_MS = 3_600_000;
const at = Date.UTC(2026, 0, 2, 12);
const OPEN = { jobs: 1, maxJobs: 20, limit: "open" } as const;
const lane = (name: string, envelopes: number, hours: number, inflight = 0) => {
  return { agent: "mta", action: "out", name, envelopes, inflight, ...OPEN, oldestAt: at - hours * HOUR_MS } as const;
};
const host = (address: string, transactionMs: number) => {
  const failure = { failedAt: null, failureClass: null, failure: null };
  return {
    address,
    name: `mx.${address}`,
    references: 1,
    connections: 2,
    lastConnectAt: null,
    transactionMs,
    ...failure,
  };
};
const SAMPLE: TopSample = {
  serverName: "mx.example.org",
  at,
  uptimeSeconds: 90_061,
  rates: { accepted: 12, delivered: 8.25, relayed: 0, deferred: 0.5, failed: 0, refused: 123.4 },
  sessions: 7,
  relaySessions: 3,
  localDeliveries: 1,
  envelopes: 1234,
  inflight: 5,
  oldestAt: at - 26 * HOUR_MS,
  paused: [],
  laneCount: 3,
  lanes: [lane("b.example", 10, 1, 4), lane("a.example", 9, 26), lane("c.\x1b[2J.example", 2, 2, 1)],
  hosts: [host("192.0.2.1", 2400), host("192.0.2.2", 80)],
};
const state = (changes: Partial<TopState> = {}): TopState => {
  return { sample: SAMPLE, absence: null, sort: "size", intervalMs: 2000, ...changes };
};
// deno-lint-ignore no-control-regex
const plain = (line: string) => line.replace(/\x1b\[[\d;]*m/g, "");

Deno.test("a screen has all parts at 80 columns and 24 lines, and nothing of a name acts on it", () => {
  const lines = renderScreen(state(), { columns: 80, rows: 24 }, "plain");
  assert.equal(lines.length, 24);
  assert.match(lines[0]!, /^mx\.example\.org {2}up 1d1h1m1s {2}\d\d:\d\d:\d\d {2}every 2 s +$/);
  assert.deepEqual(lines.slice(1, 6), [
    "accepted 12/s  delivered 8.3/s  relayed 0.0/s  deferred 0.5/s  failed 0.0/s",
    "refused 123/s",
    "sessions 7  to other hosts 3  local deliveries 1",
    "queue 1234  in flight 5  oldest 1d2h  destinations 3",
    "",
  ]);
  assert.deepEqual(lines.slice(6, 10).map((line) => line.trim().split(/ {2,}/)), [
    ["queued", "inflight", "oldest", "destination (by size)"],
    ["10", "4", "1h", "b.example", "out"],
    ["9", "0", "1d2h", "a.example", "out"],
    ["2", "1", "2h", "c.\\^[[2J.example", "out"],
  ]);
  assert.match(lines[12]!, /^ {3}2\.4 s {7}2 {2}192\.0\.2\.1 {2}mx\.192\.0\.2\.1$/);
  assert.match(lines.at(-1)!, /^q quit/);
});

Deno.test("no line is longer than the screen and none too many, at any size, with colours or without", () => {
  const many = { ...SAMPLE, lanes: Array.from({ length: 200 }, (_, at) => lane(`d${at}.example`, at, 1)) };
  for (const sample of [SAMPLE, many, null]) {
    for (const color of [true, false]) {
      for (let columns = 0; columns < 130; columns += 13) {
        for (let rows = 0; rows < 40; rows++) {
          const lines = renderScreen(state({ sample }), { columns, rows }, color ? "color" : "plain");
          assert.ok(lines.length <= rows);
          for (const line of lines) assert.ok(Array.from(plain(line)).length <= columns);
          if (!color) assert.ok(!lines.join("").includes("\x1b"));
        }
      }
    }
  }
});

Deno.test("destinations stand in the order that was asked for", () => {
  const names = (sort: TopState["sort"]) =>
    renderText(state({ sort })).flatMap((line) => /([abc])\.\S*example/.exec(line)?.[1] ?? []).join("");
  assert.deepEqual([names("size"), names("inflight"), names("age"), names("name")], ["bac", "bca", "acb", "abc"]);
});

Deno.test("what is paused, and a daemon that is away, are said in words and colours", () => {
  const paused = renderScreen(state({ sample: { ...SAMPLE, paused: ["mta"] } }), { columns: 80, rows: 24 }, "color");
  assert.ok(paused[4]!.startsWith("\x1b[33;1mqueue ") && paused[4]!.endsWith("  PAUSED: mta\x1b[0m"), paused[4]);
  const away = renderScreen(state({ absence: "smtpd went away" }), { columns: 80, rows: 24 }, "plain");
  assert.match(away[0]!, /^smtpd went away +$/);
  assert.match(away[4]!, /^queue 1234 /, "what was known last stays");
});

const ORDERS: readonly (readonly [given: Record<string, string>, want: unknown])[] = [
  [{}, { intervalMs: 2000, count: null, json: false }],
  [{ "-i": "0.5", "-n": "3", "--json": "" }, { intervalMs: 500, count: 3, json: true }],
  [{ "-i": "0" }, { wrong: "-i 0: 0.1 to 60 seconds are possible" }],
  [{ "-i": "x" }, { wrong: "-i x: 0.1 to 60 seconds are possible" }],
  [{ "-n": "0" }, { wrong: "-n 0: a number from 1 on is needed" }],
];
for (const [given, want] of ORDERS) {
  Deno.test(`smtpctl top ${JSON.stringify(given)}`, () => {
    assert.deepEqual(topOrder(new Map(Object.entries(given).map(([name, value]) => [name, [value]]))), want);
  });
}

class FakeScreen implements Screen {
  readonly drawn: string[][] = [];
  closed = false;
  end = () => {};
  press!: (key: string) => void;
  #awaited: { wanted: RegExp; resolve: () => void } | null = null;

  size = () => ({ columns: 80, rows: 24 });
  draw(lines: readonly string[]): void {
    this.drawn.push([...lines]);
    if (this.#awaited?.wanted.test(lines.join("\n"))) this.#awaited.resolve();
  }
  /** Resolves when something like this is drawn from now on. */
  shows(wanted: RegExp): Promise<void> {
    return new Promise((resolve) => this.#awaited = { wanted, resolve });
  }
  async *keys(): AsyncGenerator<string> {
    for (;;) yield await new Promise<string>((resolve) => this.press = resolve);
  }
  onresize(): void {}
  onend(action: () => void): void {
    this.end = action;
  }
  close(): void {
    this.closed = true;
  }
}

const daemon = (socket: net.Socket) => {
  socket.write(`${JSON.stringify({ top: { ...SAMPLE, rates: null } })}\n${JSON.stringify({ top: SAMPLE })}\n`);
};
const place = (socket: string, terminal: FakeTerminal, screen: FakeScreen | null) => {
  return {
    socket,
    terminal,
    clock: systemClock,
    style: "plain" as const,
    screen: screen === null ? null : () => screen,
  };
};

Deno.test("a screen waits for the daemon, shows it, says that it went away, takes keys, and is put back", async () => {
  await withFolder(async (folder) => {
    const socket = `${folder}/s`, screen = new FakeScreen(), terminal = new FakeTerminal();
    const away = screen.shows(/^smtpd does not run/);
    const ended = topMain({ intervalMs: 100, count: null, json: false }, place(socket, terminal, screen));
    await away;
    const here = screen.shows(/accepted 12\/s/);
    let lost!: Promise<void>;
    await withServer(socket, daemon, async () => {
      await here;
      const sorted = screen.shows(/by age/);
      screen.press("a");
      await sorted;
      lost = screen.shows(/^smtpd went away: tried again every 0\.1 s/);
    });
    await lost;
    screen.press("q");
    assert.equal(await ended, 0);
    assert.ok(screen.closed);
    assert.equal(terminal.stdout, "");
  });
});

Deno.test("what is no screen gets one text with rates, and JSON an object a look", async () => {
  await withFolder(async (folder) => {
    const socket = `${folder}/s`;
    await withServer(socket, daemon, async () => {
      const text = new FakeTerminal(), json = new FakeTerminal();
      assert.equal(await topMain({ intervalMs: 100, count: null, json: false }, place(socket, text, null)), 0);
      assert.match(
        text.stdout,
        /^mx\.example\.org .*\naccepted 12\/s .*\n[^]* a\.example {2}out\n[^]*mx\.192\.0\.2\.2\n$/,
      );
      assert.equal(await topMain({ intervalMs: 100, count: 1, json: true }, place(socket, json, null)), 0);
      const look = JSON.parse(json.stdout);
      assert.deepEqual([look.at, look.rates.accepted, look.lanes.length], ["2026-01-02T12:00:00.000Z", 12, 3]);
    });
    await assert.rejects(topMain({ intervalMs: 100, count: 1, json: true }, place(socket, new FakeTerminal(), null)));
  });
});
