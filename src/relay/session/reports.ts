/**
 * What is reported to filters of an outgoing session, smtpd-filters(7): events of the subsystem smtp-out, derived from commands and replies.
 * Reports alone: nothing waits for a filter here. Uses no doors; see filters.ts.
 */

import type { EnvelopeId, MessageId } from "../../envelope/mod.ts";
import type { FilterEvent } from "../../protocol/mod.ts";
import type { Reply } from "../../smtp_client/mod.ts";

export type SendReport = (event: FilterEvent, params: string) => void;

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
  readonly #send: SendReport;
  readonly #lmtp: boolean;
  readonly #sent: SentCommand[] = [];
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

  constructor({ lmtp }: { readonly lmtp: boolean }, send: SendReport) {
    this.#lmtp = lmtp;
    this.#send = send;
  }

  /** `source` and `destination`: `ip:port`, `[ip6]:port`. `name`: of the host, "" for none. */
  connected(name: string, source: string, destination: string): void {
    this.#send("link-connect", `${name === "" ? "<unknown>" : name}|pass|${source}|${destination}`);
  }

  /** `VERSION:CIPHER:BITS`. */
  secured(ciphers: string): void {
    this.#send("link-tls", ciphers);
  }

  /** The user who is about to log in. */
  user(name: string): void {
    this.#user = name;
  }

  /** This message comes next. */
  begin(message: OutgoingMessage): void {
    this.#next = message;
  }

  /** A command was sent; secrets are masked already. */
  sent(line: string): void {
    this.#send("protocol-client", line);
    const [, word = "", argument = ""] = /^(\S+) ?(.*)$/s.exec(line) ?? [];
    const verb = word.toUpperCase();
    const address = /<([^>]*)>/.exec(argument)?.[1] ?? "";
    this.#sent.push({ verb, argument: verb === "MAIL" || verb === "RCPT" ? address : argument });
    if (verb === "MAIL") this.#mailSaid();
    if (verb === "RCPT") this.#rcptSaid(address);
  }

  #mailSaid(): void {
    this.#current = this.#next;
    this.#next = null;
    this.#offered = 0;
    this.#accepted = 0;
    this.#taken = false;
    if (this.#current !== null) this.#send("tx-begin", this.#current.message);
  }

  #rcptSaid(address: string): void {
    const { message, envelopes } = this.#current ?? { message: "", envelopes: [] };
    // Those whose address cannot be sent to this server are left out.
    while (this.#offered < envelopes.length && envelopes[this.#offered]!.address !== address) this.#offered++;
    const envelope = envelopes[this.#offered++];
    if (envelope !== undefined) this.#send("tx-envelope", `${message}|${envelope.id}`);
  }

  /** A whole reply came. */
  answered(reply: Reply): void {
    const command = this.#sent.shift();
    // The end of the data is not reported as a command is.
    if (command?.verb === "") this.#send("protocol-client", ".");
    const last = reply.lines.length - 1;
    reply.lines.forEach((line, at) => this.#send("protocol-server", `${reply.code}${at === last ? " " : "-"}${line}`));
    if (command !== undefined) return this.#answered(command, reply);
    if (this.#greeted) return;
    this.#greeted = true;
    this.#send("link-greeting", reply.text.split(" ", 1)[0]!);
  }

  #answered({ verb, argument }: SentCommand, { code }: Reply): void {
    const result = code >= 200 && code < 400 ? "ok" : code >= 500 ? "permfail" : "tempfail";
    const message = this.#current?.message;
    switch (verb) {
      case "EHLO":
      case "HELO":
      case "LHLO":
        return result === "ok" ? this.#send("link-identify", `${verb}|${argument}`) : undefined;
      case "AUTH":
      case "********":
        if (code === 334) return;
        return this.#send("link-auth", `${code === 235 ? "pass" : code < 500 ? "error" : "fail"}|${this.#user}`);
      case "RSET":
        return this.#rollback();
    }
    if (message === undefined) return;
    if (verb === "MAIL") return result === "ok" ? this.#send("tx-mail", `${message}|ok|${argument}`) : this.#rollback();
    if (verb === "RCPT") {
      if (result === "ok") this.#accepted++;
      return this.#send("tx-rcpt", `${message}|${result}|${argument}`);
    }
    if (verb === "DATA") this.#data(message, code === 354 ? "ok" : result === "ok" ? "tempfail" : result);
    else if (verb === "" || verb === ".") this.#end(message, { good: verb === "" && result === "ok", result });
  }

  #data(message: MessageId, result: string): void {
    this.#send("tx-data", `${message}|${result}`);
    if (result !== "ok") return;
    // RFC 2033 §4.2: LMTP answers once for each recipient. Without one the last line is reported as a command.
    const replies = this.#lmtp ? this.#accepted : Math.min(1, this.#accepted);
    for (let count = 0; count < replies; count++) this.#sent.push({ verb: "", argument: "" });
  }

  /** One reply behind the message; the last of them ends the transaction. */
  #end(message: MessageId, { good, result }: { readonly good: boolean; readonly result: string }): void {
    if (good) this.#taken = true;
    if (this.#sent.some(({ verb }) => verb === "")) return;
    if (!this.#taken) {
      if (result !== "ok") this.#send("tx-data", `${message}|${result}`);
      return this.#rollback();
    }
    this.#send("tx-commit", `${message}|${this.#current!.bytes}`);
    this.#send("tx-reset", message);
    this.#current = null;
  }

  #rollback(): void {
    if (this.#current === null) return;
    const { message } = this.#current;
    this.#current = null;
    this.#send("tx-rollback", message);
    this.#send("tx-reset", message);
  }

  /** The connection is gone. */
  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#rollback();
    this.#send("link-disconnect", "");
  }
}
