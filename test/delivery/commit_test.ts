/** A delivery that was given up while its last call hung must not be there when that call returns: it comes again. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { type ActAs, actAsSelf } from "../../src/delivery/identity.ts";
import { MaildirWriter } from "../../src/delivery/methods/maildir.ts";
import { MboxWriter } from "../../src/delivery/methods/mbox.ts";
import type { Delivered } from "../../src/delivery/delivered.ts";
import { DeliveryError, EX } from "../../src/delivery/methods/sysexits.ts";
import { serveFiles } from "../../src/delivery/serve_files.ts";
import type { EnvelopeId } from "../../src/envelope/mod.ts";
import type { Isolate } from "../../src/isolate/mod.ts";
import type { FromFiles, ToFiles } from "../../src/protocol/mod.ts";
import { ABANDONED, FLAG_ABANDONED, FLAG_BYTES } from "../../src/protocol/files.ts";

const who = { uid: Deno.uid()!, gid: Deno.gid()! };
const bytes = new TextEncoder().encode("Subject: hello\n\nHi there\n");
const message = (): Delivered => ({
  trace: new TextEncoder().encode("Return-Path: <a@example.net>\n"),
  body: { bytes: bytes.length, chunks: 1, first: bytes, chunk: () => Promise.reject(new Error("There is one chunk")) },
});

/** What the pool sees: from `abandon` on no file call is begun, and nothing is done for good. */
function thread() {
  let abandoned = false;
  const refuse = () => {
    if (abandoned) throw new DeliveryError(EX.TEMPFAIL, "The files did not answer in time");
  };
  const actAs: ActAs = (who, work) => {
    refuse();
    return actAsSelf(who, work);
  };
  return { actAs, commit: refuse, abandon: () => abandoned = true, back: () => abandoned = false };
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a Maildir delivery that was given up in its last call is taken out again", () =>
  withFolder(async (folder) => {
    const { actAs, commit, abandon, back } = thread();
    const writer = new MaildirWriter({ actAs, undo: actAsSelf, hostname: "mx.example.org" });
    const envelope = { id: "0000000100000001" as EnvelopeId, createdAt: 1_700_000_000_000 };
    const target = { directory: `${folder}/Maildir`, junk: false, extension: "", spam: false, envelope };
    const files = () => ["new", "tmp"].flatMap((part) => [...Deno.readDirSync(`${folder}/Maildir/${part}`)]).length;
    const last = () => {
      assert.equal(files(), 1, "the message is there when the call returns");
      abandon();
      commit();
    };
    await assert.rejects(writer.deliver(who, target, message(), last), /did not answer in time/);
    assert.equal(files(), 0);
    back();
    await writer.deliver(who, target, message(), commit);
    assert.equal(files(), 1);
  }));

for (const kind of ["mbox", "file"] as const) {
  Deno.test(`an appended message (${kind}) that was given up in its last call is taken out again`, () =>
    withFolder(async (folder) => {
      const { actAs, commit, abandon, back } = thread();
      const writer = new MboxWriter({ actAs, root: false, clock: systemClock, timeZone: "UTC", random: () => 1 });
      const target = { kind, path: `${folder}/box`, from: "a@example.net" };
      await writer.deliver(who, target, message(), commit);
      const before = Deno.readTextFileSync(target.path);
      const last = () => {
        assert.equal(Deno.readTextFileSync(target.path).length, 2 * before.length);
        abandon();
        commit();
      };
      await assert.rejects(writer.deliver(who, target, message(), last), /did not answer in time/);
      assert.equal(Deno.readTextFileSync(target.path), before);
      back();
      await writer.deliver(who, target, message(), commit);
      assert.equal(Deno.readTextFileSync(target.path).match(/^Subject: hello$/gm)?.length, 2);
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["box"], "the lock is gone");
    }));
}

Deno.test("an isolate whose task was given up during the last file call says failed, and leaves nothing behind", () =>
  withFolder(async (folder) => {
    const flags = new SharedArrayBuffer(FLAG_BYTES), directory = `${folder}/Maildir`;
    const stored = () => {
      try {
        return [...Deno.readDirSync(`${directory}/new`)].length;
      } catch {
        return 0;
      }
    };
    let giveUp = true;
    const actAs: ActAs = (who, work) => {
      const before = stored();
      const result = actAsSelf(who, work);
      if (giveUp && before === 0 && stored() === 1) Atomics.or(new Int32Array(flags), FLAG_ABANDONED, ABANDONED);
      return result;
    };
    const done = Promise.withResolvers<FromFiles>();
    const channel = {
      send: (message: FromFiles) => done.resolve(message),
      onmessage: (_: ToFiles) => {},
      onreset() {},
    };
    const settings = { shared: { root: false, serverName: "mx.example.org", timeZone: "UTC" } };
    serveFiles({ role: "mailbox", settings, ask: () => channel } as unknown as Isolate<"mailbox">, actAs);
    const envelope = { id: "0000000100000001" as EnvelopeId, createdAt: 1_700_000_000_000 };
    const { trace, body } = message();
    channel.onmessage({ type: "flags", flags });
    channel.onmessage({
      type: "task",
      number: 1,
      task: {
        ...{ kind: "maildir", who, directory, junk: false, extension: "", spam: false, envelope },
        message: { trace, first: body.first, bytes: body.bytes, chunks: 1 },
      },
    } as unknown as ToFiles);
    const answer = await done.promise;
    giveUp = false;
    assert.equal(answer.type === "done" && answer.result.kind, "failed");
    assert.equal(stored(), 0);
  }));
