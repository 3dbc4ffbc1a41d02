/** smtpctl explain and smtpd -n --expect as they are called: options, what is printed, and what is wrong with what is given. */

import assert from "node:assert/strict";
import { smtpctlMain } from "../../src/cli/smtpctl/smtpctl.ts";
import { expectMain } from "../../src/cli/smtpd/expect.ts";
import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";
import { readOffline } from "../../src/cli/smtpctl/offline_config.ts";
import { environment, FakeTerminal, withFolder } from "./fakes.ts";

const CONFIG = `table owned { "nobody" = "@example.org" }
listen on 127.0.0.1 port 2525 tag MX
action "local" maildir "/nonexistent"
action "out" relay host smtp://192.0.2.99
match from any for domain "example.org" action "local"
match from local for any action "out"
`;

const CLIENT = ["--peer", "192.0.2.7", "--peer-name", "client.example.net"];

/** Runs the command with a configuration in a folder of its own; FOLDER in an argument stands for it. */
async function run(folder: string, args: readonly string[], { stdin = "", config = CONFIG } = {}) {
  await Deno.writeTextFile(`${folder}/smtpd.conf`, config);
  // Nothing answers there: what is asked of the DNS is not known.
  await Deno.writeTextFile(`${folder}/resolv.conf`, "nameserver 127.0.0.1:1\noptions timeout:1 attempts:1\n");
  const terminal = new FakeTerminal(stdin);
  const env = environment({ ASR_CONFIG: `${folder}/resolv.conf`, SMTPD_SPOOL: `${folder}/spool` });
  const given = args.map((arg) => arg.replace("FOLDER", folder));
  const code = await smtpctlMain(["explain", "--config", `${folder}/smtpd.conf`, ...given], env, terminal);
  return {
    code,
    out: terminal.stdout.replaceAll(folder, "FOLDER"),
    err: terminal.stderr.replaceAll(folder, "FOLDER"),
    env,
  };
}

Deno.test("explain prints decisions with their lines; results stand at the end", async () => {
  await withFolder(async (folder) => {
    const { code, out } = await run(folder, [
      "-f",
      "a@example.net",
      "-t",
      "nobody@example.org",
      "-t",
      "x@example.com",
      ...CLIENT,
      "-v",
      "-",
    ], {
      stdin: "Subject: x\n\nx\n",
    });
    assert.equal(code, 0);
    const lines = out.trimEnd().split("\n");
    assert.deepEqual(lines.slice(-2), [
      'nobody@example.org: deliver to nobody by maildir /nonexistent (action "local") [FOLDER/smtpd.conf:5]',
      "x@example.com: 550 5.7.1 Relaying denied: <x@example.com>",
    ]);
    assert.ok(lines.includes("listener 127.0.0.1:2525 (tag MX) [FOLDER/smtpd.conf:2]"));
    assert.ok(lines.includes('  rule for x@example.com: does not match: "from" [FOLDER/smtpd.conf:6]'));
  });
});

Deno.test("explain --json prints one document, and says what is not known", async () => {
  await withFolder(async (folder) => {
    const { code, out } = await run(folder, ["-t", "nobody@example.org", ...CLIENT, "--json"]);
    assert.equal(code, 0);
    const document = JSON.parse(out), { steps, results, unknown } = document;
    assert.deepEqual(Object.keys(document).sort(), Object.keys(JSON_FORMS.explain!.fields).sort());
    assert.deepEqual(results.map(({ recipient, line }: { recipient: string; line: number }) => [recipient, line]), [
      ["nobody@example.org", 5],
    ]);
    assert.deepEqual(unknown, []);
    const kinds = steps.map(({ kind }: { kind: string }) => kind);
    for (const kind of ["configuration", "listener", "command", "header", "result"]) {
      assert.ok(kinds.includes(kind), kind);
    }
  });
});

Deno.test("explain says that keys sign nothing where no action has dkim", async () => {
  await withFolder(async (folder) => {
    const config = `dkim example.net selector s key "/nonexistent"\n${CONFIG}`;
    const { out } = await run(folder, ["-f", "a@example.net", "-t", "nobody@example.org", ...CLIENT], { config });
    assert.match(out, /^not signed: no action has "dkim"$/m);
  });
});

Deno.test("explain takes the sender from the message, or the null sender", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/m`, "From: Bob <bob@example.net>\n\nx\n");
    const said = async (...args: string[]) =>
      /^MAIL FROM:.*$/m.exec((await run(folder, ["-t", "nobody@example.org", ...CLIENT, ...args])).out)?.[0];
    assert.equal(await said("FOLDER/m"), "MAIL FROM:<bob@example.net>");
    assert.equal(await said("-f", "<>", "FOLDER/m"), "MAIL FROM:<>");
    assert.equal(await said(), "MAIL FROM:<>");
  });
});

const WRONG: readonly (readonly [args: readonly string[], err: RegExp])[] = [
  [[], /a recipient is missing: -t ADDRESS names one/],
  [["-t", "a@b\r\nQUIT"], /has characters that cannot be sent/],
  [["-t", "a@b", "-f", "a@b>"], /has characters that cannot be sent/],
  [["-t", "a@b", "--listener", "NONE"], /there is no listener "NONE": there are socket, 127\.0\.0\.1:2525 \(tag MX\)/],
  [["-t", "a@b", "--peer", "nowhere"], /"nowhere" is no IP address/],
  [["-t", "a@b", "--listener", "socket", "--peer", "192.0.2.1"], /a client of the socket has no address/],
  [["-t", "a@b", "--login", "alice"], /no listener lets anybody log in/],
  [["-t", "a@b", "--record", "FOLDER/x.txt"], /FOLDER\/x\.txt has to end in \.eml, or smtpd -n --expect does not read/],
  [["-t", "a@b", "--record", "/nonexistent/x.eml"], /^smtpctl: \/nonexistent\/x\.eml cannot be written: No such file/],
  [["-t", "a@b", "--record", "FOLDER/x.eml", "--programs"], /--record and --programs exclude each other/],
  [["-t", "a@b", "/nonexistent/m"], /\/nonexistent\/m cannot be read: No such file/],
  [["-t", "a@b", "/"], /\/ is a folder/],
  [["-t", "a@b", "/dev/zero"], /\/dev\/zero is no file/],
  [["-t", "a@b", "x", "y"], /"y" is a word too many/],
  [["-t", "a@b", "--peeer", "x"], /unknown option --peeer, did you mean "--peer"/],
];

for (const [args, err] of WRONG) {
  Deno.test(`explain ${args.join(" ")} says what is wrong`, async () => {
    await withFolder(async (folder) => {
      const { code, out, err: said } = await run(folder, args);
      assert.notEqual(code, 0);
      assert.equal(out, "");
      assert.match(said, err);
    });
  });
}

Deno.test("what is recorded already is not recorded once more", async () => {
  await withFolder(async (folder) => {
    const { code, err } = await run(folder, ["-t", "a@b", ...CLIENT, "--record", "FOLDER/x.eml", "-"], {
      stdin: "x-expect: 1\nX-Expect-To: <a@b>\nSubject: x\n\nx\n",
    });
    assert.equal(code, 1);
    assert.equal(err, "smtpctl: the message has lines X-Expect in front: it is recorded already\n");
    assert.throws(() => Deno.statSync(`${folder}/x.eml`), Deno.errors.NotFound);
  });
});

Deno.test("brackets may stand in the quotes of an address, and are recorded and replayed", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/letters`);
    const odd = ['"a > b"@example.com', '"<"@example.com', 'c"d@example.com'];
    const words = [...odd.flatMap((one) => ["-t", one]), "-f", '"<a>"@example.net', ...CLIENT];
    const { code, out, env } = await run(folder, [...words, "--record", "FOLDER/letters/1.eml"]);
    assert.equal(code, 0);
    assert.ok(out.includes('\nMAIL FROM:<"<a>"@example.net>\n'), out);
    assert.deepEqual(out.trimEnd().split("\n").slice(-3), [
      '"a > b"@example.com: 550 5.7.1 Relaying denied: <"a > b"@example.com>',
      '"<"@example.com: 550 5.7.1 Relaying denied: <"<"@example.com>',
      'c"d@example.com: 501 5.1.3 Recipient address syntax error',
    ]);
    const read = readOffline(`${folder}/smtpd.conf`, env);
    assert.ok("config" in read);
    const { code: status, lines } = await printed(() => expectMain(`${folder}/letters`, read.config, env));
    assert.deepEqual({ status, lines }, { status: 0, lines: ["1 as expected, 0 changed, 0 cannot be read"] });
  });
});

Deno.test("explain by a configuration that is wrong, or is not there, says what is wrong with it", async () => {
  await withFolder(async (folder) => {
    const { code, err } = await run(folder, ["-t", "a@b"], { config: "match for any action none\n" });
    assert.equal(code, 1);
    assert.match(err, /^FOLDER\/smtpd\.conf:1: .*\nsmtpctl: the configuration cannot be used/);
    const terminal = new FakeTerminal();
    assert.equal(
      await smtpctlMain(["explain", "-t", "a@b", "--config", "/nonexistent/c"], environment({}), terminal),
      1,
    );
    assert.match(terminal.stderr, /\/nonexistent\/c: .*No such file/);
  });
});

/** What is printed on the console while `work` runs. */
async function printed(
  work: () => Promise<number>,
): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = [], { log, error } = console;
  console.log = console.error = (line: string) => void lines.push(line);
  try {
    return { code: await work(), lines };
  } finally {
    console.log = log;
    console.error = error;
  }
}

Deno.test("what --record writes is replayed; it overwrites nothing; statuses are 0, 1 and 2", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/letters`);
    const args = ["-f", "a@example.net", "-t", "nobody@example.org", "-t", "x@example.com", ...CLIENT];
    const record = [...args, "--record", "FOLDER/letters/1.eml"];
    const { code, env } = await run(folder, record);
    assert.equal(code, 0);
    assert.match((await run(folder, record)).err, /FOLDER\/letters\/1\.eml is there already/);
    const expect = async (config: string, place = `${folder}/letters`) => {
      await Deno.writeTextFile(`${folder}/smtpd.conf`, config);
      const read = readOffline(`${folder}/smtpd.conf`, env);
      assert.ok("config" in read);
      const { code, lines } = await printed(() => expectMain(place, read.config, env));
      return { code, lines: lines.map((line) => line.replaceAll(folder, "FOLDER")) };
    };
    assert.deepEqual(await expect(CONFIG), { code: 0, lines: ["1 as expected, 0 changed, 0 cannot be read"] });
    const relays = CONFIG.replace("match from local", "match from any");
    assert.deepEqual(await expect(relays), {
      code: 1,
      lines: [
        "FOLDER/letters/1.eml: x@example.com: was 550 5.7.1 Relaying denied: <x@example.com>, " +
        'is relay to 192.0.2.99 (action "out"); FOLDER/smtpd.conf:6',
        "0 as expected, 1 changed, 0 cannot be read",
      ],
    });
    await Deno.writeTextFile(`${folder}/letters/2.eml`, "Subject: x\n\n");
    assert.equal((await expect(CONFIG)).code, 2);
    assert.deepEqual(await expect(CONFIG, "/nonexistent"), {
      code: 2,
      lines: ["smtpd: --expect /nonexistent: No such file or directory"],
    });
    await Deno.mkdir(`${folder}/empty`);
    assert.match((await expect(CONFIG, `${folder}/empty`)).lines[0]!, /it has no file \*\.eml/);
  });
});

/** Says no to every sender. */
const PROGRAM = `#!/bin/sh
while read -r line; do
  case $line in "config|ready") printf 'register|filter|smtp-in|mail-from\\nregister|ready\\n'; break ;; esac
done
while IFS='|' read -r a b c d e f g rest; do
  [ "$a.$e" != filter.mail-from ] || echo "filter-result|$f|$g|reject|550 5.7.1 program says no"
done
`;

Deno.test(
  "a filter that is a program is asked with --programs alone",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    await withFolder(async (folder) => {
      await Deno.chmod(folder, 0o755);
      await Deno.writeTextFile(`${folder}/program`, PROGRAM, { mode: 0o755 });
      const config = CONFIG.replace("tag MX", "tag MX filter no")
        .replace("listen", `filter no proc-exec "${folder}/program"\nlisten`);
      const args = ["-f", "a@example.net", "-t", "nobody@example.org", ...CLIENT];
      const { out } = await run(folder, args, { config });
      assert.match(out, /^ {2}filter program "no": not asked$/m);
      assert.match(out, /^nobody@example\.org: deliver to nobody/m);
      const { out: asked } = await run(folder, [...args, "--programs"], { config });
      assert.match(asked, /^ {2}filter "no" in mail-from: reject 550 5\.7\.1 program says no$/m);
      assert.match(asked, /^nobody@example\.org: 550 5\.7\.1 program says no$/m);
    });
  },
);
