/** Main ends the programs of the filter isolate, and nothing else that the isolate may name. */

import assert from "node:assert/strict";
import { Children } from "../../src/daemon/machine/children.ts";
import { Native } from "../../src/daemon/machine/native.ts";

/** A system with these children, and what was ended. */
function system(...children: number[]) {
  const ended: string[] = [];
  const alive = new Set(children);
  return {
    ended,
    alive,
    isChild: (pid: number) => alive.has(pid),
    kill: (pid: number, signal: Deno.Signal) => {
      if (pid === 13) throw new Deno.errors.NotFound("No such process");
      ended.push(`${pid} ${signal}`);
    },
  };
}

Deno.test("children are noted and ended, and what is no child is neither", () => {
  const world = system(10, 11);
  const children = new Children(world, 5);
  for (const [pid, want] of [[10, true], [11, true], [10, true], [1, false], [Deno.pid, false], [0, false]] as const) {
    assert.equal(children.add(pid), want, `${pid}`);
  }
  children.end("SIGTERM");
  assert.deepEqual(world.ended, ["10 SIGTERM", "11 SIGTERM"]);
});

Deno.test("a number that became another's is not ended, and one that ended is nothing to fail over", () => {
  const world = system(10, 11, 12, 13);
  const children = new Children(world, 5);
  for (const pid of [10, 11, 13, 12]) children.add(pid);
  world.alive.delete(10);
  children.delete(11);
  children.end("SIGKILL");
  assert.deepEqual(world.ended, ["12 SIGKILL"]);
});

Deno.test("there are not more children than the configuration has programs", () => {
  const world = system(10, 11, 12);
  const children = new Children(world, 2);
  assert.deepEqual([10, 11, 12].map((pid) => children.add(pid)), [true, true, false]);
  world.alive.delete(10);
  assert.equal(children.add(12), true, "in the place of one that has ended");
  children.end("SIGTERM");
  assert.deepEqual(world.ended, ["11 SIGTERM", "12 SIGTERM"]);
});

Deno.test({
  name: "Native.isChild() knows the children of this process from all others",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const native = new Native();
    // The shell's own child is of the shell.
    const shell = new Deno.Command("/bin/sh", {
      args: ["-c", "/bin/sleep 60 & echo $!; read -r _; kill $!"],
      stdin: "piped",
      stdout: "piped",
    })
      .spawn();
    const reader = shell.stdout.getReader();
    const grandchild = Number(new TextDecoder().decode((await reader.read()).value));
    try {
      assert.ok(grandchild > 1);
      const rows = [[shell.pid, true], [grandchild, false], [1, false], [Deno.pid, false], [0, false], [-1, false], [
        1.5,
        false,
      ]] as const;
      for (const [pid, want] of rows) assert.equal(native.isChild(pid), want, `${pid}`);
    } finally {
      await shell.stdin.close();
      await reader.cancel();
      await shell.status;
    }
    assert.equal(native.isChild(shell.pid), false, "it was waited for");
  },
});
