/** smtpd-filters(7): its example works, and it describes every phase and event. */

import assert from "node:assert/strict";
import { FILTER_EVENTS, FILTER_PHASES } from "../../src/protocol/filters.ts";
import { literalBlocks } from "../config/mdoc.ts";
import { Client } from "./client.ts";
import { type FilterHarness, inbox } from "./filter_harness.ts";
import { DOMAIN, withDaemon } from "./harness.ts";

const PAGE = Deno.readTextFileSync(new URL("../../conf/man/smtpd-filters.7", import.meta.url));

Deno.test("smtpd-filters(7) describes every event and phase", () => {
  const words = PAGE.split(/[\s,]+/);
  assert.deepEqual([...FILTER_EVENTS, ...FILTER_PHASES].filter((word) => !words.includes(word)), []);
});

Deno.test("smtpd-filters(7): the example does what the page says", async () => {
  const config = ({ port, mail, folder }: FilterHarness) => {
    const program = `${folder}/dotted`;
    Deno.writeTextFileSync(program, literalBlocks("smtpd-filters.7").at(-1)!);
    Deno.chmodSync(program, 0o755);
    return `filter dotted proc-exec "${program}"\nlisten on 127.0.0.1 port ${port} filter dotted\n${inbox(mail)}`;
  };
  await withDaemon({ config }, async (daemon) => {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.say("MAIL FROM:<a@nodots>", "550 5.1.8 Which domain?");
    await client.send("a@example.com", `short@${DOMAIN}`, "Subject: x\r\n\r\nbody\r\n");
    await client.send("", `long@${DOMAIN}`, `Subject: x\r\n\r\n${"line\r\n".repeat(1000)}`);
    await client.say("QUIT", "221");
    assert.doesNotMatch(await daemon.mailbox("short").text(), /X-Long/);
    assert.match(await daemon.mailbox("long").text(), /^X-Long: yes$/m);
    client.close();
  });
});
