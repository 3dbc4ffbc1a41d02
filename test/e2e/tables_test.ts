/** Databases and account files behind tables, in the real daemon: accepted, replaced, damaged, updated; and a million aliases. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, PROJECT, run, withDaemon } from "./harness.ts";

const FIXTURE = join(PROJECT, "test/tables/fixtures/many.btree.db");
const program = (name: string) => join(PROJECT, "scripts", name);

interface Place {
  readonly port: number;
  readonly mail: string;
  readonly folder: string;
}

function makeFiles(folder: string): void {
  Deno.copyFileSync(FIXTURE, join(folder, "bdb.db"));
  const database = new DatabaseSync(join(folder, "mail.sqlite"));
  database.exec("CREATE TABLE people (address TEXT PRIMARY KEY, target TEXT)");
  database.exec(`INSERT INTO people VALUES ('bob@sql.example', '${OWNER}')`);
  database.close();
  const query = "query_alias SELECT target FROM people WHERE address = ?";
  Deno.writeTextFileSync(join(folder, "sqlite"), `dbpath ${folder}/mail.sqlite\n${query}\n`);
  Deno.writeTextFileSync(join(folder, "users"), "joe:*:2000:2000:Joe:/nonexistent:\n");
  Deno.writeTextFileSync(join(folder, "aliases"), `team: ${OWNER}\n`);
}

function config({ port, mail, folder }: Place): string {
  makeFiles(folder);
  makemap(folder);
  return `
table bdb db:${folder}/bdb.db
table people sqlite:${folder}/sqlite
table users passwd:${folder}/users
table aliases db:${folder}/aliases.db
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "bdb" expand-only virtual <bdb>
action "sql" maildir "${mail}/%{rcpt.user}" virtual <people> user ${OWNER}
action "users" maildir "${mail}/%{rcpt.user}" userbase <users> user ${OWNER}
action "cdb" maildir "${mail}/%{rcpt.user}" virtual <aliases> user ${OWNER}
action "out" relay host smtp://127.0.0.1:1
match from any for domain "bdb.example" action "bdb"
match from any for domain "sql.example" action "sql"
match from any for domain "users.example" action "users"
match from any for domain "cdb.example" action "cdb"
match for domain "${DOMAIN}" action "out"
`;
}

/** makemap of this project, as an operator calls it. */
function makemap(folder: string): void {
  const { success } = new Deno.Command(program("makemap"), { args: ["-t", "aliases", join(folder, "aliases")] })
    .outputSync();
  assert.ok(success);
}

async function ready(daemon: Daemon): Promise<Client> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.say("MAIL FROM:<sender@example.com>", "250");
  return client;
}

Deno.test("mail goes where databases and account files say", async (test) => {
  await withDaemon({ config }, async (daemon) => {
    const client = await ready(daemon);
    const rcpt = (address: string, code: string) => client.say(`RCPT TO:<${address}>`, code);
    const update = (table: string) => daemon.tool("smtpctl", ["update", "table", table]);
    await test.step("recipients of each back-end are accepted, and no others", async () => {
      await rcpt("user299@bdb.example", "250");
      await rcpt("user300@bdb.example", "550");
      await rcpt("bob@sql.example", "250");
      await rcpt("eve@sql.example", "550");
      await rcpt("joe@users.example", "250");
      await rcpt("max@users.example", "550");
      await rcpt("team@cdb.example", "250");
      await rcpt("nobody-here@cdb.example", "550");
    });
    await test.step("rows that are added count at once", async () => {
      const database = new DatabaseSync(join(daemon.folder, "mail.sqlite"));
      database.exec(`INSERT INTO people VALUES ('eve@sql.example', '${OWNER}')`);
      database.close();
      await rcpt("eve@sql.example", "250");
    });
    await test.step("a database that was put in its place is opened", async () => {
      const path = join(daemon.folder, "mail.sqlite");
      const database = new DatabaseSync(`${path}.new`);
      database.exec("CREATE TABLE people (address TEXT PRIMARY KEY, target TEXT)");
      database.exec(`INSERT INTO people VALUES ('amy@sql.example', '${OWNER}')`);
      database.close();
      // The kernel's walls know a file by its inode.
      Deno.renameSync(`${path}.new`, path);
      const { code, stdout, stderr } = await update("people");
      assert.equal(code, 0, stdout + stderr);
      await rcpt("amy@sql.example", "250");
      assert.ok(!daemon.log.some((line) => line.includes("all its walls")), daemon.log.join("\n"));
    });
    await test.step("a map that makemap replaced is opened again", async () => {
      Deno.writeTextFileSync(join(daemon.folder, "aliases"), `team: ${OWNER}\nnew: ${OWNER}\n`);
      makemap(daemon.folder);
      assert.equal((await update("aliases")).code, 0);
      await rcpt("new@cdb.example", "250");
    });
    await test.step("a damaged file is logged, and the old content stays", async () => {
      Deno.writeTextFileSync(join(daemon.folder, "aliases.db"), "nonsense");
      const { code, stdout, stderr } = await update("aliases");
      assert.notEqual(code, 0);
      assert.match(stdout + stderr, /neither a constant database nor a Berkeley DB file/);
      await rcpt("new@cdb.example", "250");
      Deno.writeTextFileSync(join(daemon.folder, "users"), "joe\n");
      assert.notEqual((await update("users")).code, 0);
      await rcpt("joe@users.example", "250");
    });
    await test.step("smtpd -n finds the damage, each file at its line", async () => {
      const { code, stderr } = await run(program("smtpd"), [
        "-n",
        "--one-user",
        "-f",
        join(daemon.folder, "smtpd.conf"),
      ]);
      assert.equal(code, 1);
      assert.match(stderr, /smtpd\.conf:4: table <users>: cannot open .*users:1 invalid line/);
      assert.match(stderr, /smtpd\.conf:5: table <aliases>: cannot open .*aliases\.db: neither a constant database/);
    });
    client.close();
  });
});

Deno.test("smtpctl update table refuses what would fail, with file and line, and the old content stays", async () => {
  const harness = ({ port, mail, folder }: Place) => {
    Deno.writeTextFileSync(join(folder, "aliases"), `team: ${OWNER}\n`);
    Deno.writeTextFileSync(join(folder, "hosts"), "far.example smtp://127.0.0.1\n");
    Deno.writeTextFileSync(join(folder, "domains"), `${DOMAIN}\n`);
    return `
table aliases file:${folder}/aliases
table domains file:${folder}/domains
table inline { "inline.example" }
table hosts file:${folder}/hosts
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual <aliases> user ${OWNER}
action "far" relay domain <hosts>
match from any for domain <domains> action "inbox"
match from any for domain <inline> action "inbox"
match from any for domain "far.example" action "far"
`;
  };
  await withDaemon({ config: harness }, async (daemon) => {
    const update = async (table: string, text: string | null) => {
      if (text !== null) Deno.writeTextFileSync(join(daemon.folder, table), text);
      const { code, stdout } = await daemon.tool("smtpctl", ["update", "table", table]);
      return `${code} ${stdout.replaceAll(`${daemon.folder}/`, "").trimEnd()}`;
    };
    const rows: readonly [table: string, text: string | null, want: RegExp][] = [
      [
        "aliases",
        `team: ${OWNER}\nnew: |\n`,
        /^1 command failed: aliases:2: the alias "new" cannot work: .* stays as it was$/,
      ],
      ["aliases", `new: ${OWNER}\na: b\nb: a\n`, /^1 command failed: aliases:2: the alias "a" leads back to itself/],
      ["aliases", `new: ${OWNER}\nteam\n`, /^1 command failed: aliases:2: an entry of a map needs a key and a value/],
      [
        "aliases",
        `new: ${OWNER}\nlist: :include:/list\n`,
        /^1 .* aliases:2: the alias "list" includes \/list, which is new: smtpctl reload has both read\. The table stays/,
      ],
      ["hosts", "\n# far\nfar.example ftp://127.0.0.1\n", /^1 command failed: hosts:3: .*"ftp:\/\/127\.0\.0\.1"/],
      ["inline", null, /^1 command failed: table <inline> is written in smtpd\.conf: there is no file to read again$/],
      ["nosuch", null, /^1 command failed: There is no table "nosuch"$/],
      ["domains", "other.example: x\n", /^1 command failed: domains: The file was a list and is a map now$/],
      // Advice is no reason.
      ["domains", `${DOMAIN}\n@b.example\n`, /^0 command succeeded$/],
    ];
    for (const [table, text, want] of rows) assert.match(await update(table, text), want);
    const client = await ready(daemon);
    await client.say(`RCPT TO:<team@${DOMAIN}>`, "250");
    await client.say(`RCPT TO:<new@${DOMAIN}>`, "550");
    assert.equal(await update("aliases", `new: ${OWNER}\n`), "0 command succeeded");
    await client.say(`RCPT TO:<new@${DOMAIN}>`, "250");
    await client.say(`RCPT TO:<team@${DOMAIN}>`, "550");
    client.close();
  });
});

Deno.test("the daemon starts with a million aliases, finds them and reads them again", async () => {
  const count = 1_000_000;
  const aliased = (place: Place) => {
    const lines = Array.from({ length: count }, (_, index) => `user${index}: ${OWNER}\n`);
    Deno.writeTextFileSync(join(place.folder, "aliases"), lines.join(""));
    return `
table aliases file:${place.folder}/aliases
listen on 127.0.0.1 port ${place.port} hostname mx.${DOMAIN}
action "inbox" maildir "${place.mail}/%{rcpt.user}" virtual <aliases> user ${OWNER}
match from any for domain "${DOMAIN}" action "inbox"
`;
  };
  await withDaemon({ config: aliased }, async (daemon) => {
    const client = await ready(daemon);
    for (const index of [0, 123_456, count - 1]) await client.say(`RCPT TO:<user${index}@${DOMAIN}>`, "250");
    await client.say(`RCPT TO:<user${count}@${DOMAIN}>`, "550");
    // Read again it takes as long, and lookup answers meanwhile: it is not taken for one that loops.
    const appended = `user${count}: ${OWNER}\n`;
    Deno.writeTextFileSync(join(daemon.folder, "aliases"), appended, { append: true });
    assert.match((await daemon.tool("smtpctl", ["update", "table", "aliases"])).stdout, /succeeded/);
    await client.say(`RCPT TO:<user${count}@${DOMAIN}>`, "250");
    assert.ok(!daemon.log.some((line) => /isolate lookup/.test(line)), daemon.log.join("\n"));
    client.close();
  });
});
