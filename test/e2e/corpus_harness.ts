/** What the corpus's configurations find when they start in the real daemon: files, certificates, programs, ports of their own. Asserts nothing. */

import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { type Entry, FILES, type Route } from "../config/corpus.ts";
import { PROJECT } from "./harness.ts";
import { freePort } from "../ports.ts";

const CERTIFICATES = new URL("../smtp/certificates/", import.meta.url);
/** What of a certificate the configurations name, and what stands for it. */
const SECRETS = [["mx.pem", "ssl/mail.crt"], ["mx.key", "ssl/private/mail.key"], ["authority.pem", "ssl/isp-ca.pem"]];

/** A filter that wants reports of clients and has nothing to say, as often as it is started. */
const FILTER = `#!/bin/sh
while read -r line && [ "$line" != "config|ready" ]; do :; done
echo "register|report|smtp-in|link-connect"
echo "register|ready"
while read -r line; do :; done
`;
/** A table that knows nobody. */
const TABLE = `#!/bin/sh
while read -r line && [ "$line" != "config|ready" ]; do :; done
for service in alias credentials userinfo; do echo "register|$service"; done
echo "register|ready"
while IFS='|' read -r word version time table op service id key; do
  [ "$op" = update ] && echo "update-result|$service|ok" || echo "$op-result|$id|not-found"
done
`;
const SQLITE = `query_alias SELECT value FROM aliases WHERE key = ?
query_domain SELECT key FROM aliases WHERE key = ?
query_credentials SELECT key, value FROM aliases WHERE key = ?
query_mailaddrmap SELECT value FROM aliases WHERE key = ?
`;

/** A configuration that is set up in a folder, and where its listeners are to be found. */
export interface CorpusHarness {
  readonly config: string;
  /** Ports of its own listeners. */
  readonly ports: readonly number[];
  /** Ports, by tag, where a PROXY header gives the client's address. */
  readonly proxied: ReadonlyMap<string, number>;
}

/** Lays everything that any of the configurations names into `folder`. */
export async function furnish(all: readonly Entry[], folder: string): Promise<void> {
  const etc = join(folder, "etc");
  layFiles(etc);
  layPrograms(all, join(folder, "libexec"));
  await compileTables(etc);
}

/** Answers the configuration for a furnished `folder`, with a listener more for each tag of `routes`. */
export function harnessFor({ text }: Entry, routes: readonly Route[], folder: string): CorpusHarness {
  const etc = join(folder, "etc");
  const ports: number[] = [];
  const port = () => {
    const free = freePort();
    ports.push(free);
    return free;
  };
  const proxied = new Map<string, number>();
  for (const { origin } of routes) if (!proxied.has(origin.tag)) proxied.set(origin.tag, freePort());
  const more = [...proxied].map(([tag, number]) => `listen on 127.0.0.1 port ${number} proxy-v2 tag "${tag}"\n`);
  return { config: `${more.join("")}${moved(text, port).replaceAll("/etc/", `${etc}/`)}\n`, ports, proxied };
}

/** The text with ports that are free, on loopback, and without what only a whole machine has. */
function moved(text: string, port: () => number): string {
  // The admin page's port is one of the listeners' too, and so is one in a macro.
  const ported = text.replace(/(?<!#.*)\bport (\w+|\$\w+)/g, () => `port ${port()}`);
  const here = ported.replace(/^( *listen on )(?!socket)("[^"]*"|\S+)((?:.*\\\n)*.*)$/gm, (_, verb, on, rest) => {
    const where = /^"?(all|egress|0\.0\.0\.0)"?$/.test(on) ? "127.0.0.1" : on === "::" ? "::1" : on;
    return `${verb}${where}${/\bport\b|\$options/.test(rest) ? "" : ` port ${port()}`}${rest}`;
  });
  const root = Deno.uid() === 0;
  return here.replaceAll(/ chroot "[^"]*"/g, "")
    .replaceAll(/ user nobody( group nogroup)?/g, (words) => root ? words : "")
    .replace(/^smtp banner-delay .*$/gm, "smtp banner-delay 1s");
}

/** The files that the configurations find under /etc. */
function layFiles(etc: string): void {
  const copyFolder = (from: URL, to: string) => {
    Deno.mkdirSync(to, { recursive: true });
    for (const { name, isDirectory } of Deno.readDirSync(from)) {
      if (isDirectory) copyFolder(new URL(`${name}/`, from), join(to, name));
      else {Deno.writeTextFileSync(
          join(to, name),
          Deno.readTextFileSync(new URL(name, from)).replaceAll("/etc/", `${etc}/`),
        );}
    }
  };
  copyFolder(new URL("etc/", FILES), etc);
  for (const [from = "", to = ""] of SECRETS) {
    Deno.mkdirSync(dirname(join(etc, to)), { recursive: true });
    Deno.copyFileSync(fileURLToPath(new URL(from, CERTIFICATES)), join(etc, to));
    Deno.chmodSync(join(etc, to), 0o600);
  }
  Deno.writeTextFileSync(join(etc, "people.passwd"), "erika:x:2000:2000::/srv/mail/erika:/bin/sh\n");
}

/** Programs that the configurations name without a path. */
function layPrograms(all: readonly Entry[], libexec: string): void {
  Deno.mkdirSync(libexec);
  const lay = (name: string, script: string) => {
    Deno.writeTextFileSync(join(libexec, name), script);
    Deno.chmodSync(join(libexec, name), 0o755);
  };
  for (const { text } of all) for (const [, name = ""] of text.matchAll(/"(filter-\w+)/g)) lay(name, FILTER);
  lay("table-directory", TABLE);
}

/** Compiled tables and databases. */
async function compileTables(etc: string): Promise<void> {
  const file = join(etc, "rows.db");
  const database = new DatabaseSync(file);
  database.exec("CREATE TABLE aliases (key TEXT PRIMARY KEY, value TEXT)");
  database.close();
  Deno.writeTextFileSync(join(etc, "names.sqlite"), `dbpath ${file}\n${SQLITE}`);
  const source = join(etc, "aliases");
  const { success } = await new Deno.Command(join(PROJECT, "scripts/makemap"), { args: ["-t", "aliases", source] })
    .output();
  if (!success) throw new Error(`makemap failed for ${basename(source)}`);
}
