/** The machine as smtpctl setup meets it, in one place that tests replace: users, addresses, the DNS, programs. */

import { hostname, networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import type { Environment } from "../../../config/mod.ts";
import { resolvConfPath } from "../../../config/paths.ts";
import { mailAuthDns, parseHosts, parseResolvConf, Resolver } from "../../../dns/mod.ts";
import { makeKeyPair } from "../dkim.ts";
import type { ReaderAccount } from "./answers.ts";
import type { PlannedKey } from "./plan.ts";
import {
  addressesOf,
  askNames,
  exists,
  findAccount,
  greetingAt,
  installedServers,
  type MachineFacts,
  type NameFacts,
  outgoingFault,
  readText,
} from "./machine.ts";

export interface Surroundings {
  readonly uid: number;
  findAccount(name: string): Promise<ReaderAccount | null>;
  lookAtMachine(): Promise<MachineFacts>;
  askNames(
    names: { readonly domain: string; readonly hostname: string; readonly addresses: readonly string[] },
  ): Promise<NameFacts>;
  /** A sentence about connections from here to port 25 of an exchanger of the domain. */
  probe(domain: string): Promise<string>;
  /** The domain of this machine's name; null for none. */
  ownDomain(): string | null;
  /** Who calls by sudo(8) or doas(1); null when nobody does. */
  callingUser(): string | null;
  isFolder(path: string): boolean;
  /** Makes the keys of DKIM: for `selector`, and for the one of Ed25519 beside it. */
  makeKeys(selector: string): Promise<readonly PlannedKey[]>;
  /** Is this file an example of ours that nobody has changed? */
  isExample(path: string): boolean;
  /** The names of our users that the machine does not have. */
  missingUsers(): readonly string[];
  /** Runs a program, and returns its exit status and what it said. */
  run(program: string, args: readonly string[]): Promise<{ readonly code: number; readonly text: string }>;
  /** How smtpd is started: a program, and what stands before the arguments. */
  readonly smtpd: readonly [program: string, ...args: string[]];
  /** Does systemd run this machine, and has it our unit? */
  hasUnit(): boolean;
}

const PROJECT = fileURLToPath(new URL("../../../../", import.meta.url));
const UNIT_FOLDERS = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];
export const UNIT = "vaultpost.service";

/** The machine itself. */
export function surroundings(env: Environment): Surroundings {
  const uid = Deno.uid() ?? 0;
  const resolver = () => {
    const { servers, timeoutMs, attempts } = parseResolvConf(readText(resolvConfPath(env)));
    return mailAuthDns(new Resolver({ servers, timeoutMs, attempts, hosts: parseHosts("") }));
  };
  return {
    uid,
    findAccount,
    lookAtMachine: async () => ({
      ...addressesOf(Object.values(networkInterfaces()).flatMap((some) => some ?? [])),
      port25: await greetingAt("127.0.0.1"),
      servers: installedServers(exists),
    }),
    askNames: (names) => askNames(resolver(), names),
    probe: async (domain) => {
      const fault = await outgoingFault(resolver(), domain);
      return fault === null
        ? `Connections out: port 25 of an exchanger of ${domain} answers.`
        : `Connections out: ${fault}: ask your provider whether port 25 is blocked.`;
    },
    ownDomain: () => {
      const name = readText("/etc/mailname").split("\n", 1)[0]!.trim() || hostname();
      const labels = name.split(".");
      return labels.length > 2 ? labels.slice(1).join(".") : labels.length === 2 ? name : null;
    },
    callingUser: () => env.get("SUDO_USER") || env.get("DOAS_USER") || null,
    isFolder: (path) => {
      try {
        return Deno.statSync(path).isDirectory;
      } catch {
        return false;
      }
    },
    makeKeys: makeKeyPair,
    isExample: (path) => isExample(path),
    missingUsers: () =>
      uid !== 0
        ? []
        : [env.get("SMTPD_USER") || "smtpd", env.get("SMTPD_QUEUE_USER") || "smtpq"].filter((name) =>
          !`\n${readText("/etc/passwd")}`.includes(`\n${name}:`)
        ),
    run: async (program, args) => {
      const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
      const decoder = new TextDecoder();
      return { code, text: (decoder.decode(stdout) + decoder.decode(stderr)).trimEnd() };
    },
    // One binary with all programs inside goes by the first word.
    smtpd: Deno.build.standalone ? [Deno.execPath(), "--as", "smtpd"] : [`${PROJECT}scripts/smtpd`],
    hasUnit: () => exists("/run/systemd/system") && UNIT_FOLDERS.some((folder) => exists(`${folder}/${UNIT}`)),
  };
}

/** Packages and scripts/install put an example in place of a configuration: as long as nobody has changed it, it is none. */
function isExample(path: string): boolean {
  const text = readText(path);
  if (text === "") return false;
  return [`${PROJECT}conf`, `${PROJECT}conf/examples`].some((folder) => {
    try {
      return [...Deno.readDirSync(folder)].some(({ name }) =>
        name.endsWith(".conf") && readText(`${folder}/${name}`) === text
      );
    } catch {
      return false;
    }
  });
}
