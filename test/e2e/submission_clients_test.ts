/**
 * Programs that people submit mail with: TLS, a login and a message each, by STARTTLS and by smtps, against the real daemon. swaks is not
 * among them: its TLS needs a Perl module that it does not bring; see auth_test.ts.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import nodemailer from "nodemailer";
import { Daemon, DOMAIN, OWNER, run, within } from "./harness.ts";
import { freePort } from "../ports.ts";

const HASH = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";
const USER = "carol", PASSWORD = "sesame";
const SENDER = "carol@example.com";
const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));

const SUBJECT = "Submitted";
const BODY = "First line\r\n.\r\n..two dots\r\nlast line\r\n";
const message = (to: string) => `From: ${SENDER}\r\nTo: ${to}\r\nSubject: ${SUBJECT}\r\n\r\n${BODY}`;
const stuffed = (text: string) => text.replace(/^\./gm, "..");

interface Ports {
  readonly starttls: number;
  readonly smtps: number;
}

interface Row {
  /** Also the recipient. */
  readonly user: string;
  readonly because: string;
  /** How many messages it sends. */
  readonly messages?: number;
  send(ports: Ports, to: string): Promise<void>;
}

async function succeeds(command: string, args: readonly string[], input = "") {
  const ran = await run(command, args, { input });
  assert.equal(ran.code, 0, `${command} ended with ${ran.code}: ${ran.stdout}${ran.stderr}`);
}

const curl = (url: string, to: string, ...more: string[]) =>
  succeeds(
    "curl",
    ["-sSk", "--user", `${USER}:${PASSWORD}`, "--mail-from", SENDER, "--mail-rcpt", to, "-T", "-", ...more, url],
    message(to),
  );

const msmtp = (port: number, to: string, ...more: string[]) =>
  succeeds(
    "msmtp",
    [
      ...[
        "-C",
        "/dev/null",
        "--host=127.0.0.1",
        `--port=${port}`,
        "--tls=on",
        "--tls-certcheck=off",
        `--from=${SENDER}`,
      ],
      ...["--auth=plain", `--user=${USER}`, `--passwordeval=echo ${PASSWORD}`, ...more, to],
    ],
    message(to).replaceAll("\r\n", "\n"),
  );

async function viaNodemailer(port: number, secure: boolean, to: string): Promise<void> {
  const transport = nodemailer.createTransport({
    host: "127.0.0.1",
    port,
    secure,
    requireTLS: !secure,
    tls: { rejectUnauthorized: false },
    auth: { user: USER, pass: PASSWORD },
  });
  await transport.sendMail({ envelope: { from: SENDER, to }, raw: message(to) });
  transport.close();
}

const PYTHON = `
import smtplib, ssl, sys
kind, port, to, message = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.stdin.buffer.read()
context = ssl._create_unverified_context()
client = smtplib.SMTP_SSL("127.0.0.1", port, context=context) if kind == "smtps" else smtplib.SMTP("127.0.0.1", port)
with client:
    if kind != "smtps":
        client.starttls(context=context)
    client.login("${USER}", "${PASSWORD}")
    client.sendmail("${SENDER}", [to], message)
`;

/** What a person types into openssl s_client; it waits for nothing, which pipelining allows behind EHLO. */
async function openssl(args: readonly string[], to: string): Promise<void> {
  const lines = [
    "EHLO client.example.com",
    `AUTH PLAIN ${btoa(`\0${USER}\0${PASSWORD}`)}`,
    `MAIL FROM:<${SENDER}>`,
    `rcpt to:<${to}>`,
    "DATA",
    `${stuffed(message(to))}.`,
    "QUIT",
  ];
  // -quiet: a line that begins with R or Q is for the server. -crlf is not given: the lines have theirs.
  const ran = await run("openssl", ["s_client", "-quiet", ...args], { input: `${lines.join("\r\n")}\r\n` });
  assert.match(ran.stdout, /^235 [^]*^354 [^]*^250 2\.0\.0 [0-9a-f]{8} [^]*^221 /m, ran.stderr);
}

/** The way of Thunderbird: one connection for several messages, MAIL, RCPT and DATA in one packet where PIPELINING is offered. */
async function thunderbird(port: number, to: string, count: number): Promise<void> {
  let socket: net.Socket = net.connect(port, "127.0.0.1");
  let received = "";
  let wake = () => {};
  const follow = () => {
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      received += text;
      wake();
    });
  };
  /** Waits for as many whole replies; answers them. */
  const replies = async (wanted: number): Promise<string[]> => {
    for (;;) {
      const all = received.match(/(?:^\d{3}-.*\r\n)*^\d{3} .*\r\n/gm) ?? [];
      if (all.length >= wanted) {
        received = received.slice(all.join("").length);
        return all;
      }
      await within(new Promise<void>((resolve) => wake = resolve), `${wanted} replies, there is ${received}`);
    }
  };
  const say = async (text: string, ...codes: string[]) => {
    socket.write(text, "latin1");
    const all = await replies(codes.length);
    assert.deepEqual(all.map((reply) => reply.slice(0, 3)), codes, all.join(""));
    return all.join("");
  };
  follow();
  await replies(1);
  assert.match(await say("EHLO [127.0.0.1]\r\n", "250"), /^250-STARTTLS\r$/m);
  await say("STARTTLS\r\n", "220");
  socket.removeAllListeners("data");
  socket = tls.connect({ socket, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  follow();
  const offered = await say("EHLO [127.0.0.1]\r\n", "250");
  assert.match(offered, /^250-PIPELINING\r$/m);
  assert.match(offered, /^250-AUTH .*PLAIN/m);
  await say(`AUTH PLAIN ${btoa(`\0${USER}\0${PASSWORD}`)}\r\n`, "235");
  for (let number = 0; number < count; number++) {
    const mail = `MAIL FROM:<${SENDER}> BODY=8BITMIME SIZE=${message(to).length}\r\n`;
    await say(`${mail}RCPT TO:<${to}>\r\nDATA\r\n`, "250", "250", "354");
    await say(`${stuffed(message(to))}.\r\n`, "250");
  }
  await say("QUIT\r\n", "221");
  socket.destroy();
}

const ROWS: readonly Row[] = [
  {
    user: "openssl",
    because: "openssl s_client, with STARTTLS",
    send: ({ starttls }, to) => openssl(["-starttls", "smtp", "-connect", `127.0.0.1:${starttls}`], to),
  },
  {
    user: "openssls",
    because: "openssl s_client, to the smtps port, by TLS 1.2",
    send: ({ smtps }, to) => openssl(["-tls1_2", "-connect", `127.0.0.1:${smtps}`], to),
  },
  { user: "msmtp", because: "msmtp, with STARTTLS", send: ({ starttls }, to) => msmtp(starttls, to) },
  {
    user: "msmtps",
    because: "msmtp, to the smtps port",
    send: ({ smtps }, to) => msmtp(smtps, to, "--tls-starttls=off"),
  },
  {
    user: "curl",
    because: "curl, with STARTTLS",
    send: ({ starttls }, to) => curl(`smtp://127.0.0.1:${starttls}/client.example.com`, to, "--ssl-reqd"),
  },
  {
    user: "curls",
    because: "curl, to the smtps port",
    send: ({ smtps }, to) => curl(`smtps://127.0.0.1:${smtps}/client.example.com`, to),
  },
  {
    user: "python",
    because: "Python's smtplib, with STARTTLS",
    send: ({ starttls }, to) => succeeds("python3", ["-c", PYTHON, "starttls", `${starttls}`, to], message(to)),
  },
  {
    user: "pythons",
    because: "Python's smtplib, to the smtps port",
    send: ({ smtps }, to) => succeeds("python3", ["-c", PYTHON, "smtps", `${smtps}`, to], message(to)),
  },
  {
    user: "nodemailer",
    because: "nodemailer, with STARTTLS",
    send: (ports, to) => viaNodemailer(ports.starttls, false, to),
  },
  {
    user: "nodemailers",
    because: "nodemailer, to the smtps port",
    send: (ports, to) => viaNodemailer(ports.smtps, true, to),
  },
  {
    user: "thunderbird",
    because: "a client that pipelines as Thunderbird does, three messages over one connection",
    messages: 3,
    send: ({ starttls }, to) => thunderbird(starttls, to, 3),
  },
];

Deno.test("The daemon takes submissions from the programs that people use, under TLS and with a login", async (test) => {
  const ports = { starttls: 0, smtps: freePort() };
  const folder = await Deno.makeTempDir();
  const key = `${folder}/mx.key`;
  await Deno.writeTextFile(key, Deno.readTextFileSync(certificate("mx.key")), { mode: 0o600 });
  const config = ({ port, mail }: { port: number; mail: string }) =>
    `pki "mx.example.org" cert "${certificate("mx.pem")}" key "${key}"
table logins { ${USER} = "${HASH}" }
listen on 127.0.0.1 port ${port} tls-require pki "mx.example.org" auth <logins> received-auth
listen on 127.0.0.1 port ${ports.smtps} smtps pki "mx.example.org" auth <logins> received-auth
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from any auth for domain "${DOMAIN}" action "inbox"
`;
  const daemon = await Daemon.start({ config });
  ports.starttls = daemon.port;
  try {
    for (const { user, because, send, messages = 1 } of ROWS) {
      await test.step(because, async () => {
        await send(ports, `${user}@${DOMAIN}`);
        for (const bytes of await daemon.mailbox(user).messages(messages)) {
          const text = new TextDecoder().decode(bytes);
          assert.match(text, new RegExp(`^Subject: ${SUBJECT}$`, "m"));
          assert.ok(text.endsWith(`\n\n${BODY.replaceAll("\r\n", "\n")}`), `the body came as it was sent:\n${text}`);
          assert.match(text, /with ESMTPSA id [0-9a-f]{8} \(TLS[^)]*\) auth=yes user=carol\n/);
        }
      });
    }
  } finally {
    assert.equal(await daemon.stop(), 0);
    await daemon.remove();
    await Deno.remove(folder, { recursive: true });
  }
});
