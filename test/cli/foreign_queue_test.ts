/** Folders of messages that somebody else made: links, pipes and bombs in them. */

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { exportedMessages, spooledMessages } from "../../src/cli/smtpctl/foreign_queue.ts";
import { ImportRecord } from "../../src/cli/smtpctl/import_record.ts";
import { importMessages } from "../../src/cli/smtpctl/import.ts";
import { FakeTerminal, withFolder } from "./fakes.ts";

const ID = "0badcafe", ENVELOPE = "0badcafe00000001";

/** What an import does with the one message of the folder: its envelope and its body. */
async function take(folder: string, kind: "export" | "spool"): Promise<string[]> {
  const [message] = kind === "export" ? exportedMessages(folder) : spooledMessages(folder, null);
  const results: string[] = [];
  for (
    const part of [
      () => message!.text(ENVELOPE),
      () => message!.copyBody(() => Deno.openSync(`${folder}/copy`, { createNew: true, write: true })),
    ]
  ) {
    try {
      const text = await part();
      results.push(text ?? Deno.readTextFileSync(`${folder}/copy`));
    } catch (error) {
      results.push((error as Error).message.replaceAll(folder, ""));
    }
  }
  return results;
}

function layExport(folder: string): { body: string; envelope: string } {
  const body = `${folder}/${ID}.eml`, envelope = `${folder}/${ENVELOPE}.envelope`;
  Deno.writeTextFileSync(body, "body", { mode: 0o444 });
  Deno.writeTextFileSync(envelope, "envelope");
  return { body, envelope };
}

function laySpool(folder: string): { body: string; envelope: string } {
  const place = `${folder}/queue/0b/${ID}`;
  Deno.mkdirSync(place, { recursive: true });
  Deno.writeTextFileSync(`${place}/message`, "body");
  Deno.writeTextFileSync(`${place}/${ENVELOPE}`, "envelope");
  return { body: `${place}/message`, envelope: `${place}/${ENVELOPE}` };
}

function link(path: string, secret: string): void {
  Deno.removeSync(path);
  Deno.symlinkSync(secret, path);
}

for (const [kind, lay] of [["export", layExport], ["spool", laySpool]] as const) {
  Deno.test(`of the folder of ${kind}, plain files are read and copied`, async () => {
    await withFolder(async (folder) => {
      lay(folder);
      assert.deepEqual(await take(folder, kind), ["envelope", "body"]);
    });
  });

  Deno.test(`of the folder of ${kind}, no link is followed and no pipe is waited for`, async () => {
    await withFolder(async (folder) => {
      const { body, envelope } = lay(folder), secret = `${folder}/secret`;
      Deno.writeTextFileSync(secret, "secret");
      link(body, secret);
      link(envelope, secret);
      for (const result of await take(folder, kind)) assert.match(result, /is not a file$/);
      Deno.removeSync(body);
      assert.ok((await new Deno.Command("mkfifo", { args: [body] }).output()).success);
      assert.match((await take(folder, kind))[1]!, /is not a file$/);
    });
  });

  Deno.test(`of the folder of ${kind}, an envelope that is too large is not read`, async () => {
    await withFolder(async (folder) => {
      const { envelope } = lay(folder);
      Deno.truncateSync(envelope, 65_537);
      assert.match((await take(folder, kind))[0]!, /is larger than 65536 octets$/);
    });
  });
}

Deno.test("of a spool, folders that are links are left out", async () => {
  await withFolder((folder) => {
    laySpool(folder);
    Deno.renameSync(`${folder}/queue/0b/${ID}`, `${folder}/elsewhere`);
    Deno.symlinkSync(`${folder}/elsewhere`, `${folder}/queue/0b/${ID}`);
    Deno.symlinkSync(`${folder}/queue/0b`, `${folder}/queue/0c`);
    assert.deepEqual(spooledMessages(folder, null), []);
    return Promise.resolve();
  });
});

Deno.test("of a spool, what would be too large when it is decompressed is refused", async () => {
  await withFolder(async (folder) => {
    const { body, envelope } = laySpool(folder);
    Deno.writeFileSync(envelope, gzipSync(new Uint8Array(65_537)));
    Deno.writeFileSync(body, gzipSync("body"));
    assert.deepEqual(await take(folder, "spool"), ["It is larger than 65536 octets when it is decompressed", "body"]);
    Deno.writeFileSync(body, new Uint8Array([0x1f, 0x8b, 1, 2, 3]));
    assert.equal((await take(folder, "spool"))[1], "It cannot be decompressed");
    Deno.truncateSync(body, 256 * 1024 * 1024 + 1);
    assert.match((await take(folder, "spool"))[1]!, /is larger than 268435456 octets$/);
  });
});

/** `uid mode` of a path. */
function owned(path: string): string {
  const { uid, mode } = Deno.lstatSync(path);
  return `${uid} ${(mode! & 0o7777).toString(8)}`;
}

const QUEUE_USER = 4102;
const ENVELOPE_TEXT = `version: 3
dispatcher: out
type: mta
smtpname: mx.example.org
helo: localhost
hostname: localhost
sockaddr: local
sender: a@example.org
rcpt: b@remote.test
dest: b@remote.test
ctime: 1700000000
last-try: 0
last-bounce: 0
ttl: 345600
retry: 0
`;

Deno.test("import as root makes what it lays into a spool of another user theirs, and has their rights there", {
  ignore: Deno.uid() !== 0,
}, async () => {
  await withFolder(async (folder) => {
    const spool = `${folder}/spool`, source = `${folder}/source`, places = { socket: `${folder}/none`, spool };
    Deno.mkdirSync(spool, { mode: 0o711 });
    Deno.chownSync(spool, QUEUE_USER, QUEUE_USER);
    // Only root can read it.
    Deno.mkdirSync(source, { mode: 0o700 });
    layExport(source);
    Deno.writeTextFileSync(`${source}/${ENVELOPE}.envelope`, ENVELOPE_TEXT);
    Deno.chmodSync(folder, 0o711);
    const terminal = new FakeTerminal();
    assert.equal(
      await importMessages(exportedMessages(source), places, { again: false, label: "import" }, terminal),
      0,
      terminal.stderr,
    );
    const made = ["import", `import/${ID}`, `import/${ID}/message`, `import/${ID}/${ENVELOPE}`, "imported"];
    assert.deepEqual(made.map((name) => owned(`${spool}/${name}`)), [
      ...["700", "700", "600", "600", "600"].map((mode) => `${QUEUE_USER} ${mode}`),
    ]);
    assert.equal(Deno.readTextFileSync(`${spool}/import/${ID}/message`), "body");
    // A folder of root's that they have moved there is closed to what is done in it.
    Deno.renameSync(`${spool}/import`, `${spool}/old`);
    Deno.renameSync(`${spool}/imported`, `${spool}/record`);
    Deno.mkdirSync(`${spool}/import`, { mode: 0o755 });
    const refused = new FakeTerminal();
    assert.equal(await importMessages(exportedMessages(source), places, { again: false, label: "import" }, refused), 1);
    assert.match(refused.stderr, /message 0badcafe is not imported: Permission denied/);
    assert.deepEqual([...Deno.readDirSync(`${spool}/import`)], []);
  });
});

Deno.test("import goes into no folder that is a link", async () => {
  await withFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/spool`);
    Deno.mkdirSync(`${folder}/elsewhere`);
    Deno.symlinkSync(`${folder}/elsewhere`, `${folder}/spool/import`);
    const places = { socket: `${folder}/none`, spool: `${folder}/spool` };
    await assert.rejects(
      importMessages([], places, { again: false, label: "import" }, new FakeTerminal()),
      /spool\/import is not a folder$/,
    );
  });
});

Deno.test("the record of what was imported is not written through a link, and knows what was taken back", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/imported`;
    await Deno.writeTextFile(`${folder}/other`, "");
    await Deno.symlink(`${folder}/other`, path);
    assert.throws(() => new ImportRecord(path), /ELOOP/);
    await Deno.remove(path);
    const first = new ImportRecord(path);
    for (const key of ["a", "b", "a"]) first.add(key);
    first.remove("b");
    first.remove("c");
    first.close();
    const second = new ImportRecord(path);
    assert.deepEqual(["a", "b", "c"].map((key) => second.has(key)), [true, false, false]);
    second.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
