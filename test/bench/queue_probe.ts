/** A client that keeps sending small messages and notes how long it waits for each 250; a host that answers, and one that is silent. */

import { type FakeServer, fakeServer } from "../smtp_client/fake_server.ts";
import { LOCAL_DOMAIN } from "./server.ts";

const encoder = new TextEncoder(), decoder = new TextDecoder();
const PERIOD_MS = 50;

/** Another machine than the healthy one: connections are limited by address. */
export const SILENT_ADDRESS = "127.0.0.2";
export const HEALTHY_DOMAIN = "healthy.test";

/** Where mail is relayed to. */
export class Hosts {
  #server!: FakeServer;
  readonly #silent = Deno.listen({ hostname: SILENT_ADDRESS, port: 0 });
  readonly #open: Deno.Conn[] = [];
  #taken: () => void = () => {};

  static async open(): Promise<Hosts> {
    const hosts = new Hosts();
    hosts.#server = await fakeServer({ dataReply: () => (hosts.#taken(), "250 2.0.0 Taken") });
    (async () => {
      for await (const connection of hosts.#silent) hosts.#open.push(connection);
    })();
    return hosts;
  }

  get port(): number {
    return this.#server.port;
  }
  get silentPort(): number {
    return this.#silent.addr.port;
  }

  /** How long a message takes from MAIL at the daemon to the healthy host, in ms. */
  async timeFresh(port: number): Promise<number> {
    const taken = new Promise<void>((resolve) => this.#taken = resolve);
    const prober = await Prober.connect(port);
    const started = performance.now();
    await prober.send("fresh", HEALTHY_DOMAIN);
    await taken;
    return performance.now() - started;
  }

  async close(): Promise<void> {
    this.#silent.close();
    for (const connection of this.#open) connection.close();
    await this.#server.close();
  }
}

export class Prober {
  readonly #connection: Deno.TcpConn;
  readonly #buffer = new Uint8Array(4096);

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async connect(port: number): Promise<Prober> {
    const prober = new Prober(await Deno.connect({ hostname: "127.0.0.1", port }));
    prober.#connection.setNoDelay(true);
    await prober.#expect("220");
    await prober.#say("HELO probe.example.com\r\n", "250");
    return prober;
  }

  /** One message to a user of the local domain; answers how long all replies took, in ms. */
  async send(user: string, domain = LOCAL_DOMAIN): Promise<number> {
    const started = performance.now();
    await this.#say("MAIL FROM:<sender@example.com>\r\n", "250");
    await this.#say(`RCPT TO:<${user}@${domain}>\r\n`, "250");
    await this.#say("DATA\r\n", "354");
    await this.#say("From: sender@example.com\r\nSubject: probe\r\n\r\nx\r\n.\r\n", "250");
    return performance.now() - started;
  }

  /** Sends one message after the other until `stop`, which answers the longest wait in ms and closes the connection. */
  keepOn(): { stop(): Promise<number> } {
    let going = true, slowest = 0;
    const run = (async () => {
      while (going) {
        slowest = Math.max(slowest, await this.send("probe"));
        await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
      }
      this.#connection.close();
    })();
    return {
      async stop() {
        going = false;
        await run;
        return slowest;
      },
    };
  }

  async #say(text: string, code: string): Promise<void> {
    await this.#connection.write(encoder.encode(text));
    await this.#expect(code);
  }

  async #expect(code: string): Promise<void> {
    let text = "";
    do {
      const size = await this.#connection.read(this.#buffer);
      if (size === null) throw new Error(`Closed while waiting for ${code}`);
      text += decoder.decode(this.#buffer.subarray(0, size));
    } while (!/^\d{3} [^\n]*\n$/m.test(text));
    if (!text.startsWith(code)) throw new Error(`Wanted ${code}, got ${text}`);
  }
}
