/** A server that takes all mail and keeps it octet for octet as it came over the wire, and what verifies its signatures. */

import { join } from "node:path";
import { type DkimVerdict, DkimVerifier } from "../../src/mail_auth/dkim/mod.ts";
import type { Dns } from "../../src/mail_auth/dns.ts";
import { PROJECT, run, within } from "./harness.ts";

/** One message with its envelope. `octets`: lines end with CRLF, dots are not doubled. */
export interface KeptMessage {
  readonly from: string;
  readonly to: readonly string[];
  readonly octets: Uint8Array<ArrayBuffer>;
}

const decoder = new TextDecoder("latin1"), encoder = new TextEncoder();
const LF = 0x0a;

export class KeepingServer {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #kept: KeptMessage[] = [];
  #wake = Promise.withResolvers<void>();
  /** Refuses recipients for which this is true with 550. */
  refuses: (recipient: string) => boolean = () => false;

  constructor() {
    void this.#serve();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** Waits for the message to this recipient, which is handed out once. */
  take(recipient: string): Promise<KeptMessage> {
    const wait = async (): Promise<KeptMessage> => {
      for (;;) {
        const at = this.#kept.findIndex(({ to }) => to.includes(recipient));
        if (at >= 0) return this.#kept.splice(at, 1)[0]!;
        await this.#wake.promise;
      }
    };
    return within(wait(), `mail for ${recipient}`);
  }

  /** Messages that nobody has taken. */
  get left(): readonly KeptMessage[] {
    return this.#kept;
  }

  close(): void {
    this.#listener.close();
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      this.#session(connection).catch(() => {}).finally(() => {
        try {
          connection.close();
        } catch {
          // Closed already.
        }
      });
    }
  }

  async #session(connection: Deno.Conn): Promise<void> {
    const say = (text: string) => connection.write(encoder.encode(`${text}\r\n`));
    const lines = linesOf(connection);
    let from = "", to: string[] = [];
    await say("220 keeps.test");
    for await (const line of lines) {
      const text = new TextDecoder().decode(line).trimEnd();
      const verb = text.slice(0, 4).toUpperCase();
      const path = /<([^>]*)>/.exec(text)?.[1] ?? "";
      if (verb === "EHLO" || verb === "LHLO") {
        await say("250-keeps.test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING");
      } else if (verb === "MAIL") {
        [from, to] = [path, []];
        await say("250 ok");
      } else if (verb === "RCPT") {
        const refused = this.refuses(path);
        if (!refused) to.push(path);
        await say(refused ? "550 5.1.1 no" : "250 ok");
      } else if (verb === "DATA" && to.length === 0) await say("554 5.5.1 nobody");
      else if (verb === "DATA") {
        await say("354 go on");
        this.#kept.push({ from, to, octets: await dataOf(lines) });
        this.#wake.resolve();
        this.#wake = Promise.withResolvers();
        await say("250 kept");
      } else if (verb === "QUIT") return void await say("221 bye");
      else await say("250 ok");
    }
  }
}

/** Lines with their ends, as they come. */
async function* linesOf(connection: Deno.Conn): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  let rest = new Uint8Array(0);
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    let start = 0;
    for (let end = rest.indexOf(LF); end >= 0; end = rest.indexOf(LF, start)) {
      yield rest.slice(start, end + 1);
      start = end + 1;
    }
    const size = await connection.read(buffer);
    if (size === null) return;
    const next = new Uint8Array(rest.length - start + size);
    next.set(rest.subarray(start));
    next.set(buffer.subarray(0, size), rest.length - start);
    rest = next;
  }
}

async function dataOf(lines: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const { value: line, done } = await lines.next();
    if (done) throw new Error("The data has no end");
    if (line[0] !== 0x2e) parts.push(line);
    else if (line.length === 3) break;
    else parts.push(line.subarray(1));
  }
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The message as text, one character per octet. */
export function latin1(octets: Uint8Array): string {
  return decoder.decode(octets);
}

/** What our own verifier says of the signatures of a message as it came over the wire. */
export async function verifyDkim(octets: Uint8Array, dns: Pick<Dns, "txt">): Promise<readonly DkimVerdict[]> {
  const lines = withLf(octets);
  const text = latin1(lines);
  const end = text.startsWith("\n") ? 0 : text.indexOf("\n\n") + 1 || lines.length;
  const verifier = new DkimVerifier({ now: Date.now(), dns });
  verifier.header(lines.subarray(0, end));
  verifier.body(lines.subarray(end + 1));
  return await verifier.finish();
}

function withLf(octets: Uint8Array): Uint8Array {
  const lines = new Uint8Array(octets.length);
  let to = 0;
  for (let at = 0; at < octets.length; at++) {
    if (octets[at] === 0x0d && octets[at + 1] === LF) continue;
    lines[to++] = octets[at]!;
  }
  return lines.subarray(0, to);
}

const PYTHON_DKIM = join(PROJECT, ".deno/tools/python3-dkim/usr/lib/python3/dist-packages");
/** Debian's python3-dkim is unpacked here. */
export const HAS_PYTHON_DKIM = exists(PYTHON_DKIM);

const VERIFY = `
import json, sys
sys.path.append(sys.argv[1])
import dkim
records = {name: text.encode("latin1") for name, text in json.load(open(sys.argv[2])).items()}
def dns(name, timeout=5):
    return records.get(name.decode().rstrip(".").lower())
for path in sys.argv[3:]:
    octets = open(path, "rb").read()
    count = len([one for one in dkim.DKIM(octets).headers if one[0].lower() == b"dkim-signature"])
    print(" ".join(str(dkim.DKIM(octets).verify(idx=at, dnsfunc=dns)) for at in range(count)))
`;

/** What python3-dkim says of the signatures of each message, from the top: a line of True and False. */
export async function verifyByPython(
  messages: readonly Uint8Array[],
  records: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const folder = await Deno.makeTempDir();
  try {
    const zone = join(folder, "zone.json");
    await Deno.writeTextFile(zone, JSON.stringify(records));
    const files = messages.map((_, index) => join(folder, `${index}.eml`));
    await Promise.all(messages.map((octets, index) => Deno.writeFile(files[index]!, octets)));
    const { code, stdout, stderr } = await run("python3", ["-c", VERIFY, PYTHON_DKIM, zone, ...files]);
    if (code !== 0) throw new Error(stderr);
    return stdout.trimEnd().split("\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** `example.org/s2026 pass`, for each signature from the top. */
export function shownResults(verdicts: readonly DkimVerdict[]): string {
  return verdicts.map(({ domain, selector, result }) => `${domain}/${selector} ${result}`).join(", ");
}
