/** What each isolate has of the doors is what the table of all doors says of its role, and what is refused at a door of others. */

import assert from "node:assert/strict";
import { DOOR_NAMES, DOORS } from "../../src/protocol/doors.ts";
import { checksOf, type Door, type OwnSide, sidesOf } from "../../src/protocol/door.ts";
import { ACME_DOORS } from "../../src/protocol/isolates/acme.ts";
import { CONTROL_DOORS } from "../../src/protocol/isolates/control.ts";
import { DELIVERY_DOORS } from "../../src/protocol/isolates/delivery.ts";
import { PRIVILEGED_DOORS } from "../../src/protocol/isolates/privileged.ts";
import { FILE_DOORS } from "../../src/protocol/isolates/file.ts";
import { FILTER_DOORS } from "../../src/protocol/isolates/filter.ts";
import { FORWARD_DOORS } from "../../src/protocol/isolates/forward.ts";
import { HISTORY_DOORS } from "../../src/protocol/isolates/history.ts";
import { LOGIN_DOORS } from "../../src/protocol/isolates/login.ts";
import { LOOKUP_DOORS } from "../../src/protocol/isolates/lookup.ts";
import { MAILBOX_DOORS } from "../../src/protocol/isolates/mailbox.ts";
import { QUEUE_DOORS } from "../../src/protocol/isolates/queue.ts";
import { RELAY_DOORS } from "../../src/protocol/isolates/relay.ts";
import { SCHEDULER_DOORS } from "../../src/protocol/isolates/scheduler.ts";
import { SIGNER_DOORS } from "../../src/protocol/isolates/signer.ts";
import { SMTP_DOORS } from "../../src/protocol/isolates/smtp.ts";
import type { OwnDoors, Role } from "../../src/protocol/mod.ts";
import { ROLE_NAMES } from "../../src/protocol/roles.ts";

const OWN: { readonly [R in Role]: OwnDoors<R> } = {
  control: CONTROL_DOORS,
  lookup: LOOKUP_DOORS,
  queue: QUEUE_DOORS,
  scheduler: SCHEDULER_DOORS,
  relay: RELAY_DOORS,
  delivery: DELIVERY_DOORS,
  privileged: PRIVILEGED_DOORS,
  mailbox: MAILBOX_DOORS,
  file: FILE_DOORS,
  forward: FORWARD_DOORS,
  filter: FILTER_DOORS,
  login: LOGIN_DOORS,
  signer: SIGNER_DOORS,
  acme: ACME_DOORS,
  history: HISTORY_DOORS,
  smtp: SMTP_DOORS,
};

for (const role of ROLE_NAMES) {
  Deno.test(`the doors of ${role} are those of the table, with its checks`, () => {
    const own = OWN[role] as Readonly<Record<string, OwnSide<never>>>;
    const names = DOOR_NAMES.filter((name) => Object.values(sidesOf(name)).includes(role));
    assert.deepEqual(Object.keys(own).sort(), names.sort());
    for (const name of names) {
      const { asks, answers, replies, allowed } = DOORS[name] as unknown as Door<never, never>;
      const asker = sidesOf(name).asker === role;
      assert.deepEqual(own[name]!.arriving, asker ? answers : asks, name);
      assert.deepEqual(own[name]!.replies, asker ? replies : {}, name);
      assert.equal(own[name]!.allowed, asker ? undefined : allowed, name);
    }
  });
}

Deno.test("lookup takes the questions of each role from that role only", () => {
  const questions = (
    name: "smtp-lookup" | "relay-lookup" | "queue-lookup",
  ) => [...checksOf(LOOKUP_DOORS[name]).arriving.keys()];
  assert.deepEqual(questions("relay-lookup"), ["smarthost", "sources", "credentials"]);
  assert.deepEqual(questions("queue-lookup").sort(), ["dns", "expand"]);
  assert.ok(!questions("smtp-lookup").includes("credentials"));
});
