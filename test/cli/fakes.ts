/** A terminal, an environment and a scripted SMTP server for the tests of the command-line tools. */

import { once } from "node:events";
import net from "node:net";
import { InputTooLarge, type Terminal } from "../../src/cli/terminal.ts";
import type { Environment } from "../../src/config/mod.ts";

/** Remembers what was written; `stdin` is what there is to read. */
export class FakeTerminal implements Terminal {
  stdout = "";
  stderr = "";
  #stdin: Uint8Array<ArrayBuffer>;

  constructor(stdin: string | Uint8Array<ArrayBuffer> = "") {
    this.#stdin = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
  }

  out(text: string): void {
    this.stdout += text;
  }
  outBytes(bytes: Uint8Array): void {
    this.stdout += new TextDecoder().decode(bytes);
  }
  err(text: string): void {
    this.stderr += text;
  }
  input(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#stdin.length > limit) return Promise.reject(new InputTooLarge("too large"));
    return Promise.resolve(this.#stdin);
  }
}

export function environment(values: Record<string, string>): Environment {
  return { get: (name) => values[name] };
}

/** A folder that is gone afterwards. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Serves a unix socket while `use` runs. */
export async function withServer(
  path: string,
  serve: (socket: net.Socket) => void,
  use: () => Promise<void>,
): Promise<void> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(path);
  await once(server, "listening");
  try {
    await use();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  }
}

/** What the scripted server received: command lines, and each message as it was on the wire, without the final dot. */
export interface Received {
  readonly commands: string[];
  readonly messages: string[];
}

/**
 * An SMTP server that agrees to everything, but for commands that start with a key of `refusals`: those get its value. "GREETING" and "END"
 * stand for the connection and for the end of the data.
 */
export function smtpServer(
  received: Received,
  refusals: Readonly<Record<string, string>> = {},
): (socket: net.Socket) => void {
  return (socket) => {
    let text = "";
    let inData = false;
    const reply = (word: string, otherwise: string) => {
      const refusal = Object.entries(refusals).find(([start]) => word.startsWith(start))?.[1];
      socket.write(`${refusal ?? otherwise}\r\n`);
      return refusal === undefined;
    };
    socket.setEncoding("latin1");
    reply("GREETING", "220 test ESMTP");
    socket.on("data", (piece) => {
      text += piece;
      for (;;) {
        const mark = inData ? "\r\n.\r\n" : "\r\n";
        const end = text.indexOf(mark);
        if (end < 0) return;
        const part = text.slice(0, end);
        text = text.slice(end + mark.length);
        if (inData) {
          inData = false;
          received.messages.push(part + "\r\n");
          reply("END", "250 2.0.0 queued");
          continue;
        }
        received.commands.push(part);
        if (part.startsWith("EHLO")) reply(part, "250-test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN");
        else if (part === "DATA") inData = reply(part, "354 go");
        else if (part === "QUIT") socket.end("221 bye\r\n");
        else reply(part, "250 ok");
      }
    });
  };
}
