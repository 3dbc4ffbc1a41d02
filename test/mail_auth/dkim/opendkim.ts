/** Debian's opendkim as a milter on a socket, for tests and for the bench: it signs or verifies one message after the other. */

import { Buffer } from "node:buffer";
import { sleep } from "../../../src/clock.ts";
import { KEYS, PEMS, RECORDS, split } from "./helper.ts";

/** Where scripts/tools.sh unpacks it. */
const PROGRAM = new URL("../../../.deno/tools/bin/opendkim", import.meta.url).pathname;

/** Tells whether opendkim is here. */
export function hasOpendkim(): boolean {
  try {
    return Deno.statSync(PROGRAM).isFile;
  } catch {
    return false;
  }
}

/** What a milter asks for and what is offered: the octets of header fields as they are. Numbers of libmilter's mfdef.h. */
const HEADER_LEADING_SPACE = 0x100000, ALL_ACTIONS = 0x1ff, VERSION = 6;
const PIECE_OCTETS = 65535;

const zeroEnded = (...texts: readonly string[]) => Buffer.from(texts.map((text) => `${text}\0`).join(""), "latin1");

function number32(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
}

/** A field that the milter puts in front, with lines that end with LF. */
export interface InsertedField {
  readonly name: string;
  readonly value: string;
}

export interface OpendkimOptions {
  readonly mode: "sign" | "verify";
  /** Whose mail it signs. */
  readonly domain?: string;
  /** Name of the key to sign with. */
  readonly key?: string;
  /** Header and body. */
  readonly form?: string;
}

/** A process of opendkim that listens. */
export interface OpendkimDaemon {
  readonly pid: number;
  /** A socket of the Unix domain that everybody may connect to. */
  readonly path: string;
  stop(): Promise<void>;
}

/** Starts opendkim and waits until it listens. */
export async function startOpendkim(
  { mode, domain = "example.org", key = "rsa2048", form = "relaxed/relaxed" }: OpendkimOptions,
): Promise<OpendkimDaemon> {
  const folder = await Deno.makeTempDir({ prefix: "opendkim-" });
  const write = (name: string, text: string) => Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 });
  const records = Object.entries(RECORDS).map(([name, text]) => `${name}._domainkey.example.org ${text}\n`);
  await write("records", records.join(""));
  await write("key.pem", PEMS[key]!);
  // A mail server may run as another user.
  await Deno.chmod(folder, 0o755);
  const path = `${folder}/socket`;
  const signing = [
    `Domain ${domain}`,
    `Selector ${key}`,
    `KeyFile ${folder}/key.pem`,
    `SignatureAlgorithm ${KEYS[key]!.asymmetricKeyType === "rsa" ? "rsa-sha256" : "ed25519-sha256"}`,
    `Canonicalization ${form}`,
  ];
  const lines = [
    `Mode ${mode === "sign" ? "s" : "v"}`,
    "Syslog no",
    "Background no",
    `Socket local:${path}`,
    "UMask 000",
    `TestPublicKeys ${folder}/records`,
    "RequireSafeKeys no",
    "AlwaysAddARHeader yes",
    ...(mode === "sign" ? signing : []),
  ];
  await write("conf", lines.join("\n") + "\n");
  const process = new Deno.Command(PROGRAM, {
    args: ["-f", "-x", `${folder}/conf`],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  let ended = false;
  process.status.then(() => ended = true);
  const daemon = {
    pid: process.pid,
    path,
    async stop() {
      // Asked to end, it takes its time.
      if (!ended) process.kill("SIGKILL");
      await process.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
  for (;;) {
    const connection = await Deno.connect({ transport: "unix", path }).catch(() => null);
    if (connection !== null) {
      connection.close();
      return daemon;
    }
    if (ended) {
      await daemon.stop();
      throw new Error("opendkim ended");
    }
    await sleep(10);
  }
}

/** One connection to it, as a mail server has it. */
export class Opendkim implements AsyncDisposable {
  readonly #daemon: OpendkimDaemon;
  readonly #connection: Deno.Conn;
  #buffer = Buffer.alloc(0);
  #dataAt = 0;

  private constructor(daemon: OpendkimDaemon, connection: Deno.Conn) {
    this.#daemon = daemon;
    this.#connection = connection;
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  /** Starts a process of its own. */
  static async start(options: OpendkimOptions): Promise<Opendkim> {
    const daemon = await startOpendkim(options);
    const opendkim = new Opendkim(daemon, await Deno.connect({ transport: "unix", path: daemon.path }));
    await opendkim.#open();
    return opendkim;
  }

  async #open(): Promise<void> {
    await this.#send("O", number32(VERSION), number32(ALL_ACTIONS), number32(HEADER_LEADING_SPACE));
    const { command } = await this.#receive();
    if (command !== "O") throw new Error(`opendkim answers ${command} to the negotiation`);
    await this.#ask("C", zeroEnded("localhost"), Buffer.from("4"), Buffer.from([0, 25]), zeroEnded("127.0.0.1"));
    await this.#ask("H", zeroEnded("localhost"));
  }

  /** Passes a message through it and returns what it puts in front. */
  async filter(message: Uint8Array): Promise<readonly InsertedField[]> {
    const { header, body } = split(message);
    await this.#ask("M", zeroEnded("<a@example.org>"));
    await this.#ask("R", zeroEnded("<b@example.net>"));
    await this.#ask("T");
    const text = Buffer.from(header).toString("latin1");
    for (const field of text.split(/\n(?![ \t])/)) {
      const colon = field.indexOf(":");
      if (colon > 0) await this.#ask("L", zeroEnded(field.slice(0, colon), field.slice(colon + 1)));
    }
    await this.#ask("N");
    const sent = Buffer.from(Buffer.from(body).toString("latin1").replaceAll("\n", "\r\n"), "latin1");
    for (let at = 0; at < sent.length; at += PIECE_OCTETS) await this.#ask("B", sent.subarray(at, at + PIECE_OCTETS));
    await this.#send("E");
    const inserted: InsertedField[] = [];
    for (;;) {
      const { command, data } = await this.#receive();
      if (command === "i" || command === "h") {
        const [name, value] = data.subarray(command === "i" ? 4 : 0).toString("latin1").split("\0");
        inserted.push({ name: name!, value: value! });
      } else if (command === "c" || command === "a") return inserted;
      else if (command !== "p") throw new Error(`opendkim answers ${command} to a message`);
    }
  }

  async #ask(command: string, ...data: readonly Uint8Array[]): Promise<void> {
    await this.#send(command, ...data);
    const answer = await this.#receive();
    if (answer.command !== "c") throw new Error(`opendkim answers ${answer.command} to ${command}`);
  }

  async #send(command: string, ...data: readonly Uint8Array[]): Promise<void> {
    const body = Buffer.concat(data);
    const packet = Buffer.concat([number32(body.length + 1), Buffer.from(command), body]);
    for (let at = 0; at < packet.length;) at += await this.#connection.write(packet.subarray(at));
  }

  async #receive(): Promise<{ readonly command: string; readonly data: Buffer }> {
    for (;;) {
      const length = this.#buffer.length - this.#dataAt >= 4 ? this.#buffer.readUInt32BE(this.#dataAt) : Infinity;
      if (this.#buffer.length - this.#dataAt - 4 >= length) {
        const start = this.#dataAt + 4;
        this.#dataAt = start + length;
        const packet = this.#buffer.subarray(start, this.#dataAt);
        return { command: String.fromCharCode(packet[0]!), data: packet.subarray(1) };
      }
      const chunk = new Uint8Array(PIECE_OCTETS);
      const read = await this.#connection.read(chunk);
      if (read === null) throw new Error("opendkim closed the connection");
      this.#buffer = Buffer.concat([this.#buffer.subarray(this.#dataAt), chunk.subarray(0, read)]);
      this.#dataAt = 0;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
    await this.#daemon.stop();
  }
}
