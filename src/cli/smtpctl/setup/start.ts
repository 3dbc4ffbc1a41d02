/** The end of smtpctl setup: the configuration is checked by smtpd itself, the daemon started, and a mail sent to its reader. */

import type { Environment } from "../../../config/mod.ts";
import { controlSocketPath } from "../../../config/paths.ts";
import { askControl, connectControl, NotRunning } from "../../../control/mod.ts";
import { safeText, systemReason } from "../../../events/mod.ts";
import type { Clock } from "../../../clock.ts";
import type { Terminal } from "../../terminal.ts";
import type { Answers, ReaderAccount } from "./answers.ts";
import type { MachineFacts } from "./machine.ts";
import { type Surroundings, UNIT } from "./surroundings.ts";
import { sendTestMail } from "./test_mail.ts";

export interface StartOrder {
  readonly answers: Answers;
  /** The file that was written. */
  readonly config: string;
  readonly machine: MachineFacts;
  readonly account: ReaderAccount;
  /** All is below `root`. */
  readonly isTrial: boolean;
  readonly root: string;
  readonly start: boolean;
  /** The configuration took the place of an example: a daemon that runs has that one. */
  readonly replaced: boolean;
}

interface StartDeps {
  readonly env: Environment;
  readonly terminal: Terminal;
  readonly around: Surroundings;
  readonly clock: Clock;
}

/** Checks, starts, sends. Returns the exit status: 1 when the configuration is refused, the daemon does not start, or the mail does not arrive. */
export async function startAndTry(order: StartOrder, deps: StartDeps): Promise<number> {
  const { around, terminal, env } = deps, { config } = order;
  const missing = around.missingUsers();
  const checked = await runSmtpd(around, ["-n", "-f", config]);
  terminal.out(`smtpd -n: ${safeText(checked.text)}\n`);
  if (checked.code !== 0) return 1;
  const why = await reasonNotToStart(order, deps, missing);
  if (why !== null) {
    terminal.out(`\n${why}\n`);
    return 0;
  }
  const started = await start(order, deps);
  if (started.fault !== null) {
    terminal.err(`smtpctl: ${safeText(started.fault)}\n`);
    terminal.out(`\nThe files stay. When that is mended, ${started.next}, then ${firstMail(order)}\n`);
    return 1;
  }
  terminal.out(`${started.text}\n`);
  const { domain, hostname, mailbox } = order.answers;
  let arrival;
  try {
    arrival = await sendTestMail({ domain, hostname, mailbox, reader: order.account }, env, deps.clock);
  } catch (error) {
    arrival = { arrived: false, text: `The test mail cannot be followed: ${systemReason(error)}.` };
  }
  terminal.out(`${safeText(arrival.text)}\n`);
  if (arrival.arrived) terminal.out("\nWhen the records are in the DNS, see whether all is well: smtpctl check\n");
  return arrival.arrived ? 0 : 1;
}

/** Starts the daemon, or has the one that runs read the new configuration. */
async function start(
  { isTrial, config }: StartOrder,
  { env, around }: StartDeps,
): Promise<{ readonly fault: string | null; readonly text: string; readonly next: string }> {
  if (await answers(controlSocketPath(env))) {
    const fault = await reload(controlSocketPath(env));
    return {
      fault: fault && `smtpd does not take the new configuration: ${fault}`,
      text: "smtpd has the new configuration.",
      next: "smtpctl reload",
    };
  }
  const unit = around.hasUnit() && !isTrial;
  const { code, text } = unit
    ? await run(around, "systemctl", ["enable", "--now", UNIT])
    : await runSmtpd(around, isTrial ? ["-f", config] : []);
  return {
    fault: code === 0 ? null : `smtpd does not start: ${text}`,
    text: unit ? `smtpd is started, and with the machine from now on (${UNIT}).` : "smtpd is started.",
    next: unit ? `systemctl restart ${UNIT}` : "start smtpd",
  };
}

/** Has the running daemon read its configuration again. Returns why it does not; null when it does. */
async function reload(path: string): Promise<string | null> {
  try {
    for await (const answer of askControl(path, { do: "reload" })) {
      if ("ok" in answer) return answer.ok ? null : answer.error;
    }
    return "it broke off";
  } catch (error) {
    return systemReason(error);
  }
}

async function runSmtpd(around: Surroundings, args: readonly string[]) {
  const [program, ...first] = around.smtpd;
  return await run(around, program, [...first, ...args]);
}

async function run(around: Surroundings, program: string, args: readonly string[]) {
  try {
    return await around.run(program, args);
  } catch (error) {
    return { code: 1, text: `${program}: ${systemReason(error)}` };
  }
}

/** A path as a word of the shell. */
const quoted = (path: string) => /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;

const firstMail = ({ answers: { domain } }: StartOrder) =>
  `send a first mail: printf 'Subject: first\\n\\nHello.\\n' | sendmail postmaster@${domain}`;

/** Sentences that say what to do instead; null when the daemon can be started. */
async function reasonNotToStart(
  order: StartOrder,
  { env, around }: StartDeps,
  missing: readonly string[],
): Promise<string | null> {
  const { machine, start, isTrial, root, config, replaced } = order, mail = firstMail(order);
  const running = await answers(controlSocketPath(env));
  if (running && (!replaced || !start)) {
    return `smtpd runs already, as it was configured before: smtpctl stop, start it again, then ${mail}`;
  }
  if (isTrial && !env.get("SMTPD_SOCKET")) {
    const at = quoted(root), places = `SMTPD_SPOOL=${at}/spool SMTPD_SOCKET=${at}/smtpd.sock SMTPD_STATE=${at}/state`;
    return `Nothing is started for a trial in a folder. To start it there:\n  ${places} ${
      around.smtpd.join(" ")
    } -d -f ${quoted(config)}`;
  }
  if (!start) return `Start it with smtpd${around.hasUnit() ? ` (systemctl enable --now ${UNIT})` : ""}, then ${mail}`;
  if (missing.length > 0) {
    return `smtpd needs the user${missing.length === 1 ? "" : "s"} ${
      missing.join(" and ")
    }: run scripts/install, start smtpd, then ${mail}`;
  }
  if (!running && machine.port25.taken) {
    const [server] = machine.servers;
    const stop = server === undefined
      ? "stop it"
      : `stop it if it is ${server.name} (systemctl disable --now ${server.service})`;
    return `Another server has port 25: ${stop}. Then start smtpd, and ${mail}`;
  }
  return null;
}

async function answers(path: string): Promise<boolean> {
  try {
    (await connectControl(path)).close();
    return true;
  } catch (error) {
    if (error instanceof NotRunning) return false;
    // It is there, and not ours to speak to.
    return true;
  }
}
