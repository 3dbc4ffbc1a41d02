/** smtpd.conf read again while mail flows: what each change means for new sessions, for those that were open before, and what a mistake changes: nothing. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../ports.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { Client } from "./client.ts";
import { install } from "./filter_harness.ts";
import { Daemon, DOMAIN, OWNER, run, withDaemon } from "./harness.ts";

/** The parts of a configuration, which changes exchange. */
type Parts = Record<string, string>;

const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));
/** Messages that each client sends during a reload, at most. */
const PER_RELOAD = 3;
const MESSAGE = "Subject: reload\r\n\r\nhello\r\n";

function firstParts({ port, mail, folder }: { port: number; mail: string; folder: string }): Parts {
  Deno.writeTextFileSync(join(folder, "friends"), "friend@example.net\n");
  return {
    limits: "smtp limit max-mails 100000\n",
    tables: `table friends "${folder}/friends"\n`,
    listeners: `listen on socket\nlisten on 127.0.0.1 port ${port} hostname mx.${DOMAIN}\n`,
    actions: `action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}\n`,
    rules: `match from any for domain "${DOMAIN}" action "inbox"\n`,
    others: "",
  };
}

const ORDER = ["limits", "tables", "others", "listeners", "actions", "rules"];
const textOf = (parts: Parts) => ORDER.map((name) => parts[name]).join("");

/** A daemon whose configuration a test changes part by part. */
class Reloaded {
  readonly daemon: Daemon;
  readonly parts: Parts;
  #count = 0;

  constructor(daemon: Daemon) {
    this.daemon = daemon;
    this.parts = firstParts(daemon);
  }

  /** Writes the configuration with these parts and has it read again: the first time by smtpctl, then by the signal. */
  async change(parts: Parts): Promise<void> {
    Object.assign(this.parts, parts);
    await Deno.writeTextFile(this.daemon.configFile, textOf(this.parts));
    const from = this.daemon.log.length;
    if (this.#count++ === 0) {
      const { code, stdout, stderr } = await this.daemon.tool("smtpctl", ["reload"]);
      assert.equal(code, 0, stdout + stderr);
      // Warnings of the machine may stand before it.
      assert.match(stdout, /^(?:.*warning: .*\n)*command succeeded\n$/);
    } else Deno.kill(this.daemon.pid, "SIGHUP");
    await this.daemon.logged(
      /^info: .*smtpd\.conf was read again and is in use as generation \d+$|^warn: reload:/,
      from,
    );
    const faults = this.daemon.log.slice(from).filter((line) => line.startsWith("warn: reload"));
    assert.deepEqual(faults, []);
  }

  /** A session in its greeting. */
  async session(port = this.daemon.port): Promise<Client> {
    const client = await Client.connect(port);
    await client.say("EHLO client.example.net", "250");
    return client;
  }

  /** Delivers a message to a user, and waits until it is there. */
  async deliver(client: Client, user: string): Promise<void> {
    await client.send("a@example.net", `${user}@${DOMAIN}`, MESSAGE);
    await this.daemon.mailbox(user).arrived(1);
  }

  /** Says a command with its reply, without asking for one. */
  async ask(client: Client, line: string): Promise<string> {
    return (await client.say(line, "")).trim();
  }
}

/** Filters that come, change and go. */
async function changeFilters(it: Reloaded, listeners: string): Promise<void> {
  const { daemon } = it, { folder, port } = daemon;
  // Filters: one comes, another one comes beside it, the first becomes another one. What stays goes on running.
  const refuses = (text: string) => ({
    register: ["filter|smtp-in|mail-from"],
    rules: [["mail-from", `${text}@`, `reject|550 5.7.1 ${text}`]] as const,
  });
  const words = install(folder, { first: refuses("first"), second: refuses("second"), third: refuses("third") });
  const filtered = (filter: string) =>
    `listen on socket\nlisten on 127.0.0.1 port ${port} hostname mx.${DOMAIN} filter "${filter}"\n`;
  const pids = async (name: string) => (await run("pgrep", ["-f", `${folder}/${name}.json`])).stdout.trim();
  const judged = async (client: Client, names: readonly string[]) => {
    for (const name of ["first", "second", "third"]) {
      const reply = await it.ask(client, `MAIL FROM:<${name}@example.net>`);
      assert.match(reply, names.includes(name) ? new RegExp(`^550 5.7.1 ${name}`) : /^250/);
      await client.say("RSET", "250");
    }
  };
  const unfiltered = await it.session();
  await it.change({ others: `filter "a" ${words.first}\n`, listeners: filtered("a") });
  const oneFilter = await it.session();
  await judged(oneFilter, ["first"]);
  await judged(unfiltered, []);
  const firstPid = await pids("first");
  await it.change({
    others: `filter "a" ${words.first}\nfilter "b" ${words.second}\nfilter "both" chain { "a", "b" }\n`,
    listeners: filtered("both"),
  });
  const twoFilters = await it.session();
  await judged(twoFilters, ["first", "second"]);
  await judged(oneFilter, ["first"]);
  assert.equal(await pids("first"), firstPid);
  const secondPid = await pids("second");
  await it.change({
    others: `filter "a" ${words.third}\nfilter "b" ${words.second}\nfilter "both" chain { "a", "b" }\n`,
  });
  let fresh = await it.session();
  await judged(fresh, ["third", "second"]);
  await judged(twoFilters, ["first", "second"]);
  await judged(unfiltered, []);
  assert.equal(await pids("second"), secondPid);
  assert.equal(await pids("first"), firstPid);
  for (const one of [unfiltered, oneFilter, twoFilters]) {
    await one.say("QUIT", "221");
    one.close();
  }
  while (await pids("first") !== "") { /* It ends when the last of its sessions has. */ }
  await judged(fresh, ["third", "second"]);
  fresh.close();

  // A filter that does not start changes nothing.
  await Deno.writeTextFile(
    daemon.configFile,
    textOf({ ...it.parts, others: it.parts.others! + 'filter "none" proc-exec "/bin/false"\n' }),
  );
  const refused = await daemon.tool("smtpctl", ["reload"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /filter program "none" \(\/bin\/false\) failed: /);
  fresh = await it.session();
  await judged(fresh, ["third", "second"]);
  fresh.close();
  await it.change({ others: "", listeners });
}

/** The admin page, certificates, times to live, where mail is relayed to, signatures. */
async function changeOthers(it: Reloaded, listeners: string): Promise<void> {
  const { daemon } = it, { folder, port } = daemon;
  // The admin page comes, moves and goes.
  const [admin, moved] = [freePort(), freePort()];
  const page = (at: number) => fetch(`http://127.0.0.1:${at}/`).then((answer) => answer.body?.cancel().then(() => 200));
  await it.change({ others: `admin listen on 127.0.0.1 port ${admin}\n` });
  assert.equal(await page(admin), 200);
  await it.change({ others: `admin listen on 127.0.0.1 port ${moved}\n` });
  assert.equal(await page(moved), 200);
  await assert.rejects(page(admin));

  // Certificates.
  const key = join(folder, "mx.key");
  await Deno.writeTextFile(key, Deno.readTextFileSync(certificate("mx.key")), { mode: 0o600 });
  const old = await it.session();
  await it.change({
    others: `pki "mx.${DOMAIN}" cert "${certificate("mx.pem")}" key "${key}"\n`,
    listeners: `listen on socket\nlisten on 127.0.0.1 port ${port} hostname mx.${DOMAIN} tls\n`,
  });
  let fresh = await Client.connect(port);
  assert.match(await fresh.say("EHLO client.example.net", "250"), /STARTTLS/);
  fresh.close();
  assert.doesNotMatch(await old.say("EHLO client.example.net", "250"), /STARTTLS/);
  old.close();
  await it.change({ others: "", listeners });

  // The times to live of what is queued, and where it is relayed to; then it is signed.
  const dkim = join(folder, "dkim.key");
  await run("openssl", ["genpkey", "-algorithm", "ED25519", "-out", dkim]);
  await Deno.chmod(dkim, 0o600);
  const host = await fakeServer();
  const { actions = "", rules = "" } = it.parts;
  const relayed = (at: string, more = "") => ({
    actions: `${actions}action "out" relay host "smtp://${at}"${more}\n`,
    rules: `match from any for domain "far.test" action "out"\n${rules}`,
  });
  await it.change(relayed(`127.0.0.2:${freePort()}`));
  fresh = await it.session();
  await fresh.send("a@example.org", "queued@far.test", MESSAGE);
  await daemon.logged(/mta delivery .*to=<queued@far\.test>.*result="TempFail"/);
  await it.change({ limits: "queue ttl 2d\nbounce warn-interval 1h\n" });
  const [queued] = (await daemon.tool("smtpctl", ["show", "queue", "--json"])).stdout.trim().split("\n")
    .map((line) => JSON.parse(line));
  assert.equal((Date.parse(queued.expiresAt) - Date.parse(queued.createdAt)) / 3_600_000, 48);
  await it.change(relayed(`127.0.0.1:${host.port}`));
  assert.equal((await daemon.tool("smtpctl", ["schedule", "all"])).code, 0);
  await daemon.logged(/mta delivery .*to=<queued@far\.test>.*result="?Ok/);
  const unsigned = fresh;
  await it.change({
    ...relayed(`127.0.0.1:${host.port}`, " dkim"),
    others: `dkim "example.org" selector "s" key "${dkim}"\n`,
  });
  fresh = await it.session();
  const signable = "From: a@example.org\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n" + MESSAGE;
  await fresh.send("a@example.org", "signed@far.test", signable);
  await daemon.logged(/mta delivery .*to=<signed@far\.test>.*result="?Ok/);
  assert.deepEqual(host.messages().map((text) => /^DKIM-Signature: .*d=example\.org/m.test(text)), [false, true]);
  unsigned.close();
  fresh.close();
  await host.close();
  await it.change({ limits: "", others: "", actions, rules });
}

for (const twoUsers of Deno.uid() === 0 ? [true, false] : [false]) {
  const where = twoUsers ? "in processes of two users" : "in one process";
  Deno.test(`each change of smtpd.conf is in use after a reload, and not for sessions that were open, ${where}`, async () => {
    await withDaemon({ twoUsers, config: (place) => textOf(firstParts(place)) }, async (daemon) => {
      const it = new Reloaded(daemon);
      const { folder, port } = daemon;

      // A rule.
      let old = await it.session();
      await it.change({ rules: `match from any for domain "example.com" action "inbox"\n` });
      let fresh = await it.session();
      await fresh.say("MAIL FROM:<a@example.net>", "250");
      assert.match(await it.ask(fresh, `RCPT TO:<u@${DOMAIN}>`), /^550/);
      await fresh.say("RCPT TO:<rule-new@example.com>", "250");
      fresh.close();
      await it.deliver(old, "rule-old");
      old.close();

      // An action, and an option of a listener.
      old = await it.session();
      await it.change({
        actions:
          `action "other" maildir "${folder}/mail/other/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}\n`,
        rules: `match from any for domain "${DOMAIN}" action "other"\n`,
        listeners: `listen on socket\nlisten on 127.0.0.1 port ${port} hostname other.${DOMAIN}\n`,
      });
      fresh = await Client.open(port);
      assert.match(await fresh.reply(), /^220 other\.example\.org /);
      await fresh.say("HELO client.example.net", "250");
      await fresh.send("a@example.net", `action@${DOMAIN}`, MESSAGE);
      await daemon.mailbox("other/action").arrived(1);
      fresh.close();
      assert.match(await it.ask(old, "HELP"), /^214|^5/);
      old.close();

      // A listener more, and one less.
      const second = freePort();
      const listeners = `listen on socket\nlisten on 127.0.0.1 port ${port} hostname mx.${DOMAIN}\n`;
      await it.change({ listeners: `${listeners}listen on 127.0.0.1 port ${second} hostname second.${DOMAIN}\n` });
      old = await it.session(second);
      await it.change({ listeners });
      await assert.rejects(Client.connect(second));
      await old.send("a@example.net", `second@${DOMAIN}`, MESSAGE);
      await daemon.mailbox("other/second").arrived(1);
      old.close();

      // Every address in the place of one, at the same port; then a port that is taken: nothing is changed, and both are as they were.
      await it.change({ listeners: `listen on socket\nlisten on 0.0.0.0 port ${port} hostname every.${DOMAIN}\n` });
      fresh = await Client.open(port);
      assert.match(await fresh.reply(), /^220 every\.example\.org /);
      fresh.close();
      const taken = Deno.listen({ hostname: "127.0.0.1", port: second });
      await Deno.writeTextFile(
        daemon.configFile,
        textOf({ ...it.parts, listeners: `${listeners}listen on 127.0.0.1 port ${second}\n` }),
      );
      const inUse = await daemon.tool("smtpctl", ["reload"]);
      assert.equal(inUse.code, 1);
      assert.match(inUse.stdout, /smtpd\.conf:\d+: cannot listen on 127\.0\.0\.1:\d+: the address is in use/);
      taken.close();
      fresh = await Client.open(port);
      assert.match(await fresh.reply(), /^220 every\.example\.org /);
      fresh.close();
      await it.change({ listeners });

      // A new file of a table, and its content.
      await Deno.writeTextFile(join(folder, "more"), "b@example.net\n");
      await it.change({
        tables: `table more "${folder}/more"\n`,
        rules: `match from any mail-from <more> for domain "${DOMAIN}" action "other"\n`,
      });
      fresh = await it.session();
      await fresh.say("MAIL FROM:<a@example.net>", "250");
      assert.match(await it.ask(fresh, `RCPT TO:<u@${DOMAIN}>`), /^550/);
      await fresh.say("RSET", "250");
      await fresh.say("MAIL FROM:<b@example.net>", "250");
      await fresh.say(`RCPT TO:<u@${DOMAIN}>`, "250");
      await fresh.say("RSET", "250");
      await Deno.writeTextFile(join(folder, "more"), "a@example.net\n");
      await it.change({});
      await fresh.say("MAIL FROM:<b@example.net>", "250");
      await fresh.say(`RCPT TO:<u@${DOMAIN}>`, "250");
      fresh.close();
      fresh = await it.session();
      await fresh.say("MAIL FROM:<a@example.net>", "250");
      await fresh.say(`RCPT TO:<u@${DOMAIN}>`, "250");
      fresh.close();
      await it.change({ tables: "", rules: `match from any for domain "${DOMAIN}" action "other"\n` });

      // A limit.
      old = await it.session();
      await it.change({ limits: "smtp max-message-size 2000\n" });
      fresh = await Client.connect(port);
      assert.match(await fresh.say("EHLO client.example.net", "250"), /SIZE 2000\b/);
      fresh.close();
      assert.doesNotMatch(await old.say("EHLO client.example.net", "250"), /SIZE 2000\b/);
      old.close();

      await it.change({ limits: "" });

      // The same in one process, where root runs the tests: once is enough.
      if (twoUsers || Deno.uid() !== 0) {
        await changeFilters(it, listeners);
        await changeOthers(it, listeners);
      }

      // What is wrong changes nothing, and is said.
      const status = async () =>
        (await daemon.tool("smtpctl", ["show", "status"])).stdout.split("\n").filter((line) => /^CONFIG/.test(line));
      const before = await status();
      await Deno.writeTextFile(daemon.configFile, `${textOf(it.parts)}match from any for nonsense action "gone"\n`);
      const { code, stdout } = await daemon.tool("smtpctl", ["reload"]);
      assert.equal(code, 1);
      assert.match(stdout, /smtpd\.conf:\d+: /);
      await daemon.logged(/^warn: reload: .*smtpd\.conf:\d+: /);
      assert.deepEqual(await status(), before);
      // A pipe that nobody writes into keeps nobody waiting.
      await run("mkfifo", [join(folder, "pipe")]);
      await Deno.writeTextFile(daemon.configFile, `${textOf(it.parts)}include "${folder}/pipe"\n`);
      assert.match((await daemon.tool("smtpctl", ["reload"])).stdout, /smtpd\.conf:\d+: .*pipe: it is no file/);
      fresh = await it.session();
      await fresh.send("a@example.net", `still@${DOMAIN}`, MESSAGE);
      await daemon.mailbox("other/still").arrived(1);
      fresh.close();
    });
  });
}

Deno.test("100 reloads under load drop no connection and lose nothing", async () => {
  await withDaemon({ twoUsers: Deno.uid() === 0, config: (place) => textOf(firstParts(place)) }, async (daemon) => {
    const { port, configFile } = daemon;
    const parts = firstParts(daemon), hostnames = ["mx", "other"];
    const reloads = 100;
    let over = false, sent = 0, next = Promise.withResolvers<void>();
    /** Sends while each reload goes on, and then waits for the next one: more would only cost time. */
    const eachTime = async (send: () => Promise<unknown>) => {
      for (let mine = 0; !over; mine++) {
        if (mine % PER_RELOAD === 0) await next.promise;
        await send();
        sent++;
      }
    };
    /** One that stays connected. */
    const stays = async (user: string) => {
      const client = await Client.connect(port);
      await client.say("EHLO client.example.net", "250");
      await eachTime(() => client.send("a@example.net", `${user}@${DOMAIN}`, MESSAGE));
      await client.say("QUIT", "221");
      client.close();
    };
    /** One that comes anew for each message. */
    const comes = (user: string) =>
      eachTime(async () => {
        const client = await Client.connect(port);
        await client.say("EHLO client.example.net", "250");
        await client.send("a@example.net", `${user}@${DOMAIN}`, MESSAGE);
        await client.say("QUIT", "221");
        client.close();
      });
    const load = Promise.all([stays("stays"), comes("comes"), comes("comes")]);
    let failed: unknown = null;
    load.catch((error) => failed = error);
    let from = 0;
    for (let count = 0; count < reloads && failed === null; count++) {
      const name = hostnames[count % 2]!;
      const listeners = `listen on socket\nlisten on 127.0.0.1 port ${port} hostname ${name}.${DOMAIN}\n`;
      const rules = `match from any tag x${count} for any reject\n${parts.rules}`;
      await Deno.writeTextFile(configFile, textOf({ ...parts, listeners, rules }));
      Deno.kill(daemon.pid, "SIGHUP");
      next.resolve();
      next = Promise.withResolvers();
      await daemon.logged(/^info: .*smtpd\.conf was read again and is in use as generation \d+$|^warn: reload:/, from);
      from = daemon.log.findLastIndex((line) => /was read again|^warn: reload/.test(line)) + 1;
    }
    over = true;
    next.resolve();
    await load;
    assert.ok(sent >= reloads / 2, `only ${sent} messages were sent meanwhile`);
    await daemon.mailbox("stays").arrived(1);
    const delivered = () => daemon.mailbox("stays").names().length + daemon.mailbox("comes").names().length;
    for (let left = 200; delivered() < sent && left > 0; left--) await new Promise((done) => setTimeout(done, 50));
    assert.equal(delivered(), sent);
    assert.deepEqual(daemon.log.filter((line) => /^warn: (reload|isolate)|\b421 /.test(line)), []);
    assert.match(daemon.log.findLast((line) => /was read again/.test(line))!, new RegExp(`generation ${reloads}$`));
  });
});

Deno.test("a stop lets transactions end and says 421 to the others; a kill in the middle of a reload loses nothing", async () => {
  const daemon = await Daemon.start({ config: (place) => textOf(firstParts(place)) });
  try {
    const idle = await Client.connect(daemon.port), busy = await Client.connect(daemon.port);
    await busy.say("EHLO client.example.net", "250");
    await busy.begin("a@example.net", `stopped@${DOMAIN}`);
    const ended = daemon.stop();
    await idle.reply("421 4.3.2 ");
    await busy.say(`${MESSAGE}.`, "250");
    await busy.reply("421 4.3.2 ");
    assert.equal(await ended, 0);

    await daemon.launch();
    await daemon.mailbox("stopped").arrived(1);
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.net", "250");
    let accepted = 0;
    const load = (async () => {
      for (;; accepted++) await client.send("a@example.net", `killed@${DOMAIN}`, MESSAGE);
    })().catch(() => {});
    const parts = firstParts(daemon);
    await Deno.writeTextFile(
      daemon.configFile,
      textOf({ ...parts, rules: `${parts.rules}match from any for any reject\n` }),
    );
    const from = daemon.log.length;
    Deno.kill(daemon.pid, "SIGHUP");
    await daemon.logged(/^info: SIGHUP: /, from);
    await daemon.kill();
    await load;
    await daemon.launch();
    await daemon.mailbox("killed").arrived(accepted);
    assert.equal(await daemon.stop(), 0);
  } finally {
    await daemon.remove();
  }
});
