/** A first message through the new daemon: from the reader to postmaster of the domain, by the submission socket, and where it landed. */

import type { Environment } from "../../../config/mod.ts";
import { controlSocketPath, mailDirectory, submissionSocketPath } from "../../../config/paths.ts";
import { askControl } from "../../../control/mod.ts";
import { formatDate } from "../../../date.ts";
import { systemReason } from "../../../events/mod.ts";
import { submit } from "../../sendmail/submission.ts";
import { type Clock, sleep, systemClock } from "../../../clock.ts";

/** Delivery here takes moments; what is not there then waits for something. In milliseconds. */
const DELIVERY_MS = 20_000, LOOK_MS = 100;

export interface TestMail {
  readonly domain: string;
  readonly hostname: string;
  /** Account, with its home. */
  readonly reader: { readonly name: string; readonly home: string };
  readonly mailbox: "maildir" | "mbox";
}

/** Whether it arrived, and sentences that say where, or what became of it. */
export interface Arrival {
  readonly arrived: boolean;
  readonly text: string;
}

/** Sends the message and waits for its delivery. */
export async function sendTestMail(mail: TestMail, env: Environment, clock: Clock = systemClock): Promise<Arrival> {
  const { domain, hostname, reader } = mail;
  const id = `setup.${clock.now()}.${crypto.randomUUID().slice(0, 8)}@${hostname}`;
  const to = `postmaster@${domain}`;
  const text = [
    `From: Vaultpost <${to}>`,
    `To: ${reader.name}@${domain}`,
    "Subject: Mail arrives",
    `Date: ${formatDate(new Date(clock.now()))}`,
    `Message-ID: <${id}>`,
    "Content-Type: text/plain; charset=us-ascii",
    "",
    `This message was sent to ${to} by smtpctl setup on ${hostname}, and you can read it: local delivery works.`,
    "",
    "When the records are in the DNS, smtpctl check says whether all else is well. Then write to somebody elsewhere,",
    "and have them answer.",
    "",
  ].join("\n");
  let queued = "";
  const submission = {
    sender: to,
    recipients: [to],
    message: new TextEncoder().encode(text),
    notify: "",
    ret: "",
    envid: "",
  };
  const done = await submit(submissionSocketPath(controlSocketPath(env)), submission, (line) => {
    queued = /^<<< 250 2\.0\.0 ([0-9a-f]{8})\b/.exec(line)?.[1] ?? queued;
  });
  if (done.result !== "accepted") {
    const why = done.result === "not-running" ? "nobody listens on the socket for submission" : done.text;
    return { arrived: false, text: `The test mail to ${to} was not taken: ${why}.` };
  }
  const waits = await waitFor(queued, env, clock);
  if (waits !== null) {
    return { arrived: false, text: `The test mail ${queued} to ${to} waits in the queue: ${waits}.` };
  }
  const place = findMail(id, mail, env);
  return place === null
    ? {
      arrived: false,
      text: `The test mail left the queue, and is not in the mailbox of ${reader.name}: see the log of ${queued}.`,
    }
    : { arrived: true, text: `The test mail to ${to} is in ${place}.` };
}

/** Null when the message has left the queue, else what it waits for. */
async function waitFor(message: string, env: Environment, clock: Clock): Promise<string | null> {
  if (!/^[0-9a-f]{8}$/.test(message)) return "its id is not known";
  const end = clock.steady() + DELIVERY_MS;
  for (;;) {
    let line: string | null = null;
    for await (const answer of askControl(controlSocketPath(env), { do: "show-queue", message: message as never })) {
      if ("line" in answer) line = answer.line;
    }
    if (line === null) return null;
    if (clock.steady() > end) return line.split("|").at(-1) || `"smtpctl show queue" has it`;
    await sleep(LOOK_MS, clock);
  }
}

/** The file that has the message; null when none has. */
function findMail(id: string, { reader, mailbox }: TestMail, env: Environment): string | null {
  try {
    if (mailbox === "mbox") {
      const path = `${mailDirectory(env)}/${reader.name}`;
      return textOf(path).includes(`<${id}>`) ? path : null;
    }
    for (const folder of ["new", "cur"]) {
      for (const { name } of Deno.readDirSync(`${reader.home}/Maildir/${folder}`)) {
        const path = `${reader.home}/Maildir/${folder}/${name}`;
        if (textOf(path).includes(`<${id}>`)) return path;
      }
    }
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    return `the mailbox of ${reader.name}, which cannot be looked at: ${systemReason(error)}`;
  }
}

/** The text of a file; "" where there is none, for a mail program may move it meanwhile. */
function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
