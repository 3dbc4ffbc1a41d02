/** The filter of a process in which all isolates run, in the real kernel: one that starts no programs, as anybody, and one that does, as root. */

import assert from "node:assert/strict";
import { kernelSupport } from "../../src/kernel/mod.ts";

const ROOT = Deno.uid() === 0;
const linux = Deno.build.os === "linux";
const support = linux ? kernelSupport() : { seccomp: false, namespaces: false };
const EPERM = 1, EBADF = 9, NOBODY = 65534;

/** What of the project it needs, where everybody may read it. */
async function report(words: readonly string[], uid: number | null): Promise<Record<string, unknown>> {
  const folder = await Deno.makeTempDir({ prefix: "seccomp" });
  try {
    for (const part of ["src/kernel", "test/kernel"]) {
      await Deno.mkdir(`${folder}/${part}`, { recursive: true });
      for await (const { name } of Deno.readDir(new URL(`../../${part}/`, import.meta.url))) {
        await Deno.copyFile(new URL(`../../${part}/${name}`, import.meta.url), `${folder}/${part}/${name}`);
      }
    }
    await Deno.chmod(folder, 0o755);
    const options = ["run", "--no-config", "--no-lock", "--no-remote", "--no-code-cache", "-A"];
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...options, `${folder}/test/kernel/seccomp_child.ts`, ...words],
      env: { DENO_DIR: `${folder}/none`, NO_COLOR: "1" },
      cwd: folder,
      ...(uid === null ? {} : { uid, gid: uid }),
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert(text !== "", new TextDecoder().decode(stderr));
    return JSON.parse(text);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name:
    "installSeccomp() where no programs are started: no program, no tracing, no signal; sockets and files as before",
  ignore: !support.seccomp,
  fn: async () => {
    assert.deepEqual(await report([], ROOT ? NOBODY : null), {
      trace: EPERM,
      ring: EPERM,
      "a module": EPERM,
      "signal to the parent": EPERM,
      "user that it is": EPERM,
      internet: 0,
      unix: 0,
      listen: EBADF,
      "file beside the thread": true,
      "trace in a worker": `-${EPERM}`,
      "filter of a program": "PermissionDenied",
      "no-new-privs of a program": "PermissionDenied",
    });
  },
});

Deno.test({
  name: "installSeccomp() where programs are started: they run behind it and keep their privileges",
  ignore: !ROOT || !support.seccomp || !support.namespaces,
  fn: async () => {
    assert.deepEqual(await report(["programs"], null), {
      trace: EPERM,
      ring: EPERM,
      "a module": EPERM,
      "signal to the parent": 0,
      "user that it is": 0,
      internet: 0,
      unix: 0,
      listen: EBADF,
      "file beside the thread": true,
      "trace in a worker": `-${EPERM}`,
      "filter of a program": "2",
      "no-new-privs of a program": "0",
    });
  },
});
