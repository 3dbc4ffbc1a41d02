/** Debian's pebble, an authority for tests of ACME, with pebble-challtestsrv, the DNS that it asks: both unpacked by scripts/tools.sh. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/tls/mod.ts";
import { freePort } from "../ports.ts";
import { PROJECT, within } from "./harness.ts";

const bin = (name: string) => join(PROJECT, ".deno/tools/bin", name);

/** False where pebble could not be had: its tests say so then. */
export const HAS_PEBBLE = existsSync(bin("pebble"));

export interface PebbleOptions {
  /** How long its certificates are good. */
  readonly seconds?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** One authority. All names lead to 127.0.0.1; it connects to `httpPort` and `tlsPort` there. */
export class Pebble {
  readonly folder = Deno.makeTempDirSync({ prefix: "vaultpost-pebble-" });
  readonly port = freePort();
  readonly httpPort = freePort();
  readonly tlsPort = freePort();
  /** Of the DNS: records are set there. */
  readonly dnsManagementPort = freePort();
  readonly #managementPort = freePort();
  readonly #dnsPort = freePort();
  /** File of the certificate of its own TLS. */
  readonly ca = join(this.folder, "tls.pem");
  readonly #children: Deno.ChildProcess[] = [];
  readonly #reading: Promise<void>[] = [];
  readonly log: string[] = [];

  /** Starts both and waits until they answer. */
  static async start({ seconds = 7 * 86_400, env = {} }: PebbleOptions = {}): Promise<Pebble> {
    const pebble = new Pebble();
    const { folder, ca, port, httpPort, tlsPort } = pebble;
    const { cert, key } = selfSignedCertificate({ name: "localhost", now: Date.now(), days: 2 });
    Deno.writeTextFileSync(ca, cert);
    Deno.writeTextFileSync(join(folder, "tls.key"), key);
    const config = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${pebble.#managementPort}`,
      certificate: ca,
      privateKey: join(folder, "tls.key"),
      httpPort,
      tlsPort,
      ocspResponderURL: "",
      certificateValidityPeriod: seconds,
    };
    Deno.writeTextFileSync(join(folder, "pebble.json"), JSON.stringify({ pebble: config }));
    const dns = `127.0.0.1:${pebble.#dnsPort}`;
    pebble.#spawn("pebble-challtestsrv", [
      ...["-dns01", dns, "-management", `127.0.0.1:${pebble.dnsManagementPort}`],
      ...["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""],
    ]);
    pebble.#spawn("pebble", ["-config", join(folder, "pebble.json"), "-dnsserver", dns], {
      PEBBLE_VA_NOSLEEP: "1",
      PEBBLE_AUTHZREUSE: "0",
      ...env,
    });
    await within(pebble.#answers(), "pebble");
    return pebble;
  }

  get directory(): string {
    return `https://localhost:${this.port}/dir`;
  }

  /** The certificate that its certificates lead to. */
  async root(): Promise<string> {
    const client = Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(this.ca)] });
    const answer = await fetch(`https://localhost:${this.#managementPort}/roots/0`, { client });
    client.close();
    return await answer.text();
  }

  #spawn(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
    const child = new Deno.Command(bin(name), { args: [...args], env, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
    this.#children.push(child);
    for (const stream of [child.stdout, child.stderr]) this.#reading.push(this.#read(stream));
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.log.push(...lines);
    }
  }

  async #answers(): Promise<void> {
    for (const port of [this.port, this.dnsManagementPort]) {
      for (;;) {
        try {
          (await Deno.connect({ hostname: "127.0.0.1", port })).close();
          break;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const child of this.#children) await child.status;
    await Promise.all(this.#reading);
    Deno.removeSync(this.folder, { recursive: true });
  }
}
