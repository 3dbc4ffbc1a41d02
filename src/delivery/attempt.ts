/** One attempt for one envelope: account, loop check, plan, writer. Uses no doors; see serve.ts. */

import type { Envelope } from "../envelope/mod.ts";
import type { Observer } from "../events/mod.ts";
import type { Isolate } from "../isolate/mod.ts";
import type { Account } from "../protocol/mod.ts";
import type { Accounts } from "./accounts.ts";
import { type Clock, systemClock } from "../clock.ts";
import { CommandRunner } from "./methods/command.ts";
import { HeaderScan, MAX_SCANNED_OCTETS, traceLines, withoutCuts } from "./headers.ts";
import { TIMEOUTS, type Timeouts } from "../smtp_client/mod.ts";
import { deliverLmtp } from "./methods/lmtp.ts";
import type { FileWriter } from "./methods/file_writer.ts";
import type { Plan } from "./plan.ts";
import { decide, unknownAction } from "./planner.ts";
import type { StoredBody } from "../queue_client/mod.ts";
import type { Delivered } from "./delivered.ts";
import { DELIVERED, type DeliveryEnd, lookupFailed, thrown } from "./methods/sysexits.ts";

/** What the daemon has and tests replace. */
export interface DeliveryDeps {
  readonly clock: Clock;
  /** How long an LMTP server may take. */
  readonly timeouts: Timeouts;
  /** Null: the isolates for it. */
  readonly files: FileWriter | null;
  /** Null: the shell. */
  readonly commands: Pick<CommandRunner, "deliver" | "stop"> | null;
  readonly lmtp: typeof deliverLmtp;
}

/** What isolates are given, unless a test gives something else. */
export const DEFAULT_DEPS: DeliveryDeps = {
  clock: systemClock,
  timeouts: TIMEOUTS,
  files: null,
  commands: null,
  lmtp: deliverLmtp,
};

/** How an attempt ended, and for whom. */
export interface AttemptResult extends DeliveryEnd {
  readonly user: string;
  /** The writer; absent where it did not come to one. */
  readonly method?: Plan["kind"];
}

const encoder = new TextEncoder();

export class Attempts {
  readonly #isolate: Pick<Isolate<"delivery">, "settings">;
  readonly #accounts: Accounts;
  readonly #timeouts: Timeouts;
  readonly #observer: Observer;
  readonly #files: FileWriter;
  readonly #commands: Pick<CommandRunner, "deliver" | "stop">;
  readonly #lmtp: typeof deliverLmtp;

  /** The settings of `isolate` may be exchanged: each attempt is made by those that it begins with. */
  constructor(
    isolate: Pick<Isolate<"delivery">, "settings">,
    accounts: Accounts,
    { clock, timeouts, commands, lmtp }: Omit<DeliveryDeps, "files">,
    files: FileWriter,
    observer: Observer,
  ) {
    this.#observer = observer;
    this.#isolate = isolate;
    this.#accounts = accounts;
    this.#timeouts = timeouts;
    this.#files = files;
    this.#commands = commands ?? new CommandRunner({ root: isolate.settings.shared.root, clock });
    this.#lmtp = lmtp;
  }

  /** Delivers a message to one envelope. Never rejects. */
  async run(envelope: Envelope, body: StoredBody): Promise<AttemptResult> {
    const name = envelope.user ?? "";
    const { settings } = this.#isolate;
    const action = settings.actions[envelope.action];
    if (action === undefined) return { ...unknownAction(envelope), user: name };
    // Not awaited when it is remembered: messages of one turn stay together.
    const looked = this.#accounts.find(envelope.action, name);
    const result = looked instanceof Promise ? await looked : looked;
    if (!result.ok) return { ...lookupFailed(result), user: name };
    const { account, identity } = result;
    try {
      const scan = new HeaderScan(envelope.dest);
      scan.feed(body.first);
      if (!scan.ended && body.chunks > 1) await scanOn(scan, body);
      const plan = decide(envelope, { settings, action, account, identity }, scan);
      const end = await this.#write(plan, envelope, identity, { spam: scan.junk }, {
        trace: encoder.encode(traceLines(envelope)),
        body: withoutCuts(body, scan.returnPaths),
      });
      return { ...end, user: account.name, method: plan.kind };
    } catch (error) {
      return { ...thrown(error), user: account.name };
    }
  }

  /** Ends commands that still run. */
  stop(reason: string): void {
    this.#commands.stop(reason);
  }

  async #write(
    plan: Plan,
    envelope: Envelope,
    identity: Account,
    { spam }: { readonly spam: boolean },
    message: Delivered,
  ): Promise<DeliveryEnd> {
    switch (plan.kind) {
      case "refused":
        return plan.end;
      case "maildir":
        await this.#files.write(identity, { ...plan, spam, envelope }, message);
        return DELIVERED;
      case "mbox":
      case "file":
        await this.#files.write(identity, plan, message);
        return DELIVERED;
      case "lmtp":
        return await this.#lmtp(plan, envelope, message, this.#timeouts, this.#observer);
      case "command":
        if (plan.mailbox !== "") await this.#files.prepare(identity, plan.mailbox);
        return await this.#commands.deliver(identity, plan, message);
    }
  }
}

/** The rest of a header that is longer than the first chunk. */
async function scanOn(scan: HeaderScan, body: StoredBody): Promise<void> {
  let seen = body.first.length;
  for (let index = 1; index < body.chunks && !scan.ended && seen < MAX_SCANNED_OCTETS; index++) {
    const chunk = await body.chunk(index);
    scan.feed(chunk);
    seen += chunk.length;
  }
}
