/** What a hostile isolate says at any door, of any type, does not get past the side that takes it: by the examples and the checks of every door. */

import assert from "node:assert/strict";
import { DoorChannel, type PostReceiver, type Transport } from "../../src/isolate/mod.ts";
import { DOOR_NAMES } from "../../src/protocol/doors.ts";
import type { DoorName } from "../../src/protocol/mod.ts";
import { checksFor, samplesOf, type Side, spoilt } from "./hostile_messages.ts";

class Taking {
  readonly faults: string[] = [];
  readonly taken: unknown[] = [];
  readonly channel: DoorChannel<unknown, unknown>;
  #receiver: PostReceiver | null = null;

  constructor(door: DoorName, side: Side) {
    this.channel = new DoorChannel({ ...checksFor(door, side), onfault: (fault) => this.faults.push(fault) });
    this.channel.onmessage = (message) => this.taken.push(message);
    const transport: Transport = {
      post: () => {},
      receive: (receiver) => this.#receiver = receiver,
      close: () => {},
    };
    this.channel.attach(transport);
  }

  post(...messages: unknown[]): void {
    this.#receiver!.onpost(messages);
  }
}

for (const door of DOOR_NAMES) {
  for (const side of ["asks", "answers"] as const) {
    const samples = samplesOf(door, side);
    if (samples.length === 0) continue;
    Deno.test(`at the door ${door} (${side}) nothing passes with a wrong value in any place`, () => {
      const spoiled = new Map(samples.map(([type]) => [type, 0]));
      for (const { type, message, fault } of spoilt(door, side)) {
        if (fault === null) continue;
        spoiled.set(type, spoiled.get(type)! + 1);
        const taking: Taking = new Taking(door, side);
        // What follows is not heard any more.
        taking.post(message, samples[0]![1][0]);
        assert.deepEqual(taking.faults, [`${type}: ${fault}`]);
        assert.deepEqual(taking.taken, []);
      }
      for (const [type, [sample]] of samples) {
        const fields = Object.keys(sample!).length - 1;
        assert.ok(spoiled.get(type)! >= fields * 8, `${type}: only ${spoiled.get(type)} wrong values are refused`);
      }
    });
    const { replies } = checksFor(door, side);
    if (side === "asks" || replies.size === 0) continue;
    Deno.test(`at the door ${door} an answer passes once, to its own question only`, () => {
      for (const [question, wanted] of replies) {
        for (const [type, list] of samples) {
          const answer = list[0]!;
          if (answer.call === undefined) continue;
          const taking: Taking = new Taking(door, side);
          taking.channel.send({ type: question, call: answer.call });
          taking.post(answer);
          if (!wanted.includes(type)) {
            assert.deepEqual(taking.faults, [`${type} is no answer to what was asked`]);
            continue;
          }
          assert.deepEqual([taking.faults, taking.taken], [[], [answer]]);
          taking.post(answer);
          assert.deepEqual(taking.faults, [`${type} answers a question that was not asked`]);
        }
      }
    });
  }
}
