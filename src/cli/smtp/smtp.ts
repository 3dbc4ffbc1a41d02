/** smtp(1): sends one message from standard input straight to a server, for trying servers out. Independent of the daemon. */

import { lookup } from "node:dns/promises";
import { PRODUCT, VERSION } from "../../config/paths.ts";
import { systemReason } from "../../events/mod.ts";
import {
  bodyOf,
  type Client,
  ClientError,
  connectClient,
  TIMEOUTS,
  type Timeouts,
  type TlsOptions,
  uniformTimeouts,
} from "../../smtp_client/mod.ts";
import { readSmtpOptions, type SmtpOptions } from "./options.ts";
import { whoIs } from "../sendmail/identity.ts";
import { InputTooLarge, processTerminal, type Terminal } from "../terminal.ts";
import { printInfo, usageOf } from "../usage.ts";

const USAGE = usageOf("smtp");
/** Limit for connecting, each reply and each write; only the reply to the message may take as long as it does for a relay. */
const TIMEOUT_MS = 100_000;
/** Largest message, in octets: it is held in memory, for the next address may need it again. */
const MAX_INPUT_OCTETS = 256 * 1024 * 1024;

/** What smtp needs to know of the machine. */
export interface SmtpWorld {
  readonly terminal: Terminal;
  readonly loginName: () => string;
  readonly hostName: () => string;
  /** All addresses of a host; rejects when it has none. */
  readonly addresses: (host: string) => Promise<string[]>;
  readonly readText: (path: string) => string;
  readonly timeouts: Timeouts;
}

/** A reason to end with status 1 at once. */
class Fatal extends Error {}

/** What all attempts have in common. */
interface Job {
  readonly options: SmtpOptions;
  readonly world: SmtpWorld;
  readonly user: string | null;
  readonly password: string;
  readonly tls: TlsOptions;
  readonly message: Uint8Array;
}

/** Runs smtp(1) and returns its exit status. */
export async function smtpMain(args: string[]): Promise<number> {
  return await runSmtp(args, {
    terminal: processTerminal(),
    loginName: () => whoIs(readPasswd(), Deno.uid() ?? 0, Deno.env.get("LOGNAME") ?? Deno.env.get("USER")).name,
    hostName: () => Deno.hostname(),
    addresses: addressesOf,
    readText: (path) => Deno.readTextFileSync(path),
    timeouts: { ...uniformTimeouts(TIMEOUT_MS), endOfDataMs: TIMEOUTS.endOfDataMs },
  });
}

async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOTFOUND") throw new Error("Name or service not known");
    throw error;
  }
}

function readPasswd(): string {
  try {
    return Deno.readTextFileSync("/etc/passwd");
  } catch {
    return "";
  }
}

/** The same in a given world. 0 when a server handled the mail, even by refusing it. */
export async function runSmtp(args: readonly string[], world: SmtpWorld): Promise<number> {
  const { terminal } = world;
  const command = readSmtpOptions(args);
  if (command.kind === "info") return printInfo("smtp", command.info, terminal);
  if (command.kind === "help") {
    terminal.err(`${PRODUCT} ${VERSION}\n${USAGE}`);
    return 0;
  }
  if (command.kind === "error") {
    terminal.err(`smtp: ${command.text}\n${command.usage ? USAGE : ""}`);
    return 1;
  }
  try {
    return await send(await prepare(command.options, world));
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    terminal.err(`smtp: ${error.message}\n`);
    return 1;
  }
}

async function prepare(options: SmtpOptions, world: SmtpWorld): Promise<Job> {
  const { server } = options;
  const read = (path: string) => {
    try {
      return world.readText(path);
    } catch (error) {
      throw new Fatal(`${path}: ${systemReason(error)}`);
    }
  };
  let { user, password } = server;
  if (options.authFile !== null) {
    const [, name, secret] = /^([^:]+):(.*)$/.exec(read(options.authFile).split(/\r?\n/, 1)[0]!) ?? [];
    if (name === undefined) throw new Fatal(`${options.authFile}: user:password is wanted`);
    user = name;
    password = secret!;
  }
  const tls: TlsOptions = {
    serverName: options.serverName ?? server.host,
    sni: options.sni,
    verify: options.verify,
    ca: options.caFile === null ? null : read(options.caFile),
    protocols: options.protocols,
  };
  const message = options.dry ? new Uint8Array() : await readMessage(world.terminal);
  return { options, world, user, password, tls, message };
}

async function readMessage(terminal: Terminal): Promise<Uint8Array> {
  try {
    return await terminal.input(MAX_INPUT_OCTETS);
  } catch (error) {
    if (error instanceof InputTooLarge) throw new Fatal(error.message);
    throw error;
  }
}

/** Address after address until one takes the mail; with -n all of them. */
async function send(job: Job): Promise<number> {
  const { options, world } = job;
  const addresses = await world.addresses(options.server.host).catch((error: Error) => {
    throw new Fatal(`${options.server.host}: ${error.message}`);
  });
  let reached = false;
  for (const address of addresses) {
    say(job, 1, `trying host ${address} port ${options.server.port}...`);
    const handled = await attempt(job, address);
    reached ||= handled;
    if (handled && !options.dry) break;
  }
  if (!reached) throw new Fatal("no more host");
  say(job, 1, "done...");
  return 0;
}

/** True when the server was ready for mail, whatever it then answered to it. */
async function attempt(job: Job, address: string): Promise<boolean> {
  const { options, world, tls } = job;
  let client: Client | null = null;
  let ready = false;
  try {
    client = await connectClient({
      to: { host: address, port: options.server.port },
      timeouts: world.timeouts,
      lmtp: options.server.lmtp,
      ...(options.server.tls === "implicit" ? { tls } : {}),
      ...(options.verbose > 1 ? { trace: (way, line) => say(job, 2, `${way} ${line}`) } : {}),
    });
    await getReady(job, client);
    ready = true;
    say(job, 1, "connection ready...");
    if (!options.dry && options.recipients.length > 0) await transact(job, client);
    await client.quit();
    say(job, 1, "connection closed...");
  } catch (error) {
    client?.close();
    if (!(error instanceof ClientError)) throw error;
    say(job, 0, `connection error: ${error.message}`);
  }
  return ready;
}

async function getReady(job: Job, client: Client): Promise<void> {
  const { server, helo } = job.options;
  const name = helo ?? job.world.hostName();
  // A secret is never sent without TLS, so a URL with one requires TLS.
  const mandatory = server.tls === "mandatory" || job.user !== null;
  const { startTls } = await client.hello(name, { fallback: !mandatory });
  if (server.tls !== "implicit" && server.tls !== "never") {
    if (!startTls && mandatory) throw new ClientError("tls", "missing feature: TLS not supported by remote host");
    if (startTls) {
      await client.startTls(job.tls);
      await client.hello(name);
    }
  }
  if (client.tls !== null) {
    const { ciphers, verified, fingerprint } = client.tls;
    say(job, 1, `tls ${ciphers} certificate ${verified ? "verified" : "unverified"} ${fingerprint}`);
  }
  if (job.user !== null) await client.authenticate(job.user, job.password);
}

async function transact(job: Job, client: Client): Promise<void> {
  const { options, world } = job;
  // RFC 5321 §4.5.3.1.10: recipients beyond the limit of one transaction follow in the next.
  let rest: readonly string[] = options.recipients;
  let most = Infinity;
  while (rest.length > 0) {
    const part = rest.slice(0, most);
    const { recipients, rcptMax, error } = await client.transaction({
      sender: options.from ?? world.loginName(),
      recipients: part.map((address) => ({ address })),
      body: bodyOf(job.message),
    });
    const isAgain = (index: number) => error === null && recipients[index]!.again === "here";
    part.forEach((address, index) => {
      const { stage, text } = recipients[index]!;
      if (!isAgain(index)) say(job, 0, `${address}: ${stage}: ${text}`);
    });
    most = rcptMax ?? most;
    rest = [...part.filter((_, index) => isAgain(index)), ...rest.slice(part.length)];
  }
  say(job, 1, "mail done...");
}

function say({ options, world }: Job, level: number, text: string): void {
  if (options.verbose >= level) world.terminal.err(text + "\n");
}
