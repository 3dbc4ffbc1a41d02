/** A blunt SMTP client: sends the octets it is given, reads replies, keeps no rules. */

import { within } from "./harness.ts";

const encoder = new TextEncoder(), decoder = new TextDecoder();

export class Client {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(64 * 1024);
  #text = "";

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Takes the greeting of a connection that was made elsewhere; closes it when another comes. */
  static over(connection: Deno.Conn): Promise<Client> {
    return new Client(connection).#greeted();
  }

  /** Connects and takes the greeting; closes the connection when another comes. */
  static async connect(port: number): Promise<Client> {
    return await (await Client.open(port)).#greeted();
  }

  async #greeted(): Promise<Client> {
    try {
      await this.reply("220");
      return this;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Connects, again while the server answers 421: sessions that have just ended are counted until it has read that. */
  static async admitted(port: number): Promise<Client> {
    const admit = async (): Promise<Client> => {
      for (;;) {
        const client = await Client.open(port);
        const greeting = await client.reply();
        if (greeting.startsWith("220")) return client;
        client.close();
        if (!greeting.startsWith("421")) throw new Error(`Wanted 220 or 421, got ${greeting}`);
      }
    };
    return await within(admit(), "a session behind those that ended");
  }

  /** Connects; the greeting, or what comes for it, has not been read. */
  static async open(port: number): Promise<Client> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    return new Client(connection);
  }

  /** Writes octets; resolves when the system took them all. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  /** The next whole reply. Rejects when it does not begin with `code`, or when the server closed. */
  reply(code = ""): Promise<string> {
    return within(this.#reply(code), `a reply ${code}`);
  }

  async #reply(code: string): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n/.exec(this.#text);
      if (match !== null) {
        this.#text = this.#text.slice(match[0].length);
        if (!match[0].startsWith(code)) throw new Error(`Wanted ${code}, got ${match[0]}`);
        return match[0];
      }
      const size = await this.#connection.read(this.#buffer);
      if (size === null) throw new Error(`The server closed; wanted ${code}, had "${this.#text}"`);
      this.#text += decoder.decode(this.#buffer.subarray(0, size));
    }
  }

  async say(line: string, code: string): Promise<string> {
    await this.write(encoder.encode(`${line}\r\n`));
    return await this.reply(code);
  }

  /** A transaction up to the 354. */
  async begin(from: string, to: string, parameters = ""): Promise<void> {
    await this.say(`MAIL FROM:<${from}>${parameters}`, "250");
    await this.say(`RCPT TO:<${to}>`, "250");
    await this.say("DATA", "354");
  }

  /** A whole message: `data` ends with CRLF and is dot-stuffed already. */
  async send(from: string, to: string, data: string | Uint8Array, parameters = ""): Promise<string> {
    await this.begin(from, to, parameters);
    await this.write(typeof data === "string" ? encoder.encode(data) : data);
    return await this.say(".", "250");
  }

  /** Says that nothing more will be sent. */
  closeWrite(): Promise<void> {
    return this.#connection.closeWrite();
  }

  close(): void {
    try {
      this.#connection.close();
    } catch {
      // Closed already.
    }
  }
}
