/**
 * The walls of the real kernel: two processes of one user, started as front and out are, try what attempts.ts lists. Ports and paths are those of the
 * test; as root only, for only root can start them, and with a kernel that has all of it.
 */

import assert from "node:assert/strict";
import net from "node:net";
import {
  closeDescriptor,
  DescriptorSocket,
  kernelSupport,
  type KernelWalls,
  launch,
  type Launched,
  readWalls,
  socketPair,
} from "../../src/kernel/mod.ts";
import { libc } from "../../src/kernel/libc.ts";
import type { Attempted, Surroundings } from "./attempts.ts";

/** What these tests are about has to be there: Landlock with scopes, namespaces that this process may make, seccomp. */
const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0 || !givesAll();

function givesAll(): boolean {
  const { landlockAbi, namespaces, seccomp } = kernelSupport();
  return landlockAbi >= 6 && namespaces && seccomp;
}
/** A user that nobody is. */
const UID = 64123, GID = 64124;
const EPERM = 1,
  EBADF = 9,
  EACCES = 13,
  EINVAL = 22,
  EFAULT = 14,
  ENOENT = 2,
  ENOSYS = 38,
  ENETUNREACH = 101,
  ECONNREFUSED = 111;
const F_SETFD = 2;
const root = new URL("../../", import.meta.url).pathname;

/** A folder that the other user can reach, with a copy of the code; this one may be in a home of its own. */
function place() {
  const folder = Deno.makeTempDirSync({ prefix: "kernel" });
  for (const path of ["src/kernel", "test/kernel", "writable"]) {
    Deno.mkdirSync(`${folder}/${path}`, { recursive: true });
  }
  for (const { name } of Deno.readDirSync(`${root}src/kernel`)) {
    Deno.copyFileSync(`${root}src/kernel/${name}`, `${folder}/src/kernel/${name}`);
  }
  Deno.copyFileSync(`${root}test/kernel/attempts.ts`, `${folder}/test/kernel/attempts.ts`);
  Deno.chmodSync(folder, 0o755);
  Deno.copyFileSync("/bin/true", `${folder}/writable/program`);
  Deno.chownSync(`${folder}/writable`, UID, GID);
  for (const name of ["outside", "src/readable"]) {
    Deno.writeTextFileSync(`${folder}/${name}`, "text");
    Deno.chownSync(`${folder}/${name}`, UID, GID);
  }
  return { folder, [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
}

function walls(folder: string, kind: "front" | "out"): KernelWalls {
  const out = kind === "out";
  return {
    user: { name: "stranger", uid: UID, gid: GID },
    ownNetwork: !out,
    read: [`${folder}/src`, `${folder}/test`, "/etc/ld.so.cache", "/nowhere/at/all"],
    execute: [Deno.execPath(), "/lib", "/lib64"].filter(exists),
    write: [`${folder}/writable`],
    tcp: out ? "connect" : "none",
    seccomp: { internet: out, unix: false, listen: false, exec: false },
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

class Started {
  readonly #link: net.Socket;
  readonly handed: DescriptorSocket;
  readonly #line = Promise.withResolvers<string | null>();
  private constructor(readonly process: Launched, link: number, handed: number) {
    this.#link = new net.Socket({ fd: link, readable: true, writable: true });
    let text = "";
    this.#link.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (text.endsWith("\n")) this.#line.resolve(text);
    }).on("error", () => {}).on("close", () => this.#line.resolve(null));
    this.handed = new DescriptorSocket(handed);
  }

  static async start(folder: string, kind: "front" | "out"): Promise<Started> {
    const [link, itsLink] = socketPair("stream"), [handed, itsHanded] = socketPair("packet");
    const process = await launch({
      program: Deno.execPath(),
      args: [
        "run",
        "--no-config",
        "--no-lock",
        "--no-remote",
        "--unstable-worker-options",
        "-A",
        `${folder}/test/kernel/attempts.ts`,
      ],
      env: { DENO_DIR: `${folder}/none`, NO_COLOR: "1" },
      descriptors: [itsLink, itsHanded],
      walls: walls(folder, kind),
    });
    [itsLink, itsHanded].forEach(closeDescriptor);
    return new Started(process, link, handed);
  }

  send(where: Surroundings): void {
    this.#link.write(JSON.stringify(where) + "\n");
  }

  async report(): Promise<Attempted> {
    const text = await this.#line.promise;
    if (text === null) throw new Error(`It ended before its report: ${JSON.stringify(await this.process.ended)}`);
    return JSON.parse(text);
  }

  async end(): Promise<void> {
    this.#link.destroy();
    this.handed.close();
    await this.process.ended;
  }
}

/** What another program of the same user can read of a process. */
async function environSeenByItsUser(pid: number): Promise<string> {
  const { stderr } = await new Deno.Command("cat", { args: [`/proc/${pid}/environ`], uid: UID, gid: GID }).output();
  return new TextDecoder().decode(stderr);
}

/** Descriptors of TCP connections that this process made to itself. */
async function loopback(): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer((socket) => socket.once("data", () => socket.end("pong\n")).on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as net.AddressInfo).port };
}

function expect(kind: "front" | "out") {
  const front = kind === "front";
  const before = {
    "read what is granted": 0,
    "write what is granted to read": EACCES,
    "make a file where granted": 0,
    "execute what is granted to write": EACCES,
    "read outside": EACCES,
    "write outside": EACCES,
    "make a file outside": EACCES,
    "list the root": EACCES,
    "execute a shell": EACCES,
    "connect": front ? EACCES : 0,
    "bind a port": EACCES,
    "bind no port": front ? EACCES : 0,
    "connect for datagrams": front ? ENETUNREACH : 0,
    "abstract socket": front ? ECONNREFUSED : EPERM,
    "trace a sibling": EPERM,
    "read a sibling's memory": EPERM,
    "open a sibling's memory": ENOENT,
    "open its own status": 0,
    "take a sibling's descriptor": EPERM,
    "signal a sibling": EPERM,
    "signal the parent": EPERM,
    "become root": EPERM,
    "mount": EPERM,
    "limit a sibling": 0,
    "ask for keys": 0,
    "unshare nothing": 0,
    "a personality": 0,
    "shared memory": 0,
    "a ring of system calls": EFAULT,
    "the user that it is": 0,
    "a priority": 0,
    "listen": EBADF,
    "accept": EBADF,
    "a unix socket": 0,
    "a pair of datagram sockets": 0,
    "netlink": 0,
    "clone3": EINVAL,
    "signal itself": 0,
  };
  const refused = Object.fromEntries(
    [
      ...["execute what is granted to write", "execute a shell", "limit a sibling", "ask for keys", "unshare nothing"],
      ...["a personality", "shared memory", "a ring of system calls", "the user that it is", "a priority", "listen"],
      ...["accept", "a unix socket", "abstract socket", "a pair of datagram sockets"],
      ...(front ? ["connect", "bind a port", "bind no port", "connect for datagrams", "netlink"] : []),
    ].map((attempt) => [attempt, EPERM]),
  );
  return { before, after: { ...before, ...refused, clone3: ENOSYS } };
}

Deno.test({
  name:
    "a process behind the walls does what it is granted, and the kernel refuses the rest, a sibling of the same user included",
  ignore,
  fn: async (t) => {
    using here = place();
    const { folder } = here;
    const { server, port } = await loopback();
    const abstract = `\0kernel-${crypto.randomUUID()}`;
    const listener = net.createServer(() => {});
    await new Promise<void>((resolve) => listener.listen(abstract, resolve));
    // One that a program would inherit.
    const [loud, other] = socketPair("stream");
    libc().must("test", "fcntl", loud, F_SETFD, 0);
    const loudLink = Deno.readLinkSync(`/proc/self/fd/${loud}`);
    const processes = await Promise.all([Started.start(folder, "front"), Started.start(folder, "out")]);
    const [front, out] = processes;
    const reports: Attempted[] = [];
    try {
      await t.step("launch() tells what is missing", () => {
        for (const { process } of processes) {
          assert.deepEqual(process.missing, ["the path /nowhere/at/all (it does not exist)"]);
        }
      });
      await t.step("readWalls() before seccomp", () => {
        const stands = {
          uid: UID,
          gid: GID,
          groups: [],
          noNewPrivileges: true,
          seccomp: false,
          seccompFilters: readWalls(Deno.pid).seccompFilters,
          ownIpc: true,
          ownMounts: true,
          ownProc: true,
        };
        assert.deepEqual(readWalls(front.process.pid), { ...stands, ownNetwork: true });
        assert.deepEqual(readWalls(out.process.pid), { ...stands, ownNetwork: false, ownIpc: false });
        assert.equal(readWalls(Deno.pid).noNewPrivileges, false);
      });
      for (const [at, started] of processes.entries()) {
        const connection = net.connect(port, "127.0.0.1");
        await new Promise<void>((resolve) => connection.once("connect", () => resolve()));
        const { _handle } = connection as unknown as { _handle: { fdForIpc(): number } };
        const descriptor = _handle.fdForIpc();
        assert(started.handed.send(1, [descriptor]));
        closeDescriptor(descriptor);
        connection.destroy();
        const kind = at === 0 ? "front" : "out";
        started.send({
          rules: walls(folder, kind).seccomp,
          readable: `${folder}/src/readable`,
          writable: `${folder}/writable`,
          outside: `${folder}/outside`,
          sibling: processes[1 - at]!.process.pid,
          parent: Deno.pid,
          tcpPort: port,
          abstract,
        });
      }
      for (const started of processes) reports.push(await started.report());
      for (const [at, kind] of (["front", "out"] as const).entries()) {
        const { before, after, works, landlock, links } = reports[at]!;
        await t.step(`${kind} without seccomp`, () => assert.deepEqual(before, expect(kind).before));
        await t.step(`${kind} with seccomp`, () => assert.deepEqual(after, expect(kind).after));
        await t.step(`${kind}: the runtime goes on working`, () => {
          const connects = kind === "out";
          assert.deepEqual(works, {
            worker: "70",
            timer: "rang",
            database: "42",
            "file beside the thread": "true",
            "adopted connection": "pong",
            program: "PermissionDenied",
            listen: "PermissionDenied",
            connect: connects ? "undefined" : "PermissionDenied",
            interfaces: connects ? "true" : "PermissionDenied",
            memory: "true",
            ffi: "NotCapable",
          });
          assert.equal(landlock, true);
        });
        await t.step(`${kind} has only the descriptors that it was given`, () => assert(!links.includes(loudLink)));
      }
      await t.step("readWalls() with seccomp, of every thread", () => {
        for (const { process } of processes) {
          const { seccomp, seccompFilters } = readWalls(process.pid);
          assert.deepEqual([seccomp, seccompFilters], [true, readWalls(Deno.pid).seccompFilters + 1]);
        }
      });
      await t.step("no program of the same user looks into them", async () => {
        for (const { process } of processes) assert.match(await environSeenByItsUser(process.pid), /Permission denied/);
      });
      await t.step("ended says how", async () => {
        out.process.kill("SIGKILL");
        assert.deepEqual(await out.process.ended, { code: null, signal: 9 });
        out.process.kill("SIGTERM");
        await front.end();
        assert.deepEqual(await front.process.ended, { code: 7, signal: null });
      });
      await t.step("no thread of this process has stayed behind as the other user", async () => {
        while ([...Deno.readDirSync("/proc/self/task")].some(({ name }) => !isRoot(name))) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      });
    } finally {
      for (const { process } of processes) process.kill("SIGKILL");
      await Promise.all(processes.map((started) => started.end()));
      [server, listener].forEach((listening) => listening.close());
      [loud, other].forEach(closeDescriptor);
    }
  },
});

function isRoot(thread: string): boolean {
  try {
    return /^Uid:\t0\t0\t0\t0$/m.test(Deno.readTextFileSync(`/proc/self/task/${thread}/status`));
  } catch {
    return true; // it has ended
  }
}

/** Starts a program as another user than root, without walls. Returns what it printed. */
async function unprivileged(folder: string, program: string): Promise<string> {
  const args = [
    "run",
    "--no-config",
    "--no-lock",
    "--unstable-worker-options",
    "-A",
    `${folder}/test/kernel/program.ts`,
  ];
  Deno.writeTextFileSync(`${folder}/test/kernel/program.ts`, program);
  const env = { DENO_DIR: `${folder}/none`, NO_COLOR: "1" };
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env, uid: UID, gid: GID, cwd: "/" })
    .output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test({
  name:
    "without root, launch() leaves namespaces out and says so, Landlock stands, and a change of the user is refused",
  ignore,
  fn: async () => {
    using here = place();
    const plan = {
      program: Deno.execPath(),
      args: [
        "eval",
        "--no-config",
        `try { Deno.readTextFileSync("/etc/hostname"); } catch (e) { console.log(e.name) }`,
      ],
      env: { DENO_DIR: `${here.folder}/none` },
      descriptors: [],
      walls: { ...walls(here.folder, "front"), user: null },
    };
    const printed = await unprivileged(
      here.folder,
      `import { kernelSupport, launch } from "../../src/kernel/mod.ts";
       const plan = ${JSON.stringify(plan)};
       const { missing, ended } = await launch(plan);
       await ended;
       const { landlockAbi, namespaces } = kernelSupport();
       console.log(missing.join("\\n") + "\\n", landlockAbi > 0, namespaces);
       const user = { name: "another", uid: ${UID + 1}, gid: ${GID} };
       await launch({ ...plan, walls: { ...plan.walls, user } }).catch((error) => console.log(error.message));`,
    );
    assert.match(printed, /^PermissionDenied$/m);
    assert.match(printed, /^a \/proc of its own \(unshare\(2\): operation not permitted \(EPERM\)\)$/m);
    assert.match(printed, /^a network of its own \(unshare\(2\): operation not permitted \(EPERM\)\)/m);
    assert.match(printed, / true false$/m);
    assert.match(printed, /^Cannot become the user another: setgroups\(2\): operation not permitted \(EPERM\)$/m);
  },
});

/** What launch() refuses, with what it says. */
const refused = [
  {
    name: "no such program",
    change: { program: "/nowhere/deno" },
    says: /^Error: Cannot start \/nowhere\/deno: posix_spawn\(3\): .*\((ENOENT|EACCES)\)$/,
  },
  {
    name: "a descriptor that is not open",
    change: { descriptors: [99_999] },
    says: /^Error: Cannot duplicate descriptor 99999: fcntl\(2\): .*\(EBADF\)$/,
  },
  { name: "a NUL in an argument", change: { args: ["a\0b"] }, says: /NUL/ },
  {
    name: "a uid that would leave it root",
    change: {},
    user: { name: "nobody", uid: 0xffff_ffff, gid: GID },
    says: /^Error: Cannot become the user nobody: 4294967295 is nobody's number$/,
  },
] as const;
Deno.test({
  name: "launch() refuses what cannot be, and leaves no descriptor open",
  ignore,
  fn: async (test) => {
    const plan = { program: Deno.execPath(), args: [], env: {}, descriptors: [], walls: walls("/nowhere", "front") };
    const plans = refused.map(({ change, ...other }) => {
      const user = "user" in other ? { user: other.user } : {};
      return { ...plan, ...change, walls: { ...plan.walls, write: [], ...user } };
    });
    // In a process of its own: tests of other files open and close descriptors meanwhile.
    const said = await launchedElsewhere(plans);
    for (const [at, { name, says }] of refused.entries()) {
      const times = said.length / refused.length;
      await test.step(name, () => said.slice(at * times, (at + 1) * times).forEach((text) => assert.match(text, says)));
    }
  },
});

/** Launches plans in another process, each several times. Returns what each was refused with, each time. Throws when each time something stays open. */
async function launchedElsewhere(plans: readonly unknown[]): Promise<readonly string[]> {
  const script = `
    import { launch } from "${new URL("../../src/kernel/mod.ts", import.meta.url)}";
    // Without files: the runtime opens its caches when it likes.
    const open = () =>
      [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
        try {
          return /^([^/]|\\/dev\\/null$)/.test(Deno.readLinkSync("/proc/self/fd/" + name));
        } catch {
          return false;
        }
      }).length;
    const TIMES = 6;
    const said = [];
    for (const plan of JSON.parse(Deno.args[0])) {
      const before = open();
      for (let time = 0; time < TIMES; time++) said.push(await launch(plan).then(() => "started", String));
      // Its thread's own go with it, those of the last one with the next; what the first one opens for all stays.
      for (let looks = 0; open() >= before + TIMES; looks++) {
        if (looks > 2000) throw new Error(open() + " descriptors, " + before + " before " + said.at(-1));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    console.log(JSON.stringify(said));
    Deno.exit(0);`;
  const flags = ["eval", "--quiet", "--no-check", "--unstable-worker-options", script, JSON.stringify(plans)];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: flags }).output();
  assert.notEqual(stdout.length, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test({
  name: "launch() refuses where there are no descriptors left, and the process goes on",
  ignore,
  fn: async () => {
    const script = `
      import { kernelSupport, launch } from "${new URL("../../src/kernel/mod.ts", import.meta.url)}";
      kernelSupport();
      const held = [];
      for (;;) try { held.push(Deno.openSync("/dev/null")); } catch { break; }
      for (const file of held.splice(0, 3)) file.close();
      await launch(${
      JSON.stringify({ program: "/bin/true", args: [], env: {}, descriptors: [], walls: walls("/", "out") })
    })
        .catch((error) => console.log(error.message));`;
    const flags = ["eval", "--quiet", "--no-check", "--unstable-worker-options", script];
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", 'ulimit -n 100 && exec "$0" "$@"', Deno.execPath(), ...flags],
    }).output();
    assert.match(new TextDecoder().decode(stdout), /^Cannot start a process: openat\(2\): .*\(EMFILE\)$/m);
  },
});

Deno.test({
  name: "launch() refuses a folder to write that is not there",
  ignore,
  fn: async () => {
    const plan = { program: Deno.execPath(), args: [], env: {}, descriptors: [], walls: walls("/nowhere", "front") };
    await assert.rejects(() => launch(plan), /^Error: Cannot give \/nowhere\/writable to the process: .*ENOENT/);
  },
});
