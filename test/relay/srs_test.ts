/** Whose sender is rewritten on the way out. */

import assert from "node:assert/strict";
import { viaSmarthost } from "./via.ts";

const rewritten = /^MAIL FROM:<SRS0=[\w-]{4}=[A-Z2-7]{2}=example\.org=s@Fwd\.example>$/;
const mails = [
  { name: "forwarded mail", mail: { original: "bob@Fwd.example" }, srs: true, want: rewritten },
  { name: "mail that was not forwarded", mail: {}, srs: true, want: /^MAIL FROM:<s@example\.org>$/ },
  {
    name: "a forwarded bounce",
    mail: { original: "bob@Fwd.example", sender: null },
    srs: true,
    want: /^MAIL FROM:<>$/,
  },
  { name: "forwarded mail without srs", mail: { original: "bob@Fwd.example" }, srs: false, want: /^MAIL FROM:<s@ex/ },
];
for (const { name, mail, srs, want } of mails) {
  Deno.test(`srs: the sender of ${name} is ${want.source}`, () =>
    viaSmarthost({}, async (world, server) => {
      assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"], ...mail })), ["ok 250 2.0.0 queued"]);
      assert.match(server.lines().find((line) => line.startsWith("MAIL"))!, want);
    }, { actions: { out: { host: "hosts", srs } }, srs: { key: "k", backupKey: null, ttlDays: 4 } }));
}
