/** The acme isolate at its doors: obtains certificates with what main does for it. It may do nothing by itself. */

import type net from "node:net";
import { Caller, type Isolate } from "../isolate/mod.ts";
import type { AcmeAccount, AcmeToMain, MainToAcme } from "../protocol/mod.ts";
import { adoptSocket } from "../sockets/mod.ts";
import { systemClock } from "../clock.ts";
import { AccountKey } from "./account_key.ts";
import { ChallengeAnswers } from "./answers.ts";
import { type Account, AcmeClient } from "./client.ts";
import { AcmeFailure } from "./failure.ts";
import { HttpsClient } from "./http.ts";
import { Keeper, type Line } from "./keeper.ts";
import { obtain, type Obtained } from "./order.ts";
import { responderFor } from "./responder.ts";

type Main = Caller<AcmeToMain, MainToAcme>;

/** Runs the acme isolate. */
export function serveAcme(isolate: Isolate<"acme">): void {
  const service = new AcmeService(isolate);
  isolate.onsettings = ({ certificates }) => {
    if (certificates !== undefined) service.renew(certificates);
  };
  isolate.onreload = () => service.renew(isolate.settings.certificates);
  isolate.onstop = () => service.stop();
  service.start();
}

class AcmeService {
  readonly #isolate: Isolate<"acme">;
  readonly #main: Main;
  readonly #answers = new ChallengeAnswers();
  readonly #keeper: Keeper;
  /** By the URL of the directory. */
  readonly #accounts = new Map<string, AcmeAccount>();
  #lines: readonly Line[];

  constructor(isolate: Isolate<"acme">) {
    this.#isolate = isolate;
    this.#main = new Caller(isolate.ask("acme-main"));
    this.#main.onmessage = (message) => this.#receive(message);
    this.#lines = isolate.settings.certificates;
    this.#learn(this.#lines);
    this.#keeper = new Keeper(this.#lines, {
      clock: systemClock,
      random: () => Math.random(),
      obtain: (line, replaces) => this.#obtain(line, replaces),
      store: (line, obtained) => this.#store(line, obtained),
      renewalInfo: (line, id) => this.#with(line, (client) => client.renewalInfo(id)),
      putOff: ({ name }, putOff) => this.#main.send({ type: "put-off", pki: name, ...putOff }),
      log: (level, text) => isolate.emit({ type: "log", level, text }),
      count: (key) => isolate.emit({ type: "count", key, by: 1 }),
      expires: (at) => isolate.emit({ type: "gauge", key: "acme.expiry", to: at === null ? 0 : Math.floor(at / 1000) }),
    });
  }

  start(): void {
    this.#keeper.start();
  }

  renew(lines: readonly Line[]): void {
    this.#lines = lines;
    this.#learn(lines);
    this.#keeper.renew(lines);
  }

  stop(): void {
    this.#keeper.stop();
    this.#answers.close();
  }

  #learn(lines: readonly Line[]): void {
    for (const { directory, account } of lines) {
      if (account !== null && !this.#accounts.has(directory)) this.#accounts.set(directory, account);
    }
  }

  #receive(message: MainToAcme): void {
    if (message.type === "look") return this.#keeper.look();
    if (message.type !== "session") return;
    const socket = adoptSocket(message.descriptor);
    const line = this.#lines.find(({ name }) => name === message.pki);
    if (line === undefined || line.challenge === "dns-01") socket.destroy();
    else this.#answers.serve(socket, line.challenge);
  }

  /** Runs `work` with a client of the line's authority, whose connection is closed behind it. */
  async #with<T>(line: Line, work: (client: AcmeClient) => Promise<T>): Promise<T> {
    const http = new HttpsClient({
      origin: new URL(line.directory).origin,
      ca: line.ca,
      userAgent: `Vaultpost/${this.#isolate.settings.shared.version}`,
      connect: () => this.#connect(line),
    });
    try {
      return await work(new AcmeClient(http, line.directory, systemClock));
    } finally {
      http.close();
    }
  }

  async #connect({ name }: Line): Promise<net.Socket> {
    const answer = await this.#main.ask<"connected" | "not-connected">({ type: "connect", pki: name });
    if (answer.type === "connected") return adoptSocket(answer.descriptor);
    throw new AcmeFailure("unreached", answer.reason);
  }

  async #obtain(line: Line, replaces: string | null): Promise<Obtained> {
    return await this.#with(line, async (client) => {
      const responder = responderFor(line.challenge, {
        answers: this.#answers,
        main: {
          listen: () => this.#done({ type: "listen", pki: line.name }),
          unlisten: () => this.#main.send({ type: "unlisten", pki: line.name }),
          hook: (action, name, value) => this.#done({ type: "hook", pki: line.name, action, name, value }),
        },
        log: (text) => this.#isolate.emit({ type: "log", level: "warn", text: `warn: acme: ${text}` }),
      });
      const wanted = {
        names: line.names,
        challenge: line.challenge,
        keyType: line.keyType,
        replaces: replaces !== null && await client.offersRenewalInfo() ? replaces : null,
      };
      const attempt = async () =>
        await obtain(client, await this.#account(client, line), wanted, { responder, clock: systemClock });
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof AcmeFailure) || error.kind !== "gone") throw error;
        // The authority has forgotten it: a trial directory that was emptied.
        this.#accounts.delete(line.directory);
        return await attempt();
      }
    });
  }

  /** The account of the line's directory, which is made when there is none. Lines of one directory have one, with the contacts of all. */
  async #account(client: AcmeClient, line: Line): Promise<Account> {
    const contacts = [
      ...new Set(this.#lines.filter(({ directory }) => directory === line.directory).flatMap(({ contact }) => contact)),
    ];
    const contact = contacts.join(" ");
    const known = this.#accounts.get(line.directory);
    if (known !== undefined) {
      const account = { key: await keyOf(known), url: known.url };
      if (known.contact !== contact) {
        await client.setContact(account, contacts);
        await this.#keepAccount(line, { ...known, contact });
      }
      return account;
    }
    const account = await client.account(await AccountKey.make(), contacts);
    await this.#keepAccount(line, { key: account.key.pem, url: account.url, contact });
    return account;
  }

  async #keepAccount({ name, directory }: Line, account: AcmeAccount): Promise<void> {
    const fault = await this.#done({ type: "account", pki: name, ...account });
    if (fault !== null) throw new AcmeFailure("here", fault);
    this.#accounts.set(directory, account);
  }

  async #store({ name }: Line, { cert, key }: Obtained): Promise<string | null> {
    return await this.#done({ type: "certificate", pki: name, cert, key });
  }

  /** Asks main for something, and returns why it could not be done, or null. */
  async #done(
    question: {
      [T in "listen" | "hook" | "account" | "certificate"]: Omit<Extract<AcmeToMain, { type: T }>, "call">;
    }["listen" | "hook" | "account" | "certificate"],
  ): Promise<string | null> {
    return (await this.#main.ask<"done">(question)).error;
  }
}

/** A key that cannot be read is one that is gone. */
async function keyOf({ key }: AcmeAccount): Promise<AccountKey> {
  try {
    return await AccountKey.read(key);
  } catch {
    throw new AcmeFailure("gone", "the key of the account cannot be read");
  }
}
