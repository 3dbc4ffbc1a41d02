/**
 * What the history is told of a step of a session: events get their detail, and refusals an id, which by the option `refs` is a part of the reply. Pure;
 * called only where the history records.
 */

import { formatMailbox } from "../../envelope/mod.ts";
import { MAX_REFUSED_RCPTS, type RefusalDetail } from "../../events/mod.ts";
import { MAX_REPLY_OCTETS } from "./reply.ts";
import type {
  Accepted,
  AuthDialog,
  ConnectionFacts,
  Effect,
  HistoryFacts,
  Input,
  Refused,
  Session,
  Step,
} from "./state.ts";

/** Mechanisms by the step at which a login ends. */
const MECHANISMS: Readonly<Record<AuthDialog["step"], string>> = {
  plain: "PLAIN",
  user: "LOGIN",
  password: "LOGIN",
  scram: "SCRAM-SHA-256",
  "scram-salt": "SCRAM-SHA-256",
  "scram-final": "SCRAM-SHA-256",
  "scram-proof": "SCRAM-SHA-256",
  "scram-end": "SCRAM-SHA-256",
};

interface Recorded {
  readonly facts: ConnectionFacts;
  readonly history: HistoryFacts;
}

/** Returns the step `done`, which `input` led to from the state `before`, as the history is to have it. */
export function recorded({ facts, history }: Recorded, before: Session, input: Input, done: Step): Step {
  const refused = done.effects.some((effect) => effect.do === "emit");
  const maySeeMail = seesMail(before, input);
  if (maySeeMail !== done.session.maySeeMail) done = { ...done, session: { ...done.session, maySeeMail } };
  if (!refused) return done;
  let { refusals } = done.session;
  const effects: Effect[] = [];
  for (const effect of done.effects) {
    const event = effect.do === "emit" ? effect.event : null;
    if (effect.do !== "emit" || event === null) {
      effects.push(effect);
      continue;
    }
    switch (event.type) {
      case "smtp-connected": {
        const confirmed = input.on === "connected" ? input.confirmed ?? "error" : "error";
        effects.push({
          do: "emit",
          event: { ...event, detail: { confirmed, listener: history.listener, tag: facts.tag } },
        });
        break;
      }
      case "smtp-authentication":
        effects.push(
          before.dialog === null
            ? effect
            : { do: "emit", event: { ...event, mechanism: MECHANISMS[before.dialog.step] } },
        );
        break;
      case "smtp-failed-command":
      case "smtp-bad-input": {
        const about = effect.about ?? {};
        const ref = `${facts.session}-${++refusals}`;
        const last = effects.at(-1);
        let { reply } = event;
        // A program's own words are passed on as they are.
        if (history.refs && about.filter?.kind !== "program" && last?.do === "reply") {
          reply = withRef(reply, ref);
          effects[effects.length - 1] = { do: "reply", text: `${reply}\r\n` };
        }
        const session = { ...before, rdns: done.session.rdns };
        effects.push({ do: "emit", event: { ...event, reply, detail: refusalDetail(facts, session, about, ref) } });
        break;
      }
      default:
        effects.push(effect);
    }
  }
  return { session: refusals === done.session.refusals ? done.session : { ...done.session, refusals }, effects };
}

/**
 * Behind DATA and BDAT, what is no command may be a part of the message: of a client that did not wait for the reply (RFC 2920 §3.1 has it wait), that did not
 * stuff its dots, or counted its octets wrong.
 */
function seesMail({ maySeeMail }: Session, input: Input): boolean {
  if (input.on !== "command") return maySeeMail;
  const { verb } = input.command;
  return verb === "DATA" || verb === "BDAT" || (maySeeMail && (verb === "unknown" || verb === "malformed"));
}

/** Puts `(ref …)` at the end of a reply of one line, within the length of RFC 5321 §4.5.3.1.5: what would be too long is cut in front of it. */
export function withRef(reply: string, ref: string): string {
  const suffix = ` (ref ${ref})`;
  return reply.slice(0, MAX_REPLY_OCTETS - suffix.length) + suffix;
}

function refusalDetail(
  { tag }: ConnectionFacts,
  { origin, rdns, ciphers, transaction, phase }: Session,
  { sender, rcpt, routed, filter }: Refused,
  ref: string,
): RefusalDetail {
  const from = sender !== undefined ? sender : transaction?.sender;
  // A recipient that is refused stands alone; with the message all are.
  const whole = phase !== "command" ? accepted(transaction?.accepted ?? null) : [];
  return {
    ref,
    origin,
    host: rdns,
    tag,
    ciphers,
    ...(from === undefined ? {} : { sender: from }),
    rcpts: rcpt != null ? [formatMailbox(rcpt)] : whole,
    ...(routed === undefined ? {} : { routed }),
    ...(filter === undefined ? {} : { filter }),
  };
}

/** The first recipients, in the order of their RCPTs. */
function accepted(last: Accepted | null): string[] {
  const all: string[] = [];
  for (let one = last; one !== null; one = one.before) all.push(formatMailbox(one.rcpt));
  return all.reverse().slice(0, MAX_REFUSED_RCPTS);
}
