/** Good clients: each sends small messages, one after the other with pauses, and notes how long every reply takes. */

import { Client } from "../../e2e/client.ts";
import { LOCAL_DOMAIN } from "../server.ts";

/** How many they are, and how long each rests between two messages, in milliseconds. */
const CLIENTS = 4;
const PAUSE_MS = 25;
const MESSAGE = `From: good@example.com\r\nTo: user@${LOCAL_DOMAIN}\r\nSubject: still there\r\n\r\n${
  "x".repeat(70)
}\r\n.`;

export interface Times {
  readonly p50: number;
  readonly p99: number;
}

export interface Probe {
  /** Replies to MAIL, RCPT and DATA, milliseconds. */
  readonly commands: Times;
  /** From the end of the data to the 250, milliseconds. */
  readonly messages: Times;
  readonly count: number;
}

function times(all: number[]): Times {
  all.sort((one, other) => one - other);
  const at = (share: number) => all[Math.min(all.length - 1, Math.floor(all.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

export class GoodClients {
  readonly #clients: Client[];

  private constructor(clients: Client[]) {
    this.#clients = clients;
  }

  static async connect(port: number): Promise<GoodClients> {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => Client.connect(port)));
    for (const client of clients) await client.say("EHLO good.example.com", "250");
    return new GoodClients(clients);
  }

  /** Sends for `ms`. Rejects when a reply is not what it should be, or a session was ended. */
  async measure(ms: number): Promise<Probe> {
    const commands: number[] = [], messages: number[] = [];
    const end = performance.now() + ms;
    const timed = async (list: number[], client: Client, text: string, code: string) => {
      const started = performance.now();
      await client.say(text, code);
      list.push(performance.now() - started);
    };
    await Promise.all(this.#clients.map(async (client) => {
      while (performance.now() < end) {
        await timed(commands, client, "MAIL FROM:<good@example.com>", "250");
        await timed(commands, client, `RCPT TO:<user@${LOCAL_DOMAIN}>`, "250");
        await timed(commands, client, "DATA", "354");
        await timed(messages, client, MESSAGE, "250");
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }));
    return { commands: times(commands), messages: times(messages), count: messages.length };
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
