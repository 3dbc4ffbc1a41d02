/** TLS for a listener: its certificates, chosen by the name that the client asks for, and what is known after the handshake. */

import type net from "node:net";
import { X509Certificate } from "node:crypto";
import tls from "node:tls";
import { endPointBinding } from "./binding.ts";
import { certificateNames, chainFault, matchesName, readBundle } from "./certificate.ts";
import { cipherText } from "./ciphers.ts";
import type { VersionRange } from "../config/mod.ts";
import { ALL_VERSIONS } from "../config/protocols.ts";
import { withErrorListener } from "../sockets/mod.ts";
import { readHello } from "./hello.ts";

export type TlsSocket = tls.TLSSocket;

const NOTHING = new Uint8Array(0);

export interface ServerTlsOptions {
  /** PEM texts. The first is for clients that ask for no name or an unknown one. */
  readonly pairs: readonly { readonly cert: string; readonly key: string }[];
  readonly versions?: VersionRange;
  /**
   * Given: clients must show a certificate that leads to one of this PEM bundle; null stands for the authorities that the runtime
   * brings along.
   */
  readonly verify?: { readonly ca: string | null };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export type Inspection =
  | {
    readonly ok: true;
    readonly ciphers: string;
    readonly verified: boolean;
    /** Of the client's certificate, null when it showed none. */
    readonly fingerprint: string | null;
    /** Channel binding of the certificate that was shown, see endPointBinding(); null where none was, since the session was resumed. */
    readonly binding: string | null;
  }
  | { readonly ok: false; readonly reason: string };

/** node:tls leaves `secureContext` out of the options of its socket's type. */
type SocketOptions = tls.TLSSocketOptions & { readonly secureContext: tls.SecureContext };

interface Named {
  readonly names: readonly string[];
  readonly context: tls.SecureContext;
  readonly binding: string | null;
}

export class ServerTls {
  readonly #contexts: readonly Named[];
  readonly #trusted: readonly X509Certificate[] | null;
  readonly #now: () => number;
  /** The certificate that a connection is shown. */
  readonly #shown = new WeakMap<TlsSocket, Named>();

  /** Throws when a certificate or key cannot be read: that is a mistake in the configuration. */
  constructor(options: ServerTlsOptions) {
    const { min, max } = options.versions ?? ALL_VERSIONS;
    this.#contexts = options.pairs.map(({ cert, key }) => ({
      names: certificateNames(cert),
      context: tls.createSecureContext({ cert, key, minVersion: min, maxVersion: max }),
      binding: endPointBinding(cert),
    }));
    if (this.#contexts.length === 0) throw new Error("A listener with TLS has no certificate");
    this.#now = options.now;
    this.#trusted = options.verify === undefined
      ? null
      : readBundle(options.verify.ca ?? tls.rootCertificates.join("\n"));
  }

  /**
   * Waits for the ClientHello on a socket that has not been read from, chooses the certificate by its name and begins the handshake: `begun` is
   * called with the new socket, which reports to `secure` when the handshake is done. It is never called for a connection that ends before.
   *
   * The name is read here and not by an SNICallback: the runtime would keep for ever each socket whose handshake ends before that is called.
   */
  accept(socket: net.Socket, begun: (secured: TlsSocket) => void): void {
    let sent: Uint8Array = NOTHING;
    const data = (bytes: Uint8Array) => {
      sent = sent.length === 0 ? bytes : concat(sent, bytes);
      const hello = readHello(sent);
      if (hello.at === "reading") return;
      // TLS reads it again, from the start.
      socket.pause().off("data", data).unshift(sent);
      begun(this.#begin(socket, this.#namedFor(hello.name)));
    };
    socket.on("data", data).resume();
  }

  #begin(socket: net.Socket, chosen: Named): TlsSocket {
    const options: SocketOptions = {
      isServer: true,
      secureContext: chosen.context,
      requestCert: this.#trusted !== null,
      rejectUnauthorized: this.#trusted !== null,
    };
    const secured: TlsSocket = withErrorListener(new tls.TLSSocket(socket, options));
    // Of what breaks the session after the handshake the runtime reports by this event alone, and leaves the socket open.
    secured.on("_tlsError", (error: Error) => secured.destroy(error));
    this.#shown.set(secured, chosen);
    return secured;
  }

  #namedFor(name: string | null): Named {
    const first = this.#contexts[0]!;
    return name === null ? first : this.#contexts.find(({ names }) => matchesName(names, name)) ?? first;
  }

  /**
   * What the log and Received say of a finished handshake. On a listener that verifies, this is where the chain is checked: the runtime
   * only makes sure that there is a certificate and that the client has its key.
   */
  inspect(socket: TlsSocket): Inspection {
    const ciphers = cipherText(socket.getProtocol(), socket.getCipher()?.name);
    // Certificates are asked for only where they are verified.
    // A resumed session is bound to the certificate of the first one, which may have been another.
    const binding = socket.isSessionReused() ? null : this.#shown.get(socket)!.binding;
    if (this.#trusted === null) return { ok: true, ciphers, verified: false, fingerprint: null, binding };
    const chain = peerChain(socket);
    const fault = chainFault(chain, this.#trusted, this.#now());
    if (fault !== null) return { ok: false, reason: fault };
    return { ok: true, ciphers, verified: true, fingerprint: fingerprintOf(chain[0]), binding };
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** The client's certificate and those it sent along. */
function peerChain(socket: TlsSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<string>();
  let current: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (current?.raw !== undefined && chain.length < 16 && !seen.has(current.fingerprint256)) {
    seen.add(current.fingerprint256);
    chain.push(new X509Certificate(current.raw));
    current = current.issuerCertificate;
  }
  return chain;
}

/** As the log writes it: `SHA256:` and the digest in hex. */
function fingerprintOf(certificate: X509Certificate | undefined): string | null {
  if (certificate === undefined) return null;
  return `SHA256:${certificate.fingerprint256.replaceAll(":", "").toLowerCase()}`;
}
