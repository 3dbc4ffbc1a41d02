/**
 * An attacker owns an isolate, or the program of a process, of the real daemon of two users, and says at every door what it may not say: the queue, other
 * users' mail and root's files are unharmed, mail goes on being taken by another, and the log says what was refused. As root.
 */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { freePort } from "../ports.ts";
import { Client } from "./client.ts";
import { install } from "./filter_harness.ts";
import { type Daemon, DOMAIN, maildirConfig, within } from "./harness.ts";
import { OWNED } from "./redteam/calls.ts";
import { askedDoors, LAST_WORDS } from "./redteam/everything.ts";
import { sleep } from "../../src/clock.ts";
import { sidesOf } from "../../src/protocol/door.ts";
import type { DoorName, Role } from "../../src/protocol/mod.ts";
import { processOf } from "../../src/protocol/processes.ts";
import { HAS_WALLS, type Walled, withWalled } from "./walled_daemon.ts";

const ignore = !HAS_WALLS;

interface Row {
  readonly who: "smtp-0" | "relay" | "lookup" | "control" | "acme";
  readonly door: string;
  readonly payload: string;
  /** What the log says; null: it is not for anybody to see. */
  readonly refused: RegExp | null;
}
const row = (who: Row["who"], door: string, payload: string, refused: RegExp | null): Row => ({
  who,
  door,
  payload,
  refused,
});

function roleOf(who: Row["who"]): Role {
  return who === "smtp-0" ? "smtp" : who;
}

/** What is said in the right form, of what is not the sender's: nobody needs to be replaced for that. */
const UNHEARD: readonly Row[] = [
  row("smtp-0", "smtp-queue", "other messages", null),
  row("smtp-0", "main", "others' sessions", null),
  row(
    "smtp-0",
    "smtp-control",
    "lines of others",
    /^smtp: 0000000000000000 mda delivery result=Ok\\n\\\^\[\[2Jcrit: queue: forged$/,
  ),
  // Of no line of the configuration, or not of its names: it gets no connection, no port, no program and no file.
  row("acme", "main", "other lines", null),
  row(
    "relay",
    "relay-queue",
    "others' bodies",
    /^warn: queue: mta opens message [0-9a-f]{8}, for which it has no job: it is refused$/,
  ),
];

/** Whoever says this is replaced, with the process that it lives in. */
const REFUSED: readonly Row[] = [
  row("acme", "main", "stop", /main refuses what isolate acme said: .*"stop" may not come from there/),
  row(
    "smtp-0",
    "smtp-queue",
    "mail for root",
    /queue refuses .* smtp-0 said .*commit: an envelope of [0-9a-f]{8} is not as lookup/,
  ),
  row(
    "relay",
    "relay-queue",
    "a job of its own",
    /queue refuses .* relay said .*take: message [0-9a-f]{8} was not given to this isolate/,
  ),
  row("smtp-0", "smtp-lookup", "credentials", /lookup refuses .* "credentials" may not come from there/),
  row("smtp-0", "main", "stop", /main refuses what isolate smtp-0 said: .*"stop" may not come from there/),
  row("smtp-0", "smtp-control", "others' events", /control refuses .* "queue-remove" may not come from there/),
  row(
    "smtp-0",
    "smtp-filter",
    "two questions at once",
    /filter refuses .* connect: a session asks again before it has/,
  ),
  row(
    "smtp-0",
    "smtp-signer",
    "a grant of its own",
    /signer refuses .* smtp-0 said .*sign: the grant of [0-9a-f]{8} is not/,
  ),
  row("relay", "scheduler-relay", "a wrong delay", /scheduler refuses .* relay said .*reschedule: ids\[0\] is text/),
  row("control", "control-queue", "a wrong slice", /queue refuses .* control said .*remove: target/),
  row(
    "lookup",
    "queue-lookup",
    "an answer to nothing",
    /queue refuses .* lookup said .*answers a question that was not/,
  ),
  row("smtp-0", "smtp-queue", "huge", /queue refuses .* smtp-0 said/),
];

async function send(daemon: Daemon, recipient: string, body: string): Promise<void> {
  const client = await Client.admitted(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.send("a@example.com", recipient, `Subject: ${recipient}\r\n\r\n${body}\r\n`);
  client.close();
}

/** The message that is kept, and its envelope. */
async function kept(daemon: Daemon): Promise<{ message: string; envelope: string }> {
  const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
  const envelope = /^([0-9a-f]{16})\|/m.exec(stdout)![1]!;
  return { message: envelope.slice(0, 8), envelope };
}

/** Lets local mail be delivered. Control may have been replaced with its process a moment ago, and is asked again then. */
async function resumed(daemon: Daemon): Promise<void> {
  while ((await daemon.tool("smtpctl", ["resume", "mda"])).code !== 0) await sleep(50);
}

/** Mail is taken, and what was taken before is as it was. */
async function assertUnharmed({ daemon }: Walled): Promise<void> {
  await send(daemon, `last@${DOMAIN}`, "last");
  await within(resumed(daemon), "control");
  assert.match(await daemon.mailbox("kept").text(), /^Subject: kept@example\.org\r?\n\r?\nsecret\r?\n$/m);
  await daemon.mailbox("last").arrived(1);
  assert.deepEqual([...Deno.readDirSync(daemon.mail)].map(({ name }) => name).sort(), ["kept", "last"]);
  assert.throws(() => Deno.statSync("/tmp/owned"), Deno.errors.NotFound);
}

Deno.test(
  "an isolate that is owned by an attacker gets nowhere at the doors of its neighbours",
  { ignore },
  async (t) => {
    const config = (daemon: { port: number; mail: string; folder: string }) => {
      const { quiet } = install(daemon.folder, { quiet: { register: ["filter|smtp-in|connect"] } });
      const key = `${daemon.folder}/e1.key`;
      const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
      Deno.writeTextFileSync(key, pem as string, { mode: 0o600 });
      // Nobody answers there: the isolate stands, and waits.
      return `pki "mx.example.org" acme "https://127.0.0.1:1/directory" listen on 127.0.0.1 port ${freePort()}\n` +
        `dkim "example.org" selector "e1" key "${key}"\n` +
        `${quiet!.replace("proc-exec", "proc quiet")}\nfilter quiet proc quiet\ntable users { "u" = "x" }\n` +
        maildirConfig(daemon).replace(/^(listen on 127.*)$/m, "$1 filter quiet auth-optional <users>") +
        `history keep 1d\naction "out" relay filter quiet dkim\nmatch from any for domain "relay.test" action "out"\n`;
    };
    await withWalled({ config, args: ["-P", "mda", "patient"] }, async (walled) => {
      const { daemon } = walled;
      await send(daemon, `kept@${DOMAIN}`, "secret");
      const known = await kept(daemon);
      /** Where the log stood when each process was replaced last. */
      const since = { front: 0, out: 0 };
      const say = async ({ who, door, payload }: Row) => {
        const { asker, answerer } = sidesOf((door === "main" ? `${roleOf(who)}-main` : door) as DoorName);
        // The door stands when both of its sides are there again. One that was opened to an isolate that is about to be replaced leads nowhere.
        for (const side of door === "main" ? [] : [asker, answerer]) {
          const process = side === "main" ? null : processOf(side);
          if (process !== "front" && process !== "out") continue;
          await daemon.logged(new RegExp(`^up: ${side === "smtp" ? "smtp-0" : side} ${door}$`), since[process]);
        }
        if (who === "smtp-0") await daemon.logged(/^ids: smtp-0$/, since.front);
        const from = daemon.log.length;
        walled.order(processOf(roleOf(who))!, { do: "say", who, door, payload, ...known });
        return from;
      };
      for (const each of UNHEARD) {
        await t.step(`${each.who} at ${each.door}: ${each.payload}`, async () => {
          const from = await say(each);
          assert.equal(await daemon.logged(/^said: /, from), `said: ${each.payload}`);
          if (each.refused !== null) await daemon.logged(each.refused, from);
          assert.deepEqual(await kept(daemon), known);
          assert.ok(!daemon.log.slice(from).some((line) => /ended and starts again|is replaced/.test(line)));
        });
      }
      for (const role of OWNED) {
        const who = role === "smtp" ? "smtp-0" : role;
        await t.step(`${who} at all its doors: everything that has the right form`, async () => {
          const from = daemon.log.length;
          walled.order(processOf(role)!, { do: "say", who, door: "all", payload: "everything", ...known });
          assert.match(await daemon.logged(/^said: /, from), /^said: everything/);
          for (const door of askedDoors(role)) {
            const seen = door.endsWith("-control") ? `${role}: ${LAST_WORDS}` : `got: ${who} ${door}`;
            await daemon.logged(new RegExp(`^${seen}$`), from);
          }
          assert.deepEqual(await kept(daemon), known);
          assert.deepEqual(
            daemon.log.slice(from).filter((line) => /ended and starts|is replaced|lost the/.test(line)),
            [],
          );
        });
      }
      for (const each of REFUSED) {
        await t.step(`${each.who} at ${each.door}: ${each.payload}`, async () => {
          const from = await say(each), process = processOf(roleOf(each.who)) as keyof typeof since;
          await daemon.logged(each.refused!, from);
          const line = await daemon.logged(new RegExp(`^warn: the process ${process} is replaced: `), from);
          since[process] = daemon.log.indexOf(line, from);
        });
      }
      await assertUnharmed(walled);
    });
  },
);

/** What a host says that is not ours, and what the log says of it. */
const HOSTS: readonly (readonly [payload: string, refused: RegExp])[] = [
  ["nonsense", /^warn: the process front is replaced: a post cannot be read/],
  ["a pong of no ping", /^warn: the process front is replaced: pong: it was not asked$/],
  [
    "a strange type",
    /^warn: the process front is replaced: a message of the type "__proto__" may not come from there$/,
  ],
  ["others' words", /^warn: the process front is replaced: said: there is no worker \d+$/],
  ["a stop for main", /^warn: main refuses what isolate \S+ said: .*"stop" may not come from there$/],
];

Deno.test("a process whose program is the attacker's gets nowhere over its link", { ignore }, async () => {
  await withWalled({ config: maildirConfig, args: ["-P", "mda"] }, async (walled) => {
    const { daemon } = walled;
    await send(daemon, `kept@${DOMAIN}`, "secret");
    const { out, vault, front } = walled.pids();
    walled.order("front", { do: "be hostile", payload: HOSTS[0]![0] });
    Deno.kill(front, "SIGKILL");
    for (const [at, [, refused]] of HOSTS.entries()) {
      const from = daemon.log.length;
      await daemon.logged(refused, at === 0 ? 0 : from - 1);
      const next = HOSTS[at + 1];
      walled.order("front", next === undefined ? { do: "nothing" } : { do: "be hostile", payload: next[0] });
    }
    await assertUnharmed(walled);
    const after = walled.pids();
    assert.deepEqual([after.out, after.vault], [out, vault]);
    assert.ok(!daemon.log.some((line) => /isolate (lookup|relay|queue|scheduler|delivery) ended/.test(line)));
  });
});
