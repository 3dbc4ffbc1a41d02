/**
 * Log lines about clients that are refused before they have a session. Bounded, so that a flood of connections cannot fill the disk of
 * the log. Closes nothing; see daemon/sockets/session_admission.ts and proxy/proxy_intake.ts.
 */

import { bracketed6 } from "../net/mod.ts";
import { newSessionId } from "../envelope/mod.ts";
import { formatEvent } from "../events/mod.ts";
import { plainAddress } from "./listener.ts";

const MINUTE_MS = 60_000;
/** Lines of one minute; what is beyond is counted. smtpd(8) promises as many. */
export const REFUSALS_A_MINUTE = 100;

/** Writes one `failed-command` line per client that is turned away, at most REFUSALS_A_MINUTE of them in a minute. */
export class RefusalLog {
  readonly #now: () => number;
  readonly #log: (line: string) => void;
  #since = -Infinity;
  #lines = 0;
  #silent = 0;

  /** `now`: milliseconds since the epoch; `log` writes a line of level info. */
  constructor(now: () => number, log: (line: string) => void) {
    this.#now = now;
    this.#log = log;
  }

  /** `address`: of the client, or "local"; `reply`: what it is sent, with or without CRLF. */
  log(address: string, reply: string): void {
    const now = this.#now();
    if (now - this.#since >= MINUTE_MS || now < this.#since) {
      if (this.#silent > 0) this.#log(`smtp: ${this.#silent} more clients were turned away since the last line`);
      this.#since = now;
      this.#lines = 0;
      this.#silent = 0;
    }
    if (this.#lines++ >= REFUSALS_A_MINUTE) {
      this.#silent++;
      return;
    }
    const line = formatEvent({
      type: "smtp-failed-command",
      session: newSessionId(),
      command: "",
      reply: reply.trimEnd(),
      address: bracketed6(plainAddress(address)),
    });
    if (line !== null) this.#log(line);
  }
}
