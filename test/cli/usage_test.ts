/** What the tools say of themselves: `--help` and `--version`, in the programs, in the scripts and in the manual pages. */

import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { mailqMain, smtpctlMain } from "../../src/cli/smtpctl/smtpctl.ts";
import { makemapMain } from "../../src/cli/maps/makemap.ts";
import { newaliasesMain } from "../../src/cli/maps/newaliases.ts";
import { getopt } from "../../src/cli/getopt.ts";
import { helpOf, lettersOf, type OptionUsage, type Tool, TOOLS } from "../../src/cli/usage.ts";
import { environment, FakeTerminal } from "./fakes.ts";

const ROOT = new URL("../../", import.meta.url);

/** The page that describes each tool's options; those of the mail.* helpers are in one paragraph. */
const PAGES: Partial<Record<Tool, string>> = {
  smtpd: "smtpd.8",
  sendmail: "sendmail.8",
  newaliases: "newaliases.8",
  makemap: "makemap.8",
  smtp: "smtp.1",
};

for (const [tool, page] of Object.entries(PAGES) as [Tool, string][]) {
  Deno.test(`${page} has every option of ${tool}, and --help and --version`, () => {
    const text = Deno.readTextFileSync(new URL(`conf/man/${page}`, ROOT));
    const options: readonly OptionUsage[] = TOOLS[tool].options;
    const flags = new Set([...text.matchAll(/\bFl ([^\n]*)/g)].flatMap(([, words]) => words!.split(/[ ,]+/)));
    const known = [...flags].flatMap((flag) => flag === "Fl" ? [] : [...flag]);
    for (const { letter, long, value } of options) {
      if (letter !== "") assert.ok(known.includes(letter), `-${letter}`);
      else {
        const term = `Fl Fl ${long}${value === undefined ? "" : ` Ar ${value}`}`;
        assert.match(text, new RegExp(`^\\.It ${term}$`, "m"));
      }
    }
    for (const long of ["help", "version"]) assert.match(text, new RegExp(`^\\.It Fl Fl ${long}( , Fl h)?$`, "m"));
  });
}

Deno.test("every command of smtpctl has a sentence, and smtpctl COMMAND --help prints it", async () => {
  for (const { pattern, about } of COMMANDS) {
    assert.match(about, /^[A-Z].*\.$/, pattern);
    const words = pattern.split(" ").filter((word) => !word.startsWith("<"));
    const terminal = new FakeTerminal("a secret\n");
    assert.equal(await smtpctlMain([...words, "--help"], environment({}), terminal), 0);
    assert.equal(terminal.stderr, "");
    assert.ok(terminal.stdout.startsWith("usage: smtpctl ") && terminal.stdout.includes(about), terminal.stdout);
  }
});

const asked: { args: string[]; stdout: RegExp }[] = [
  {
    args: ["--help"],
    stdout: /^usage: smtpctl command[^]*\n {2}show queue \[<msgid>\]\n +Lists the envelopes/,
  },
  { args: ["-h"], stdout: /^usage: smtpctl command/ },
  { args: ["--version"], stdout: /^smtpctl \(Vaultpost\) \d/ },
  {
    args: ["show", "--help"],
    stdout: /^usage: smtpctl show certificates \[--json\]\n[^]*\nusage: smtpctl show status \[--json\]\n/,
  },
  { args: ["sh", "q", "-h"], stdout: /^usage: smtpctl show queue \[<msgid>\] \[--json\]\n[^\n]+\n$/ },
  { args: ["--help", "encrypt"], stdout: /^usage: smtpctl encrypt \[<str>\]\n/ },
  { args: ["encrypt", "--scram", "--help"], stdout: /^usage: smtpctl encrypt --scram \[<str>\]\n/ },
  { args: ["show", "message", "--help"], stdout: /^usage: smtpctl show message <msgid> \| <evpid> \[--json\]\n/ },
  { args: ["remove", "7b23f1c8", "--help"], stdout: /^usage: smtpctl remove <msgid>\n/ },
];
for (const { args, stdout } of asked) {
  Deno.test(`smtpctl ${args.join(" ")} prints its help and does nothing`, async () => {
    const terminal = new FakeTerminal("a secret\n");
    assert.equal(await smtpctlMain(args, environment({ SMTPD_SOCKET: "/nonexistent/c.sock" }), terminal), 0);
    assert.match(terminal.stdout, stdout);
    assert.equal(terminal.stderr, "");
  });
}

Deno.test("smtpctl NONSENSE --help is a mistake", async () => {
  const terminal = new FakeTerminal();
  assert.equal(await smtpctlMain(["explode", "--help"], environment({}), terminal), 255);
  assert.match(terminal.stderr, /^invalid command "explode"/);
});

Deno.test("getopt: --help, --version, and -h where it is no option, up to the first operand or --", () => {
  const makemap = lettersOf("makemap");
  const rows: [string[], unknown][] = [
    [["--help"], "help"],
    [["-U", "--version", "x"], "version"],
    [["-h"], "help"],
    [["-Uh"], "help"],
    [["--", "--help"], ["--help"]],
    [["file", "--help"], ["file", "--help"]],
    [["-o", "--help", "x"], ["x"]],
    [["-"], ["-"]],
    [["-u"], 'unknown option -- u, did you mean "-U"?'],
    [["-Z"], "unknown option -- Z"],
    [["--vresion"], 'unknown option --vresion, did you mean "--version"?'],
    [["-version"], 'unknown option -- v, did you mean "--version"?'],
    [["--nothing"], "unknown option --nothing"],
    [["-t"], "option requires an argument -- t"],
  ];
  for (const [args, want] of rows) {
    const options = getopt(args, makemap);
    assert.deepEqual(options.ok ? options.operands : options.info ?? options.text, want, args.join(" "));
  }
  const smtp = getopt(["-h"], lettersOf("smtp"));
  assert.ok(smtp.ok && smtp.given.has("h"), "smtp has an -h of its own");
});

for (const tool of Object.keys(TOOLS) as Tool[]) {
  Deno.test(`scripts/${tool} --help and --version are printed on standard output, with nothing there to work with`, async () => {
    const run = async (...args: string[]) => {
      const command = new Deno.Command(new URL(`scripts/${tool}`, ROOT).pathname, {
        args,
        env: { SMTPD_SOCKET: "/nonexistent/c.sock", SMTPD_SPOOL: "/nonexistent", VAULTPOST_OWNER_WARNED: "1" },
        stdin: "null",
      });
      const { code, stdout, stderr } = await command.output();
      const decoder = new TextDecoder();
      return [code, decoder.decode(stdout), decoder.decode(stderr)] as const;
    };
    const [help, version, wrong] = await Promise.all([run("--help"), run("--version"), run("--hlep")]);
    assert.equal(help[0], 0, help[2]);
    assert.ok(help[1].startsWith(`usage: ${tool}`) && help[1].includes(TOOLS[tool].about), help[1]);
    if (tool !== "smtpctl") assert.equal(help[1], helpOf(tool));
    assert.match(version[1], new RegExp(`^${tool.replace(".", "\\.")} \\(Vaultpost\\) \\d+\\.\\d+\\.\\d+\n$`));
    assert.deepEqual([version[0], help[2]], [0, ""]);
    assert.notEqual(wrong[0], 0);
    assert.match(wrong[2], /--hlep'?, did you mean "--help"\?/);
    assert.equal(wrong[1], "");
  });
}

Deno.test("a reader that goes away ends --help quietly", async () => {
  const command = new Deno.Command(new URL("scripts/smtpctl", ROOT).pathname, {
    args: ["--help"],
    env: { VAULTPOST_OWNER_WARNED: "1" },
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  await child.stdout.cancel();
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assert.deepEqual([code, stderr], [0, ""]);
});

const SCRIPTS = ["start", "test", "bench", "crash", "install", "uninstall", "package", "compile", "test-packages"];
for (const script of SCRIPTS) {
  Deno.test(`scripts/${script} --help and --version are printed on standard output`, async () => {
    for (
      const [flag, want] of [["--help", /^usage: scripts\//], ["-h", /^usage: scripts\//], [
        "--version",
        /\(Vaultpost\) \d/,
      ]] as const
    ) {
      const { code, stdout } = await new Deno.Command(new URL(`scripts/${script}`, ROOT).pathname, { args: [flag] })
        .output();
      assert.match(new TextDecoder().decode(stdout), want);
      assert.equal(code, 0);
    }
  });
}

const operands: { tool: string; run: (terminal: FakeTerminal) => Promise<number>; stderr: RegExp }[] = [
  {
    tool: "mailq help",
    run: (terminal) => mailqMain(["help"], environment({}), terminal),
    stderr: /^mailq: invalid message id, did you mean "--help"\?\nusage: mailq/,
  },
  {
    tool: "mailq 12345",
    run: (terminal) => mailqMain(["12345"], environment({}), terminal),
    stderr: /^mailq: invalid message id: "12345" is no message id: that is 8 hexadecimal digits[^\n]*\nusage: mailq/,
  },
  {
    tool: "makemap version",
    run: (terminal) => makemapMain(["version"], environment({}), terminal),
    stderr: /^makemap: version: No such file[^\n]*, did you mean "--version"\?\n$/,
  },
  {
    tool: "newaliases help",
    run: (terminal) => newaliasesMain(["help"], environment({}), terminal),
    stderr: /^newaliases: no argument is taken: help, did you mean "--help"\?\nusage: newaliases/,
  },
  {
    tool: "newaliases -D x",
    run: (terminal) => newaliasesMain(["-D", "x"], environment({}), terminal),
    stderr: /^newaliases: -D wants macro=value\nusage: newaliases/,
  },
];
for (const { tool, run, stderr } of operands) {
  Deno.test(`"${tool}" gets an error that says what is wrong with it`, async () => {
    const terminal = new FakeTerminal();
    assert.notEqual(await run(terminal), 0);
    assert.match(terminal.stderr, stderr);
  });
}
