/** makemap and newaliases: map files and the text they are made of. */

import { deepEqual, equal, match } from "node:assert/strict";
import { CdbReader } from "../../src/tables/mod.ts";
import { makemapMain } from "../../src/cli/maps/makemap.ts";
import { newaliasesMain } from "../../src/cli/maps/newaliases.ts";
import { environment, FakeTerminal, withFolder, withServer } from "./fakes.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (octets: Uint8Array | null) => octets === null ? null : new TextDecoder().decode(octets);

async function make(args: string[], stdin = "") {
  const terminal = new FakeTerminal(stdin);
  const status = await makemapMain(args, environment({}), terminal);
  return { status, stdout: terminal.stdout, stderr: terminal.stderr };
}

const maps: { name: string; args: string[]; source: string; dump: string }[] = [
  {
    name: "plain values stay as they are, keys are folded",
    args: [],
    source: "# comment\n\nKey value  with blanks\nother:\tx\n[2001:DB8::1] six\n",
    dump: "key\tvalue  with blanks\nother\tx\n[2001:db8::1]\tsix\n",
  },
  {
    name: "aliases are lists of targets",
    args: ["-t", "aliases"],
    source: 'root: alice, bob@example.org\nlog: /var/log/mail\nprog: "|cat > /dev/null"\nold: error:550 gone\n',
    dump: 'root\talice, bob@example.org\nlog\t/var/log/mail\nprog\t"|cat > /dev/null"\nold\terror:550 gone\n',
  },
  {
    name: "a set has keys only, blanks and all",
    args: ["-t", "set"],
    source: "Example.ORG\na key with blanks\n",
    dump: "example.org\t<set>\na key with blanks\t<set>\n",
  },
  { name: "cdb may be asked for by name", args: ["-d", "cdb"], source: "a b\n", dump: "a\tb\n" },
];
for (const { name, args, source, dump } of maps) {
  Deno.test(`makemap: ${name}`, async () => {
    await withFolder(async (folder) => {
      const path = `${folder}/map`;
      await Deno.writeTextFile(path, source, { mode: 0o640 });
      deepEqual(await make([...args, path]), { status: 0, stdout: "", stderr: "" });
      equal((await Deno.stat(`${path}.db`)).mode! & 0o777, 0o640);
      deepEqual(await make(["-U", `${path}.db`]), { status: 0, stdout: dump, stderr: "" });
    });
  });
}

Deno.test("makemap stores keys and values with the NUL that ends them", async () => {
  await withFolder(async (folder) => {
    equal((await make(["-o", `${folder}/m.db`, "-"], "key value\n")).status, 0);
    const reader = new CdbReader(await Deno.readFile(`${folder}/m.db`));
    equal(text(reader.get(bytes("key\0"))), "value\0");
    equal(reader.get(bytes("key")), null);
  });
});

/** Calls of scripts that were written for the makemap of OpenSMTPD or sendmail; `FOLDER/m` is the map. */
const OLD_CALLS: readonly { args: readonly string[]; stdin?: string; kind: string | null; dump: string }[] = [
  { args: ["-d", "hash", "-o", "m.db", "m"], kind: "hash", dump: "root\talice\n" },
  { args: ["-d", "btree", "-t", "aliases", "m"], kind: "btree", dump: "root\talice\n" },
  { args: ["-d", "dbm", "-t", "set", "m"], kind: "dbm", dump: "root: alice\t<set>\n" },
  { args: ["hash", "m"], stdin: "Key a value\n", kind: "hash", dump: "key\ta value\n" },
  { args: ["-t,", "btree", "m"], stdin: "a key , x:y\n", kind: "btree", dump: "a key\tx:y\n" },
  { args: ["-t", "|", "cdb", "m"], stdin: "k|v|w\n", kind: null, dump: "k\tv|w\n" },
];
for (const { args, stdin, kind, dump } of OLD_CALLS) {
  Deno.test(`makemap ${args.join(" ")} makes what smtpd reads, under the name asked for, and says so once`, async () => {
    await withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/m`, "root: alice\n");
      const made = await make(args.map((arg) => /^m(\.db)?$/.test(arg) ? `${folder}/${arg}` : arg), stdin);
      const said =
        `makemap: ${folder}/m.db is a constant database (cdb), which smtpd reads in place of ${kind}: say -d cdb\n`;
      deepEqual(made, { status: 0, stdout: "", stderr: kind === null ? "" : said });
      equal((await make(["-U", `${folder}/m.db`])).stdout, dump);
    });
  });
}

Deno.test("makemap TYPE MAP reads standard input, as sendmail's does", async () => {
  await withFolder(async (folder) => {
    equal((await make(["cdb", `${folder}/m`], "key value\n")).status, 0);
    equal((await make(["-U", `${folder}/m.db`])).stdout, "key\tvalue\n");
  });
});

const mistakes: { name: string; args: string[]; source: string; stderr: RegExp }[] = [
  { name: "a key that stands twice", args: [], source: "a 1\nb 2\nA 3\n", stderr: /map:3: duplicate entry for a\n$/ },
  {
    name: "every mistake of the file",
    args: [],
    source: "a 1\nlonely\na 2\n",
    stderr: /map:2: invalid entry\n[^\n]*map:3: duplicate entry for a\n$/,
  },
  { name: "a key without value", args: [], source: "# x\nlonely\n", stderr: /map:2: invalid entry\n$/ },
  {
    name: "a value that is no target",
    args: ["-t", "aliases"],
    source: "a: b c\n",
    stderr: /map:1: invalid entry: "b c": targets are parted by commas\n$/,
  },
  {
    name: "a key that is too long",
    args: ["-t", "set"],
    source: "x".repeat(1024),
    stderr: /map:1: key is too long\n$/,
  },
  {
    name: "a kind of database that nobody has",
    args: ["-d", "sqlite"],
    source: "a b\n",
    stderr: /sqlite: cdb is written, and hash, btree, dbm are taken for it\n$/,
  },
  { name: "a line without its delimiter", args: ["-t", ","], source: "a,b\nc d\n", stderr: /map:2: invalid entry\n$/ },
  { name: "another kind of map", args: ["-t", "colours"], source: "a b\n", stderr: /unsupported type colours/ },
];
for (const { name, args, source, stderr } of mistakes) {
  Deno.test(`makemap refuses ${name}, and the old map stays`, async () => {
    await withFolder(async (folder) => {
      const path = `${folder}/map`;
      await Deno.writeTextFile(path, source);
      await Deno.writeTextFile(`${path}.db`, "old");
      const made = await make([...args, path]);
      equal(made.status, 1);
      match(made.stderr, stderr);
      equal(await Deno.readTextFile(`${path}.db`), "old");
      deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["map", "map.db"]);
    });
  });
}

Deno.test("makemap warns of an empty map, wants a file, and dumps no strange file", async () => {
  await withFolder(async (folder) => {
    const empty = await make(["-o", `${folder}/e.db`, "-"], "# nothing\n");
    deepEqual(empty, { status: 0, stdout: "", stderr: "makemap: warning: empty map\n" });
    match((await make([])).stderr, /^usage: makemap/);
    match((await make(["-"])).stderr, /say -o dbfile/);
    await Deno.writeTextFile(`${folder}/text`, "a b\n");
    match((await make(["-U", `${folder}/text`])).stderr, /neither a constant database nor/);
    match((await make([`${folder}/missing`])).stderr, /^makemap: .*No such file/);
  });
});

/** Runs newaliases with a config and an aliases file; `answer` is what a running daemon says. */
async function rebuild(aliases: string, answer: string | null) {
  const terminal = new FakeTerminal();
  let status = -1;
  let received = "";
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/aliases`, aliases);
    await Deno.writeTextFile(
      `${folder}/smtpd.conf`,
      `table aliases file:${folder}/aliases\naction "a" mbox alias <aliases>\nmatch for local action "a"\n`,
    );
    const run = async () => {
      const env = environment({ SMTPD_SOCKET: `${folder}/c.sock` });
      status = await newaliasesMain(["-f", `${folder}/smtpd.conf`], env, terminal);
    };
    if (answer === null) await run();
    else {
      await withServer(`${folder}/c.sock`, (socket) => {
        socket.on("data", (piece) => {
          received += piece.toString();
          socket.end(answer + "\n");
        });
      }, run);
    }
    terminal.stdout = terminal.stdout.replaceAll(folder, "");
    terminal.stderr = terminal.stderr.replaceAll(folder, "");
  });
  return { status, received, stdout: terminal.stdout, stderr: terminal.stderr };
}

Deno.test("newaliases counts the aliases and has the daemon read them again", async () => {
  deepEqual(await rebuild("# x\nroot: alice\npostmaster: root\n", '{"ok":true}'), {
    status: 0,
    received: '{"do":"update-table","table":"aliases"}\n',
    stdout: "/aliases: 2 aliases\n",
    stderr: "",
  });
});

Deno.test("newaliases without a daemon only checks a file: table", async () => {
  const { status, stdout } = await rebuild("root: alice\n", null);
  equal(status, 0);
  equal(stdout, "/aliases: 1 alias\n");
});

Deno.test("newaliases says where an alias is wrong and does not bother the daemon", async () => {
  const { status, received, stderr } = await rebuild("root: alice\nbad: two words\n", '{"ok":true}');
  equal(status, 1);
  equal(received, "");
  equal(stderr, '/aliases:2: invalid entry: "two words": targets are parted by commas\n');
});

Deno.test("newaliases fails when the daemon cannot read the table", async () => {
  const { status, stderr } = await rebuild("root: alice\n", '{"ok":false,"error":"No such table"}');
  equal(status, 1);
  equal(stderr, "newaliases: No such table\n");
});

Deno.test("newaliases makes the map of a db: table, which need not be there before, and makemap -U shows any map", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/aliases`, "Root: alice\n", { mode: 0o640 });
    await Deno.writeTextFile(`${folder}/smtpd.conf`, `table aliases db:${folder}/aliases.db\nmatch reject\n`);
    const terminal = new FakeTerminal();
    const env = environment({ SMTPD_SOCKET: `${folder}/none.sock` });
    equal(await newaliasesMain(["-f", `${folder}/smtpd.conf`], env, terminal), 0, terminal.stderr);
    equal(terminal.stdout, `${folder}/aliases: 1 alias\n`);
    equal((await make(["-U", `${folder}/aliases.db`])).stdout, "root\talice\n");
    equal((await Deno.stat(`${folder}/aliases.db`)).mode! & 0o777, 0o640);
    const berkeley = new URL("../tables/fixtures/three.btree.db", import.meta.url).pathname;
    equal((await make(["-U", berkeley])).stdout.split("\n")[1], "user1\tdest1@example.org");
  });
});

Deno.test("newaliases reports the mistakes of a configuration", async () => {
  await withFolder(async (folder) => {
    const terminal = new FakeTerminal();
    await Deno.writeTextFile(`${folder}/smtpd.conf`, "nonsense\n");
    equal(await newaliasesMain(["-f", `${folder}/smtpd.conf`], environment({}), terminal), 1);
    match(terminal.stderr, /smtpd\.conf:1: /);
  });
});
