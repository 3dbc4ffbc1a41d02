/** A scripted SMTP and LMTP server on loopback for the tests of whatever speaks to servers. Does what it is scripted to, right or wrong. */

import net from "node:net";
import tls from "node:tls";
import { Buffer } from "node:buffer";

export interface Script {
  readonly banner?: string;
  /** Keywords after the name in the answer to EHLO. */
  readonly keywords?: readonly string[];
  /** The reply to a line (without CRLF), undefined for the usual one, null to hang up, "" to say nothing. */
  readonly reply?: (line: string, session: ServerSession) => string | null | undefined;
  /** The reply to the data. For LMTP: the replies of the accepted recipients. */
  readonly dataReply?: (session: ServerSession) => string | null;
  /** Said once as soon as the first data come, before their end. */
  readonly early?: string;
  readonly lmtp?: boolean;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly smtps?: boolean;
  /** A client without a certificate is refused, by TLS 1.3 when it believes that the handshake is done. */
  readonly wantsCertificate?: boolean;
  /** After the 220 of STARTTLS: talk nonsense instead of TLS. */
  readonly breakTls?: boolean;
  /** Listen on this unix socket instead of loopback. */
  readonly path?: string;
  readonly host?: string;
  readonly port?: number;
}

/** What one connection said. */
export interface ServerSession {
  readonly lines: string[];
  /** Raw octets of each message, as latin1, with the dots still stuffed, without the final `.`. */
  readonly messages: string[];
  accepted: number;
  secure: boolean;
  serverName: string;
  ended: boolean;
  /** Ends the connection from the server's side. */
  hangUp(): void;
}

export interface FakeServer {
  readonly port: number;
  readonly sessions: ServerSession[];
  /** All lines of all sessions. */
  lines(): string[];
  /** All messages of all sessions. */
  messages(): string[];
  close(): Promise<void>;
}

export async function fakeServer(script: Script = {}): Promise<FakeServer> {
  const sessions: ServerSession[] = [];
  const sockets = new Set<net.Socket>();
  const accept = (socket: net.Socket, secure: boolean) => {
    const session: ServerSession = {
      lines: [],
      messages: [],
      accepted: 0,
      secure,
      serverName: "",
      ended: false,
      hangUp: () => socket.end(),
    };
    sessions.push(session);
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      session.ended = true;
      sockets.delete(socket);
    });
    serve(socket, session, script, sockets);
    socket.write((script.banner ?? "220 mx.example.net ready") + "\r\n");
  };
  const server = script.smtps
    ? tls.createServer({ key: script.tls!.key, cert: script.tls!.cert }, (socket) => accept(socket, true))
    : net.createServer((socket) => accept(socket, false));
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => {
    if (script.path !== undefined) server.listen(script.path, resolve);
    else server.listen(script.port ?? 0, script.host ?? "127.0.0.1", resolve);
  });
  return {
    port: script.path === undefined ? (server.address() as net.AddressInfo).port : 0,
    sessions,
    lines: () => sessions.flatMap((session) => session.lines),
    messages: () => sessions.flatMap((session) => session.messages),
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function serve(first: net.Socket, session: ServerSession, script: Script, sockets: Set<net.Socket>): void {
  let socket = first;
  let buffer = "";
  let data: string | null = null;
  const say = (text: string | null) => {
    if (text === null) socket.end();
    else if (text !== "") socket.write(text + "\r\n");
  };
  const upgrade = () => {
    socket.removeAllListeners("data");
    socket.pause();
    socket.write("220 go ahead\r\n");
    if (script.breakTls) return void socket.write("this is not TLS at all, sorry\r\n");
    const secured = new tls.TLSSocket(socket, {
      isServer: true,
      key: script.tls!.key,
      cert: script.tls!.cert,
      ...(script.wantsCertificate ? { requestCert: true, rejectUnauthorized: true, ca: script.tls!.cert } : {}),
    });
    secured.on("error", () => {});
    secured.on("secure", () => session.serverName = String((secured as unknown as { servername?: string }).servername));
    sockets.add(secured);
    secured.on("close", () => sockets.delete(secured));
    session.secure = true;
    socket = secured;
    secured.on("data", read);
  };
  const finish = () => {
    session.messages.push(data!);
    data = null;
    const usual = script.lmtp
      ? Array.from({ length: session.accepted }, () => "250 2.0.0 stored").join("\r\n")
      : "250 2.0.0 queued";
    say(script.dataReply === undefined ? usual : script.dataReply(session));
  };
  const line = (text: string) => {
    session.lines.push(text);
    const wanted = script.reply?.(text, session);
    if (wanted !== undefined) {
      if (/^RCPT/i.test(text) && wanted?.startsWith("2")) session.accepted++;
      if (/^DATA/i.test(text) && wanted?.startsWith("3")) data = "";
      return say(wanted);
    }
    const verb = text.slice(0, 4).toUpperCase();
    switch (verb) {
      case "EHLO":
      case "LHLO":
      case "HELO": {
        const keywords = verb === "HELO" ? [] : script.keywords ?? [];
        const all = ["mx.example.net", ...keywords];
        return say(all.map((word, at) => `250${at === all.length - 1 ? " " : "-"}${word}`).join("\r\n"));
      }
      case "STAR":
        return upgrade();
      case "MAIL":
        session.accepted = 0;
        return say("250 2.1.0 sender ok");
      case "RCPT":
        session.accepted++;
        return say("250 2.1.5 recipient ok");
      case "DATA":
        if (session.accepted === 0) return say("503 5.5.1 no recipients");
        data = "";
        return say("354 go on");
      case "QUIT":
        say("221 bye");
        return void socket.end();
      default:
        return say("250 ok");
    }
  };
  const read = (bytes: Uint8Array) => {
    buffer += Buffer.from(bytes).toString("latin1");
    for (;;) {
      if (data !== null) {
        if (script.early !== undefined && data === "") say(script.early);
        const whole = data + buffer;
        const end = whole.startsWith(".\r\n") ? 0 : whole.indexOf("\r\n.\r\n") + 2;
        if (end === 1) {
          // Keep what may be the start of the end.
          data = whole.slice(0, Math.max(0, whole.length - 4));
          buffer = whole.slice(data.length);
          return;
        }
        data = whole.slice(0, end);
        buffer = whole.slice(end + 3);
        finish();
        continue;
      }
      const end = buffer.indexOf("\r\n");
      if (end < 0) return;
      const text = buffer.slice(0, end);
      buffer = buffer.slice(end + 2);
      line(text);
    }
  };
  socket.on("data", read);
}

/** Waits until `done` says so; looks again after each turn of the event loop. Fails after a minute. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 60_000;
  while (!done()) {
    if (Date.now() > end) throw new Error(`Timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
