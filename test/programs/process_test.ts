/** Real programs: what they say, how they end and are ended. */

import assert from "node:assert/strict";
import { type ProcessHooks, type RunningProcess, startProcess } from "../../src/programs/mod.ts";

const LIMIT = 100;

interface Run {
  readonly lines: string[];
  readonly errors: string[];
  readonly process: RunningProcess;
  /** The reason. */
  readonly ended: Promise<string>;
  /** Resolves with the next line. */
  next(): Promise<string>;
}

/** Starts a script of /bin/sh; `program` stands for it. */
async function withScript(script: string | null, test: (run: Run) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const program = `${folder}/program`;
    if (script !== null) Deno.writeTextFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const lines: string[] = [], errors: string[] = [];
    const end = Promise.withResolvers<string>();
    let wake = () => {};
    let seen = 0;
    const hooks: ProcessHooks = {
      online: (line) => (lines.push(line), wake()),
      onstderr: (line) => void errors.push(line),
      onend: end.resolve,
    };
    const options = { program, args: ["one", "two words"], identity: null, path: "/usr/bin:/bin", lineLimit: LIMIT };
    const process = startProcess(options, hooks);
    const next = async () => {
      while (lines.length <= seen) await new Promise<void>((resolve) => wake = resolve);
      return lines[seen++]!;
    };
    await test({ lines, errors, process, ended: end.promise, next });
    process.end("the test is over");
    await end.promise;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("startProcess() passes lines both ways, standard error apart", async () => {
  const script = 'echo "$1,$2,$PATH,$HOME"; while read -r line; do echo "heard $line"; echo "noted $line" >&2; done';
  await withScript(script, async ({ process, next, errors }) => {
    assert.equal(await next(), "one,two words,/usr/bin:/bin,");
    process.write("a\nb\n");
    assert.deepEqual([await next(), await next()], ["heard a", "heard b"]);
    process.write("c\n");
    await next();
    assert.deepEqual(errors.slice(0, 2), ["noted a", "noted b"]);
  });
});

const endings = [
  { name: "reports the exit status", script: "exit 3", reason: "it exited with status 3" },
  { name: "reports the signal", script: "kill -9 $$", reason: "it died of SIGKILL" },
  {
    name: "ends a program whose line is too long",
    script: "head -c 500 /dev/zero; sleep 60",
    reason: "a line that is too long",
  },
  { name: "ends a program that closed its output", script: "exec >&-; exec sleep 60", reason: "it closed its output" },
  { name: "reports that there is no program", script: null, reason: /^it cannot be started: / },
];
for (const { name, script, reason } of endings) {
  Deno.test(`startProcess() ${name}`, () =>
    withScript(script, async ({ ended }) => {
      const text = await ended;
      if (typeof reason === "string") assert.equal(text, reason);
      else assert.match(text, reason);
    }));
}

Deno.test("end() ends a program that does not read, and no line of it is passed on any more", async () => {
  await withScript("trap '' TERM; echo ready; while :; do sleep 1; echo more; done", async (run) => {
    assert.equal(await run.next(), "ready");
    run.process.end("the first reason");
    run.process.end("another");
    assert.equal(await run.ended, "the first reason");
    assert.deepEqual(run.lines, ["ready"]);
  });
});

Deno.test("what a program said last before it ended is passed on", async () => {
  await withScript("echo last words; printf 'and more' >&2", async ({ ended, lines, errors }) => {
    assert.equal(await ended, "it exited with status 0");
    assert.deepEqual([lines, errors], [["last words"], ["and more"]]);
  });
});
