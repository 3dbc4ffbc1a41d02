/**
 * Where is my mail, and why: the real daemon with a history. Mail that was delivered, refused, put off, returned, expanded and removed is found by each key, and its
 * story told; after kill -9, and with a history that was damaged by hand. One daemon for all of it.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readOptions } from "../../src/cli/smtpctl/command_options.ts";
import { FIND_OPTIONS, FIND_WORDS, findOrderOf } from "../../src/cli/smtpctl/history/order.ts";
import { askControl } from "../../src/control/mod.ts";
import { parseFind } from "../../src/search/mod.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, type Ran, run, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const ROOT = Deno.uid() === 0;
const uid = ROOT ? 65534 : Deno.uid()!, gid = ROOT ? 65534 : Deno.gid()!;
const USERS = ["bob", "carol", "sender"];
const FULL = "452 4.2.2 Mailbox full", GONE = "550 5.1.1 There is no such user";

/** Of the password "sesame". */
const HASH = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";
const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));
/** Hands in a message as carol, and fails to log in as eve. */
const SUBMIT = `
import smtplib, ssl, sys
def connect():
    client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=30)
    client.starttls(context=ssl._create_unverified_context())
    return client
client = connect()
client.login("carol", "sesame")
client.mail("sender@${DOMAIN}")
client.rcpt("bob@${DOMAIN}")
print(client.data("Subject: submitted\\r\\n\\r\\nhello\\r\\n")[1].decode())
client.quit()
client = connect()
try:
    client.login("eve", "wrong")
except smtplib.SMTPAuthenticationError as error:
    print(error.smtp_error.decode())
`;

const config =
  (next: number, submission: number) => ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    const homes = join(folder, "homes");
    Deno.mkdirSync(homes);
    for (const user of USERS) {
      Deno.mkdirSync(join(homes, user), { mode: 0o755 });
      const files = [join(homes, user)];
      if (user === "carol") {
        files.push(join(homes, user, ".forward"));
        Deno.writeTextFileSync(files[1]!, "\\carol\ncarol@away.test\n");
      }
      if (ROOT) { for (const file of files) Deno.chownSync(file, uid, gid); }
    }
    // A key that others may read is refused.
    Deno.writeTextFileSync(join(folder, "mx.key"), Deno.readTextFileSync(certificate("mx.key")), { mode: 0o600 });
    const users = USERS.map((user) => `"${user}" = "${uid}:${gid}:${homes}/${user}"`).join(", ");
    return `history keep 30d size 100M refs
table users { ${users} }
table aliases { "team" = "bob, far@away.test" }
table logins { carol = "${HASH}" }
pki "mx.example.org" cert "${certificate("mx.pem")}" key "${folder}/mx.key"
listen on socket
listen on 127.0.0.1 port ${submission} tls-require pki "mx.example.org" auth <logins>
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "in" maildir "${mail}/%{user.username}" userbase <users> alias <aliases>
action "out" relay host "smtp://127.0.0.1:${next}"
match from any for domain "${DOMAIN}" action "in"
match from any for domain { "slow.test", "gone.test", "away.test" } action "out"
`;
  };

interface Sent {
  readonly id: string;
  /** Replies to RCPT. */
  readonly replies: readonly string[];
}

/** Sends one message from sender@example.org. */
async function send(
  port: number,
  to: readonly string[],
  subject: string,
  how: "DATA" | "BDAT" = "DATA",
): Promise<Sent> {
  const client = await Client.connect(port);
  await client.say("EHLO client.example.com", "250");
  await client.say(`MAIL FROM:<sender@${DOMAIN}>`, "250");
  const replies: string[] = [];
  for (const rcpt of to) replies.push(await client.say(`RCPT TO:<${rcpt}>`, ""));
  const text = `Message-ID: <${subject}@client.example.com>\r\nSubject: ${subject}\r\n\r\nhello\r\n`;
  let reply = "";
  if (replies.some((one) => one.startsWith("250"))) {
    if (how === "BDAT") {
      await client.write(new TextEncoder().encode(`BDAT ${text.length} LAST\r\n${text}`));
      reply = await client.reply("250");
    } else {
      await client.say("DATA", "354");
      await client.write(new TextEncoder().encode(text));
      reply = await client.say(".", "250");
    }
  }
  await client.say("QUIT", "221");
  client.close();
  return { id: reply.split(" ")[2] ?? "", replies };
}

Deno.test("smtpctl find and story: where a message is, and why", async (test) => {
  let full = true;
  const next = await fakeServer({
    reply: (line) =>
      line.startsWith("RCPT TO:<gone") ? GONE : full && /^RCPT TO:<\w+@slow/.test(line) ? FULL : undefined,
  });
  try {
    const submission = freePort();
    await withDaemon({ config: config(next.port, submission) }, async (daemon) => {
      await tests(test, daemon, { submission, relieve: () => void (full = false) });
    });
  } finally {
    await next.close();
  }
});

async function tests(
  test: Deno.TestContext,
  daemon: Daemon,
  next: { readonly submission: number; relieve(): void },
): Promise<void> {
  const { port } = daemon;
  const smtpctl = (...args: string[]): Promise<Ran> => daemon.tool("smtpctl", args);
  const story = async (id: string, ...options: string[]): Promise<string> => {
    const ran = await smtpctl("story", ...options, id);
    assert.equal(ran.code, 0, `story ${id}: ${ran.stdout}${ran.stderr}`);
    // Wrapped as on a screen: one blank for each break.
    return ran.stdout.replace(/\s+/g, " ");
  };
  /** What `smtpctl find` asks for such words, without a process for each. */
  const ids = async (...args: string[]): Promise<string[]> => {
    const read = readOptions(FIND_OPTIONS, args, FIND_WORDS);
    assert.ok("given" in read, args.join(" "));
    const order = parseFind(findOrderOf(read.given, read.operands), Date.now());
    assert.ok("query" in order, args.join(" "));
    const found: string[] = [];
    for await (const answer of askControl(daemon.env.SMTPD_SOCKET!, { do: "find", ...order })) {
      if ("found" in answer) found.push(answer.found.id);
    }
    return found;
  };
  const delivered = (id: string, count = 1) => daemon.logged(new RegExp(`delivery evpid=${id}`), 0, count);
  const sent: Record<string, string> = {};

  await test.step("accepted and delivered: the 250 tells the id that the story is asked by", async () => {
    for (const how of ["DATA", "BDAT"] as const) {
      const { id } = await send(port, [`bob@${DOMAIN}`], `one-${how}`, how);
      assert.match(id, /^[0-9a-f]{8}$/);
      await delivered(id);
      const text = await story(id);
      assert.match(text, new RegExp(`^Delivered to bob@${DOMAIN}\\. message ${id} session [0-9a-f]{16} from sender@`));
      assert.match(
        text,
        /Connection from .*127\.0\.0\.1.* Recipient bob@example\.org: rule smtpd\.conf:11, action "in"/,
      );
      assert.match(text, /Accepted as message .* on stable storage \d+ ms after/);
      sent[how] = id;
    }
  });

  await test.step("sendmail -v shows the id as well", async () => {
    const ran = await daemon.tool("sendmail", ["-v", `bob@${DOMAIN}`], "Subject: local\n\nhello\n");
    const [, id = ""] = /250 2\.0\.0 ([0-9a-f]{8}) /.exec(ran.stdout + ran.stderr) ?? [];
    await delivered(id);
    assert.match(await story(id), /^Delivered to bob@/);
  });

  await test.step("submitted with a login, over TLS; and a login that failed", async () => {
    const [accepted = "", failed = ""] = (await run("python3", ["-c", SUBMIT, String(next.submission)])).stdout.split(
      "\n",
    );
    const [, id = ""] = /^2\.0\.0 ([0-9a-f]{8}) /.exec(accepted) ?? [];
    await delivered(id);
    assert.match(await story(id), /login carol .* TLS: TLSv1\.\d \(.*\)\. .* Logged in as carol by \w[\w-]*\. /);
    assert.deepEqual(await ids("--login", "carol"), [id]);
    const [, ref = ""] = /\(ref (\S+)\)/.exec(failed) ?? [];
    assert.match(await story(ref), /^Refused with 535 .* The login of eve by \w[\w-]* failed\. /, failed);
    sent.login = ref.split("-")[0]!;
  });

  await test.step("refused: the reply has a ref, whose story is that refusal", async () => {
    const { replies: [reply] } = await send(port, [`nobody@${DOMAIN}`], "refused");
    const [, ref = ""] = /^550 .*\(ref (\S+)\)/.exec(reply!) ?? [];
    assert.match(ref, /^[0-9a-f]{16}-\d+$/, reply);
    const text = await story(ref);
    assert.match(text, /^Refused with 550 .*RCPT TO:<nobody@example\.org>/);
    assert.match(text, /there is no such user/);
    const session = ref.split("-")[0]!;
    assert.match(await story(session), /^Refused with 550 /);
    assert.deepEqual(await ids("--outcome", "refused"), [session, sent.login]);
    assert.deepEqual(await ids("--id", ref), [session]);
    sent.refused = session;
  });

  await test.step("put off: the host's answer first, with class, dialogue, and the next try", async () => {
    const { id } = await send(port, ["dave@slow.test"], "slow");
    await delivered(id);
    const text = await story(id, "--dialogue");
    assert.match(
      text,
      /^Not delivered yet to dave@slow\.test: .*127\.0\.0\.1.* answered 452 4\.2\.2 Mailbox full; tried once, next try in about \d+ /,
    );
    assert.match(text, /mailbox-full: The mailbox of dave@slow\.test is full\./);
    assert.match(text, /Now: dave@slow\.test: next try in about .*, kept for \d+ days?/);
    assert.match(text, /C: RCPT TO:<dave@slow\.test>.* S: 452 4\.2\.2 Mailbox full/);
    assert.deepEqual(await ids("--outcome", "deferred"), [id]);
    sent.slow = id;
  });

  await test.step("held, and let go", async () => {
    await smtpctl("pause", "envelope", sent.slow!);
    assert.match(await story(sent.slow!), /^Held by smtpctl for dave@slow\.test until an administrator lets it go: /);
    await smtpctl("resume", "envelope", sent.slow!);
    await smtpctl("pause", "mta");
    await smtpctl("schedule", sent.slow!);
    assert.match(await story(sent.slow!), /next try is due, but relaying is paused: smtpctl resume mta ends that/);
  });

  await test.step("and delivered at last", async () => {
    next.relieve();
    await smtpctl("resume", "mta");
    await delivered(sent.slow!, 2);
    const text = await story(sent.slow!);
    assert.match(text, /^Relayed for dave@slow\.test: .* answered 250 /);
    assert.match(text, /Attempt 1 for dave@slow\.test failed for now: /);
    assert.deepEqual(await ids("--outcome", "deferred"), []);
    assert.deepEqual(await ids("--outcome", "relayed"), [sent.slow]);
  });

  await test.step("returned: the story leads to the DSN, and that back", async () => {
    const { id } = await send(port, ["gone@gone.test"], "gone");
    await daemon.mailbox("sender").arrived(1);
    const text = await story(id);
    assert.match(text, /^Refused for good for gone@gone\.test: .* answered 550 5\.1\.1 There is no such user\./);
    const [, dsn = ""] = /goes to sender@example\.org as message ([0-9a-f]{8}):/.exec(text) ?? [];
    await delivered(dsn);
    const other = await story(dsn);
    assert.match(other, /^Delivered to sender@example\.org\./);
    assert.match(other, new RegExp(`a DSN \\(failure\\) about message ${id} to gone@gone\\.test`));
    sent.gone = id;
  });

  await test.step("aliases and .forward: the tree, and each of its ends", async () => {
    const { id } = await send(port, [`team@${DOMAIN}`, `carol@${DOMAIN}`], "many");
    await delivered(id, 4);
    const ran = await smtpctl("story", id);
    assert.match(ran.stdout, /^(Relayed|Delivered) /);
    const text = ran.stdout.replace(/\s+/g, " ");
    assert.match(
      text,
      /user team: leads to 2 addresses alias bob, from aliases: action "in", maildir \S+ of bob alias far@away\.test, from aliases, rule smtpd\.conf:12: action "out", relay/,
    );
    assert.match(text, /carol@away\.test.*\.forward/);
    assert.match(text, /Relayed for far@away\.test \(for team@example\.org\)/);
    assert.deepEqual(await ids("--to", "far@away.test"), [id]);
    assert.deepEqual(await ids("--to", `team@${DOMAIN}`), [id]);
    sent.many = id;
  });

  await test.step("removed by the administrator", async () => {
    await smtpctl("pause", "mta");
    const { id } = await send(port, ["erin@away.test"], "removed");
    assert.match(await story(id), /^Waits in the queue for erin@away\.test: relaying is paused/);
    assert.match((await smtpctl("remove", id)).stdout, /^1 envelope removed/);
    await daemon.logged(new RegExp(`Remove for ${id}`));
    await smtpctl("resume", "mta");
    assert.match(await story(id), /^Removed from the queue by smtpctl before it was delivered to erin@away\.test/);
    assert.deepEqual(await ids("--outcome", "removed"), [id]);
    sent.removed = id;
  });

  await test.step("a message is found by each key, and by words of any", async () => {
    const id = sent.many!;
    const keys: readonly (readonly string[])[] = [
      ["--to", `carol@${DOMAIN}`],
      ["--message-id", "many@client.example.com"],
      ["--message-id", "<many@client.example.com>"],
      ["--id", id],
      ["--domain", "away.test", "--from", `sender@${DOMAIN}`, "--outcome", "mixed"],
      ["many@client.example.com"],
      ["far@away.test"],
      ["far@away.test", "127.0.0.1", `sender@${DOMAIN}`],
      ["TEAM@example.org"],
      ["team@*"],
      [id],
    ];
    for (const key of keys) assert.deepEqual(await ids(...key), [id], key.join(" "));
    const all = await ids("--peer", "127.0.0.1", "--since", "1h");
    for (const one of ["DATA", "BDAT", "slow", "gone", "many", "removed"]) assert.ok(all.includes(sent[one]!), one);
    assert.deepEqual(await ids("--reply", "no such user", "--domain", "gone.test"), [sent.gone]);
    assert.deepEqual((await ids("--limit", "2")).length, 2);
    assert.deepEqual(await ids("--until", "1h"), []);
    assert.match(await story("<many@client.example.com>"), new RegExp(`message ${id} `));
  });

  await test.step("a listing is lines; nothing found, and what is no id, are said in words", async () => {
    const listed = await smtpctl("find", "--limit", "1");
    assert.match(listed.stdout, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}[0-9a-f]{8,16} +\S+ → \S+ .*\n$/);
    assert.match(
      listed.stderr,
      /^smtpctl: there are more than this one: --limit 4 shows more, the same with --before \S+ goes on\n$/,
    );
    const none = await smtpctl("find", "nosuch@example.com");
    assert.deepEqual([none.code, none.stdout], [1, ""]);
    assert.match(none.stderr, /^smtpctl: nothing like "nosuch@example\.com" since .*; the history goes back to /);
    const unknown = await smtpctl("story", "0000ffff");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /^smtpctl: 0000ffff is not in the queue, and nothing is known of it in the history/);
    assert.match((await smtpctl("story", "bob")).stderr, /^smtpctl: "bob" is no id: /);
    assert.equal((await smtpctl("find", "from:bob")).code, 255);
  });

  await test.step("after kill -9 all of it is there", async () => {
    await daemon.kill();
    await daemon.launch();
    assert.match(await story(sent.slow!), /^Relayed for dave@slow\.test: /);
    assert.deepEqual(await ids("--message-id", "many@client.example.com"), [sent.many]);
  });

  await test.step("a history that was damaged is set aside, and mail goes on", async () => {
    await daemon.kill();
    const folder = join(daemon.env.SMTPD_SPOOL!, "history");
    for (const { name, isFile } of Deno.readDirSync(folder)) {
      if (isFile) Deno.writeTextFileSync(join(folder, name), "this was a history once");
    }
    await daemon.launch();
    const { id } = await send(port, [`bob@${DOMAIN}`], "afterwards");
    await delivered(id);
    assert.match(await story(id), /^Delivered to bob@/);
    assert.match((await smtpctl("find")).stderr, /a part of the history cannot be read and was set aside/);
    const lost = await smtpctl("story", sent.slow!);
    assert.match(lost.stderr, /is not in the queue, and nothing is known of it/);
  });

  await test.step("while it is off, the story of a queued message is what the queue knows", async () => {
    Deno.writeTextFileSync(
      daemon.configFile,
      Deno.readTextFileSync(daemon.configFile).replace(/^history .*\n/, ""),
    );
    assert.equal((await smtpctl("reload")).code, 0);
    await smtpctl("pause", "mta");
    const { id } = await send(port, ["frank@away.test"], "off");
    const text = await story(id);
    assert.match(text, /^Waits in the queue for frank@away\.test: relaying is paused/);
    assert.match(
      text,
      /This is what the queue knows: nothing is recorded, the history is off: write "history keep 30d" in \S+smtpd\.conf, then smtpctl reload\./,
    );
    const off = await smtpctl("find", "frank@away.test");
    assert.deepEqual([off.code, off.stdout], [1, ""]);
    assert.match(off.stderr, /^smtpctl: nothing is recorded, the history is off: /);
  });
}
