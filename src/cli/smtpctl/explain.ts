/** `smtpctl explain`: what would happen to a message, by the configuration and the machine as they are. No daemon is asked, nothing is sent or stored. */

import type { Config, Environment } from "../../config/mod.ts";
import { Resolver } from "../../dns/mod.ts";
import { mailAuthDns } from "../../dns/mod.ts";
import { safeLine, systemReason } from "../../events/mod.ts";
import {
  ANY_PASSWORD,
  behindOf,
  type DnsRecording,
  envelopeOf,
  explain,
  type Explanation,
  formatLetter,
  Front,
  isLetter,
  MAX_LETTER_OCTETS,
  MAX_ORDERED_RECIPIENTS,
  namerOf,
  Notes,
  offlineMachine,
  offlineSettings,
  type Order,
  type PeerName,
  recordingDns,
  type RunningPrograms,
  startPrograms,
  stepLines,
  stepRecord,
  withoutDelay,
} from "../../explain/mod.ts";
import { readOffline } from "./offline_config.ts";
import { InputTooLarge, type Terminal } from "../terminal.ts";
import type { ExplainOrder } from "./explain_options.ts";

/** A message where none is named: its header is all that there is. */
const MADE_UP = "Subject: a message that smtpctl explain made up\n\nNothing.\n";
/** Characters that an address or a name on the command line cannot have, but for brackets in quotes (RFC 5321 §4.1.2): they would end the command. */
// deno-lint-ignore no-control-regex
const UNSENDABLE = /[\0-\x1f\x7f<>]/, UNSENDABLE_IN_QUOTES = /[\0-\x1f\x7f]/;
const QUOTED = /"(?:[^"\\]|\\.)*"/g;

/** Explains, prints, and returns the exit status: 0 when it was explained, whatever would happen; 1 when it cannot be. */
export async function explainMain(order: ExplainOrder, env: Environment, terminal: Terminal): Promise<number> {
  const fail = (text: string) => {
    terminal.err(`smtpctl: ${safeLine(text)}\n`);
    return 1;
  };
  const message = await readMessage(order.message, terminal);
  if (typeof message === "string") return fail(message);
  const asked = orderOf(order, message);
  if (typeof asked === "string") return fail(asked);
  const unrecordable = order.record === null ? null : unrecordableBy(order.record, order, message);
  if (unrecordable !== null) return fail(unrecordable);
  const read = readOffline(order.config, env);
  if ("faults" in read) {
    for (const fault of read.faults) terminal.err(`${safeLine(fault)}\n`);
    return fail("the configuration cannot be used, and so nothing can be explained by it");
  }
  try {
    const explained = await explainBy(asked, message, { config: read.config, env, programs: order.programs });
    if (typeof explained === "string") return fail(explained);
    const { explanation, unknown, unread } = explained;
    if (order.record !== null) {
      if (unread.length > 0) return fail(`${order.record} is not written, since it is not known ${unread[0]}`);
      const wrong = write(order.record, formatLetter({ ...explained.letter, message }, explanation.results));
      if (wrong !== null) return fail(wrong);
    }
    print(explanation, [...unknown, ...unread], order, terminal);
    return 0;
  } catch (error) {
    return fail(error instanceof Error && error.constructor === Error ? error.message : systemReason(error));
  }
}

/** Why smtpd would not read what is recorded so, or would find something else at once; null for neither. */
function unrecordableBy(file: string, { programs }: ExplainOrder, message: Uint8Array): string | null {
  if (!file.endsWith(".eml")) return `${file} has to end in .eml, or smtpd -n --expect does not read it`;
  if (programs) return "--record and --programs exclude each other: smtpd -n --expect asks no programs";
  return isLetter(message) ? "the message has lines X-Expect in front: it is recorded already" : null;
}

/** Returns why it cannot be written, or null. */
function write(file: string, octets: Uint8Array): string | null {
  try {
    Deno.writeFileSync(file, octets, { createNew: true });
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return `${file} is there already: name another file`;
    return `${file} cannot be written: ${systemReason(error)}`;
  }
}

function print(
  { steps, results }: Explanation,
  unknown: readonly string[],
  { json, verbose }: ExplainOrder,
  terminal: Terminal,
): void {
  if (json) {
    const document = {
      steps: steps.map(stepRecord),
      results: results.map(({ recipient, text, where }) => ({
        recipient,
        result: text,
        file: where?.file ?? null,
        line: where?.line ?? null,
      })),
      unknown,
    };
    terminal.out(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  for (const line of stepLines(steps, { verbose })) terminal.out(`${line}\n`);
  for (const text of unknown) terminal.out(`${safeLine(`not known: ${text}`)}\n`);
}

/** What an explanation has found, and how the message came: as it is recorded. */
interface Explained {
  readonly explanation: Explanation;
  readonly unknown: readonly string[];
  /** What becomes of some mail is not known, since this process may not read it. */
  readonly unread: readonly string[];
  readonly letter: { readonly order: Order; readonly at: number; readonly dns: readonly DnsRecording[] };
}

/** A text says why it cannot be explained. */
async function explainBy(
  order: Order,
  message: Uint8Array,
  { config, env, programs: asksPrograms }: {
    readonly config: Config;
    readonly env: Environment;
    readonly programs: boolean;
  },
): Promise<Explained | string> {
  const { settings, unknown } = await offlineSettings(config, env);
  const unread: string[] = [];
  const envelope = envelopeOf(order, settings.smtp);
  if (typeof envelope === "string") return envelope;
  const resolver = new Resolver(settings.lookup.resolver);
  const at = Date.now(), dns: DnsRecording[] = [], notes = new Notes();
  let name: PeerName | null = order.peerName;
  const programs: RunningPrograms | null = asksPrograms ? await startPrograms(settings.filter, notes) : null;
  const machine = {
    ...offlineMachine((text) => unread.push(text)),
    ...programs === null ? {} : { askProgram: programs.askProgram },
  };
  const front = new Front(withoutDelay(settings), {
    machine,
    namer: namerOf(order, resolver, (found) => name = found),
    dns: recordingDns(mailAuthDns(resolver), dns),
    now: () => at,
    notes,
    ...programs === null ? {} : { filter: programs.filter },
    anyPassword: ANY_PASSWORD,
  });
  try {
    const behind = behindOf({ config, env, settings, lookups: front.lookups, resolver, now: () => at });
    const explanation = await explain(envelope, message, { config, front, programs: asksPrograms, behind });
    return {
      explanation,
      unknown,
      unread: [...new Set(unread)],
      letter: { order: { ...order, peerName: name, helo: envelope.helo }, at, dns },
    };
  } finally {
    await front.close();
    await programs?.close();
  }
}

/** A text says what is wrong with what was given. */
function orderOf(order: ExplainOrder, message: Uint8Array): Order | string {
  const { recipients, peer, peerName, helo, login } = order;
  if (recipients.length === 0) return "a recipient is missing: -t ADDRESS names one";
  if (recipients.length > MAX_ORDERED_RECIPIENTS) return `more than ${MAX_ORDERED_RECIPIENTS} recipients`;
  const bare = (address: string) => address.replace(/^<(.*)>$/s, "$1");
  const sender = bare(order.sender ?? fromOf(message));
  const wrong = [sender, ...recipients.map(bare), peer, peerName, helo, login].find((one) => isUnsendable(one ?? ""));
  if (wrong !== undefined) return `"${wrong}" has characters that cannot be sent`;
  return {
    listener: order.listener,
    peer,
    peerName: peerName === null ? null : { hostname: peerName, confirmed: "pass" },
    helo,
    tls: order.tls,
    login,
    sender,
    recipients: recipients.map(bare),
  };
}

function isUnsendable(text: string): boolean {
  return UNSENDABLE_IN_QUOTES.test(text) || UNSENDABLE.test(text.replace(QUOTED, ""));
}

/** The address of the first From of a message; "" for none. */
function fromOf(message: Uint8Array): string {
  const text = new TextDecoder().decode(message.subarray(0, 65_536)).replaceAll("\r\n", "\n");
  const header = text.split("\n\n", 1)[0]!.replace(/\n[ \t]+/g, " ");
  const value = /^From:[ \t]*(.*)$/im.exec(header)?.[1] ?? "";
  return /<([^<>]*)>/.exec(value)?.[1] ?? /[^\s<>,"()]+@[^\s<>,"()]+/.exec(value)?.[0] ?? "";
}

/** A text says why it cannot be read. */
async function readMessage(file: string | null, terminal: Terminal): Promise<Uint8Array | string> {
  if (file === null) return new TextEncoder().encode(MADE_UP);
  try {
    if (file === "-") return await terminal.input(MAX_LETTER_OCTETS);
    const { isDirectory, isFile, size } = Deno.statSync(file);
    if (isDirectory) return `${file} is a folder`;
    if (isFile && size > MAX_LETTER_OCTETS) return `${file} is larger than ${MAX_LETTER_OCTETS} octets`;
    if (!isFile) return `${file} is no file: - reads standard input`;
    return Deno.readFileSync(file);
  } catch (error) {
    if (error instanceof InputTooLarge) return `the message is larger than ${MAX_LETTER_OCTETS} octets`;
    return `${file} cannot be read: ${systemReason(error)}`;
  }
}
