/** Configurations of the corpus that say so start in the real daemon, on ports of their own, and it answers RCPT as their comments say. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { entries, type Entry, FILES, routeOf } from "../config/corpus.ts";
import { Client } from "./client.ts";
import { freePort, withDaemon } from "./harness.ts";

const CERTIFICATES = new URL("../smtp/certificates/", import.meta.url);
/** What of a certificate the configurations name, and what stands for it. */
const SECRETS = [["mx.pem", "ssl/mail.crt"], ["mx.key", "ssl/private/mail.key"], ["authority.pem", "ssl/isp-ca.pem"]];

/** The files that the configurations find under /etc, in a folder of the daemon. */
function layFiles(folder: string): void {
  const copyFolder = (from: URL, to: string) => {
    Deno.mkdirSync(to, { recursive: true });
    for (const { name, isDirectory } of Deno.readDirSync(from)) {
      if (isDirectory) copyFolder(new URL(`${name}/`, from), join(to, name));
      else Deno.copyFileSync(new URL(name, from), join(to, name));
    }
  };
  copyFolder(new URL("etc/", FILES), folder);
  for (const [from = "", to = ""] of SECRETS) {
    Deno.mkdirSync(dirname(join(folder, to)), { recursive: true });
    Deno.copyFileSync(fileURLToPath(new URL(from, CERTIFICATES)), join(folder, to));
    Deno.chmodSync(join(folder, to), 0o600);
  }
}

/** The text with other ports, on loopback only, and with its files elsewhere. */
function moved({ text }: Entry, etc: string, firstPort: number): string {
  let port = firstPort;
  return text.split("\n").map((line) => {
    if (!/^listen on (?!socket)/.test(line)) return line;
    const here = line.replace('"0.0.0.0"', '"127.0.0.1"').replace(/ port \S+/, "");
    const free = port;
    port = freePort();
    return `${here} port ${free}`;
  }).join("\n").replaceAll("/etc/", `${etc}/`);
}

for (const entry of entries("valid").filter(({ notes }) => notes.includes("start"))) {
  Deno.test(`corpus/valid/${entry.name}.conf starts and answers`, async () => {
    const config = ({ folder, port }: { folder: string; port: number }) => {
      layFiles(join(folder, "etc"));
      return moved(entry, join(folder, "etc"), port);
    };
    await withDaemon({ config }, async ({ port }) => {
      const client = await Client.connect(port);
      await client.say("EHLO client.example.test", "250");
      await client.say("MAIL FROM:<>", "250");
      for (const route of entry.notes.map(routeOf)) {
        if (route === null || route.origin.address !== "local") continue;
        // Which accounts there are is the machine's business: only what is refused and what is relayed is the same everywhere.
        if (route.want.includes("->")) await client.say(`RCPT TO:<${route.rcpt}>`, "250");
        else if (/^\d{3}$/.test(route.want)) await client.say(`RCPT TO:<${route.rcpt}>`, route.want);
      }
      await client.say("QUIT", "221");
      client.close();
    });
  });
}

Deno.test("ten configurations of the corpus start", () => {
  assert.ok(entries("valid").filter(({ notes }) => notes.includes("start")).length >= 10);
});
