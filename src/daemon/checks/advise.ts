/** What an operator should know of a configuration that is right by the grammar: the machine's side of src/advice, and listeners that cannot listen. */

import { isIP } from "node:net";
import { dirname } from "node:path";
import { adviseOn, type MachineState, type SystemUsers, tableFault } from "../../advice/mod.ts";
import { adminKey } from "../../config/admin.ts";
import type { Config, Environment, SourceLine } from "../../config/mod.ts";
import { controlSocketPath, MAILNAME } from "../../config/paths.ts";
import { shown } from "../../config/values.ts";
import { connectSocket } from "../../sockets/mod.ts";
import type { Listener } from "../../protocol/mod.ts";
import { readTableBytes } from "../../lookup/mod.ts";
import { parsePasswd } from "../../tables/mod.ts";
import { certificateWarnings } from "./certificate_advice.ts";
import { acmePlaces } from "../acme/acme_files.ts";
import { Fatal } from "../fatal.ts";
import { readIfPresent } from "../files.ts";
import { commandUser } from "../programs.ts";
import { interfaceList } from "../machine/interfaces.ts";
import { openServer } from "../sockets/listeners.ts";
import { NameService } from "../machine/name_service.ts";
import { readResolver, readServerName } from "../machine/machine_names.ts";
import { socketFolderWarnings } from "./spool_guard.ts";

/** Table files that are looked into at each start: a large one is looked into by `smtpd -n` only. */
const START_BYTES = 4 * 1024 * 1024;
const CHECK_BYTES = 256 * 1024 * 1024;
/** What can be reached from this machine only. */
const LOOPBACK = /^(?:lo|lo0|localhost|127\..*|::1)$/;

/** `file:line: warning: …` lines. `occasion`: a check looks into all files, a start into those of a usual size. */
export async function advice(config: Config, env: Environment, occasion: "check" | "start"): Promise<string[]> {
  const limit = occasion === "check" ? CHECK_BYTES : START_BYTES;
  const hasCommandUser = await hasUser(commandUser(env));
  const users = new Users();
  const machine: MachineState = {
    readText: (path) => Deno.statSync(path).size > limit ? null : Deno.readTextFileSync(path),
    hasUser: () => hasCommandUser,
    interfaceList: () => interfaceList(),
  };
  const read = (path: string) => Deno.statSync(path).size > limit ? null : readTableBytes(path);
  const serverName = readServerName(readResolver(env).hosts);
  try {
    return [
      ...await adviseOn(config, read, machine, users),
      ...serverNameWarnings(config, serverName),
      ...socketFolderWarnings(dirname(controlSocketPath(env))),
      ...certificateWarnings(config, serverName, Date.now()),
      ...occasion === "check" && hasCommandUser === false ? programWarnings(config) : [],
    ];
  } finally {
    users.close();
  }
}

/**
 * Why `smtpctl update table` is not to read a table again; null when nothing is known against it. Does not look into a file of more than a usual size.
 * `mayInclude`: the include files that are in use.
 */
export function faultOfTable(config: Config, name: string, mayInclude: (path: string) => boolean): string | null {
  const large = (path: string) => Deno.statSync(path).size > START_BYTES;
  const machine: MachineState = {
    readText: (path) => large(path) ? null : Deno.readTextFileSync(path),
    hasUser: () => null,
    interfaceList: () => interfaceList(),
    mayInclude,
  };
  return tableFault(config, (path) => large(path) ? null : readTableBytes(path), machine, name);
}

/** The accounts of /etc/passwd, and of the name service for names that are not there. */
class Users implements SystemUsers {
  readonly #passwd = parsePasswd(readIfPresent("/etc/passwd") ?? "");
  readonly #service = new NameService();
  readonly #asked = new Map<string, number | null | "unknown">();

  async uidOf(name: string): Promise<number | null | "unknown"> {
    const own = this.#passwd.get(name)?.uid ?? this.#asked.get(name);
    if (own !== undefined) return own;
    const found = await this.#service.find(name);
    // A name service that fails may know the user.
    const uid = found === null ? null : "error" in found ? "unknown" : found.uid;
    this.#asked.set(name, uid);
    return uid;
  }

  names(): readonly string[] {
    return [...this.#passwd.keys()];
  }

  close(): void {
    this.#service.close();
  }
}

/** Null where that does not matter: without root everything runs as the calling user. */
async function hasUser(name: string): Promise<boolean | null> {
  if (Deno.uid() !== 0) return null;
  if (`\n${readIfPresent("/etc/passwd") ?? ""}`.includes(`\n${name}:`)) return true;
  const names = new NameService();
  try {
    // A name service that fails may know the user.
    return await names.find(name) !== null;
  } finally {
    names.close();
  }
}

function programWarnings(config: Config): string[] {
  const processes = Object.values(config.processes).filter(({ user }) => user === null);
  const places: SourceLine[] = [
    ...processes.map(({ at }) => at),
    ...Object.keys(config.programs).flatMap((name) => config.declared[`table ${name}`] ?? []),
  ];
  return places.map(({ file, line }) =>
    `${file}:${line}: warning: this machine has no user _smtpd: the program will run as nobody, like programs of other ` +
    `services, which could then read and stop it: make the user: useradd --system --no-create-home --shell /usr/sbin/nologin _smtpd`
  );
}

/** A name without a dot is refused by many a server that this one greets (RFC 5321 §2.3.5). */
export function serverNameWarnings(config: Config, name: string): string[] {
  if (name.includes(".") || isIP(name) !== 0) return [];
  const relays = Object.values(config.actions).some((action) =>
    action.kind === "relay" && action.helo === null && action.heloSrc === null
  );
  const listens = config.listen.some(({ on, socket, hostname }) => !socket && hostname === null && !LOOPBACK.test(on));
  if (!relays && !listens) return [];
  return [
    `warning: this server is called "${shown(name)}", which is no full name, and others will refuse its mail: ` +
    `write its name, such as mail.example.org, into ${MAILNAME}`,
  ];
}

/**
 * `file:line: warning: …` for each listener, the admin page and the ports of challenges of ACME included, that could not listen if the daemon was started now. None while a daemon
 * answers on the control socket: it holds them.
 */
export async function listenWarnings(
  config: Config,
  env: Environment,
  listeners: readonly Listener[],
): Promise<string[]> {
  if (await isRunning(controlSocketPath(env))) return [];
  const admin = config.admin.flatMap((one) =>
    "path" in one ? [] : [{ address: one.address, port: one.port, at: config.declared[adminKey(one)] }]
  );
  const warnings: string[] = [];
  const own = listeners.filter(({ socket }) => !socket);
  for (const place of [...own, ...admin, ...acmePlaces(config)]) {
    try {
      const server = await openServer(place, 1, (socket) => socket.destroy(), () => {});
      await new Promise((resolve) => server.close(resolve));
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
      const prefix = place.at === undefined ? "" : `${place.at.file}:${place.at.line}: `;
      const advice = "advice" in place ? place.advice : "";
      warnings.push(`${prefix}warning: ${error.message.replace(prefix, "")}${advice}`);
    }
  }
  return warnings;
}

function isRunning(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connectSocket({ path });
    probe.once("connect", () => (probe.destroy(), resolve(true)));
    probe.once("error", () => resolve(false));
  });
}
