/**
 * Every path through the server keeps the signature of a stranger valid: whatever the message looks like, however it comes in, wherever it goes. The
 * signatures are simple/simple, which no octet survives that was changed, and made by node:crypto.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fakeDns } from "../dns/fake_dns.ts";
import { FixtureDns } from "../mail_auth/fixture_dns.ts";
import { signedBy, testKey } from "../mail_auth/simple_signer.ts";
import { freePort } from "../ports.ts";
import { Client } from "./client.ts";
import { install } from "./filter_harness.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon } from "./harness.ts";
import { KeepingServer, shownResults, verifyDkim } from "./kept_mail.ts";

const ROOT = Deno.uid() === 0;
const uid = ROOT ? 65534 : Deno.uid()!, gid = ROOT ? 65534 : Deno.gid()!;
const KEY = testKey("stranger.test");
const DNS = new FixtureDns({ "s._domainkey.stranger.test": [{ TXT: KEY.record }] });

const HEADER = "From: S <s@stranger.test>\r\nTo: you@example.org\r\nSubject: x\r\n";

/** Messages as they are signed: CRLF, one character per octet, no dot doubled. */
const MESSAGES: Record<string, { readonly text: string; readonly parameters?: string; readonly bdatOnly?: true }> = {
  "plain": { text: `${HEADER}\r\nbody\r\n` },
  "8-bit": { text: `${HEADER}\r\n\xfcml\xe4ut \x80\xff\r\n`, parameters: " BODY=8BITMIME" },
  "SMTPUTF8": {
    text: `${HEADER.replace("Subject: x", "Subject: gr\xc3\xbc\xc3\x9fe")}\r\n\xe2\x82\xac\r\n`,
    parameters: " SMTPUTF8 BODY=8BITMIME",
  },
  "long lines": { text: `${HEADER}X: ${"x".repeat(5000)}\r\n\r\n${"y".repeat(60_000)}\r\nz\r\n` },
  "folded fields and blanks": { text: `${HEADER.replace("Subject: x", "Subject:  a \r\n\t b  ")}\r\n a \t \r\n\t\r\n` },
  "dots": { text: `${HEADER}\r\n.\r\n..\r\n.a\r\nend\r\n` },
  "empty lines at the end": { text: `${HEADER}\r\nbody\r\n\r\n\r\n` },
  "no body": { text: `${HEADER}\r\n` },
  "no final line end": { text: `${HEADER}\r\nbody without an end`, bdatOnly: true },
  "of several chunks": { text: `${HEADER}\r\n${`${"0123456789".repeat(7)}\r\n`.repeat(9000)}` },
  "with Bcc and addresses without a domain": {
    text: HEADER.replace("\r\nTo:", "\r\nCc: bob\r\nBcc: eve\r\nTo:") + "\r\nx\r\n",
  },
};

interface Doors {
  readonly checked: number;
  readonly filtered: number;
}

function config({ port, mail, folder }: { port: number; mail: string; folder: string }, doors: Doors, next: number) {
  const { echo } = install(folder, { echo: { register: ["filter|smtp-in|data-line"], line: "echo" } });
  const home = join(folder, "home");
  Deno.mkdirSync(home);
  Deno.writeTextFileSync(join(home, ".forward"), "forwarded@next.test\n");
  if (ROOT) { for (const path of [home, join(home, ".forward")]) Deno.chownSync(path, uid, gid); }
  return `mta limit conn-delay-route 0 conn-delay-host 0 conn-delay-relay 0
table users { fwd = "${uid}:${gid}:${home}" }
filter echo ${echo}
filter pass phase commit match dmarc none report "nothing"
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
listen on 127.0.0.1 port ${doors.checked} hostname mx.${DOMAIN} mail-auth
listen on 127.0.0.1 port ${doors.filtered} hostname mx.${DOMAIN} mail-auth filter { echo, pass }
action "box" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "forward" maildir "${mail}/%{user.username}" userbase <users>
action "lmtp" lmtp "127.0.0.1:${next}" rcpt-to virtual { "@" = ${OWNER} } user ${OWNER}
action "alias" expand-only virtual { "a@alias.test" = "aliased@next.test" }
action "hop" relay host "smtp+notls://127.0.0.1:${next}"
match from any for domain "${DOMAIN}" action "box"
match from any for domain "forward.test" action "forward"
match from any for domain "lmtp.test" action "lmtp"
match from any for domain "alias.test" action "alias"
match from any for domain "next.test" action "hop"
match from local for any action "hop"
`;
}

Deno.test("every path through the server keeps a foreign signature valid", async (test) => {
  const next = new KeepingServer();
  const dns = await fakeDns({});
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-dns-" });
  await Deno.chmod(folder, 0o755);
  await Deno.writeTextFile(join(folder, "resolv.conf"), `nameserver [127.0.0.1]:${dns.port}\n`);
  const env = { ASR_CONFIG: join(folder, "resolv.conf") };
  const doors = { checked: freePort(), filtered: freePort() };
  try {
    await withDaemon({ config: (place) => config(place, doors, next.port), env }, async (daemon) => {
      const ways: readonly (readonly [string, number, "DATA" | "BDAT"])[] = [
        ["DATA", daemon.port, "DATA"],
        ["BDAT", daemon.port, "BDAT"],
        ["DATA, checked", doors.checked, "DATA"],
        ["BDAT, checked", doors.checked, "BDAT"],
        ["DATA, checked, through a filter that changes nothing", doors.filtered, "DATA"],
      ];
      let count = 0;
      for (const [name, { text, parameters = "", bdatOnly }] of Object.entries(MESSAGES)) {
        const message = signedBy(KEY, text);
        for (const [way, port, verb] of ways) {
          if (bdatOnly && verb === "DATA") continue;
          await test.step(`${name}, by ${way}`, async () => {
            const box = `box${count++}`;
            await send(port, verb, message, parameters, [
              ...[`${box}@${DOMAIN}`, "fwd@forward.test", "a@alias.test", "hop@next.test", "l@lmtp.test"],
            ]);
            await verify(daemon, next, box);
          });
        }
      }
    });
  } finally {
    next.close();
    await dns.close();
    await Deno.remove(folder, { recursive: true });
  }
});

async function send(
  port: number,
  verb: "DATA" | "BDAT",
  message: string,
  parameters: string,
  rcpts: readonly string[],
): Promise<void> {
  const client = await Client.connect(port);
  await client.say("EHLO client.stranger.test", "250");
  await client.say(`MAIL FROM:<s@stranger.test>${parameters}`, "250");
  for (const rcpt of rcpts) await client.say(`RCPT TO:<${rcpt}>`, "250");
  if (verb === "DATA") {
    await client.say("DATA", "354");
    await client.write(octets(message.replace(/^\./gm, "..")));
    await client.say(".", "250");
  } else {
    const whole = octets(message), half = whole.length >> 1;
    for (const [part, last] of [[whole.subarray(0, half), ""], [whole.subarray(half), " LAST"]] as const) {
      await client.write(octets(`BDAT ${part.length}${last}\r\n`));
      await client.write(part);
      await client.reply("250");
    }
  }
  await client.say("QUIT", "221");
  client.close();
}

function octets(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** What has come out everywhere. */
async function verify(daemon: Daemon, next: KeepingServer, box: string): Promise<void> {
  const arrived: Record<string, Uint8Array> = { "a Maildir": await daemon.mailbox(box).message() };
  // One transaction has what goes to one host: from a .forward, from an alias, and as it was.
  const { octets, to } = await next.take("hop@next.test");
  assert.deepEqual(to.toSorted(), ["aliased@next.test", "forwarded@next.test", "hop@next.test"]);
  arrived["a .forward, an alias and a smarthost"] = octets;
  arrived["LMTP"] = (await next.take("l@lmtp.test")).octets;
  for (const [how, message] of Object.entries(arrived)) {
    assert.equal(shownResults(await verifyDkim(message, DNS)), "stranger.test/s pass", `behind ${how}`);
  }
}
