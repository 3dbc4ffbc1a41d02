/** TLS on a connection to a server: what may be asked for, and what came of it. Policy (when, and whether to verify) is the caller's. */

import type net from "node:net";
import type tls from "node:tls";
import { builtin } from "../builtin.ts";
import { ALL_VERSIONS, parseProtocols } from "../config/protocols.ts";
import { withErrorListener } from "../sockets/mod.ts";
import { ClientError } from "./error.ts";
import { type Clock, systemClock } from "../clock.ts";

export interface TlsOptions {
  /** Name that is verified, and sent as SNI when it is a host name. "" for neither. */
  readonly serverName: string;
  /** False: no SNI though there is a name. */
  readonly sni?: boolean;
  /** End the connection when the certificate does not verify. */
  readonly verify: boolean;
  /** PEM text that replaces the system's bundle. */
  readonly ca?: string | null;
  /** Client certificate, PEM. */
  readonly cert?: string | null;
  readonly key?: string | null;
  /** A list as smtpd.conf(5) has it; null for all that are offered. */
  readonly protocols?: string | null;
}

export interface TlsInfo {
  /** `TLSv1.3:TLS_AES_256_GCM_SHA384:256`, as the log has it. */
  readonly ciphers: string;
  /** The certificate stands for the name and leads to a trusted root. */
  readonly verified: boolean;
  /** `SHA256:` and 64 hex digits; "" when the server showed no certificate. */
  readonly fingerprint: string;
}

/**
 * Does the handshake on a connected socket. Rejects with a ClientError of kind "tls"; the socket is then useless. An error of the new socket
 * may come before the caller listens for it: `firstError` has it.
 */
export function secure(
  socket: net.Socket,
  options: TlsOptions,
  timeoutMs: number,
  clock: Pick<Clock, "after"> = systemClock,
): Promise<{ socket: tls.TLSSocket; info: TlsInfo }> {
  return new Promise((resolve, reject) => {
    let secured: tls.TLSSocket;
    const fail = (reason: string) => {
      cancelLimit();
      socket.destroy();
      reject(new ClientError("tls", `TLS failed: ${reason}`));
    };
    const cancelLimit = clock.after(timeoutMs, () => fail("handshake timed out"));
    const raw = (error: Error) => fail(explained(error.message));
    const closed = () => fail("connection closed by remote host");
    try {
      secured = withErrorListener(builtin("node:tls").connect(connectOptions(socket, options)));
    } catch (error) {
      return fail((error as Error).message);
    }
    secured.on("error", raw);
    secured.on("close", closed);
    secured.once("secureConnect", () => {
      cancelLimit();
      secured.off("error", raw);
      secured.off("close", closed);
      resolve({ socket: secured, info: describe(secured) });
    });
  });
}

/**
 * The library's words, and where the host ends the handshake at its first message what that most often means. RFC 8446 §6.2: handshake_failure,
 * insufficient_security and protocol_version.
 */
function explained(message: string): string {
  if (/alert: (?:HandshakeFailure|InsufficientSecurity)/.test(message)) {
    return `${message} (perhaps no cipher suite in common; smtpd.conf(5) lists ours under "smtp ciphers")`;
  }
  if (/alert: ProtocolVersion/.test(message)) return `${message} (no version of TLS in common; ours are 1.2 and 1.3)`;
  return message;
}

function connectOptions(socket: net.Socket, options: TlsOptions): tls.ConnectionOptions {
  const literal = options.serverName === "" || /^[\d.]+$|:/.test(options.serverName);
  const versions = options.protocols ? parseProtocols(options.protocols) : ALL_VERSIONS;
  if (versions === null) throw new Error(`Bad TLS protocols "${options.protocols}"`);
  return {
    socket,
    host: options.serverName,
    rejectUnauthorized: options.verify,
    minVersion: versions.min,
    maxVersion: versions.max,
    ...(literal || options.sni === false ? {} : { servername: options.serverName }),
    ...(options.sni === false ? { checkServerIdentity: checkName(options.serverName) } : {}),
    ...(options.ca ? { ca: options.ca } : {}),
    ...(options.cert ? { cert: options.cert } : {}),
    ...(options.key ? { key: options.key } : {}),
  };
}

/** Without SNI the name must still be the one that is verified. */
function checkName(name: string) {
  return (_host: string, certificate: tls.PeerCertificate) =>
    builtin("node:tls").checkServerIdentity(name, certificate);
}

function describe(socket: tls.TLSSocket): TlsInfo {
  const cipher = socket.getCipher()?.name ?? "unknown";
  const bits = /256|CHACHA20/.test(cipher) ? 256 : 128;
  const certificate = socket.getPeerCertificate(false) as tls.PeerCertificate | null;
  const digest = certificate?.fingerprint256?.replaceAll(":", "").toLowerCase() ?? "";
  return {
    ciphers: `${socket.getProtocol() ?? "unknown"}:${cipher}:${bits}`,
    verified: socket.authorized,
    fingerprint: digest === "" ? "" : `SHA256:${digest}`,
  };
}
