/** Filters in the real daemon, with real programs: what they are told, and what they do to commands, messages and sessions. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { ALL_PHASES, type House, inbox, install, told } from "./filter_house.ts";
import { type Daemon, DOMAIN, freePort, withDaemon } from "./harness.ts";

const GOLDEN = new URL("golden/filter-record.txt", import.meta.url);

/** What differs from run to run gets a name. */
function normal(lines: readonly string[]): string {
  const names = new Map<string, string>();
  return lines.map((line) => {
    const fields = line.split("|");
    if (fields[0] === "report" || fields[0] === "filter") {
      fields[2] = "TIME";
      fields[5] = "SESSION";
      if (fields[0] === "filter") fields[6] = "TOKEN";
      if (fields[4]!.startsWith("tx-")) names.set(fields[6]!, "MESSAGE");
      if (fields[4] === "tx-commit") fields[7] = "SIZE";
    }
    let text = fields.join("|").replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT").replace(
      /smtpd-version\|.*/,
      "smtpd-version|V",
    );
    for (const [value, name] of names) text = text.replaceAll(new RegExp(`${value}([0-9a-f]{8})?`, "g"), name);
    // Others offer what they like in EHLO.
    text = text.replace(/(protocol-server\|SESSION\|)250-[A-Z0-9]+( .*)?$/, "$1250-CAPABILITY");
    return text.replace(/id [0-9a-f]{8}$/, "id MESSAGE").replace(/\t\w{3}, .* \(.*\)$/, "\tDATE") + "\n";
  }).filter((line, at, all) => !line.endsWith("|250-CAPABILITY\n") || line !== all[at - 1]).join("");
}

async function clean(daemon: Daemon): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.send("sender@example.com", `bob@${DOMAIN}`, "Subject: hello\r\n\r\n..dot\r\nbody\r\n");
  await client.say("QUIT", "221");
}

Deno.test("a filter is told and asked everything about a clean message in order, and nothing of other listeners", async () => {
  const plain = freePort();
  const config = ({ port, mail, folder }: House) => {
    const { all } = install(folder, { all: { register: ["report|smtp-in|*", ...ALL_PHASES], record: true } });
    return `admd "mx.${DOMAIN}"
filter all ${all}
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN} filter all
listen on 127.0.0.1 port ${plain} hostname plain.${DOMAIN}
${inbox(mail)}`;
  };
  await withDaemon({ config }, async (daemon) => {
    const other = await Client.connect(plain);
    await other.say("EHLO other.example.com", "250");
    await other.say("QUIT", "221");
    await clean(daemon);
    assert.equal(normal(await told(daemon, "all", /link-disconnect/)), await Deno.readTextFile(GOLDEN));
    assert.match(await daemon.mailbox("bob").text(), /\n\n\.dot\nbody\n$/);
  });
});
