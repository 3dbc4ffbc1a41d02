/**
 * `smtpctl setup`: from a bare machine to a mail host. Asks what it is not told, looks at the machine, writes the configuration, keys and aliases, prints
 * the records for the DNS, starts the daemon and sends a first message. Overwrites nothing.
 */

import { resolve } from "node:path";
import type { Environment } from "../../../config/mod.ts";
import { CONFIG_PLACES, dkimFolder } from "../../../config/paths.ts";
import { ed25519Selector } from "../../../dkim_keys/mod.ts";
import { safeLine, safeText, systemReason } from "../../../events/mod.ts";
import { isPublicAddress } from "../../../net/mod.ts";
import { readPair, selfSignedCertificate } from "../../../tls/mod.ts";
import { type Clock, systemClock } from "../../../clock.ts";
import type { Terminal } from "../../terminal.ts";
import {
  type Answers,
  checkAddress,
  checkCertificate,
  checkDomain,
  type Checked,
  checkHostname,
  checkMailbox,
  checkReader,
  type ReaderAccount,
  type SetupOrder,
} from "./answers.ts";
import { exists, type MachineFacts, type NameFacts } from "./machine.ts";
import { placesOf, planFiles, type PlannedFile } from "./plan.ts";
import { ask, InputEnded, lineReader, type ReadLine } from "./questions.ts";
import { recordsFor, zoneText } from "./records.ts";
import { describeMachine, describeNames } from "./describe.ts";
import { startAndTry } from "./start.ts";
import { type Surroundings, surroundings } from "./surroundings.ts";
import { takenFiles, writeFiles } from "./write.ts";

/** A self-signed certificate is good for so long: nobody renews it. */
const SELF_SIGNED_DAYS = 3650;
/** Owner and mode of a key that smtpd does not take. */
const KEY_MODE_MASK = 0o7037;
const EX_INTERRUPTED = 130;

/** What setup refuses to do, with what to do instead. */
class Refused extends Error {
  readonly status: number;

  constructor(text: string, status = 1) {
    super(text);
    this.status = status;
  }
}

/** Runs `smtpctl setup` and returns its exit status. */
export async function setupMain(
  order: SetupOrder,
  env: Environment,
  terminal: Terminal,
  around: Surroundings = surroundings(env),
  readLine: ReadLine = lineReader(),
  clock: Clock = systemClock,
): Promise<number> {
  try {
    return await new Setup(order, env, terminal, around, clock).run(readLine);
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof InputEnded)) throw error;
    terminal.err(`smtpctl: ${safeText(error.message)}\n`);
    return error instanceof Refused ? error.status : 1;
  }
}

class Setup {
  readonly #root: string;
  readonly #reader: { account: ReaderAccount | null } = { account: null };

  constructor(
    readonly order: SetupOrder,
    readonly env: Environment,
    readonly terminal: Terminal,
    readonly around: Surroundings,
    readonly clock: Clock,
  ) {
    this.#root = order.root === null ? "" : resolve(order.root);
    if (this.#root === "/") this.#root = "";
    if (/["\n\\]/.test(this.#root)) {
      throw new Refused(`--root: ${this.#root} has a character that smtpd.conf cannot have`);
    }
  }

  async run(readLine: ReadLine): Promise<number> {
    const { order, around, terminal } = this;
    if (around.uid !== 0 && this.#root === "" && !order.dryRun) {
      throw new Refused(
        "setup writes into /etc: run it as root, look at what it would do with --dry-run, or try it in a folder of yours with --root FOLDER",
      );
    }
    const answers = await this.#answers(readLine);
    const { domain, hostname, certificate } = answers;
    this.#checkFiles(certificate);
    const dkim = this.#root === "" ? dkimFolder(this.env) : `${this.#root}/etc/vaultpost/dkim`;
    const places = placesOf({ domain, hostname, root: this.#root, dkim });
    const date = new Date(this.clock.now()).toISOString().slice(0, 10), selector = `s${date.slice(0, 4)}`;
    const machine = await around.lookAtMachine();
    let addresses = answers.addresses.length > 0 ? answers.addresses : machine.publicAddresses;
    const plan = async ({ real }: { readonly real: boolean }): Promise<Plan> => {
      const { keys, pair } = real ? await this.#makeSecrets(selector, answers) : sketchOf(selector, answers);
      const zone = zoneText(domain, recordsFor({ domain, hostname, addresses, keys, certificate }));
      const known = keys.map((key) => ({ ...key, record: key.record ?? "" }));
      return { zone, files: planFiles({ answers, places, keys: known, pair, zone, ipv6: machine.ipv6, date }) };
    };
    const sketch = await plan({ real: false });
    const taken = takenFiles(sketch.files, around.isExample);
    if (taken.length > 0 && !order.dryRun) {
      throw new Refused(
        `nothing was written, because these are there already:\n${taken.map((path) => `  ${path}\n`).join("")}` +
          "Setup is for a host without a configuration. Move them away to begin anew, or see how yours is with smtpctl check",
      );
    }
    const names = await around.askNames({ domain, hostname, addresses });
    // Behind a router that translates, the DNS may have the public one already.
    if (addresses.length === 0 && names.ofHost.kind === "records") addresses = names.ofHost.records;
    terminal.out(this.#describe(answers, machine, names, addresses));
    if (order.probe !== null) terminal.out(`${safeLine(await around.probe(order.probe))}\n`);
    if (order.dryRun) return this.#show(await plan({ real: false }), taken);
    const replaced = exists(places.config),
      kept = sketch.files.filter(({ path, optional }) => optional && exists(path));
    const { zone, files } = await plan({ real: true });
    const written = await writeFiles(files, around.isExample);
    if (!written.ok) throw new Refused(written.fault, written.interrupted ? EX_INTERRUPTED : 1);
    this.#list(files, kept.map(({ path }) => path));
    for (const place of CONFIG_PLACES.slice(1).map((one) => this.#root + one).filter(exists)) {
      terminal.out(`\n${place} is there, too, and stays: smtpd takes ${places.config} in its place from now on.\n`);
    }
    terminal.out(`\nPut these records into the DNS (they are in ${places.zone}, too):\n\n${zone}\n`);
    return await startAndTry({
      answers,
      config: places.config,
      machine,
      account: this.#reader.account!,
      isTrial: this.#root !== "",
      root: this.#root,
      start: order.start,
      replaced,
    }, { env: this.env, terminal, around, clock: this.clock });
  }

  /** What was given, checked, and what is asked for the rest. */
  async #answers(readLine: ReadLine): Promise<Answers> {
    const { order, terminal, around } = this;
    const asks = order.domain === null || order.hostname === null || order.reader === null;
    const say = (text: string) => terminal.err(text);
    const given = async <T>(
      value: string | null,
      check: (text: string) => Checked<T> | Promise<Checked<T>>,
      question: { readonly text: string; readonly otherwise: string | null; readonly option: string },
    ): Promise<T> => value === null ? await ask({ ...question, check }, readLine, say) : valueOf(await check(value));
    if (asks && !order.dryRun) this.#refuseEarly();
    const domain = await given(order.domain, checkDomain, {
      text: "The domain that mail is received for, as in example.org",
      otherwise: around.ownDomain(),
      option: "--domain",
    });
    const hostname = await given(order.hostname, checkHostname, {
      text: "The full name of this host",
      otherwise: `mail.${domain}`,
      option: "--hostname",
    });
    const reader = await given(order.reader, (text) => this.#checkReader(text), {
      text: "The account that reads the mail for postmaster, abuse and root",
      otherwise: around.callingUser(),
      option: "--reader",
    });
    const certificate = asks && order.certificate === null
      ? await given(null, (text) => checkCertificate(text, order.key), {
        text: "The certificate: self-signed, acme (Let's Encrypt), or the URL of another ACME directory",
        otherwise: "self-signed",
        option: "--certificate",
      })
      : valueOf(checkCertificate(order.certificate ?? "self-signed", order.key));
    return {
      domain,
      hostname,
      reader,
      certificate,
      addresses: order.addresses.map((address) => valueOf(checkAddress(address))),
      mailbox: valueOf(checkMailbox(order.mailbox ?? "maildir")),
    };
  }

  async #checkReader(text: string): Promise<Checked<string>> {
    this.#reader.account = await this.around.findAccount(text.trim());
    return checkReader(text, this.#reader.account);
  }

  /** Before anybody answers questions in vain. */
  #refuseEarly(): void {
    const folder = `${this.#root}/etc/vaultpost`;
    const there = [`${folder}/smtpd.conf`, `${folder}/aliases`].filter((path) =>
      exists(path) && !this.around.isExample(path)
    );
    if (there.length === 0) return;
    throw new Refused(
      `nothing was asked or written, because there ${there.length === 1 ? "is" : "are"} already ${
        there.join(" and ")
      }: ` +
        "setup is for a host without a configuration",
    );
  }

  /** A certificate that is given has to be one, with its key. */
  #checkFiles(certificate: Answers["certificate"]): void {
    if (certificate.kind !== "files") return;
    const { cert, key } = certificate;
    let fault: string | null = null;
    try {
      const read = readPair({ cert: Deno.readTextFileSync(cert), key: Deno.readTextFileSync(key) });
      const { mode, uid } = Deno.statSync(key);
      if (!read.ok) fault = read.fault;
      else if (mode !== null && (mode & KEY_MODE_MASK) !== 0) fault = `others may read the key: chmod 0600 ${key}`;
      else if (uid !== 0 && uid !== this.around.uid) fault = `the key belongs to another user: chown root ${key}`;
    } catch (error) {
      fault = systemReason(error);
    }
    if (fault !== null) throw new Refused(`the certificate ${cert} with the key ${key} cannot be used: ${fault}`);
  }

  #describe(answers: Answers, machine: MachineFacts, names: NameFacts, addresses: readonly string[]): string {
    return [
      ...describeMachine(machine, {
        hostname: answers.hostname,
        addresses: addresses.filter(isPublicAddress),
        probes: this.order.probe !== null,
      }),
      ...describeNames(answers, names),
      ...this.#homeless(answers),
      "",
    ].join("\n");
  }

  /** The keys, and a certificate where it is self-signed. */
  async #makeSecrets(selector: string, { certificate, hostname }: Answers): Promise<Secrets> {
    return {
      keys: await this.around.makeKeys(selector),
      pair: certificate.kind === "self-signed"
        ? selfSignedCertificate({ name: hostname, now: this.clock.now(), days: SELF_SIGNED_DAYS })
        : null,
    };
  }

  /** A warning of a reader whose mail could not be delivered. */
  #homeless({ mailbox }: Answers): string[] {
    const { name, home } = this.#reader.account!;
    if (mailbox !== "maildir" || this.around.isFolder(home)) return [];
    return [`Warning: ${name} has no home (${home}), and mail would wait: make it, or choose --mailbox mbox.`];
  }

  /** `kept`: those that were there, and stay. */
  #list(files: readonly PlannedFile[], kept: readonly string[]): void {
    const shown = ({ path, about, mode }: PlannedFile) =>
      `  ${path}  (${about}, mode ${mode.toString(8).padStart(4, "0")})\n`;
    const made = files.filter(({ path }) => !kept.includes(path));
    this.terminal.out(`\nThese files were written:\n\n${made.map(shown).join("")}`);
    for (const path of kept) this.terminal.out(`\n${path} is there already, and stays as it is.\n`);
  }

  /** `--dry-run`. */
  #show({ files, zone }: Plan, taken: readonly string[]): number {
    const { terminal } = this;
    terminal.out("\nNothing is written. These files would be:\n");
    for (const { path, about, mode, text, secret, optional } of files) {
      const there = taken.includes(path)
        ? " IT IS THERE ALREADY: setup refuses to overwrite it."
        : optional === true && exists(path)
        ? " It is there already, and stays as it is."
        : "";
      terminal.out(`\n==> ${path}: ${about}, mode ${mode.toString(8).padStart(4, "0")}.${there}\n`);
      terminal.out(secret || text === "" ? "(a key; made when it is written)\n" : text);
    }
    terminal.out(`\nThe records for the DNS:\n\n${zone}`);
    return 0;
  }
}

interface Plan {
  readonly files: readonly PlannedFile[];
  readonly zone: string;
}

interface Secrets {
  readonly keys: readonly { readonly selector: string; readonly record: string | null; readonly text: string }[];
  readonly pair: { readonly cert: string; readonly key: string } | null;
}

/** What stands for them as long as nothing is written. */
function sketchOf(selector: string, { certificate }: Answers): Secrets {
  return {
    keys: [selector, ed25519Selector(selector)].map((one) => ({ selector: one, record: null, text: "" })),
    pair: certificate.kind === "self-signed" ? { cert: "(made when it is written)\n", key: "" } : null,
  };
}

function valueOf<T>(checked: Checked<T>): T {
  if ("value" in checked) return checked.value;
  throw new Refused(checked.fault);
}
