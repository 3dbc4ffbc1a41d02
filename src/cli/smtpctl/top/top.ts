/** `smtpctl top`: looks at the running daemon again and again, on a screen, as text, or as JSON. The daemon may go away and come back. */

import { type Clock, sleep } from "../../../clock.ts";
import { askControl, NotRunning, topRecord, type TopSample } from "../../../control/mod.ts";
import { OutputClosed, type Terminal } from "../../terminal.ts";
import { safeJson } from "../../../events/mod.ts";
import type { TopOrder } from "./order.ts";
import type { Screen } from "./screen.ts";
import { renderScreen, renderText, type Sort, type TopState } from "./view.ts";

export interface TopPlace {
  readonly socket: string;
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Takes the screen; null where there is none. */
  readonly screen: (() => Screen) | null;
  readonly style: "plain" | "color";
}

/** The daemon has refused. */
class Refused extends Error {}

const SORT_KEYS: Readonly<Record<string, Sort>> = { e: "size", f: "inflight", a: "age", n: "name" };
/** Keys that end it: q, Ctrl-C, Ctrl-D. */
const END_KEYS = ["q", "Q", "\x03", "\x04"];

/** Answers the exit status. Throws NotRunning, but on a screen, where it waits for the daemon. */
export async function topMain(order: TopOrder, place: TopPlace): Promise<number> {
  return order.json || place.screen === null ? await print(order, place) : await show(order, place, place.screen());
}

/** One text, or objects of JSON one per line. */
async function print({ intervalMs, count, json }: TopOrder, { socket, terminal }: TopPlace): Promise<number> {
  let left = count ?? (json ? Infinity : 1);
  for await (const sample of samples(socket, intervalMs)) {
    // What happens per second is known from the second look on.
    if (sample.rates === null) continue;
    const state: TopState = { sample, absence: null, sort: "size", intervalMs };
    terminal.out(json ? `${safeJson(topRecord(sample))}\n` : `${renderText(state).join("\n")}\n`);
    if (--left <= 0) return 0;
    if (!json) terminal.out("\n");
  }
  return 0;
}

async function* samples(socket: string, intervalMs: number): AsyncGenerator<TopSample> {
  for await (const answer of askControl(socket, { do: "top", intervalMs })) {
    if ("top" in answer) yield answer.top;
    else if ("ok" in answer && !answer.ok) throw new Refused(answer.error);
  }
}

async function show(order: TopOrder, { socket, clock, style }: TopPlace, screen: Screen): Promise<number> {
  const view = new View(order, screen, style);
  const ended = Promise.withResolvers<void>();
  screen.onresize(() => view.draw());
  screen.onend(ended.resolve);
  void readKeys(screen, view, ended.resolve);
  try {
    await Promise.race([ended.promise, watch(order, { socket, clock }, view)]);
    return 0;
  } finally {
    view.end();
    screen.close();
  }
}

async function readKeys(screen: Screen, view: View, end: () => void): Promise<void> {
  for await (const keys of screen.keys()) {
    for (const key of keys) {
      if (END_KEYS.includes(key)) return end();
      const sort = SORT_KEYS[key];
      if (sort !== undefined) view.sort(sort);
    }
  }
}

/** Looks until there were enough looks; asks again and again while the daemon is away. */
async function watch(
  { intervalMs, count }: TopOrder,
  { socket, clock }: Pick<TopPlace, "socket" | "clock">,
  view: View,
): Promise<void> {
  let left = count ?? Infinity;
  for (;;) {
    try {
      for await (const sample of samples(socket, intervalMs)) {
        view.take(sample);
        if (sample.rates !== null && --left <= 0) return;
      }
    } catch (error) {
      if (error instanceof Refused || error instanceof OutputClosed || isDenied(error)) throw error;
      view.absent(error instanceof NotRunning ? "smtpd does not run" : "smtpd went away");
      await sleep(Math.min(intervalMs, 2_000), clock);
    }
  }
}

function isDenied(error: unknown): boolean {
  return ["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** What is on the screen. */
class View {
  readonly #screen: Screen;
  readonly #style: TopPlace["style"];
  #state: TopState;
  #ended = false;

  constructor({ intervalMs }: TopOrder, screen: Screen, style: TopPlace["style"]) {
    this.#screen = screen;
    this.#style = style;
    this.#state = { sample: null, absence: null, sort: "size", intervalMs };
    this.draw();
  }

  take(sample: TopSample): void {
    // A look that knows no rates leaves those that were there.
    const rates = sample.rates ?? (this.#state.absence === null ? this.#state.sample?.rates ?? null : null);
    this.#set({ sample: { ...sample, rates }, absence: null });
  }

  absent(reason: string): void {
    this.#set({ absence: `${reason}: tried again every ${Math.min(this.#state.intervalMs, 2_000) / 1000} s` });
  }

  sort(sort: Sort): void {
    this.#set({ sort });
  }

  draw(): void {
    if (!this.#ended) this.#screen.draw(renderScreen(this.#state, this.#screen.size(), this.#style));
  }

  end(): void {
    this.#ended = true;
  }

  #set(changes: Partial<TopState>): void {
    this.#state = { ...this.#state, ...changes };
    this.draw();
  }
}
