/** Processes of the daemon die: each alone is replaced; with the parent all end; a signal to all of them stops the daemon in good order. As root. */

import assert from "node:assert/strict";
import { PROCESS_NAMES } from "../../src/protocol/processes.ts";
import { traitsOf } from "../../src/protocol/roles.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, withDaemon, within } from "./harness.ts";
import { HAS_WALLS, processesOf, textOf, type Walled, withWalled } from "./walled_daemon.ts";

const ignore = !HAS_WALLS;

async function connect(daemon: Daemon): Promise<Client> {
  const client = await Client.admitted(daemon.port);
  await client.say("EHLO client.example.com", "250");
  return client;
}

/** Waits until the processes have ended; a zombie has. */
async function gone(pids: readonly number[]): Promise<void> {
  const runs = (pid: number) => /^State:\s+[^ZX]/m.test(textOf(`/proc/${pid}/status`));
  await within(
    (async () => {
      while (pids.some(runs)) await new Promise((resolve) => setTimeout(resolve, 10));
    })(),
    "the end of all processes",
  );
}

Deno.test("processes that are killed, and all that are told to end", { ignore }, async (test) => {
  await withDaemon({ twoUsers: true }, async (daemon) => {
    const step = (name: string, body: (daemon: Daemon) => Promise<void>) => test.step(name, () => body(daemon));
    await step(
      "when the queue's process is killed, open transactions end with 4xx and the session goes on with the next",
      queueKilled,
    );
    await step("when the parent is killed, no process of it remains", parentKilled);
    await step("SIGTERM to all processes at once stops the daemon in good order", signalAll);
    await daemon.launch();
  });
});

async function queueKilled(daemon: Daemon): Promise<void> {
  const client = await connect(daemon), victim = await connect(daemon);
  await client.send("a@example.com", `kept@${DOMAIN}`, "Subject: 1\r\n\r\nkept\r\n");
  await victim.begin("a@example.com", `lost@${DOMAIN}`);
  await victim.write(new TextEncoder().encode("Subject: half\r\n\r\n" + `${"x".repeat(76)}\r\n`.repeat(4000)));
  Deno.kill(processesOf(daemon.pid).vault, "SIGKILL");
  await victim.reply("421");
  await daemon.logged(/^warn: isolate queue ended and starts again in 100 ms: the process vault ended: signal 9$/);
  // As long as there is no queue, mail is put off, in the same session.
  let down = true, kills = 1;
  const killing = (async () => {
    for (; down; await new Promise((resolve) => setTimeout(resolve, 5))) {
      const { vault } = processesOf(daemon.pid);
      if (vault === 0 || !down) continue;
      Deno.kill(vault, "SIGKILL");
      // Each counts once, and the last has been noticed when this ends.
      await daemon.logged(/^warn: isolate queue ended .*: signal 9$/, 0, ++kills);
    }
  })();
  try {
    assert.match(await trySend(client, `kept@${DOMAIN}`), /^451 4\.3\.0 /);
  } finally {
    down = false;
    await killing;
  }
  for (let reply = ""; !reply.startsWith("250"); reply = await trySend(client, `kept@${DOMAIN}`)) {
    assert.match(reply, /^(451 .*|)$/s);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await daemon.mailbox("kept").messages(2);
  assert.deepEqual(daemon.mailbox("lost").names(), []);
  client.close();
  victim.close();
}

/** Returns the reply that decides. */
async function trySend(client: Client, recipient: string): Promise<string> {
  for (const command of ["MAIL FROM:<a@example.com>", `RCPT TO:<${recipient}>`, "DATA", "Subject: 2\r\n\r\nx\r\n."]) {
    const reply = await client.say(command, "");
    if (!/^[23]/.test(reply)) {
      if (!command.startsWith("Subject")) await client.say("RSET", "250");
      return reply;
    }
    if (command.startsWith("Subject")) return reply;
  }
  throw new Error("unreachable");
}

async function parentKilled(daemon: Daemon): Promise<void> {
  const busy = await connect(daemon);
  await busy.begin("a@example.com", `lost@${DOMAIN}`);
  const pids = Object.values(processesOf(daemon.pid));
  assert.ok(pids.every((pid) => pid > 0));
  await daemon.kill();
  // Nobody else would end them: they go with their links.
  await gone(pids);
  busy.close();
  // What a second one needs is free.
  await daemon.launch();
}

async function signalAll(daemon: Daemon): Promise<void> {
  const client = await connect(daemon);
  const all = processesOf(daemon.pid), pids = PROCESS_NAMES.map((name) => all[name]);
  // The service manager reaches those first that started last.
  for (const pid of [...pids, daemon.pid]) Deno.kill(pid, "SIGTERM");
  await client.reply("421");
  client.close();
  assert.equal(await daemon.ended(), 0);
  assert.equal(daemon.log.at(-1), "Exiting");
  assert.ok(!daemon.log.some((line) => line.includes("ended and starts again")), daemon.log.join("\n"));
  await gone(pids);
}

Deno.test("what loops in a process is replaced; others serve meanwhile", { ignore }, async (test) => {
  await withWalled({ args: ["hurried"] }, async (walled) => {
    await test.step(
      "a loop in lookup is ended after as many looks as in an isolate that clients speak to",
      () => loopInLookup(walled),
    );
    await test.step("an isolate, and where it does not end its process with it, and a process", () => loops(walled));
  });
});

async function loopInLookup(walled: Walled): Promise<void> {
  // A look a second: within 20 seconds.
  assert.ok(traitsOf("lookup").silentLooks! < 20);
  const { daemon } = walled, { front, vault } = walled.pids();
  await daemon.logged(/^up: lookup lookup-control$/);
  const who = { who: "lookup", door: "main", message: "", envelope: "" } as const;
  walled.order("out", { do: "say", ...who, payload: "nothing, and loops" });
  const ended = await daemon.logged(/^warn: isolate lookup ended .*: It does not answer$/);
  // Its doors to the smtp isolates stand again.
  await daemon.logged(/^up: lookup smtp-lookup$/, daemon.log.indexOf(ended), navigator.hardwareConcurrency);
  await taken(daemon);
  assert.deepEqual([walled.pids().front, walled.pids().vault], [front, vault]);
}

async function loops(walled: Walled): Promise<void> {
  const { daemon } = walled, say = { do: "say", who: "smtp-0", door: "main", message: "", envelope: "" } as const;
  const begin = walled.pids();
  let from = daemon.log.length;
  await daemon.logged(/^ids: smtp-0$/);
  walled.order("front", { ...say, payload: "nothing, and loops" });
  await daemon.logged(/^loops$/, from);
  if (navigator.hardwareConcurrency > 1) await served(daemon);
  const ended = await daemon.logged(/^warn: isolate smtp ended .*: It does not answer$/);
  await daemon.logged(/^ids: smtp-0$/, from = daemon.log.indexOf(ended));
  // The loop in lookup may still have cost the process out, where that isolate did not end.
  assert.deepEqual([walled.pids().front, walled.pids().vault], [begin.front, begin.vault]);
  walled.order("front", { ...say, payload: "nothing, and computes" });
  const replaced = await daemon.logged(
    /^warn: the process front is replaced: an isolate of it does not end$/,
    from,
  );
  await gone([begin.front]);
  await daemon.logged(/^ids: smtp-0$/, from = daemon.log.indexOf(replaced));
  walled.order("front", { do: "loop" });
  await daemon.logged(/^warn: the process front is replaced: it does not answer$/, from);
  await served(daemon);
  assert.equal(walled.pids().vault, begin.vault);
}

/** Resolves when a message has been taken. A client that the replacement has met (421) comes again, as clients do. */
async function taken(daemon: Daemon): Promise<void> {
  const tried = async () => {
    const client = await connect(daemon);
    try {
      await client.send("a@example.com", `kept@${DOMAIN}`, "Subject: 1\r\n\r\nkept\r\n");
      return true;
    } catch (error) {
      if (!/\b421\b/.test(String(error))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return false;
    } finally {
      client.close();
    }
  };
  await within(
    (async () => {
      while (!await tried());
    })(),
    "a message that is taken",
  );
}

/** Resolves when clients are served; one that was given to an isolate just before it stood still comes again. */
async function served(daemon: Daemon): Promise<void> {
  const tried = async () => {
    try {
      (await Client.connect(daemon.port)).close();
      return true;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return false;
    }
  };
  await within(
    (async () => {
      for (let number = 0; number < 4;) if (await tried()) number++;
    })(),
    "sessions",
  );
}
