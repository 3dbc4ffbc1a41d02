/**
 * What filters are told of an outgoing session, smtpd-filters(7): events of the subsystem smtp-out, derived from what is said and answered.
 * Only told: nothing waits for a filter here. Knows no door; see filters.ts.
 */

import type { EnvelopeId, MessageId } from "../envelope/mod.ts";
import type { FilterEvent } from "../protocol/mod.ts";
import type { Reply } from "../smtp_client/mod.ts";

export type TellFilters = (event: FilterEvent, params: string) => void;

/** A message that is about to be sent. */
export interface OutgoingMessage {
  readonly message: MessageId;
  readonly bytes: number;
  /** Recipients in the order of their RCPTs. */
  readonly envelopes: readonly { readonly id: EnvelopeId; readonly address: string }[];
}

/** A command whose reply has not come yet. `argument`: of MAIL and RCPT the address, else what stands behind the verb. */
interface SentCommand {
  readonly verb: string;
  readonly argument: string;
}

export class SessionReports {
  readonly #tell: TellFilters;
  readonly #lmtp: boolean;
  readonly #said: SentCommand[] = [];
  #greeted = false;
  #user = "";
  #next: OutgoingMessage | null = null;
  /** The message whose MAIL was sent. */
  #current: OutgoingMessage | null = null;
  #offered = 0;
  #accepted = 0;
  /** Somebody gets the message. */
  #taken = false;
  #over = false;

  constructor(lmtp: boolean, tell: TellFilters) {
    this.#lmtp = lmtp;
    this.#tell = tell;
  }

  /** `source` and `destination`: `ip:port`, `[ip6]:port`. `name`: of the host, "" for none. */
  connected(name: string, source: string, destination: string): void {
    this.#tell("link-connect", `${name === "" ? "<unknown>" : name}|pass|${source}|${destination}`);
  }

  /** `VERSION:CIPHER:BITS`. */
  secured(ciphers: string): void {
    this.#tell("link-tls", ciphers);
  }

  /** Who is about to log in. */
  user(name: string): void {
    this.#user = name;
  }

  /** This message comes next. */
  begin(message: OutgoingMessage): void {
    this.#next = message;
  }

  /** A command was sent; secrets are masked already. */
  said(line: string): void {
    this.#tell("protocol-client", line);
    const [, word = "", argument = ""] = /^(\S+) ?(.*)$/s.exec(line) ?? [];
    const verb = word.toUpperCase();
    const address = /<([^>]*)>/.exec(argument)?.[1] ?? "";
    this.#said.push({ verb, argument: verb === "MAIL" || verb === "RCPT" ? address : argument });
    if (verb === "MAIL") this.#mailSaid();
    if (verb === "RCPT") this.#rcptSaid(address);
  }

  #mailSaid(): void {
    this.#current = this.#next;
    this.#next = null;
    this.#offered = 0;
    this.#accepted = 0;
    this.#taken = false;
    if (this.#current !== null) this.#tell("tx-begin", this.#current.message);
  }

  #rcptSaid(address: string): void {
    const { message, envelopes } = this.#current ?? { message: "", envelopes: [] };
    // Those whose address cannot be told to this server are left out.
    while (this.#offered < envelopes.length && envelopes[this.#offered]!.address !== address) this.#offered++;
    const envelope = envelopes[this.#offered++];
    if (envelope !== undefined) this.#tell("tx-envelope", `${message}|${envelope.id}`);
  }

  /** A whole reply came. */
  answered(reply: Reply): void {
    const said = this.#said.shift();
    // The end of the mail is not said as a command is.
    if (said?.verb === "") this.#tell("protocol-client", ".");
    const last = reply.lines.length - 1;
    reply.lines.forEach((line, at) => this.#tell("protocol-server", `${reply.code}${at === last ? " " : "-"}${line}`));
    if (said !== undefined) return this.#answered(said, reply);
    if (this.#greeted) return;
    this.#greeted = true;
    this.#tell("link-greeting", reply.text.split(" ", 1)[0]!);
  }

  #answered({ verb, argument }: SentCommand, { code }: Reply): void {
    const result = code >= 200 && code < 400 ? "ok" : code >= 500 ? "permfail" : "tempfail";
    const message = this.#current?.message;
    switch (verb) {
      case "EHLO":
      case "HELO":
      case "LHLO":
        return result === "ok" ? this.#tell("link-identify", `${verb}|${argument}`) : undefined;
      case "AUTH":
      case "********":
        if (code === 334) return;
        return this.#tell("link-auth", `${code === 235 ? "pass" : code < 500 ? "error" : "fail"}|${this.#user}`);
      case "RSET":
        return this.#rollback();
    }
    if (message === undefined) return;
    if (verb === "MAIL") return result === "ok" ? this.#tell("tx-mail", `${message}|ok|${argument}`) : this.#rollback();
    if (verb === "RCPT") {
      if (result === "ok") this.#accepted++;
      return this.#tell("tx-rcpt", `${message}|${result}|${argument}`);
    }
    if (verb === "DATA") this.#data(message, code === 354 ? "ok" : result === "ok" ? "tempfail" : result);
    else if (verb === "" || verb === ".") this.#end(message, verb === "" && result === "ok", result);
  }

  #data(message: MessageId, result: string): void {
    this.#tell("tx-data", `${message}|${result}`);
    if (result !== "ok") return;
    // RFC 2033 §4.2: LMTP answers once for each recipient. Without one the last line is said as a command.
    const replies = this.#lmtp ? this.#accepted : Math.min(1, this.#accepted);
    for (let count = 0; count < replies; count++) this.#said.push({ verb: "", argument: "" });
  }

  /** One reply behind the message; the last of them ends the transaction. */
  #end(message: MessageId, good: boolean, result: string): void {
    if (good) this.#taken = true;
    if (this.#said.some(({ verb }) => verb === "")) return;
    if (!this.#taken) {
      if (result !== "ok") this.#tell("tx-data", `${message}|${result}`);
      return this.#rollback();
    }
    this.#tell("tx-commit", `${message}|${this.#current!.bytes}`);
    this.#tell("tx-reset", message);
    this.#current = null;
  }

  #rollback(): void {
    if (this.#current === null) return;
    const { message } = this.#current;
    this.#current = null;
    this.#tell("tx-rollback", message);
    this.#tell("tx-reset", message);
  }

  /** The connection is gone. */
  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#rollback();
    this.#tell("link-disconnect", "");
  }
}
