/** scripts/start as a newcomer runs it: from a folder with blanks and quotes in its name, twice, with the port taken, stopped by Ctrl-C. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Mailbox, PROJECT, run, within } from "./harness.ts";
import { freePort } from "../ports.ts";

/** What of the project the demo needs; the installed Deno and packages are shared by a link. */
const PARTS = ["src", "workers", "scripts", "conf", "deno.json", "deno.lock"];

interface Copy {
  readonly root: string;
  readonly port: number;
}

/** The project in another place, its demo on free ports. */
async function copyProject(parent: string): Promise<Copy> {
  const root = join(parent, `it's "my" \\ mail server`);
  await Deno.mkdir(root);
  const copied = await run("cp", ["-R", ...PARTS.map((part) => join(PROJECT, part)), root]);
  assert.equal(copied.code, 0, copied.stderr);
  await Deno.symlink(join(PROJECT, ".deno"), join(root, ".deno"));
  const port = freePort();
  const config = join(root, "conf/smtpd.conf");
  const text = await Deno.readTextFile(config);
  await Deno.writeTextFile(config, text.replaceAll("2525", String(port)).replaceAll("8025", String(freePort())));
  return { root, port };
}

class Demo {
  readonly child: Deno.ChildProcess;
  #text = "";
  #wake: () => void = () => {};
  readonly #reading: Promise<unknown>;

  constructor({ root }: Copy) {
    this.child = new Deno.Command(join(root, "scripts/start"), {
      cwd: "/",
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        this.#text += text;
        this.#wake();
      }
    };
    this.#reading = Promise.all([read(this.child.stdout), read(this.child.stderr)]);
  }

  /** All that it says until it is done. */
  async ends(): Promise<{ code: number; text: string }> {
    const { code } = await within(this.child.status, "the end of the demo");
    await this.#reading;
    return { code, text: this.#text };
  }

  async says(pattern: RegExp): Promise<string> {
    return await within(
      (async () => {
        while (!pattern.test(this.#text)) await new Promise<void>((resolve) => this.#wake = resolve);
        return this.#text;
      })(),
      String(pattern),
    );
  }
}

Deno.test("scripts/start gives a newcomer a mail server", async (test) => {
  const parent = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  const copy = await copyProject(parent);
  try {
    for (const [time, shell] of [["first", "sh"], ["second", "bash"]] as const) {
      await test.step(`the ${time} time, it says where it is and delivers a message, and Ctrl-C ends it`, async () => {
        const demo = new Demo(copy);
        const welcome = await demo.says(/Ctrl-C/);
        assert.match(welcome, new RegExp(`listens on +127\\.0\\.0\\.1:${copy.port} `));
        assert.match(welcome, /Mail lands in/);
        const commands = welcome.split("\n").filter((line) => /you@example\.org|example\.org\/you/.test(line));
        assert.equal(commands.length, 2);
        // Both in one paste, as a terminal hands them to a shell.
        const pasted = commands.join("\n").replaceAll(/\byou([@/])/g, `${time}$1`) + "\n";
        const ran = await run(shell, [], { input: pasted });
        assert.equal(ran.code, 0, ran.stdout + ran.stderr);
        assert.match(ran.stdout, /^Subject: First light$[^]*\n\nHello\.\n$/m);
        const mailbox = new Mailbox(join(copy.root, "var/mail/example.org", time));
        assert.equal(ran.stdout, await mailbox.text());
        demo.child.kill("SIGINT");
        assert.equal((await demo.ends()).code, 0);
      });
    }
    await test.step("when its port is taken it says so and fails", async () => {
      using _taken = Deno.listen({ hostname: "127.0.0.1", port: copy.port });
      const { code, text } = await new Demo(copy).ends();
      assert.equal(code, 1);
      assert.match(text, new RegExp(`127\\.0\\.0\\.1:${copy.port}: the address is in use`));
      assert.ok(!/Vaultpost is running/.test(text), "and welcomes nobody");
    });
    await test.step("it writes under var/ only", () => {
      const names = [...Deno.readDirSync(copy.root)].map((entry) => entry.name).sort();
      assert.deepEqual(names, [...PARTS, ".deno", "var"].sort());
      assert.deepEqual([...Deno.readDirSync(join(copy.root, "var"))].map((entry) => entry.name).sort(), [
        "mail",
        "spool",
        "state",
      ]);
    });
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});
