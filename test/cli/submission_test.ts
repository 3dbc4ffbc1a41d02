/** More recipients than the daemon takes in one transaction: sendmail hands the message over in several (RFC 5321 §4.5.3.1.10). */

import { deepEqual, equal } from "node:assert/strict";
import { submit, type Submitted } from "../../src/cli/sendmail/submission.ts";
import { type Received, smtpServer, withFolder, withServer } from "./fakes.ts";

const people = ["a@x", "b@x", "c@x", "d@x", "e@x", "f@x", "g@x"];

/** Submits to a server that takes three recipients a transaction and has `refusals` besides, in the transaction of this number. */
async function run(at: number, refusals: Record<string, string>, tooMany: string): Promise<[Submitted, Received]> {
  const received: Received = { commands: [], messages: [] };
  const transaction = () => received.commands.filter((line) => line.startsWith("MAIL")).length;
  const script = {
    get RCPT() {
      const mail = received.commands.findLastIndex((line) => line.startsWith("MAIL"));
      return received.commands.length - 1 - mail > 3 ? tooMany : undefined;
    },
    get MAIL() {
      return transaction() === at ? refusals["MAIL"] : undefined;
    },
    get END() {
      return transaction() === at ? refusals["END"] : undefined;
    },
  } as unknown as Record<string, string>;
  let submitted!: Submitted;
  await withFolder((folder) =>
    withServer(`${folder}/s`, smtpServer(received, script), async () => {
      const message = new TextEncoder().encode("Subject: x\n\nbody\n");
      const mail = { sender: "s@x", recipients: people, message, notify: "", ret: "", envid: "" };
      submitted = await submit(`${folder}/s`, mail, () => {});
    })
  );
  return [submitted, received];
}

for (const reply of ["452 4.5.3 Too many recipients", "451 4.5.3 no", "552 5.5.3 no"]) {
  Deno.test(`submit() goes on in another transaction after "${reply}"`, async () => {
    const [submitted, received] = await run(0, {}, reply);
    deepEqual(submitted, { result: "accepted" });
    equal(received.messages.length, 3);
    // Those who were refused are reported again.
    equal(received.commands.filter((line) => line.startsWith("RCPT")).length, people.length + 2);
    deepEqual(received.commands.slice(-3), ["RCPT TO:<g@x>", "DATA", "QUIT"]);
  });
}

Deno.test("submit() hands nothing over when a recipient is refused for another reason", async () => {
  const [submitted, received] = await run(0, {}, "452 4.3.1 no room");
  deepEqual(submitted, { result: "deferred", text: "452 4.3.1 no room" });
  equal(received.messages.length, 0);
});

Deno.test("submit() says who has the message when a later transaction is refused", async () => {
  const [submitted] = await run(2, { END: "452 4.3.1 no room" }, "452 4.5.3 no");
  deepEqual(submitted, { result: "deferred", text: "452 4.3.1 no room (the first 3 recipients have the message)" });
});

Deno.test("submit() returns who is left when the connection is lost in a later transaction", async () => {
  const [submitted] = await run(3, { MAIL: "421 4.3.0 restarting" }, "452 4.5.3 no");
  deepEqual(submitted, { result: "lost", text: "421 4.3.0 restarting", rest: ["g@x"] });
});
