/**
 * The real daemon for tests: scripts/smtpd in a folder of its own, on ports of its own, with what it logs kept. Waits for events, never for
 * time to pass; every wait has an end.
 */

import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../ports.ts";

export const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const DOMAIN = "example.org";
const ROOT = Deno.uid() === 0;
const NOBODY = 65534;
/** Whom local mail is delivered as. */
export const OWNER = ROOT ? "nobody" : userInfo().username;
/** Whose this checkout is says nothing of the programs: root's warning of it has a test of its own. */
const QUIET = { VAULTPOST_OWNER_WARNED: "1" };
/**
 * Files of tests whose daemons are processes of two users, with the kernel's walls around them, as an operator's are: where root runs them. In the others
 * all runs in one process, as for everybody else.
 */
const WALLED: ReadonlySet<string> = new Set([
  "acme",
  "auth",
  "certificates",
  "delivery",
  "filter",
  "forward",
  "inherited",
  "load",
  "program_table",
  "queue_at_rest",
  "relay",
  "signals",
  "smtpctl",
  "tables",
  "tls",
  "tools",
  "transfer",
].map((name) => `${name}_test.ts`));
/** `VAULTPOST_TEST_USERS` says `one` or `two` for all files. */
const TWO_USERS = ROOT &&
  (Deno.env.get("VAULTPOST_TEST_USERS") ?? (WALLED.has(basename(Deno.mainModule)) ? "two" : "one")) === "two";
/** For what a test starts besides the harness's daemon, in its environment. */
export const USERS_OPTION: readonly string[] = TWO_USERS ? [] : ["--one-user"];
/** A wait that takes longer has failed. */
const LIMIT_MS = 60_000;
/** Who has ended writes no more: what is in the pipe is read in no time. */
const LOG_END_MS = 5_000;

/** Rejects when `promise` takes longer than `ms`. */
export async function within<T>(promise: Promise<T>, what: string, ms = LIMIT_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${ms} ms in vain for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, unpacked tools included; a program that is missing rejects. */
export async function run(
  command: string,
  args: readonly string[],
  options: { input?: string | Uint8Array; env?: Record<string, string>; cwd?: string } = {},
): Promise<Ran> {
  const child = new Deno.Command(command, {
    args: [...args],
    env: { PATH: `${PROJECT}/.deno/tools/bin:${Deno.env.get("PATH")}`, NO_COLOR: "1", ...QUIET, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { input = "" } = options;
  const writer = child.stdin.getWriter();
  // A program that does not read its input to the end closes it; its exit status says more than that.
  writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input).then(() => writer.close()).catch(
    () => {},
  );
  const { code, stdout, stderr } = await within(child.output(), `the end of ${command}`, 2 * LIMIT_MS);
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Lines as they come, and waiting for one. */
class Log {
  readonly lines: string[] = [];
  #ended = false;
  #wake: Array<() => void> = [];

  push(line: string): void {
    this.lines.push(line);
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /** The line from `from` on that matches as number `count`. Rejects when the log ends without one. */
  async line(pattern: RegExp, from: number, count: number): Promise<string> {
    for (let at = from, seen = 0;; at++) {
      while (at >= this.lines.length) {
        if (this.#ended) throw new Error(`No line like ${pattern} in the log:\n${this.lines.join("\n")}`);
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
      if (pattern.test(this.lines[at]!) && ++seen === count) return this.lines[at]!;
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

export interface DaemonOptions {
  /** Lines of smtpd.conf that stand before or instead of the usual ones. */
  readonly config?: (daemon: { port: number; mail: string; folder: string }) => string;
  readonly args?: readonly string[];
  /** What is started instead of scripts/smtpd; it gets the same arguments. */
  readonly program?: readonly [string, ...string[]];
  /** Variables of the environment, beside or instead of the usual ones. */
  readonly env?: Readonly<Record<string, string>>;
  /** Processes of two users, as root only: users of the system that own nothing here. Else all runs in one process. By default as the file's tests do. */
  readonly twoUsers?: boolean;
}

/**
 * Two users of this machine that daemons of tests can run as: neither root's nor nobody's, without a login. No test makes users. Throws where there are no
 * two such users.
 */
export function systemUsers(): readonly [string, string] {
  const users = Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":"))
    .filter(([, , uid, gid, , , shell]) =>
      Number(uid) > 1 && Number(uid) < 1000 && Number(gid) > 1 && Number(gid) < 1000 &&
      /nologin|false/.test(shell ?? "")
    ).map(([name]) => name!);
  const preferred = ["smtpd", "smtpq", "games", "news", "uucp", "irc"].filter((name) => users.includes(name));
  const [first, second] = [...new Set([...preferred, ...users])];
  if (second === undefined) throw new Error("This machine has no two users without a login: the test needs two");
  return [first!, second];
}

/** A program to start instead of scripts/smtpd: a file of test/ that runs a daemon with all permissions, see own_daemon.ts. */
export function ownDaemon(file: string, ...args: readonly string[]): readonly [string, ...string[]] {
  const runtime = ["run", "--allow-all", "--no-check", "--cached-only", "--config", join(PROJECT, "deno.json")];
  return [Deno.execPath(), ...runtime, join(PROJECT, "test", file), ...args];
}

/** One daemon in one folder; it can be killed and started again in the same place. */
export class Daemon {
  readonly folder: string;
  readonly port = freePort();
  #child: Deno.ChildProcess | null = null;
  #log = new Log();
  /** Resolves when all that the daemon has logged is read. */
  #read: Promise<void> = Promise.resolve();
  readonly #args: readonly string[];
  readonly #program: readonly [string, ...string[]];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    folder: string,
    { args = [], program = [join(PROJECT, "scripts/smtpd")], env = {}, twoUsers = TWO_USERS }: DaemonOptions,
  ) {
    this.folder = folder;
    this.#args = twoUsers ? args : [...args, "--one-user"];
    this.#program = program;
    const [smtpd, smtpq] = twoUsers ? systemUsers() : [];
    this.#env = smtpd === undefined ? env : { SMTPD_USER: smtpd, SMTPD_QUEUE_USER: smtpq!, ...env };
  }

  /** Makes the folder and starts the daemon in it. By default mail for example.org goes to Maildirs by user name. */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
    const daemon = new Daemon(folder, options);
    await Deno.chmod(folder, 0o755);
    await Deno.mkdir(daemon.mail);
    if (ROOT) await Deno.chown(daemon.mail, NOBODY, NOBODY);
    await Deno.writeTextFile(daemon.configFile, (options.config ?? maildirConfig)(daemon));
    try {
      await daemon.launch();
    } catch (error) {
      await daemon.remove();
      throw error;
    }
    return daemon;
  }

  get mail(): string {
    return join(this.folder, "mail");
  }

  get configFile(): string {
    return join(this.folder, "smtpd.conf");
  }

  get pid(): number {
    return this.#child!.pid;
  }

  get log(): readonly string[] {
    return this.#log.lines;
  }

  /** What the tools need to find this daemon. */
  get env(): Record<string, string> {
    return {
      SMTPD_SPOOL: join(this.folder, "spool"),
      SMTPD_SOCKET: join(this.folder, "smtpd.sock"),
      SMTPD_LIBEXEC: join(this.folder, "libexec"),
      SMTPD_STATE: join(this.folder, "state"),
      ...this.#env,
    };
  }

  /** Starts the daemon, with more arguments perhaps, and waits until it says that it serves. */
  async launch({ more = [] }: { readonly more?: readonly string[] } = {}): Promise<void> {
    const log = this.#log = new Log();
    const [command, ...first] = this.#program;
    const child = this.#child = new Deno.Command(command, {
      args: [...first, "-d", "-f", this.configFile, ...this.#args, ...more],
      env: { ...QUIET, ...this.env, NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#read = (async () => {
      let rest = "";
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + text).split("\n");
        rest = lines.pop()!;
        for (const line of lines) log.push(line);
      }
      log.end();
    })();
    await this.logged(/^info: Vaultpost .* starting$/);
  }

  /** Waits for a line of the log, from line number `from` on, the first one that matches or another. */
  logged(pattern: RegExp, from = 0, count = 1): Promise<string> {
    return within(this.#log.line(pattern, from, count), `${pattern} in the log`);
  }

  /** Orderly shutdown; answers the exit status. Its log is whole then. */
  async stop(): Promise<number> {
    this.#child!.kill("SIGTERM");
    return await this.ended();
  }

  /** The exit status, when it stops by itself. Its log is whole then, unless a program that it started has it still. */
  async ended(): Promise<number> {
    const { code } = await within(this.#child!.status, "the daemon's end");
    await within(this.#read, "the end of its log", LOG_END_MS).catch(() => {});
    return code;
  }

  /** As a power cut would, for the process. */
  async kill(): Promise<void> {
    this.#child!.kill("SIGKILL");
    await this.#child!.status;
  }

  async remove(): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }

  /** Runs a program of scripts/ against this daemon. */
  tool(name: string, args: readonly string[], input: string | Uint8Array = ""): Promise<Ran> {
    const more = name === "smtpd" && this.#args.includes("--one-user") ? ["--one-user"] : [];
    return run(join(PROJECT, "scripts", name), [...more, ...args], { input, env: this.env });
  }

  /** The Maildir of one user of example.org. */
  mailbox(user: string): Mailbox {
    return new Mailbox(join(this.mail, user));
  }
}

/** Mail for example.org into Maildirs by user name; everything else is refused. */
export function maildirConfig({ port, mail }: { port: number; mail: string }): string {
  return `smtp limit max-mails 100000
smtp max-message-size 150M
listen on socket
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from any for domain "${DOMAIN}" action "inbox"
`;
}

/** A daemon for the length of `body`; the log is shown when that fails. */
export async function withDaemon(options: DaemonOptions, body: (daemon: Daemon) => Promise<void>): Promise<void> {
  const daemon = await Daemon.start(options);
  let failed = true;
  let status = 0;
  try {
    await body(daemon);
    failed = false;
  } finally {
    if (failed) console.error(daemon.log.slice(-200).join("\n"));
    status = await daemon.stop();
    await daemon.remove();
  }
  if (status !== 0) throw new Error(`The daemon ended with status ${status}:\n${daemon.log.slice(-20).join("\n")}`);
}

/** A Maildir, read as a mail reader would. */
export class Mailbox {
  constructor(readonly path: string) {}

  /** Names of the delivered messages. */
  names(): string[] {
    try {
      return [...Deno.readDirSync(join(this.path, "new"))].map((entry) => entry.name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  read(name: string): Uint8Array<ArrayBuffer> {
    return Deno.readFileSync(join(this.path, "new", name));
  }

  /** Waits until `count` messages are there; answers their contents in no order. */
  async messages(count: number, ms = LIMIT_MS): Promise<Uint8Array<ArrayBuffer>[]> {
    await this.arrived(count, ms);
    return this.names().map((name) => this.read(name));
  }

  /** The only message. */
  async message(): Promise<Uint8Array<ArrayBuffer>> {
    const all = await this.messages(1);
    if (all.length !== 1) throw new Error(`Wanted one message in ${this.path}, found ${all.length}`);
    return all[0]!;
  }

  async text(): Promise<string> {
    return new TextDecoder("utf-8", { fatal: true }).decode(await this.message());
  }

  /** Waits until `count` messages are there, without reading them. */
  async arrived(count: number, ms = LIMIT_MS): Promise<void> {
    if (this.names().length >= count) return;
    // Folders that do not exist yet cannot be watched: the nearest one that does is watched until they appear.
    const end = Date.now() + ms;
    while (this.names().length < count) {
      if (Date.now() > end) {
        throw new Error(
          `Waited ${ms} ms in vain for ${count} messages in ${this.path}, there are ${this.names().length}`,
        );
      }
      await changes(join(this.path, "new"), () => this.names().length >= count, end - Date.now());
    }
  }
}

/** Resolves when something changes in the folder, or in the nearest one above that exists; at the latest after `ms`. */
async function changes(folder: string, done: () => boolean, ms: number): Promise<void> {
  const watched = nearest(folder);
  using watcher = Deno.watchFs(watched, { recursive: false });
  // What came between the look and the watch is seen here.
  if (done() || nearest(folder) !== watched) return;
  const timer = setTimeout(() => watcher.close(), ms);
  try {
    for await (const _ of watcher) {
      if (done() || watched !== folder) return;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The folder, or the first one above it that exists. */
function nearest(folder: string): string {
  try {
    Deno.statSync(folder);
    return folder;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return nearest(dirname(folder));
  }
}
