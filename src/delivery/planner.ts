/** Decides what is to be done for one envelope: which writer, where, as whom; or why not. Pure: envelope and settings in, a plan out. */

import { parseHostPort } from "../net/mod.ts";
import type { LocalAction } from "../config/mod.ts";
import { type EnvelopeContent, formatMailbox } from "../envelope/mod.ts";
import type { Account, DeliverySettings } from "../protocol/mod.ts";
import { type Expanded, expandFormat, expandPath, type FormatValues, sanitise } from "./format.ts";
import type { HeaderScan } from "./headers.ts";
import { helperCommand } from "./methods/helper_command.ts";
import type { LmtpEndpoint, Plan } from "./plan.ts";
import { type DeliveryEnd, EX, EX_FATAL, exited, LOOPING, quoted } from "./methods/sysexits.ts";

/** An envelope's `exec` that starts so names a file, not a command. */
const FILE_TARGET = ">";
const LMTP_PORT = 25;

/**
 * Returns whether a delivery takes a shell or may touch any file: a command, a wrapper, or a file that a user named (`exec` is not empty). The
 * delivery isolate itself may do neither.
 */
export function isPrivileged(action: LocalAction | undefined, exec: string | undefined): boolean {
  if ((exec ?? "") !== "") return true;
  return action !== undefined && (action.wrapper !== null || action.method.type === "mda");
}

/** What a delivery goes by: the configuration, and who lookup says the user is. */
export interface Deciding {
  readonly settings: DeliverySettings;
  readonly action: LocalAction;
  readonly account: Account;
  readonly identity: Account;
}

/** Decides what is done for an envelope whose message has the header that was scanned: nothing but the end where it comes round again. Never throws. */
export function decide(
  envelope: EnvelopeContent,
  { settings, action, account, identity }: Deciding,
  scan: Pick<HeaderScan, "loop">,
): Plan {
  if (scan.loop) return { kind: "refused", end: LOOPING };
  return planDelivery(settings, action, envelope, account, identity);
}

/** Returns the end of an attempt by an action that is not there. */
export function unknownAction({ action }: Pick<EnvelopeContent, "action">): DeliveryEnd {
  return exited(EX.TEMPFAIL, `Unknown action "${action}"`);
}

/**
 * Plans the delivery of `envelope` by `action`, for `account` (whose name and home the specifiers of smtpd.conf(5) stand for), done as `identity`.
 * Never throws: what cannot be done is a plan of kind "refused", with the outcome.
 */
export function planDelivery(
  settings: DeliverySettings,
  action: LocalAction,
  envelope: EnvelopeContent,
  account: Account,
  identity: Account,
): Plan {
  const refusal = refuse(settings, action, envelope, identity);
  if (refusal !== null) return { kind: "refused", end: refusal };
  const values: FormatValues = {
    sender: envelope.sender,
    rcpt: envelope.rcpt,
    dest: envelope.dest,
    username: account.name,
    directory: account.home,
  };
  const plan = new Planner(settings, envelope, account, identity, values);
  const inner = planUnwrapped(plan, action, envelope);
  return action.wrapper === null || inner.kind === "refused" ? inner : plan.wrap(action.wrapper, inner, action);
}

function planUnwrapped(plan: Planner, action: LocalAction, envelope: EnvelopeContent): Plan {
  const exec = envelope.exec ?? "";
  if (exec.startsWith(FILE_TARGET)) return plan.file(exec.slice(FILE_TARGET.length));
  if (exec !== "") return plan.command(exec);
  switch (action.method.type) {
    case "maildir":
      return plan.maildir(action.method);
    case "mbox":
      return plan.mbox();
    case "lmtp":
      return plan.lmtp(action.method);
    case "mda":
      return plan.command(action.method.command);
    case "forward-only":
    case "expand-only":
      return fatal(`Action "${action.name}" delivers nothing locally`);
  }
}

/**
 * Returns why an envelope must not be delivered as `identity`, or null. As root anyone will do but root and the user of the queue, as whom all mail could
 * be read, whatever the kernel keeps from the other processes; without root only the daemon's own user.
 */
function refuse(
  settings: DeliverySettings,
  action: LocalAction,
  envelope: EnvelopeContent,
  identity: Account,
): DeliveryEnd | null {
  if (!settings.shared.root) {
    if (identity.uid === settings.uid) return null;
    // Another try helps once the daemon was started as root, or the action's `user` was set.
    return exited(EX.TEMPFAIL, `Cannot deliver as "${identity.name}": the daemon does not run as root`);
  }
  const refused = exited(EX.NOPERM, `MDA not allowed to deliver to: ${identity.name}`);
  if (identity.uid === settings.queueUid) return refused;
  if (identity.uid !== 0) return null;
  const { type } = action.method;
  // A mailbox of root's is written by us alone. A Maildir lies where the configuration says: it must say `user root` as well.
  const allowed = (envelope.exec ?? "") === "" &&
    action.wrapper === null && (type === "mbox" || (type === "maildir" && action.user === "root"));
  return allowed ? null : refused;
}

class Planner {
  readonly #settings: DeliverySettings;
  readonly #envelope: EnvelopeContent;
  readonly #account: Account;
  readonly #identity: Account;
  readonly #values: FormatValues;

  constructor(
    settings: DeliverySettings,
    envelope: EnvelopeContent,
    account: Account,
    identity: Account,
    values: FormatValues,
  ) {
    this.#settings = settings;
    this.#envelope = envelope;
    this.#account = account;
    this.#identity = identity;
    this.#values = values;
  }

  maildir({ path: template, junk }: { readonly path: string | null; readonly junk: boolean }): Plan {
    let directory = `${this.#identity.home}/Maildir`;
    if (template !== null) {
      const path = this.#path(template);
      if (!path.ok) return unexpanded(path.error);
      directory = path.text;
    }
    if (!directory.startsWith("/")) return fatal(`mail.maildir: ${directory}: Not an absolute path`);
    return { kind: "maildir", directory: trimSlashes(directory), junk, extension: this.#extension() };
  }

  mbox(): Plan {
    const name = this.#account.name;
    if (name === "" || name.startsWith(".") || /[/\0]/.test(name)) {
      return fatal(`mail.local: ${name}: Not a mailbox name`);
    }
    return { kind: "mbox", path: `${this.#settings.mailDirectory}/${name}`, from: this.#from() };
  }

  file(template: string): Plan {
    const path = this.#path(template);
    if (!path.ok) return unexpanded(path.error);
    if (!path.text.startsWith("/")) return fatal(`mail.mboxfile: ${path.text}: Not an absolute path`);
    if (path.text.endsWith("/")) {
      return { kind: "maildir", directory: trimSlashes(path.text), junk: false, extension: "" };
    }
    return { kind: "file", path: path.text, from: this.#from() };
  }

  lmtp({ destination: template, rcptTo }: { readonly destination: string; readonly rcptTo: boolean }): Plan {
    const expanded = template.startsWith("/") ? this.#path(template) : this.#text(template);
    if (!expanded.ok) return unexpanded(expanded.error);
    const to = parseLmtpDestination(expanded.text);
    if (to === null) return fatal(`mail.lmtp: ${expanded.text}: Not a host:port or a socket`);
    const recipient = rcptTo ? formatMailbox(this.#envelope.dest) : this.#account.name;
    return { kind: "lmtp", to, recipient };
  }

  command(template: string): Plan {
    return this.#run(this.#text(template));
  }

  #run(command: Expanded): Plan {
    if (!command.ok) return unexpanded(command.error);
    return {
      kind: "command",
      command: command.text,
      environment: commandEnvironment(this.#settings.path, this.#envelope, this.#account, this.#identity),
      directory: this.#identity.home || "/",
      mailbox: "",
    };
  }

  /** Returns the wrapper's command, with the command that would do `inner` as `%{mda}`. */
  wrap(template: string, inner: Plan, { method }: LocalAction): Plan {
    const mda = helperCommand(this.#settings.helpers, inner, method);
    if (mda === null) return inner;
    const { subAddressDelimiter } = this.#settings;
    const plan = this.#run(expandFormat(template, { ...this.#values, mda }, subAddressDelimiter));
    return plan.kind === "command" && inner.kind === "mbox" ? { ...plan, mailbox: inner.path } : plan;
  }

  #text(template: string): Expanded {
    return expandFormat(template, this.#values, this.#settings.subAddressDelimiter);
  }
  #path(template: string): Expanded {
    return expandPath(template, this.#values, this.#settings.subAddressDelimiter);
  }

  #from(): string {
    return this.#envelope.sender === null ? "MAILER-DAEMON" : sanitise(formatMailbox(this.#envelope.sender));
  }

  #extension(): string {
    return folderName(this.#envelope.subAddress ?? "");
  }
}

/** Returns a sub-address as the name of a folder, "" for none. A leading dot would make `..` of it. */
export function folderName(subAddress: string): string {
  const safe = subAddress.replace(/[!#$%&'*/?^`{|}~\0]/g, ":");
  return safe.startsWith(".") ? "" : safe;
}

/** Returns all variables that a command gets to see, smtpd.conf(5); nothing else is inherited. */
export function commandEnvironment(
  path: string,
  envelope: EnvelopeContent,
  account: Account,
  identity: Account,
): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: path,
    DOMAIN: envelope.rcpt.domain,
    HOME: identity.home,
    ORIGINAL_RECIPIENT: formatMailbox(envelope.rcpt),
    RECIPIENT: formatMailbox(envelope.dest),
    SHELL: "/bin/sh",
    LOCAL: envelope.rcpt.local,
    LOGNAME: account.name,
    USER: account.name,
    SENDER: envelope.sender === null ? "" : formatMailbox(envelope.sender),
  };
  if (envelope.subAddress) environment["EXTENSION"] = envelope.subAddress;
  return environment;
}

/** Parses `host:port`, `[v6]:port`, `[IPv6:v6]:port`, a host alone (port 25), or the absolute path of a socket. Returns null for anything else. */
export function parseLmtpDestination(text: string): LmtpEndpoint | null {
  if (text.startsWith("/")) return { path: text };
  const to = parseHostPort(text);
  return to === null ? null : { host: to.host, port: to.port ?? LMTP_PORT };
}

function trimSlashes(path: string): string {
  return path.replace(/\/+$/, "") || "/";
}

function unexpanded(error: string): Plan {
  return fatal(`mda command line could not be expanded: ${error}`);
}

function fatal(text: string): Plan {
  return { kind: "refused", end: exited(EX_FATAL, quoted(text)) };
}
