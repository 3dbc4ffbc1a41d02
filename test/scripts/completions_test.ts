/** What bash, zsh and fish complete of smtpctl, each in the real shell; smtpctl itself is one that answers with ids and names. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { PROJECT, run } from "../e2e/harness.ts";

/** Names of others may be anything: no shell may run them. */
const EVIL = "$(touch${IFS}PWNED)";
const SMTPCTL = `#!/bin/sh
case "$*" in
  "show queue") printf '%s\\n' '7b23f1c8a1b2c3d4|inet4' '7b23f1c8a1b2c3d5|inet4' '8b23f1c8a1b2c3d5|inet4' ;;
  "show hoststats") printf '%s\\n' 'example.org|1|ok' '${EVIL}|1|ok' ;;
  "show routes") echo '3. [] <-> 192.0.2.1' ;;
esac
`;

/** What is typed, what has to be among the candidates, and what must not. */
const CASES: readonly {
  readonly typed: string;
  readonly has: readonly string[];
  readonly lacks?: readonly string[];
}[] = [
  { typed: "smtpctl sh", has: ["show"], lacks: ["stop"] },
  { typed: "smtpctl show ", has: ["queue", "hosts", "stats"], lacks: ["show", "7b23f1c8"] },
  { typed: "smtpctl show queue 7", has: ["7b23f1c8"], lacks: ["8b23f1c8"] },
  { typed: "smtpctl show envelope 8", has: ["8b23f1c8a1b2c3d5"] },
  { typed: "smtpctl show queue --j", has: ["--json"], lacks: ["--again"] },
  { typed: "smtpctl --json sho", has: ["show"] },
  { typed: "smtpctl pause envelope domain ", has: ["example.org", EVIL] },
  { typed: "smtpctl top --j", has: ["--json"] },
  { typed: "smtpctl stop --j", has: [], lacks: ["--json"] },
  { typed: "smtpctl trace s", has: ["smtp", "scheduler"], lacks: ["mta"] },
  { typed: "smtpctl resume route ", has: ["3"] },
  { typed: "smtpctl import a", has: ["a folder"], lacks: ["a file"] },
  { typed: "smtpctl dmarc read a", has: ["a folder", "a file"] },
  { typed: "smtpctl setup --dom", has: ["--domain"] },
];

/** Those of an unpacked fish lie elsewhere than it was built for. */
const FUNCTIONS = `set -p fish_function_path '${PROJECT}/.deno/tools/fish/usr/share/fish/functions'; `;

/** How each shell is asked: the words behind the program, and what it prints of a candidate. */
const SHELLS: Readonly<Record<string, (typed: string, file: string) => string[]>> = {
  bash: (typed, file) => {
    const words = typed.split(" ").map((word) => `'${word}'`);
    const set = `COMP_WORDS=(${words.join(" ")}) COMP_CWORD=${words.length - 1}`;
    return ["--norc", "-c", `source '${file}'; ${set}; _smtpctl; printf '%s\\n' "\${COMPREPLY[@]}"`];
  },
  fish: (typed, file) => ["--no-config", "-c", `${FUNCTIONS}source '${file}'; complete -C '${typed}'`],
  // Its completion speaks to the line editor by these functions.
  zsh: (typed, file) => {
    const words = typed.split(" ").map((word) => `'${word}'`), current = words.at(-1)!;
    return [
      "-f",
      "-c",
      `cur=${current}
show() { local one; for one; do one=\${one%%:*}; [[ $one == \${cur}* ]] && print -r -- $one; done }
compadd() { show "\${(@P)2}" }
_describe() { local name=\${@[-1]}; show "\${(@P)name}" }
_files() { local -a all; [[ $1 == -/ ]] && all=(*(N/)) || all=(*(N)); show $all }
words=(${words.join(" ")}) CURRENT=${words.length}
source '${file}'`,
    ];
  },
};

for (const [shell, ask] of Object.entries(SHELLS)) {
  const there = await run(shell, ["-c", "exit"]).then(({ code }) => code === 0, () => false);
  Deno.test({
    name: `${shell} completes commands, options, ids, names and files of smtpctl`,
    ignore: !there,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      try {
        const file = join(PROJECT, "conf/completions", `smtpctl.${shell}`);
        assert.deepEqual(await run(shell, ["-n", file]), { code: 0, stdout: "", stderr: "" });
        await Deno.mkdir(join(folder, "bin"));
        await Deno.writeTextFile(join(folder, "bin/smtpctl"), SMTPCTL, { mode: 0o755 });
        await Deno.mkdir(join(folder, "a folder"));
        await Deno.writeTextFile(join(folder, "a file"), "");
        const path = `${join(folder, "bin")}:${PROJECT}/.deno/tools/bin:${Deno.env.get("PATH")}`;
        for (const { typed, has, lacks = [] } of CASES) {
          const { stdout, stderr } = await run(shell, ask(typed, file), {
            env: { PATH: path, HOME: folder },
            cwd: folder,
          });
          const found = stdout.split("\n").map((line) => line.split("\t")[0]!.replace(/\/$/, "").replaceAll("\\", ""));
          for (const one of has) assert.ok(found.includes(one), `${typed}: ${one} is not in ${stdout}${stderr}`);
          for (const one of lacks) assert.ok(!found.includes(one), `${typed}: ${one} is in ${stdout}`);
        }
        assert.ok(![...Deno.readDirSync(folder)].some(({ name }) => name === "PWNED"), "a name was run");
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
