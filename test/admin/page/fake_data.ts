/** Data as a busy daemon has it, for the page's tests and screenshots: plausible, and the same at each call but for the time. */

const NO_FAILURE = { failedAt: null, failureClass: null, failure: null };
export const TOKEN_READ = "vp_read_0123456789", TOKEN_WRITE = "vp_write_0123456789";

const MINUTE = 60_000, HOUR = 3_600_000, DAY = 86_400_000;

export const iso = (ms: number): string => new Date(ms).toISOString();

/** What strangers may write where they can: markup, controls, an override of the direction, piled marks, a word of 4 KB. */
export const HOSTILE = {
  markup: `"><img src=x onerror=alert(1)><script>alert(2)</script>@example.org`,
  controls: "250 \u001b[31mred\u0007\u0000\r\nSubject: hi",
  bidi: "user\u202egro.elpmaxe@\u2066evil\u200b.example",
  marks: `zalgo${"\u0301\u0316\u0337\u0489".repeat(40)}@example.org`,
  word: `${"A".repeat(4096)}@example.org`,
} as const;

/** Numbers between 0 and 1, the same each time. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

export const AGES = [
  "under 1 minute",
  "1 to 5 minutes",
  "5 to 15 minutes",
  "15 minutes to 1 hour",
  "1 to 4 hours",
  "4 to 12 hours",
  "12 hours to 1 day",
  "1 to 2 days",
  "2 to 4 days",
  "over 4 days",
];

/** A day in buckets of five minutes: a night, a busy morning, and an hour in which a host did not answer. */
export function series(now: number) {
  const next = random(7), items = [];
  for (let at = now - DAY; at < now; at += 10 * MINUTE) {
    const hour = new Date(at).getUTCHours() + new Date(at).getUTCMinutes() / 60;
    const busy = 0.25 + 0.75 * Math.exp(-(((hour - 10.5) / 3.2) ** 2)) + 0.5 * Math.exp(-(((hour - 15.5) / 2.6) ** 2));
    const ago = (now - at) / HOUR, ill = ago > 5.2 && ago < 6.6;
    const accepted = Math.round(520 * busy * (0.8 + 0.4 * next()));
    const deferred = Math.round(accepted * (ill ? 0.45 + 0.2 * next() : 0.015 + 0.02 * next()));
    const failed = Math.round(accepted * 0.012 * next());
    const done = Math.max(0, accepted - deferred - failed);
    const old = ill ? (6.6 - ago) * 60 : ago <= 5.2 ? Math.max(0, 90 - (5.2 - ago) * 26) : 4;
    items.push({
      at: iso(at),
      accepted,
      delivered: Math.round(done * 0.62),
      relayed: Math.round(done * 0.38),
      deferred,
      failed,
      refused: Math.round(190 * (0.5 + 0.5 * next()) + (ago > 17 && ago < 17.6 ? 840 * next() : 0)),
      delayP50: Number((0.35 + 0.3 * next() + (ill ? 1.5 : 0)).toFixed(3)),
      delayP95: Number((ill ? 340 + 400 * next() : 2.2 + 4 * next()).toFixed(3)),
      queue: [
        Math.round(3 + 6 * busy * next()),
        Math.round(5 + 10 * busy * next()),
        Math.round(2 + old * 0.4),
        Math.round(4 + old * 0.5),
        Math.round(4 + (ago < 5.4 ? old * 0.8 : 2)),
        1,
        7,
        2,
        4,
        0,
      ],
    });
  }
  return { items, next: null, bucketSeconds: 600, ages: AGES };
}

export function overview(now: number) {
  return {
    serverName: "mx1.example.org",
    version: "0.9.0",
    at: iso(now),
    uptimeSeconds: 19 * 86_400 + 4 * 3600 + 11 * 60,
    status: "ok",
    reasons: [] as string[],
    problems: [] as string[],
    paused: [] as string[],
    rates: { accepted: 3.4, delivered: 2.05, relayed: 1.2, deferred: 0.07, failed: 0.01, refused: 0.42 },
    sessions: 6,
    relaySessions: 4,
    localDeliveries: 2,
    envelopes: 47,
    inflight: 6,
    oldestAt: iso(now - 31 * HOUR),
    laneCount: 7,
    history: true,
    checkup: { at: iso(now - 5 * HOUR), errors: 1, warnings: 2 },
  };
}

const SENDERS = [
  "ada@example.org",
  "newsletter@shop.example",
  "grace@example.org",
  "no-reply@billing.example",
  "linus@example.org",
];
const RCPTS = [
  "bob@client.example",
  "sales@partner.example",
  "margaret@uni.example",
  "info@slow.example",
  "team@example.net",
  "office@city.example",
];
const ERRORS = [
  "451 4.7.1 Greylisted, please try again in 5 minutes",
  "Connection to mx.slow.example [192.0.2.77]:25 timed out",
  "452 4.2.2 The mailbox of the recipient is full",
  "421 4.3.2 Service not available, closing transmission channel",
  "",
];

export interface FakeEnvelope {
  readonly envelope: string;
  readonly message: string;
  readonly [key: string]: unknown;
  state: string;
}

export function envelopes(now: number): FakeEnvelope[] {
  return Array.from({ length: 47 }, (_, at) => {
    const message = (0x5f3a1b00 + at * 7).toString(16), age = (at + 1) ** 2 * 50_000 + 9000;
    const rcpt = at === 5
      ? HOSTILE.word
      : at === 6
      ? HOSTILE.markup
      : at === 7
      ? HOSTILE.bidi
      : RCPTS[at % RCPTS.length]!;
    return {
      envelope: `${message}${(0x1c0000 + at * 977).toString(16).padStart(8, "0")}`,
      message,
      agent: at % 4 === 3 ? "mda" : "mta",
      sender: at === 9 ? null : SENDERS[at % SENDERS.length]!,
      rcpt,
      dest: rcpt,
      source: "mta",
      flags: at % 9 === 2 ? ["authenticated"] : [],
      createdAt: iso(now - age),
      expiresAt: iso(now - age + 4 * DAY),
      lastTryAt: iso(now - age / 3),
      tries: 1 + at % 9,
      state: at < 4 ? "inflight" : at % 11 === 8 ? "suspended" : "pending",
      dueAt: at < 4 ? null : iso(now + at * 41_000),
      inflightSince: at < 4 ? iso(now - 3000 * (at + 1)) : null,
      error: at === 7 ? HOSTILE.controls : ERRORS[at % ERRORS.length]!,
      errorClass: null,
    };
  });
}

export function wholeEnvelope({ source: _, ...one }: FakeEnvelope) {
  return {
    ...one,
    action: one.agent === "mda" ? "local" : "outbound",
    user: one.agent === "mda" ? "margaret" : null,
    subAddress: null,
    exec: null,
    internal: false,
    suspended: one.state === "suspended",
    origin: {
      address: "203.0.113.24",
      hostname: "laptop.example.org",
      helo: "laptop.example.org",
      smtpname: "mx1.example.org",
      tag: null,
      username: "ada",
      authenticated: true,
    },
    dsn: { notify: [], ret: null, envid: null, orcpt: null },
    lastBounceAt: null,
    status: "4.7.1",
    remote: "mx.client.example",
    smtpUtf8: false,
    requireTls: false,
    tlsOptional: false,
    mailAuth: null,
    bounce: null,
  };
}

export function lanes(now: number) {
  const lane = (
    agent: string,
    action: string,
    name: string,
    envelopes: number,
    inflight: number,
    limit: string,
    age: number,
    reason: string,
  ) => ({
    agent,
    action,
    name,
    envelopes,
    inflight,
    jobs: inflight,
    maxJobs: agent === "mda" ? 10 : 20,
    limit,
    oldestAt: iso(now - age),
    reason,
  });
  return [
    lane(
      "mta",
      "outbound",
      "slow.example",
      21,
      0,
      "open",
      31 * HOUR,
      "Relay connects to slow.example again in 14 min, after errors.",
    ),
    lane("mta", "outbound", "client.example", 9, 2, "open", 40 * MINUTE, "2 under way, 7 wait for the next attempt."),
    lane(
      "mta",
      "outbound",
      "partner.example",
      6,
      1,
      "jobs",
      12 * MINUTE,
      "The destination has as many deliveries under way as may run at once: 20 of 20.",
    ),
    lane(
      "mta",
      "outbound",
      "uni.example",
      5,
      1,
      "open",
      6 * MINUTE,
      "Relay waits for the DNS to tell the mail exchangers.",
    ),
    lane("mda", "local", "margaret", 4, 2, "open", 2 * MINUTE, "2 under way, 2 wait for the next attempt."),
    lane("mta", "outbound", HOSTILE.bidi, 1, 0, "open", MINUTE, "1 waits for the next attempt."),
    lane("bounce", "", "5f3a1b07", 1, 0, "open", 5000, "1 waits for the next attempt."),
  ];
}

export function hosts(now: number) {
  return [
    {
      address: "192.0.2.25",
      name: "mx.client.example",
      references: 2,
      connections: 2,
      lastConnectAt: iso(now - 4000),
      transactionMs: 181,
      ...NO_FAILURE,
    },
    {
      address: "198.51.100.14",
      name: "mx1.partner.example",
      references: 1,
      connections: 1,
      lastConnectAt: iso(now - 21_000),
      transactionMs: 96.4,
      ...NO_FAILURE,
    },
    {
      address: "192.0.2.77",
      name: "mx.slow.example",
      references: 1,
      connections: 0,
      lastConnectAt: iso(now - 11 * MINUTE),
      transactionMs: null,
      ...NO_FAILURE,
    },
  ];
}

export function sessions(now: number) {
  const one = (at: number, address: string, host: string, changes: Record<string, unknown>) => ({
    session: `7f3a09c1e2d4${(0xa100 + at).toString(16)}`,
    since: iso(now - (at + 1) * 7000),
    lastAt: iso(now - at * 900),
    address,
    host,
    tls: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
    login: null,
    messages: at,
    refused: 0,
    lastRefusal: null,
    ...changes,
  });
  return [
    one(0, "198.51.100.7", "mail-a.shop.example", {}),
    one(1, "203.0.113.24", "laptop.example.org", { login: "ada" }),
    one(2, "192.0.2.140", "", {
      tls: null,
      refused: 3,
      lastRefusal: "550 5.1.1 <info@example.org>: no such user here",
    }),
    one(3, "2001:db8:4:18::25", "out3.big.example", {}),
    one(4, "192.0.2.9", HOSTILE.markup, { refused: 1, lastRefusal: HOSTILE.controls }),
    one(5, "198.51.100.80", "relay.city.example", {}),
  ];
}

export function certificates(now: number) {
  return [
    {
      name: "mx1.example.org",
      source: "acme",
      notAfter: iso(now + 61 * DAY),
      names: ["mx1.example.org", "mail.example.org"],
      issuer: "Let's Encrypt R13",
      failures: 0,
      retryAt: null,
    },
    {
      name: "lists.example.org",
      source: "file",
      notAfter: iso(now + 12 * DAY),
      names: ["lists.example.org"],
      issuer: "Example CA G2",
      failures: 0,
      retryAt: null,
    },
    {
      name: "new.example.org",
      source: "temporary",
      notAfter: iso(now + 7 * DAY),
      names: ["new.example.org"],
      issuer: "itself",
      failures: 2,
      retryAt: iso(now + 25 * MINUTE),
    },
  ];
}

export function checkup(now: number) {
  const one = (level: string, check: string, subject: string, text: string, advice: string | null = null) => ({
    check,
    subject,
    level,
    text,
    advice,
  });
  return {
    at: iso(now - 5 * HOUR),
    findings: [
      one(
        "error",
        "ptr",
        "203.0.113.5",
        "the address has the name host5.provider.example, which does not lead back to it",
        "have the provider set its PTR record to mx1.example.org",
      ),
      one(
        "warning",
        "dmarc",
        "example.org",
        "the policy is p=none: receivers take forged mail of this domain as they like",
        'when reports are clean, set "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org" at _dmarc.example.org',
      ),
      one(
        "warning",
        "certificate",
        "lists.example.org",
        "the certificate ends in 12 days",
        "renew /etc/ssl/lists.example.org.pem",
      ),
      one("unknown", "dnssec", "example.org", "the resolver does not say whether it has checked the signatures"),
      one("ok", "mx", "example.org", "mx1.example.org, preference 10"),
      one("ok", "spf", "example.org", "v=spf1 mx -all lets this host send"),
      one("ok", "dkim", "example.org", "the record of the selector s2026 has the key that signs"),
      one("ok", "spool", "/var/spool/vaultpost", "118 GB are free"),
    ],
  };
}

export function walls() {
  const common = [
    "no privilege can be had (no-new-privs, no capabilities)",
    "seccomp refuses ways into the kernel and new processes",
    "sees itself alone in /proc",
  ];
  const one = (
    process: string,
    pid: number,
    isolates: string[],
    stands: string[],
    says: string[],
    missing: string[] = [],
  ) => ({ process, pid, stands: [...stands, ...common], says, missing, isolates });
  return [
    one("front", 2104, ["smtp-1", "smtp-2", "login", "control"], [
      "user smtpd",
      "network namespace of its own, empty",
      "makes no internet and no unix sockets",
      "reads nothing and writes nothing besides its program",
    ], []),
    one("out", 2105, ["relay", "lookup", "acme"], [
      "user smtpd",
      "TCP: connects; binds no port of its choice",
      "starts no programs",
      "reads /etc/passwd and the files of tables",
    ], ["the machine's network namespace"]),
    one("vault", 2106, ["queue", "scheduler", "signer", "history"], [
      "user smtpq",
      "network namespace of its own, empty",
      "reads and writes the spool",
    ], []),
    one("parent", 2103, ["mailbox-1", "forward", "file"], ["user root"], [
      "it is not confined: it opens mailboxes as their users",
    ], ["Landlock: the kernel is 5.10, and has none"]),
  ];
}

export function messages(now: number) {
  const one = (
    at: number,
    id: string,
    outcome: string,
    from: string | null,
    to: string[],
    reply: string | null,
    changes: Record<string, unknown> = {},
  ) => ({
    id,
    session: "7f3a09c1e2d4a1b7",
    at: iso(now - at * MINUTE - 4000),
    lastAt: iso(now - at * MINUTE),
    from,
    to,
    rcpts: to.length,
    peer: "203.0.113.24",
    login: null,
    messageId: `<${id}.1@example.org>`,
    bytes: 3800 + at * 913,
    outcome,
    reply,
    replyClass: null,
    ...changes,
  });
  return [
    one(
      0.2,
      "5f3a1b2c",
      "delivered",
      "newsletter@shop.example",
      ["margaret@example.org"],
      "250 2.0.0 delivered to mailbox",
    ),
    one(
      1,
      "5f3a1b2a",
      "deferred",
      "ada@example.org",
      ["info@slow.example"],
      "Connection to mx.slow.example [192.0.2.77]:25 timed out",
      { replyClass: "unreachable" },
    ),
    one(
      2,
      "7f3a09c1e2d4a1b7",
      "refused",
      null,
      ["info@example.org"],
      "550 5.1.1 <info@example.org>: no such user here",
      {
        replyClass: "no-such-user",
        bytes: null,
      },
    ),
    one(3, "5f3a1b23", "relayed", "grace@example.org", [
      "bob@client.example",
      "sales@partner.example",
      "office@city.example",
    ], "250 2.0.0 OK 1764540000 x12-2002a05651c0b2b00 gsmtp"),
    one(
      5,
      "5f3a1b1c",
      "bounced",
      "linus@example.org",
      ["nobody@uni.example"],
      "550 5.1.1 The email account that you tried to reach does not exist",
      { replyClass: "no-such-user" },
    ),
    one(9, "5f3a1b15", "refused", HOSTILE.markup, [HOSTILE.word], HOSTILE.controls),
    one(12, "5f3a1b0e", "mixed", "<>", [HOSTILE.bidi], HOSTILE.marks),
    one(15, "5f3a1b07", "queued", "ada@example.org", ["team@example.net"], null),
    ...Array.from(
      { length: 14 },
      (_, at) =>
        one(
          20 + at * 7,
          `5f3a1a${(0x10 + at).toString(16)}`,
          at % 5 === 4 ? "relayed" : "delivered",
          SENDERS[at % 5]!,
          [RCPTS[at % 6]!],
          "250 2.0.0 OK",
        ),
    ),
  ];
}

/** The story of one message, as `smtpctl story` tells it, with the events that it was made of. */
export function story(now: number, id: string) {
  const at = (minutes: number) => iso(now - minutes * MINUTE);
  const line = (minutes: number, kind: string, level: string, text: string, detail?: string[]) => ({
    at: at(minutes),
    text,
    kind,
    level,
    detail: detail ?? [],
  });
  const rule = (line: number) => ({ file: "/etc/vaultpost/smtpd.conf", line });
  return {
    id,
    headline:
      "Not delivered yet to info@slow.example: mx.slow.example [192.0.2.77] did not answer in 60 seconds. It is tried again in 14 minutes.",
    level: "warn",
    facts: {
      message: "5f3a1b2a",
      session: "7f3a09c1e2d4a1b7",
      from: "ada@example.org",
      to: ["info@slow.example", "staff@example.org"],
      recipients: 2,
      peer: "laptop.example.org [203.0.113.24]",
      login: "ada",
      messageId: "<20261130.2231.ada@laptop.example.org>",
      bytes: 48_211,
      firstAt: at(190),
      lastAt: at(11),
    },
    lines: [
      line(
        190,
        "connection",
        "info",
        "laptop.example.org [203.0.113.24] connected to the listener 203.0.113.5:587 and went on with TLS 1.3 (TLS_AES_256_GCM_SHA384).",
      ),
      line(189.99, "connection", "ok", "It logged in as ada, by SCRAM-SHA-256."),
      line(
        189.98,
        "refusal",
        "bad",
        "RCPT TO:<inof@slow.example> was refused: 550 5.1.1 no such domain here (ref 7f3a09c1-1).",
        [`C: RCPT TO:<inof@slow.example>`, HOSTILE.controls],
      ),
      line(189.97, "recipient", "info", "staff@example.org leads to 2 mailboxes.", [
        "alias staff (table aliases)",
        "  margaret: maildir ~/Maildir, as margaret",
        "  grace: forwarded to grace@home.example by ~/.forward:1",
      ]),
      line(189.96, "check", "ok", "SPF passed, DKIM was signed with s2026 for example.org."),
      line(
        189.95,
        "message",
        "ok",
        "The message was accepted as 5f3a1b2a: 48,211 bytes, on stable storage after 11 ms.",
      ),
      line(189.9, "attempt", "ok", "margaret: delivered to ~/Maildir."),
      line(188, "attempt", "warn", "info@slow.example: mx.slow.example [192.0.2.77] did not answer in 60 seconds.", [
        "attempt 1 · port 25 · no TLS was reached",
      ]),
      line(130, "attempt", "warn", "The same 4 times more, until 22:31."),
      line(11, "attempt", "warn", "info@slow.example: mx.slow.example [192.0.2.77] did not answer in 60 seconds.", [
        "attempt 6",
      ]),
    ],
    now: [
      "In the queue as 5f3a1b2a001c9d11: due in 14 minutes, given up on Friday at 22:31.",
      "Relay connects to slow.example again in 14 minutes, after errors.",
    ],
    notes: ["A filter program of this host (rspamd) has seen the message; what it looked at is not recorded."],
    events: [
      {
        at: at(189.95),
        isolate: "smtp-1",
        event: {
          type: "smtp-message",
          session: "7f3a09c1e2d4a1b7",
          message: "5f3a1b2a",
          detail: {
            routed: [
              {
                address: "info@slow.example",
                how: "recipient",
                rule: rule(41),
                result: "action",
                action: "outbound",
                goal: { kind: "relay", text: "" },
                children: [],
              },
              {
                address: "staff@example.org",
                how: "recipient",
                rule: rule(38),
                result: "expanded",
                children: [
                  {
                    address: "margaret",
                    how: "alias",
                    table: "aliases",
                    rule: null,
                    result: "action",
                    action: "local",
                    goal: { kind: "maildir", user: "margaret", text: "~/Maildir" },
                    children: [],
                  },
                  {
                    address: "grace",
                    how: "alias",
                    table: "aliases",
                    rule: null,
                    result: "expanded",
                    children: [{
                      address: "grace@home.example",
                      how: "forward",
                      table: "/home/grace/.forward:1",
                      rule: rule(41),
                      result: "action",
                      action: "outbound",
                      goal: { kind: "relay", text: "" },
                      children: [],
                    }],
                  },
                  {
                    address: "olduser",
                    how: "alias",
                    table: "aliases",
                    rule: null,
                    result: "unknown",
                    reason: "there is no such account",
                    children: [],
                  },
                  {
                    address: HOSTILE.markup,
                    how: "alias",
                    table: "aliases",
                    rule: rule(41),
                    result: "reject",
                    reason: HOSTILE.bidi,
                    children: [],
                  },
                ],
              },
            ],
          },
        },
      },
      {
        at: at(11),
        isolate: "relay",
        event: { type: "delivery", envelope: "5f3a1b2a001c9d11", stat: "Connection timed out" },
      },
    ],
  };
}

export function dialogue(now: number) {
  const said = (ms: number, from: string, text: string) => ({ ms, from, text });
  return [{
    session: "7f3a09c1e2d4a1b7",
    side: "in",
    at: iso(now - 190 * MINUTE),
    before: 2,
    lines: [
      said(0, "server", "220 mx1.example.org ESMTP Vaultpost"),
      said(12, "client", "EHLO laptop.example.org"),
      said(13, "server", "250-mx1.example.org Hello laptop.example.org [203.0.113.24], pleased to meet you"),
      said(240, "client", "AUTH SCRAM-SHA-256 ***"),
      said(256, "server", "235 2.0.0 Authentication succeeded"),
      said(270, "client", "MAIL FROM:<ada@example.org> SIZE=48211"),
      said(271, "server", "250 2.0.0 Ok"),
      said(284, "client", "RCPT TO:<inof@slow.example>"),
      said(290, "server", "550 5.1.1 no such domain here (ref 7f3a09c1-1)"),
      said(301, "client", HOSTILE.markup),
      said(302, "server", HOSTILE.controls),
    ],
  }];
}
