/** A configuration as text, with a made-up machine, as the explanation and the isolates get it. */

import type { Config } from "../../src/config/mod.ts";
import type { Account, Forward, Listener, Settings } from "../../src/protocol/mod.ts";
import { SystemAccounts } from "../../src/lookup/mod.ts";
import type { Machine } from "../../src/lookup/lookup_engine.ts";
import type { MainClient } from "../../src/lookup/main_client.ts";
import { cutSettings } from "../../src/daemon/settings.ts";
import { resolveListeners } from "../../src/daemon/sockets/listeners.ts";
import { Front, type FrontPorts } from "../../src/explain/front.ts";
import type { Envelope } from "../../src/explain/client.ts";
import { ANY_PASSWORD } from "../../src/explain/order.ts";
import { FixtureDns } from "../mail_auth/fixture_dns.ts";
import { environment } from "../cli/fakes.ts";
import { configOf } from "../config/helper.ts";

export const PASSWD = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n" +
  "bob:x:1001:1001::/home/bob:/bin/sh\nvmail:x:8:8::/var/vmail:/bin/false\n";
/** When messages come. */
export const AT = Date.UTC(2026, 0, 2, 3, 4, 5);
export const SERVER = "mail.example.org";

/** What the machine has beside the configuration. */
export interface MadeUp {
  readonly passwd?: string;
  /** Texts of `.forward` files by user. */
  readonly forwards?: Readonly<Record<string, string>>;
  /** Files of tables and includes. */
  readonly files?: Readonly<Record<string, string>>;
}

export function machineOf({ passwd = PASSWD, forwards = {}, files = {} }: MadeUp = {}): Machine {
  const textOf = (path: string) => {
    if (!Object.hasOwn(files, path)) throw new Deno.errors.NotFound("No such file or directory");
    return files[path]!;
  };
  const forward = ({ name, home }: Account): Forward =>
    Object.hasOwn(forwards, name)
      ? { kind: "text", path: `${home}/.forward`, text: forwards[name]! }
      : { kind: "none" };
  const main = {
    knownForward: forward,
    forward: (who: Account) => Promise.resolve(forward(who)),
    knownAccount: () => null,
    account: () => Promise.resolve(null),
  };
  return {
    accounts: new SystemAccounts({ read: () => passwd, stamp: () => "1" }, () => 0),
    readText: textOf,
    file: (path) => ({ read: () => new TextEncoder().encode(textOf(path)), stamp: () => "1" }),
    sqlite: () => {
      throw new Error("There is no database");
    },
    main: main as unknown as MainClient,
  };
}

/** The settings of a configuration, as the daemon cuts them. */
export async function settingsOf(config: Config): Promise<Settings> {
  const listeners: readonly Listener[] = await resolveListeners(config, SERVER, "/run/smtpd.smtp.sock");
  return cutSettings(config, {
    env: environment({}),
    users: null,
    certificates: { pki: {}, ca: {} },
    queueKeys: null,
    listeners,
    saltKey: new Uint8Array(32),
    serverName: SERVER,
    resolver: { servers: [], timeoutMs: 1, attempts: 1, hosts: [] },
    log: [],
    descriptors: null,
    paused: { smtp: false, mda: false, mta: false },
  });
}

/** The front of a configuration, and what may differ from the usual. */
export async function frontOf(
  text: string,
  around: MadeUp & { readonly ports?: Partial<FrontPorts> } = {},
): Promise<{ readonly front: Front; readonly config: Config; readonly settings: Settings }> {
  const config = configOf(text, { files: around.files ?? {} });
  const settings = await settingsOf(config);
  const front = new Front(settings, {
    machine: machineOf(around),
    namer: { reverse: () => Promise.resolve({ hostname: "client.example.net", confirmed: "pass" }) },
    dns: new FixtureDns({}),
    now: () => AT,
    anyPassword: ANY_PASSWORD,
    ...around.ports,
  });
  return { front, config, settings };
}

export function envelope(changes: Partial<Envelope> = {}): Envelope {
  return {
    listener: 1,
    peer: { address: "192.0.2.7", port: 0, uid: null },
    helo: "client.example.net",
    tls: false,
    login: null,
    sender: "a@example.net",
    recipients: ["alice@example.org"],
    ...changes,
  };
}

export const MESSAGE = new TextEncoder().encode("From: a@example.net\nSubject: x\n\n.dot\nend\n");
