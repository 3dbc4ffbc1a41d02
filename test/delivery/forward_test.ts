/** What is read of homes for lookup: each check of a `.forward`, in real folders. */

import assert from "node:assert/strict";
import { actAsRoot, actAsSelf, readForward } from "../../src/delivery/mod.ts";
import type { Account } from "../../src/protocol/mod.ts";

const ROOT = Deno.uid() === 0;
const uid = ROOT ? 65534 : Deno.uid()!, gid = ROOT ? 65534 : Deno.gid()!;
const actAs = ROOT ? actAsRoot() : actAsSelf;

interface Scene {
  readonly folder: string;
  readonly home: string;
  /** Writes a file of the user's in their home. */
  write(name: string, text: string, mode?: number): string;
}

/** A home of a user for the length of `body`. */
function withHome<T>(body: (scene: Scene) => T): T {
  const folder = Deno.makeTempDirSync();
  const home = `${folder}/home`;
  Deno.mkdirSync(home, { mode: 0o755 });
  Deno.chmodSync(folder, 0o755);
  if (ROOT) Deno.chownSync(home, uid, gid);
  const write = (name: string, text: string, mode = 0o600) => {
    const path = `${home}/${name}`;
    Deno.writeTextFileSync(path, text);
    Deno.chmodSync(path, mode);
    if (ROOT) Deno.chownSync(path, uid, gid);
    return path;
  };
  try {
    return body({ folder, home, write });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
const who = (home: string): Account => ({ name: "bob", uid, gid, home });
/** `none`, `text …`, `later …` or `never …`, without the folder's name. */
function brief({ folder, home }: Scene, suffix = "", account = who(home)): string {
  const found = readForward(actAs, account, suffix);
  if (found.kind === "none") return "none";
  if (found.kind === "text") return `text ${found.text}`;
  return `${found.temporary ? "later" : "never"} ${found.reason.replaceAll(folder, "")}`;
}

const rows: { name: string; root?: boolean; make: (scene: Scene) => unknown; suffix?: string; want: string }[] = [
  { name: "no file", make: () => {}, want: "none" },
  { name: "a file", make: ({ write }) => write(".forward", "eve\n"), want: "text eve\n" },
  { name: "an empty file", make: ({ write }) => write(".forward", ""), want: "none" },
  { name: "a file that all may read", make: ({ write }) => write(".forward", "eve", 0o644), want: "text eve" },
  {
    name: "a file that the group may write",
    make: ({ write }) => write(".forward", "eve", 0o620),
    want: "never insecure file: /home/.forward: others may write it",
  },
  {
    name: "a file that all may write",
    make: ({ write }) => write(".forward", "eve", 0o666),
    want: "never insecure file: /home/.forward: others may write it",
  },
  {
    name: "a file that the user may not read",
    make: ({ write }) => write(".forward", "eve", 0o000),
    want: "never /home/.forward: cannot be opened: EACCES",
  },
  {
    name: "a file of somebody else",
    root: true,
    make: ({ write }) => Deno.chownSync(write(".forward", "eve", 0o644), 1, 1),
    want: "never insecure file: /home/.forward: it is not the user's",
  },
  {
    name: "a file of root",
    root: true,
    make: ({ write }) => Deno.chownSync(write(".forward", "eve", 0o644), 0, 0),
    want: "never insecure file: /home/.forward: it is not the user's",
  },
  {
    name: "a symbolic link",
    make: ({ write, home }) => Deno.symlinkSync(write("real", "eve"), `${home}/.forward`),
    want: "never /home/.forward is a symbolic link",
  },
  {
    name: "a folder",
    make: ({ home }) => Deno.mkdirSync(`${home}/.forward`),
    want: "never insecure file: /home/.forward: it is not a regular file",
  },
  {
    name: "a FIFO, without waiting for it",
    make: ({ home }) => {
      new Deno.Command("mkfifo", { args: ["-m", "644", `${home}/.forward`] }).outputSync();
      if (ROOT) Deno.chownSync(`${home}/.forward`, uid, gid);
    },
    want: "never insecure file: /home/.forward: it is not a regular file",
  },
  { name: "a home that is missing", make: ({ home }) => Deno.removeSync(home), want: "none" },
  {
    name: "a home that is no folder",
    make: ({ home }) => (Deno.removeSync(home), Deno.writeTextFileSync(home, "")),
    want: "none",
  },
  {
    name: "a sticky home",
    make: ({ home, write }) => (write(".forward", "eve"), Deno.chmodSync(home, 0o1755)),
    want: "later /home is sticky",
  },
  {
    name: "a home that all may write",
    make: ({ home, write }) => (write(".forward", "eve"), Deno.chmodSync(home, 0o777)),
    want: "never insecure file: /home/.forward: others may write /home",
  },
  {
    name: "a home that the group may write",
    make: ({ home, write }) => (write(".forward", "eve"), Deno.chmodSync(home, 0o775)),
    want: "never insecure file: /home/.forward: others may write /home",
  },
  {
    name: "a home of somebody else",
    root: true,
    make: ({ home, write }) => (write(".forward", "eve"), Deno.chownSync(home, 1, 1)),
    want: "never insecure file: /home/.forward: /home is neither the user's nor root's",
  },
  {
    name: "a home of root",
    root: true,
    make: ({ home, write }) => (write(".forward", "eve"), Deno.chownSync(home, 0, 0)),
    want: "text eve",
  },
  {
    name: "a home that only root may enter, without a file",
    root: true,
    make: ({ home }) => (Deno.chownSync(home, 0, 0), Deno.chmodSync(home, 0o700)),
    want: "none",
  },
  { name: "4095 bytes", make: ({ write }) => write(".forward", "#".repeat(4095)), want: `text ${"#".repeat(4095)}` },
  {
    name: "4096 bytes",
    make: ({ write }) => write(".forward", "#".repeat(4096)),
    want: "later /home/.forward is larger than 4095 bytes",
  },
  {
    name: "a sub-address with a file",
    make: ({ write }) => (write(".forward+x", "eve"), write(".forward", "joe")),
    suffix: "+x",
    want: "text eve",
  },
  {
    name: "a sub-address without a file",
    make: ({ write }) => write(".forward", "joe"),
    suffix: "+x",
    want: "text joe",
  },
  {
    name: "a sub-address with an empty file",
    make: ({ write }) => (write(".forward+x", ""), write(".forward", "joe")),
    suffix: "+x",
    want: "text joe",
  },
  {
    name: "a sub-address with an insecure file",
    make: ({ write }) => (write(".forward+x", "eve", 0o666), write(".forward", "joe")),
    suffix: "+x",
    want: "never insecure file: /home/.forward+x: others may write it",
  },
  {
    name: "a sub-address that is a path",
    make: ({ home, write }) => (Deno.mkdirSync(`${home}/.forward+`), write(".forward+/x", "eve")),
    suffix: "+/x",
    want: "none",
  },
  {
    name: "a sub-address that leaves the home",
    make: ({ write }) => write(".forward", "joe"),
    suffix: "+/../../x",
    want: "text joe",
  },
  {
    name: "a sub-address that is too long for a name",
    make: ({ write }) => write(".forward", "joe"),
    suffix: "+" + "x".repeat(500),
    want: "text joe",
  },
];
for (const { name, root = false, make, suffix, want } of rows) {
  Deno.test({
    name: `readForward() of ${name} says ${want.slice(0, 60)}`,
    ignore: root && !ROOT,
    fn: () =>
      withHome((scene) => {
        make(scene);
        assert.equal(brief(scene, suffix), want);
      }),
  });
}

for (const home of ["", "relative", "/nonexistent", "/dev/null", "/a\0b", "/" + "x".repeat(2000)]) {
  Deno.test(`readForward() finds nothing in the home ${JSON.stringify(home.slice(0, 20))}`, () => {
    assert.deepEqual(readForward(actAs, who(home), ""), { kind: "none" });
  });
}
