/** Debian's rspamd with its checks and signatures of DKIM alone, for tests. Keys are those of helper.ts, which a name server on loopback has. */

import { Buffer } from "node:buffer";
import { sleep } from "../../../src/clock.ts";
import { type FakeDns, fakeDns, txt } from "../../dns/fake_dns.ts";
import { freePort } from "../../ports.ts";
import { KEYS, PEMS, RECORDS } from "./helper.ts";

/** Where scripts/tools.sh unpacks it. */
const ROOT = new URL("../../../.deno/tools/rspamd/usr", import.meta.url).pathname;

/** Tells whether rspamd is here. */
export function hasRspamd(): boolean {
  try {
    return Deno.statSync(`${ROOT}/bin/rspamd`).isFile;
  } catch {
    return false;
  }
}

/** What it says of a message. */
export interface RspamdAnswer {
  /** `domain:s=selector` of the signatures that pass, and of those that do not. */
  readonly passed: readonly string[];
  readonly refused: readonly string[];
  /** The value of the DKIM-Signature that it makes for a user; null without one. */
  readonly signature: string | null;
}

function config(folder: string, { port, dnsPort, key }: { port: number; dnsPort: number; key: string }): string {
  return `
options {
  filters = "dkim"; url_tld = "${folder}/domains"; disable_hyperscan = true; local_addrs = "192.0.2.0/24";
  dns { nameserver = ["127.0.0.1:${dnsPort}:1"]; timeout = 5s; retransmits = 2; }
  tempdir = "${folder}"; pidfile = "${folder}/pid"; hs_cache_dir = "${folder}";
}
logging { type = "console"; level = "error"; }
dkim { max_sigs = 10; }
metric {
  name = "default"; actions { reject = 1000; }
  group "dkim" { symbol "R_DKIM_ALLOW" { weight = 0.0; } symbol "R_DKIM_REJECT" { weight = 0.0; } }
}
worker "normal" { bind_socket = "127.0.0.1:${port}"; count = 1; }
modules { path = "${ROOT}/share/rspamd/plugins/dkim_signing.lua"; }
dkim_signing {
  sign_authenticated = true; sign_local = false; use_domain = "header"; use_esld = false; use_redis = false;
  allow_username_mismatch = true; allow_hdrfrom_mismatch = true; allow_hdrfrom_multiple = true; check_pubkey = false;
  domain { example.org { path = "${folder}/key"; selector = "${key}"; } }
}
`;
}

/** Of Ed25519 it reads the secret and the public octets in base64, and no PEM. */
function keyText(name: string): string {
  if (KEYS[name]!.asymmetricKeyType === "rsa") return PEMS[name]!;
  const { d, x } = KEYS[name]!.export({ format: "jwk" });
  return Buffer.concat([Buffer.from(d!, "base64url"), Buffer.from(x!, "base64url")]).toString("base64");
}

/** A process of rspamd that listens. */
export class Rspamd implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #url: string;
  readonly #folder: string;
  readonly #dns: FakeDns;

  private constructor(process: Deno.ChildProcess, place: { url: string; folder: string; dns: FakeDns }) {
    this.#process = process;
    this.#url = place.url;
    this.#folder = place.folder;
    this.#dns = place.dns;
  }

  /** Starts it, to sign with a key by its name, and waits until it answers. */
  static async start(key: string): Promise<Rspamd> {
    const folder = await Deno.makeTempDir({ prefix: "rspamd-" });
    const dns = await fakeDns(Object.fromEntries(
      Object.entries(RECORDS).map(([name, text]) => [
        `${name}._domainkey.example.org`,
        [txt(...text.match(/.{1,255}/g)!)],
      ]),
    ));
    const port = freePort();
    await Deno.writeTextFile(`${folder}/conf`, config(folder, { port, dnsPort: dns.port, key }));
    await Deno.writeTextFile(`${folder}/domains`, "org\nnet\n");
    await Deno.writeTextFile(`${folder}/key`, keyText(key));
    const share = `${ROOT}/share/rspamd`;
    const variables = Object.entries({
      ...{ SHAREDIR: share, RULESDIR: `${share}/rules`, LUALIBDIR: `${share}/lualib`, PLUGINSDIR: `${share}/plugins` },
      ...{ CONFDIR: folder, DBDIR: folder, RUNDIR: folder },
    });
    const process = new Deno.Command(`${ROOT}/bin/rspamd`, {
      args: ["-f", "-i", "-c", `${folder}/conf`, ...variables.map(([name, value]) => `--var=${name}=${value}`)],
      env: { LD_LIBRARY_PATH: `${ROOT}/lib/rspamd:${ROOT}/lib/${Deno.build.arch}-linux-gnu` },
      stdout: "null",
      stderr: "null",
    }).spawn();
    const rspamd = new Rspamd(process, { url: `http://127.0.0.1:${port}`, folder, dns });
    let ended = false;
    process.status.then(() => ended = true);
    for (;;) {
      const answer = await fetch(`${rspamd.#url}/ping`).catch(() => null);
      await answer?.body?.cancel();
      if (answer?.ok) return rspamd;
      if (ended) {
        await rspamd[Symbol.asyncDispose]();
        throw new Error("rspamd ended");
      }
      await sleep(20);
    }
  }

  /** Passes a message whose lines end with LF to it: a stranger's, or one of a user, which it signs. */
  async scan(message: Uint8Array, from: "stranger" | "user"): Promise<RspamdAnswer> {
    const sent = Buffer.from(message).toString("latin1").replaceAll("\n", "\r\n");
    const answer = await fetch(`${this.#url}/checkv2`, {
      method: "POST",
      headers: { IP: "203.0.113.1", From: "a@example.org", ...(from === "user" ? { User: "a@example.org" } : {}) },
      body: Buffer.from(sent, "latin1"),
    });
    const { symbols = {}, "dkim-signature": signature = null } = await answer.json();
    const of = (name: string) => symbols[name]?.options ?? [];
    return { passed: of("R_DKIM_ALLOW"), refused: of("R_DKIM_REJECT"), signature };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch { /* It has ended. */ }
    await this.#process.status;
    await this.#dns.close();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
