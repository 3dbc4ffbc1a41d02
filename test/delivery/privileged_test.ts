/** What goes to the privileged isolate, what stays, and what becomes of it when that dies or is asked to stop. */

import assert from "node:assert/strict";
import { messageOf } from "../../src/envelope/mod.ts";
import { envelopeOf, withWorld } from "./harness.ts";
import { evpid } from "../ids.ts";

const BODY = "Subject: hello\n\nHi there\n";
const maildir = { method: { type: "maildir", path: null, junk: false } } as const;
const files = (home: string) => [...Deno.readDirSync(`${home}/Maildir/new`)].length;

Deno.test("A Maildir delivery asks nothing of the privileged isolate", () =>
  withWorld(maildir, async (world) => {
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    assert.deepEqual(world.sentAway, []);
  }));

Deno.test("Of one job the commands and named files are sent away, the rest is delivered here", () =>
  withWorld(maildir, async (world, home) => {
    const own = envelopeOf();
    const part = (last: string, exec: string) => ({ ...envelopeOf({ exec }), id: evpid(own.id.slice(0, 8) + last) });
    const all = [own, part("f0000001", `cat > ${home}/piped`), part("f0000002", `>${home}/box`)];
    world.bodies.set(messageOf(own.id), [new TextEncoder().encode(BODY)]);
    const settled = new Promise<void>((resolve) => {
      world.onqueue = (message) => {
        if (message.type === "outcome" && world.outcomes.length === 2) queueMicrotask(resolve);
        return true;
      };
    });
    world.job(all);
    await settled;
    assert.deepEqual(world.sentAway.map(({ only }) => only), [[all[1]!.id, all[2]!.id]]);
    assert.deepEqual(world.outcomes.map(({ id, outcome }) => [id, outcome.result]), all.map(({ id }) => [id, "ok"]));
    assert.equal(files(home), 1);
    assert.match(Deno.readTextFileSync(`${home}/piped`), /Hi there/);
    assert.match(Deno.readTextFileSync(`${home}/box`), /Hi there/);
  }));

Deno.test("A privileged isolate that dies is asked again when it is back, for what it had not settled", () =>
  withWorld({ method: { type: "mda", command: "cat >> out" } }, async (world, home) => {
    // The first one receives nothing from the queue any more.
    world.onqueue = () => false;
    const sent = world.send(envelopeOf(), BODY);
    await Promise.resolve();
    world.onqueue = () => true;
    world.replacePrivileged();
    assert.equal((await sent).outcome.result, "ok");
    assert.equal(world.sentAway.length, 2);
    assert.equal(Deno.readTextFileSync(`${home}/out`).match(/Hi there/g)!.length, 1);
  }));

Deno.test("A job that comes again while its command runs is not run twice", () =>
  withWorld({ method: { type: "mda", command: "cat >> out" } }, async (world, home) => {
    const envelope = envelopeOf();
    const sent = world.send(envelope, BODY);
    world.job([envelope]);
    await sent;
    assert.equal(world.sentAway.length, 1);
    assert.equal(Deno.readTextFileSync(`${home}/out`).match(/Hi there/g)!.length, 1);
  }));

Deno.test("A command that was settled is settled again for a queue that asks again, and not run again", () =>
  withWorld({ method: { type: "mda", command: "cat >> out" } }, async (world, home) => {
    const envelope = envelopeOf();
    await world.send(envelope, BODY);
    // The queue and delivery died: what is in hand there is forgotten.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const again = new Promise<void>((resolve) => {
      world.onqueue = (message) => (message.type === "outcome" && resolve(), true);
    });
    world.job([envelope]);
    await again;
    assert.deepEqual(world.outcomes.map(({ outcome }) => outcome.result), ["ok", "ok"]);
    assert.equal(Deno.readTextFileSync(`${home}/out`).match(/Hi there/g)!.length, 1);
  }));
