/** The manual pages and the programs know the same commands, and the pages find each other. */

import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";

const folder = new URL("../../conf/man/", import.meta.url);
const pages = new Map(
  [...Deno.readDirSync(folder)].map(({ name }) => [name, Deno.readTextFileSync(new URL(name, folder))]),
);

/** Pages of other packages. */
const ELSEWHERE = [
  "bpf.2",
  "chroot.8",
  "ciphers.1",
  "crypt.3",
  "getpwnam.3",
  "landlock.7",
  "logrotate.8",
  "passwd.5",
  "ps.1",
  "seccomp.2",
  "services.5",
  "shadow.5",
  "sysexits.3",
  "syslog.3",
  "systemd.1",
  "useradd.8",
];

Deno.test("manual pages refer to pages that exist", () => {
  const known = new Set([...pages.keys(), ...ELSEWHERE, "vis.3"]);
  for (const [name, text] of pages) {
    for (const [, page, section] of text.matchAll(/^\.Xr (\S+) (\d)/gm)) {
      assert.ok(known.has(`${page}.${section}`), `${name} refers to ${page}(${section})`);
    }
  }
});

for (const name of pages.keys()) {
  Deno.test(`${name} is referred to under SEE ALSO of another page`, () => {
    const line = new RegExp(`^\\.Xr ${name.replace(/\.(\d)$/, " $1")}( ,)?$`, "m");
    const others = [...pages].filter(([other]) => other !== name);
    assert.ok(others.some(([, text]) => line.test(text.split("\n.Sh SEE ALSO\n")[1] ?? "")));
  });
}

Deno.test("smtpctl(8) has every command of smtpctl, and no others", () => {
  const literal = (words: readonly string[]) => {
    const end = words.findIndex((word) => /^(<.*|--.*|all|domain)$/.test(word));
    return words.slice(0, end < 0 ? undefined : end).join(" ");
  };
  const built = new Set(COMMANDS.map(({ pattern }) => literal(pattern.split(" "))));
  const documented = new Set<string>();
  for (const [, item] of pages.get("smtpctl.8")!.matchAll(/^\.It Ic (.*)$/gm)) {
    const [first, ...others] = item!.split(/ (?:Ar|Op|Oo|Cm) /)[0]!.split(" | ");
    documented.add(first!);
    for (const other of others) documented.add([...first!.split(" ").slice(0, -1), other].join(" "));
  }
  assert.deepEqual([...documented].sort(), [...built].sort());
});
