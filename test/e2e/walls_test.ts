/**
 * What the kernel keeps from an attacker who owns a process of the real daemon, whatever the runtime's permissions are: which descriptors a process has,
 * what it may open, reach and signal, and what it can spoil of what it has. As root, with a kernel that gives all walls.
 */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import net from "node:net";
import { join } from "node:path";
import { LIBC_PATHS, readWalls } from "../../src/kernel/mod.ts";
import type { ProcessName, Role } from "../../src/protocol/mod.ts";
import { sidesOf } from "../../src/protocol/door.ts";
import { DOOR_NAMES } from "../../src/protocol/doors.ts";
import { PROCESS_NAMES, processOf } from "../../src/protocol/processes.ts";
import { ROLES, type RoleTraits } from "../../src/protocol/roles.ts";
import { LIBCRYPTO_PATHS } from "../../src/signer/mod.ts";
import { freePort } from "../ports.ts";
import { Client } from "./client.ts";
import { type Row, tableOf } from "./descriptors.ts";
import { type Daemon, DOMAIN, maildirConfig } from "./harness.ts";
import type { AttemptOrder } from "./redteam/attacks.ts";
import { HAS_WALLS, textOf, type Walled, withWalled } from "./walled_daemon.ts";

const ignore = !HAS_WALLS;
const EPERM = 1, ENOENT = 2, EBADF = 9, EACCES = 13, EINVAL = 22, ENOSYS = 38;

/** The login isolate stands only where a listener asks for AUTH, the signer where there are keys, acme where it obtains certificates; the history where it is wanted; relay has a rule. */
function config(daemon: { port: number; mail: string; folder: string }): string {
  const key = `${daemon.folder}/dkim.pem`;
  const { privateKey } = generateKeyPairSync("ed25519");
  Deno.writeTextFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }) as string, { mode: 0o600 });
  return `history keep 1d\npki "mx.example.org" acme "https://127.0.0.1:1/directory"\ntable users { "u" = "x" }\ndkim "${DOMAIN}" selector "s" key "${key}"\n` +
    maildirConfig(daemon).replace(/^(listen on 127.*)$/m, "$1 auth-optional <users>") +
    `action "out" relay host smtp://127.0.0.1:${freePort()}\nmatch from any for domain "relay.test" action "out"\n`;
}

/** Sends as hosts do: again when it is told to come back. */
async function send(daemon: Daemon, recipient: string): Promise<void> {
  for (;;) {
    try {
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.com", recipient, `Subject: ${recipient}\r\n\r\nx\r\n`);
      return client.close();
    } catch (error) {
      if (!/got 4|closed|reset|refused/i.test((error as Error).message)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

Deno.test("a process that is owned by an attacker is kept from all that is not its own", { ignore }, async (t) => {
  await withWalled({ config }, async (walled) => {
    const { daemon } = walled;
    await send(daemon, "kept@relay.test");
    await t.step("each has only the descriptors that it needs, the runtime's caches to be read only", () => {
      const { table, strays } = tableOf(daemon.pid, walled.pids());
      assert.deepEqual(strays, []);
      assert.deepEqual(table, expectedTable());
    });
    await t.step("every thread of each is behind seccomp, under a user and in namespaces of its own", () => {
      for (const name of PROCESS_NAMES) {
        const walls = readWalls(walled.pids()[name]);
        assert.deepEqual(
          [walls.seccomp, walls.noNewPrivileges, walls.groups, walls.ownMounts],
          [true, true, [], true],
          name,
        );
        assert.equal(walls.ownNetwork, name !== "out", name);
        assert.ok(walls.uid !== 0 && walls.gid !== 0, name);
      }
    });
    using place = new Place();
    await place.listen();
    for (const name of PROCESS_NAMES) {
      await t.step(`${name}: what it tries, the kernel refuses`, async () => {
        const order = place.order(walled, name);
        walled.order(name, { do: "attempt", ...order });
        const line = await daemon.logged(new RegExp(`^${name}: `));
        const tried = JSON.parse(line.slice(name.length + 2)) as Record<string, number>;
        assert.deepEqual(tried, expectedAttempts(name, order));
      });
    }
    await t.step(
      "the runtime lets nobody load a library any more, but the host of the signer that of its next one",
      async () => {
        const libraries = [LIBC_PATHS, LIBCRYPTO_PATHS].map((paths) => paths.find(isFile)).filter((path) =>
          path !== undefined
        );
        const none = libraries.map(() => "NotCapable"),
          vault = libraries.map((_, at) => at === 0 ? "NotCapable" : "loaded");
        for (const name of PROCESS_NAMES) {
          walled.order(name, { do: "load", libraries });
          const isolates = name === "vault" ? ["queue", "scheduler", "signer"] : [];
          for (const who of [name, ...isolates]) {
            const line = await daemon.logged(new RegExp(`^${who}: (NotCapable|loaded|TypeError|Error)`));
            assert.equal(line, `${who}: ${(who === "vault" ? vault : none).join(" ")}`);
          }
        }
      },
    );
    await t.step("nothing of it has ended or hurt anything", async () => {
      assert.ok(!daemon.log.some((line) => /ended and starts again|is replaced/.test(line)), daemon.log.join("\n"));
      await send(daemon, `first@${DOMAIN}`);
      await daemon.mailbox("first").arrived(1);
    });
    for (const name of PROCESS_NAMES) {
      await t.step(
        `${name}: what it writes into every descriptor ends no other, and spoils nothing`,
        () => scribbleIn(walled, name),
      );
    }
    await t.step("what was acknowledged before is there", async () => {
      const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
      assert.match(stdout, /kept@relay\.test/);
    });
  });
});

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Isolates of a role in this daemon. */
function countOf(role: Role): number {
  const { count } = ROLES[role] as RoleTraits;
  return count === "per-core" ? navigator.hardwareConcurrency : count === "on-demand" || count === "programs" ? 0 : 1;
}

/** Doors between isolates of a process, or of the parent, and those of others. */
function doorsOf(process: ProcessName | null): number {
  let doors = 0;
  for (const { asker, answerer } of DOOR_NAMES.map(sidesOf)) {
    if (answerer === "main" || processOf(asker) === processOf(answerer)) continue;
    if (processOf(asker) === process || processOf(answerer) === process) doors += countOf(asker) * countOf(answerer);
  }
  return doors;
}

/** Sockets that the runtime makes for itself: two pairs. */
const RUNTIME_SOCKETS = 4;

/** What a daemon at rest has open. */
function expectedTable(): Record<string, Row> {
  const kinds = ["/dev/null", "cache, to read", "event", "log", "poll"];
  const row = (name: ProcessName) => ({
    kinds: name === "vault" ? [...kinds, "database"].sort() : kinds,
    streams: RUNTIME_SOCKETS,
    pipes: [doorsOf(name) + 1, doorsOf(name) + 1] as const,
    packets: 1,
    listening: 0,
  });
  const links = PROCESS_NAMES.length;
  return {
    // It listens for SMTP, for smtpctl and for sendmail.
    parent: {
      kinds: [...kinds, "memory"].sort(),
      streams: RUNTIME_SOCKETS,
      pipes: [doorsOf(null) + links, doorsOf(null) + links],
      packets: links,
      listening: 3,
    },
    ...Object.fromEntries(PROCESS_NAMES.map((name) => [name, row(name)])),
  };
}

/** What is there to be tried: files that the kernel alone refuses, and sockets that listen. */
class Place {
  readonly folder = Deno.makeTempDirSync({ prefix: "vaultpost-outside-" });
  readonly file = join(this.folder, "file");
  readonly abstract = `\0vaultpost-${crypto.randomUUID()}`;
  readonly unix = join(this.folder, "socket");
  readonly #servers: net.Server[] = [];
  port = 0;

  constructor() {
    Deno.writeTextFileSync(this.file, "theirs");
    for (const path of [this.folder, this.file]) Deno.chmodSync(path, 0o777);
  }

  async listen(): Promise<void> {
    for (const where of [{ host: "127.0.0.1", port: 0 }, { path: this.abstract }, { path: this.unix }]) {
      const server = net.createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => server.listen(where, resolve));
      this.#servers.push(server);
    }
    this.port = (this.#servers[0]!.address() as net.AddressInfo).port;
    Deno.chmodSync(this.unix, 0o777);
  }

  order({ daemon, program, pids }: Walled, name: ProcessName): AttemptOrder {
    const all = pids(), spool = daemon.env["SMTPD_SPOOL"]!, cache = Deno.env.get("DENO_DIR")!;
    const database = join(spool, "queue.db");
    const others = [daemon.pid, ...PROCESS_NAMES.filter((other) => other !== name).map((other) => all[other])];
    const foreign = [this.file, "/etc/hostname", daemon.configFile, ...name === "vault" ? [] : [database]];
    return {
      surroundings: {
        rules: { internet: name === "out", unix: false, listen: false, exec: false },
        readable: join(program, "main.ts"),
        writable: spool,
        outside: this.file,
        sibling: others.at(-1)!,
        parent: daemon.pid,
        tcpPort: this.port,
        abstract: this.abstract,
      },
      reads: [...foreign, "/etc/shadow", ...name === "out" ? [] : ["/etc/passwd"], "/", "/tmp", "/root", daemon.mail],
      writes: [
        ...foreign,
        join(program, "main.ts"),
        join(cache, "dep_analysis_cache_v2"),
        "/etc/passwd",
        "/proc/sysrq-trigger",
      ],
      others,
      unix: this.unix,
    };
  }

  [Symbol.dispose](): void {
    for (const server of this.#servers) server.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function expectedAttempts(name: ProcessName, { reads, writes, others }: AttemptOrder): Record<string, number> {
  const out = name === "out", vault = name === "vault";
  const refused = (names: readonly string[], errno: number) => Object.fromEntries(names.map((each) => [each, errno]));
  const internet = ["connect", "bind a port", "bind no port", "connect for datagrams", "netlink", "send a datagram"];
  const ports = [
    "bind a datagram port below 1024",
    "bind a port below 1024",
    "listen",
    "listen with IPv6",
    "a raw socket",
  ];
  return {
    "read what is granted": 0,
    "write what is granted to read": EACCES,
    "make a file where granted": vault ? 0 : EACCES,
    ...refused(["execute what is granted to write", "execute a shell", "abstract socket", "trace a sibling"], EPERM),
    ...refused(["read outside", "write outside", "make a file outside", "list the root"], EACCES),
    ...refused(internet, out ? 0 : EPERM),
    ...refused(ports, EPERM),
    ...out
      ? { "bind a port": EACCES, "bind a port below 1024": EACCES, "bind a datagram port below 1024": EACCES }
      : {},
    ...refused(
      ["read a sibling's memory", "take a sibling's descriptor", "signal a sibling", "signal the parent"],
      EPERM,
    ),
    "open a sibling's memory": ENOENT,
    "open its own status": 0,
    ...refused(["become root", "mount", "limit a sibling", "ask for keys", "unshare nothing", "a personality"], EPERM),
    ...refused(["shared memory", "a ring of system calls", "the user that it is", "a priority", "accept"], EPERM),
    ...refused(["a unix socket", "a pair of datagram sockets", "connect to a unix socket", "make a process"], EPERM),
    clone3: ENOSYS,
    "signal itself": 0,
    "signal all": EPERM,
    ...refused(reads.map((path) => `read ${path}`), EACCES),
    ...refused(writes.map((path) => `write ${path}`), EACCES),
    "write /proc/sysrq-trigger": ENOENT,
    ...Object.assign(
      {},
      ...others.map((_, at) => ({
        ...refused([`kill ${at}`, `kill a thread of ${at}`, `trace ${at}`], EPERM),
        ...refused([`memory of ${at}`, `descriptors of ${at}`], ENOENT),
      })),
    ),
  };
}

async function scribbleIn(walled: Walled, name: ProcessName): Promise<void> {
  const { daemon } = walled, from = daemon.log.length, before = walled.pids();
  const spool = daemon.env["SMTPD_SPOOL"]!;
  walled.order(name, { do: "scribble", own: name === "vault" ? spool : null });
  const line = await daemon.logged(/^scribbled: /, from);
  // Written into, cut, opened to all.
  for (const [file, results] of Object.entries(JSON.parse(line.slice(11)))) {
    assert.match(file, /^\d+ \/.*_cache_v2(-wal|-shm)?$/);
    assert.deepEqual(results, [EBADF, EINVAL, EPERM], file);
  }
  await daemon.logged(/^warn: isolate \w+ ended and starts again/, from);
  await send(daemon, `${name}@${DOMAIN}`);
  await daemon.mailbox(name).arrived(1);
  const after = walled.pids();
  for (const other of PROCESS_NAMES) {
    if (other === name) assert.notEqual(after[other], before[other], "it was replaced");
    else assert.equal(after[other], before[other], `${other} goes on`);
  }
  assert.ok(textOf(`/proc/${daemon.pid}/status`).includes("State:"));
}
