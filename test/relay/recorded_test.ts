/** What the history is told of attempts at other hosts, and of what was said when they went wrong. */

import assert from "node:assert/strict";
import type { DialogueEvent } from "../../src/events/mod.ts";
import { doorFault } from "../isolate/event_details.ts";
import type { Script } from "../smtp_client/fake_server.ts";
import { tlsFiles, viaMx, viaSmarthost } from "./via.ts";
import type { World, WorldOptions } from "./world.ts";

/** Each passes the door to control. */
function dialogues({ events }: World): DialogueEvent[] {
  for (const event of events) assert.equal(doorFault("relay", event), null, event.type);
  return events.filter((event) => event.type === "dialogue");
}

function shownOf({ lines }: DialogueEvent): string {
  return lines.map(({ from, text }) => `${from === "client" ? "C" : "S"}: ${text}`).join("\n");
}

const refusing: Script = {
  keywords: ["PIPELINING"],
  reply: (line) => line.startsWith("RCPT TO:<no@") ? "550 5.1.1 no such user" : undefined,
};

Deno.test("an attempt has host, address, port, TLS, code, status, stage and duration; a good one leaves no dialogue", async () => {
  await viaSmarthost(refusing, async (world, { port }) => {
    const ids = world.send({ rcpts: ["a@x.test", "no@x.test"] });
    await world.settled(ids);
    const [good, bad] = world.deliveries();
    const { durationMs, source, ...rest } = good!.detail!;
    const at = { method: "smtp", host: "mx.example.net", address: "127.0.0.1", port, tls: null, tries: 1 };
    assert.deepEqual(rest, { ...at, code: 250, stage: "EOM" });
    assert.ok(durationMs! >= 0 && source === "127.0.0.1");
    const { code, status, stage } = bad!.detail!;
    assert.deepEqual([code, status, stage], [550, { class: 5, code: "1.1" }, "RCPT"]);
    const [dialogue] = dialogues(world);
    assert.deepEqual([dialogue!.session, dialogue!.side, dialogue!.message], [
      bad!.session,
      "out",
      ids[1]!.slice(0, 8),
    ]);
    const shown = shownOf(dialogue!);
    assert.match(shown, /^S: 220 .*\nC: EHLO relay\.example\.org\nS: 250-/);
    assert.match(shown, /C: RCPT TO:<no@x\.test>.*\nC: DATA\n.*S: 550 5\.1\.1 no such user/s);
    assert.ok(!shown.includes("Subject") && !shown.includes("body"), "nothing of the message");
    await world.settled(world.send({ rcpts: ["b@x.test"] }));
    assert.equal(dialogues(world).length, 1);
  }, { recording: true });
});

Deno.test("what was said about a message that went well is not told with the one behind it", async () => {
  await viaSmarthost(refusing, async (world) => {
    await world.settled(world.send({ rcpts: ["good@x.test"] }));
    await world.settled(world.send({ rcpts: ["no@x.test"] }));
    const [dialogue] = dialogues(world);
    assert.match(shownOf(dialogue!), /EHLO/);
    assert.ok(!shownOf(dialogue!).includes("good@x.test"));
  }, { recording: true });
});

Deno.test("a host that refuses the session, or is not there: the attempt names the session whose dialogue it is", async () => {
  await viaMx([{ preference: 1, script: { banner: "554 5.7.1 go away" } }], async (world) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    const [{ detail, session }] = world.deliveries() as [ReturnType<World["deliveries"]>[0]];
    const [dialogue] = dialogues(world);
    assert.equal(session, "0000000000000000", "the line of the log is as it was");
    assert.equal(detail!.session, dialogue!.session);
    assert.deepEqual([detail!.host, detail!.address, detail!.code], ["mx1.test", "127.0.0.1", 554]);
    assert.match(shownOf(dialogue!), /^S: 554 5\.7\.1 go away/);
  }, { recording: true });
  await viaMx([{ preference: 1, script: null }], async (world) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.deepEqual(world.deliveries().map(({ detail }) => [detail!.host, detail!.code]), [["mx1.test", undefined]]);
    assert.deepEqual(dialogues(world), [], "nothing was said");
  }, { recording: true });
});

Deno.test("without a history there is neither a detail nor a dialogue", async () => {
  await viaSmarthost(refusing, async (world) => {
    await world.settled(world.send({ rcpts: ["no@x.test"] }));
    assert.deepEqual(dialogues(world), []);
    assert.ok(world.deliveries().every((one) => !("detail" in one)));
  });
});

const SECRET = { user: "us", password: "pa:ss" };
const HIDDEN = ["pa:ss", btoa("pa:ss"), btoa("\0us\0pa:ss"), btoa("us")];
for (const mechanisms of ["PLAIN", "LOGIN"]) {
  Deno.test(`nothing of the secret of a login at a host is recorded: AUTH ${mechanisms}`, async () => {
    let port = 0;
    const script: Script = {
      keywords: ["STARTTLS", `AUTH ${mechanisms}`],
      tls: tlsFiles,
      reply: (line) => {
        if (line === "AUTH LOGIN") return "334 VXNlcm5hbWU6";
        if (line === btoa("us")) return "334 UGFzc3dvcmQ6";
        return line.startsWith("AUTH") || line === btoa("pa:ss") ? "535 5.7.8 no" : undefined;
      },
    };
    const options: WorldOptions = {
      recording: true,
      actions: { out: { host: "hosts", auth: "secrets", tls: "no-verify" } },
      credentials: () => SECRET,
      smarthost: () => `smtp+tls://label@mx.example.net:${port}`,
    };
    await viaSmarthost(script, async (world, server) => {
      port = server.port;
      await world.settled(world.send({ rcpts: ["a@x.test"] }));
      const [dialogue] = dialogues(world);
      assert.match(shownOf(dialogue!), new RegExp(`C: AUTH ${mechanisms}.*C?.*\\*{8}.*S: 535 5\\.7\\.8 no`, "s"));
      const all = JSON.stringify(world.events);
      for (const secret of HIDDEN) assert.ok(!all.includes(secret), secret);
    }, options);
  });
}
