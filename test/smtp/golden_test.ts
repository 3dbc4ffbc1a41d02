/**
 * Plays the dialogues of test/golden. In them:
 *
 *     # text       a comment
 *     @ {…}        JSON, before all else: options of the listener, of the settings under "settings", and the addresses of the client
 *                  (`address`) and of the server (`connectedTo`)
 *     C: text      the client sends text and CRLF; lines that follow each other go out in one packet
 *     R: text      the client sends exactly this: \r \n \0 \t \\ and \xNN
 *     S: text      the server's next line
 *     TLS data     the handshake is done; data of the channel binding in base64, if there are any
 *     END          the client ends its side
 *     WAIT n       n seconds pass
 *     CLOSED       the server has closed
 *     OPEN         it has not, and has said nothing more
 *     M: text      the next line of the message that was stored last
 *     U: text      the same, in UTF-8
 *     E: text      one envelope of it: `sender -> recipient NOTIFY=n ORCPT=… RET=… ENVID=…`
 *     NOTHING      nothing has been stored
 *     L: text      an event since the last L: its type and the reply or reason
 */

import assert from "node:assert/strict";
import { formatPath } from "../../src/envelope/mod.ts";
import type { Event } from "../../src/events/mod.ts";
import type { Listener, SmtpSettings } from "../../src/protocol/mod.ts";
import { bytesOf, type Client, settle, World } from "./support.ts";

const folder = new URL("../golden/", import.meta.url);

interface Line {
  readonly number: number;
  readonly kind: string;
  readonly text: string;
}

function linesOf(file: string): readonly Line[] {
  return file.split("\n").flatMap((line, index) => {
    if (line === "" || line.startsWith("#")) return [];
    const match = /^(@|[CRSMUEL]:|TLS|END|WAIT|CLOSED|OPEN|NOTHING)(?: (.*))?$/.exec(line);
    assert.ok(match, `line ${index + 1} is no line of a dialogue: ${line}`);
    return [{ number: index + 1, kind: match[1]!, text: match[2] ?? "" }];
  });
}

function unescape(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex: string | undefined, char: string) => {
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    return { r: "\r", n: "\n", t: "\t", "0": "\0" }[char] ?? char;
  });
}

function eventText(event: Event): string | null {
  switch (event.type) {
    case "smtp-connected":
      return `${event.type} ${event.address} ${event.host}`;
    case "smtp-failed-command":
      return `${event.type} "${event.command}" ${event.reply}`;
    case "smtp-authentication":
      return `${event.type} ${event.user} ${event.result}`;
    case "smtp-bad-input":
      return `${event.type} ${event.reply}`;
    case "smtp-disconnected":
      return `${event.type} ${event.reason}${event.tls ? " tls" : ""}`;
    case "smtp-message":
      return `${event.type} ${event.message} ${event.bytes} ${event.rcpts} ${event.proto}`;
    case "smtp-envelope":
      return `${event.type} ${formatPath(event.from)} ${formatPath(event.to)}`;
    case "smtp-tls":
      return `${event.type} ${event.ciphers}`;
    default:
      return null;
  }
}

class Player {
  #received = "";
  #stored: string[] = [];
  #envelopes: string[] = [];
  #seen = 0;
  #events = 0;
  readonly #world: World;
  readonly #client: Client;

  constructor(world: World, client: Client) {
    this.#world = world;
    this.#client = client;
  }

  async send(text: string): Promise<void> {
    assert.equal(this.#received, "", "the server had said more");
    this.#received = await this.#client.say(text);
  }

  async act(kind: string, text: string): Promise<void> {
    switch (kind) {
      case "S:":
        return this.#expectReply(text);
      case "TLS":
        this.#client.connection.secured({
          ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
          verified: false,
          fingerprint: null,
          binding: text === "" ? null : text,
        });
        break;
      case "END":
        this.#client.connection.ended();
        break;
      case "WAIT":
        await this.#world.pass(Number(text) * 1000);
        break;
      case "CLOSED":
        assert.equal(this.#received, "");
        assert.ok(this.#client.wire.closed, "the server has not closed");
        break;
      case "OPEN":
        assert.equal(this.#received, "");
        assert.ok(!this.#client.wire.closed, "the server has closed");
        break;
      case "M:":
        assert.equal(this.#message().shift(), text);
        break;
      case "U:":
        assert.equal(new TextDecoder().decode(bytesOf(this.#message().shift() ?? "")), text);
        break;
      case "E:":
        this.#message();
        assert.equal(this.#envelopes.shift(), text);
        break;
      case "NOTHING":
        assert.deepEqual(this.#world.stored, []);
        break;
      case "L:":
        return this.#expectEvent(text);
    }
    await settle();
    this.#received += this.#client.wire.take();
  }

  #expectReply(text: string): void {
    this.#received += this.#client.wire.take();
    const end = this.#received.indexOf("\r\n");
    assert.notEqual(end, -1, `the server says nothing, not ${text}`);
    assert.equal(this.#received.slice(0, end), text);
    this.#received = this.#received.slice(end + 2);
  }

  #expectEvent(text: string): void {
    while (this.#events < this.#world.events.length) {
      const said = eventText(this.#world.events[this.#events++]!);
      if (said !== null) return assert.equal(said, text);
    }
    assert.fail(`no event ${text}`);
  }

  /** Lines of the last message that are yet to be seen. */
  #message(): string[] {
    const { stored } = this.#world;
    if (stored.length > this.#seen) {
      this.#seen = stored.length;
      const { text, commit } = stored[stored.length - 1]!;
      this.#stored = text.replace(/<[0-9a-f]{16}@/g, "<TOKEN@").split("\n");
      this.#envelopes = commit.envelopes.map(({ sender, rcpt, dsn, handling = {} }) =>
        `${formatPath(sender)} -> ${formatPath(rcpt)}` + (dsn.notify === 0 ? "" : ` NOTIFY=${dsn.notify}`) +
        (dsn.orcpt === "" ? "" : ` ORCPT=${dsn.orcpt}`) + (dsn.ret === "" ? "" : ` RET=${dsn.ret}`) +
        (dsn.envid === "" ? "" : ` ENVID=${dsn.envid}`) + (handling.smtpUtf8 ? " SMTPUTF8" : "") +
        (handling.utf8Header ? " UTF8-HEADER" : "") + (handling.requireTls ? " REQUIRETLS" : "") +
        (handling.tlsOptional ? " TLS-OPTIONAL" : "")
      );
    }
    return this.#stored;
  }

  finish(): void {
    assert.equal(this.#received, "", "the server had said more");
  }
}

async function play(file: string): Promise<void> {
  const lines = linesOf(file);
  const options = lines[0]?.kind === "@"
    ? JSON.parse(lines[0].text) as Partial<Listener> & {
      settings?: Partial<SmtpSettings>;
      address?: string;
      connectedTo?: string;
    }
    : {};
  const { settings, address, connectedTo, ...listener } = options;
  const world = new World({
    listener,
    ...(settings === undefined ? {} : { settings }),
    peer: {
      ...(address === undefined ? {} : { address }),
      ...(connectedTo === undefined ? {} : { local: connectedTo }),
    },
  });
  const client = await world.connect();
  const player = new Player(world, client);
  let packet = "";
  for (const [index, { kind, text, number }] of lines.entries()) {
    try {
      if (kind === "@") continue;
      if (kind === "C:" || kind === "R:") {
        packet += kind === "C:" ? `${text}\r\n` : unescape(text);
        const next = lines[index + 1]?.kind;
        if (next === "C:" || next === "R:") continue;
        await player.send(packet);
        packet = "";
      } else await player.act(kind, text);
    } catch (error) {
      throw new Error(`Line ${number}: ${(error as Error).message}`);
    }
  }
  player.finish();
  client.leave();
  assert.equal(world.service.size, 0);
  assert.equal(world.ended, 1, "main is informed once of the end of the session");
}

for (const { name } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  Deno.test(`golden dialogue ${name.replace(/\.txt$/, "")}`, () => play(Deno.readTextFileSync(new URL(name, folder))));
}
