/** From what a session was told, and what was noted meanwhile, to the steps that are printed. Decides nothing. */

import type { Settings } from "../protocol/mod.ts";
import { hostPort } from "../net/mod.ts";
import { codeOf, type Dialogue, type Envelope, type Exchange } from "./client.ts";
import type { Note } from "./notes.ts";
import { authenticationStep } from "./authentication.ts";
import type { Step } from "./step.ts";
import { routedStep, tableName } from "./tree.ts";

type Listener = Settings["smtp"]["listeners"][number];
type Place = NonNullable<Step["where"]>;

/** A listener as it is named. */
export function listenerName({ socket, address, port, tag }: Listener): string {
  const name = socket ? "socket" : hostPort({ host: address, port });
  return tag === "" ? name : `${name} (tag ${tag})`;
}

/** Returns the steps of where a session begins: its listener, with the limits that hold, and its client. */
export function beginningSteps(
  settings: Settings["smtp"],
  envelope: Envelope,
  { programs }: { readonly programs: boolean },
): readonly Step[] {
  const listener = settings.listeners[envelope.listener]!;
  return [{
    kind: "listener",
    text: `listener ${listenerName(listener)}`,
    ...listener.at === undefined ? {} : { where: listener.at },
    detail: { listener: listenerName(listener), tag: listener.tag, hostname: listener.hostname },
    children: [...listenerTraits(listener, settings, { programs })].map((text): Step => ({
      kind: "listener-option",
      text,
    })),
  }];
}

function* listenerTraits(
  listener: Listener,
  settings: Settings["smtp"],
  { programs }: { readonly programs: boolean },
): Generator<string> {
  const { tls, auth, senders, mailAuth, filter, hostname } = listener;
  yield `it calls itself ${hostname}`;
  const TLS = {
    none: "no TLS",
    tls: "TLS is offered",
    "tls-require": "TLS is required",
    smtps: "TLS comes first",
  } as const;
  if (!listener.socket) yield TLS[tls];
  if (auth !== null) {
    const where = auth.table === null ? "accounts of the system" : `table <${auth.table}>`;
    yield `login is ${auth.required ? "required" : "offered"}, by ${where}`;
  }
  if (senders !== null) yield `who has logged in may send as table <${senders.table}> says`;
  if (mailAuth !== null) yield "mail is checked: SPF, DKIM, ARC, DMARC";
  if (filter != null) {
    yield `filter "${filter}"`;
    for (const step of settings.filters?.[filter] ?? []) {
      if (step.kind === "process") yield `filter program "${step.name}"${programs ? "" : ": not asked"}`;
    }
  }
  yield `limits: ${settings.maxMessageBytes} octets a message, ${settings.maxRcpt} recipients, ${settings.maxMails} messages a session`;
  if (settings.bannerDelayMs > 0) {
    yield `the banner is held back for ${settings.bannerDelayMs / 1000} s (not waited for here)`;
  }
}

/** Returns the steps of a session, one per command. */
export function dialogueSteps({ exchanges }: Dialogue): readonly Step[] {
  return exchanges.filter(({ command }) => command !== "QUIT").map((exchange): Step => ({
    kind: "command",
    text: titleOf(exchange),
    detail: { command: exchange.command, code: codeOf(exchange.reply) },
    children: [...noteSteps(exchange), replyStep(exchange)],
  }));
}

function titleOf({ command }: Exchange): string {
  return command === "" ? "connection" : command === "." ? "end of the message" : command;
}

function replyStep(exchange: Exchange): Step {
  const { reply, notes } = exchange;
  if (reply === null) return { kind: "reply", text: "the connection is closed without a reply" };
  const code = codeOf(reply), where = code >= 400 ? placeOf(notes) : null;
  const said = reply.map(withSteadyRef);
  return {
    kind: "reply",
    text: `reply: ${said.length > 1 ? said.map((line) => line.slice(4)).join(", ").replace(/^/, `${code} `) : said[0]}`,
    ...where === null ? {} : { where },
    detail: { code, text: said.join("\n") },
  };
}

/** The session's part of a ref is another one each time: the same question has the same answer. */
function withSteadyRef(line: string): string {
  return line.replace(/ \(ref [0-9a-f]{16}-(\d+)\)$/, " (ref …-$1)");
}

/** Returns the line of the configuration that decided last. */
export function placeOf(notes: readonly Note[]): Place | null {
  let place: Place | null = null;
  for (const note of notes) {
    if (note.kind === "rule" && note.outcome !== "does not match") place = note.at;
    else if (note.kind === "no-rule") place = null;
    else if (note.kind === "filter" && note.at !== null && note.filter !== null) place = note.at;
  }
  return place;
}

/**
 * Tables stand below the rule or the filter that checked them; what was looked up for an expansion stands before what follows from it, and where it leads
 * stands behind the rules.
 */
function noteSteps({ notes, omitted }: Exchange): readonly Step[] {
  const steps: Step[] = [];
  let asked: Step[] = [];
  const known = new Set<string>();
  const put = (step: Step) => {
    // A warning asks nothing itself, and no rule looks up an alias.
    const isOwn = (one: Step) => step.kind !== "warning" && !(step.kind === "rule" && isLookup(one));
    const own = asked.filter(isOwn);
    steps.push(...asked.filter((one) => !isOwn(one)));
    steps.push(own.length === 0 ? step : { ...step, children: [...own, ...step.children ?? []] });
    asked = [];
    known.clear();
  };
  for (const note of notes) {
    if (note.kind === "table") {
      const text = `table ${tableName(note.table)}: ${note.question}`;
      // What waits for an answer is evaluated once more when it is there.
      if (known.has(text)) continue;
      known.add(text);
      asked.push({ kind: "table", text, detail: { table: note.table } });
      continue;
    }
    const step = stepOf(note);
    if (step !== null) put(step);
  }
  steps.push(...asked);
  if (omitted > 0) steps.push({ kind: "omitted", text: `${omitted} more notes are left out` });
  return steps;
}

/** Was a table asked for a value, and not whether it has something? */
function isLookup({ text }: Step): boolean {
  return /^table [^ ]+: lookup /.test(text);
}

function stepOf(note: Exclude<Note, { kind: "table" }>): Step | null {
  switch (note.kind) {
    case "rule": {
      const { at, dest, outcome, criterion, action, reason } = note;
      const does = action === null ? "reject" : `action "${action}"`;
      const why = outcome === "matches"
        ? `matches: ${does}`
        : `${outcome}: "${criterion}"${reason === undefined ? "" : `: ${reason}`}`;
      return {
        kind: "rule",
        text: `rule for ${dest}: ${why}`,
        where: at,
        detail: { dest, outcome, criterion, action, reason: reason ?? null },
        ...outcome === "does not match" ? { minor: true } : {},
      };
    }
    case "no-rule":
      return { kind: "rule", text: `no rule matches ${note.dest}`, detail: { dest: note.dest, outcome: "none" } };
    case "filter": {
      const { phase, filter, at, decision } = note;
      const text = filter === null
        ? `filters let ${phase} pass`
        : `filter "${filter}" in ${phase}: ${decision.replace("|", " ")}`;
      return {
        kind: "filter",
        text,
        ...at === null ? {} : { where: at },
        detail: { phase, filter, decision },
        ...filter === null && decision === "proceed" ? { minor: true } : {},
      };
    }
    case "warning":
      return { kind: "warning", text: note.text };
    case "expanded": {
      const { routed } = note.result;
      return routed === undefined ? null : { kind: "expanded", text: "where it leads", children: [routedStep(routed)] };
    }
    case "checked":
      return authenticationStep(note.checked);
    case "event":
      return eventStep(note.event);
  }
}

function eventStep(event: Extract<Note, { kind: "event" }>["event"]): Step | null {
  switch (event.type) {
    case "smtp-connected":
      return { kind: "client", text: `client ${event.address}, name ${event.host}` };
    case "smtp-authentication":
      return { kind: "login", text: `login of ${event.user}: ${event.result}` };
    case "smtp-signed":
      return {
        kind: "signed",
        text: `signed for ${event.domain} by ${event.selectors.join(", ")}`,
        detail: { domain: event.domain, selectors: [...event.selectors] },
      };
    case "smtp-unsigned":
      return { kind: "unsigned", text: `not signed: ${event.reason}` };
    case "smtp-failed-command":
    case "smtp-bad-input":
    default:
      return null;
  }
}

/** Returns the header fields that were put in front of a message, as one step each. */
export function addedSteps(stored: Uint8Array, given: Uint8Array): readonly Step[] {
  const known = new Set(fieldsOf(headerOf(given)));
  const added = fieldsOf(headerOf(stored)).filter((field) => !known.has(field));
  return added.map((field) => ({ kind: "header", text: `header added: ${field.replace(/\s*\n\s*/g, " ")}` }));
}

const HEADER_OCTETS = 65_536;

function headerOf(octets: Uint8Array): string {
  const text = new TextDecoder().decode(octets.subarray(0, HEADER_OCTETS)).replaceAll("\r\n", "\n");
  const end = text.startsWith("\n") ? 0 : text.indexOf("\n\n");
  return end < 0 ? text : text.slice(0, end);
}

function fieldsOf(header: string): readonly string[] {
  return header.split(/\n(?![ \t])/).filter((field) => field !== "");
}
