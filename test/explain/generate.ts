/** Makes configurations, clients and messages by chance, from few words so that they meet often; and makes what has failed smaller. */

import type { FixtureZones } from "../mail_auth/fixture_dns.ts";

/** One configuration with one message that comes to it. All of it is text, so that parts can be left out. */
export interface Case {
  /** Lines of smtpd.conf. */
  readonly lines: readonly string[];
  readonly forwards: Readonly<Record<string, string>>;
  /** Index of the listener, counted behind the socket; 0 is the socket. */
  readonly listener: number;
  readonly peer: string;
  readonly helo: string;
  readonly tls: boolean;
  /** "alice", who has a password, or others, who have none. */
  readonly login: string | null;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Lines of the message, without their ends. */
  readonly message: readonly string[];
  /** Octets that the client sends at once, for the way of the real thing. */
  readonly piece: number;
}

/** What each client is called; others have no name. */
export const NAMES: Readonly<
  Record<string, readonly [hostname: string, confirmed: "pass" | "fail" | "error" | "temporary"]>
> = {
  "192.0.2.7": ["client.example.net", "pass"],
  "192.0.2.8": ["dsl-8.example.com", "fail"],
  "192.0.2.9": ["<unknown>", "error"],
  "198.51.100.1": ["<unknown>", "temporary"],
  "2001:db8::7": ["six.example.net", "pass"],
  "127.0.0.1": ["localhost", "pass"],
};

export const ZONES: FixtureZones = {
  "example.net": [{ TXT: "v=spf1 ip4:192.0.2.7 ip6:2001:db8::7 -all" }],
  "_dmarc.example.net": [{ TXT: "v=DMARC1; p=reject" }],
  "example.com": [{ TXT: "v=spf1 ?all" }],
  "_dmarc.example.com": ["TIMEOUT"],
  "client.example.net": [{ TXT: "v=spf1 a -all" }, { A: "192.0.2.7" }],
};

/** Files that tables are read from. */
export const FILES: Readonly<Record<string, string>> = {
  "/t/domains": "example.org\n*.example.com\n# none\nxn--bcher-kva.example\n",
  "/t/aliases":
    'postmaster: bob\nteam: alice, bob+work, "|/bin/cat", /var/mail/team\nlist: :include:/t/members\nodd: alice,,bob\n',
  "/t/members": "alice\ncarol@example.com\nteam\nbob@example.org\n",
  "/t/patterns": "^a.*@example\\.(net|com)$\n(\n@x\n",
};

/** The password of alice. */
export const PASSWORD = "secret";

/** A generator of numbers (mulberry32): the same seed has the same numbers. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  of<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)]!;
  }

  upTo(most: number): number {
    return Math.floor(this.next() * (most + 1));
  }

  /** True once in so many times. */
  once(inTimes: number): boolean {
    return this.next() * inTimes < 1;
  }

  some<T>(list: readonly T[], most: number): T[] {
    return Array.from({ length: this.upTo(most) }, () => this.of(list));
  }
}

const DOMAINS = ["example.org", "example.com", "example.net", "sub.example.com", "closed.example", "bücher.example"];
const LOCALS = [
  "alice",
  "bob",
  "ALICE",
  "nobody",
  "team",
  "list",
  "alice+tag",
  "sales",
  "loop",
  "odd",
  "go",
  "root",
  "vmail",
];
const PATTERNS = [
  "alice@",
  "@example.net",
  "@*.example.com",
  "bob@example.org",
  "root",
  "alice@example.org",
  "@closed.example",
  "@",
];
const NETWORKS = ["192.0.2.0/24", "!192.0.2.9", "2001:db8::/32", "127.0.0.1", "local", "198.51.100.1"];
const TARGETS = [
  "alice",
  "bob",
  "nobody",
  "alice+x",
  "sales",
  "loop",
  "carol@example.com",
  "bob@example.org",
  "x@closed.example",
  "|/bin/cat",
  "/var/mail/box",
  ":include:/t/members",
  "error:550 5.7.1 gone",
  "error:451 later",
  "@example.net",
];
const TAGS = ["MX", "SUB"];

/** An address as a client may name it. */
function address(chance: Chance): string {
  if (chance.once(25)) {
    return chance.of(["", "no address", "a@", "@x", "a@b@c", '"a b"@example.org', "postmaster", "a@[192.0.2.1]"]);
  }
  const domain = chance.of(DOMAINS);
  return `${chance.of(LOCALS)}@${chance.once(12) ? domain.toUpperCase() : domain}`;
}

const quoted = (text: string) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
const listOf = (chance: Chance, words: readonly string[], most: number) => {
  const some = chance.some(words, most - 1);
  return `{ ${[chance.of(words), ...some].map(quoted).join(", ")} }`;
};

function mapOf(entries: readonly (readonly [string, string])[]): string {
  return `{ ${entries.map(([key, value]) => `${quoted(key)} = ${quoted(value)}`).join(", ")} }`;
}

/** Tables by what they are for. */
function tables(chance: Chance): string[] {
  const aliases = ["sales", "team", "go", "loop", "alice", "bob", "root"].filter(() => chance.once(2))
    .map((key) =>
      [
        key,
        key === "loop" && chance.once(2) ? "loop" : [chance.of(TARGETS), ...chance.some(TARGETS, 2)].join(", "),
      ] as const
    );
  const virtual = ["alice@example.org", "@example.com", "sales", "@", "bob@closed.example", "team@example.org"].filter(
    () => chance.once(2),
  )
    .map((key) => [key, [chance.of(TARGETS), ...chance.some(TARGETS, 1)].join(", ")] as const);
  return [
    `table domains ${
      chance.once(4)
        ? "file:/t/domains"
        : listOf(chance, [...DOMAINS.map((one) => one.replace("bücher", "bücher")), "*.com", "*"], 4)
    }`,
    `table addresses ${listOf(chance, PATTERNS, 3)}`,
    `table networks ${listOf(chance, NETWORKS, 3)}`,
    `table hosts ${listOf(chance, ["client.example.net", "*.example.com", "localhost", "six.example.net"], 2)}`,
    `table patterns ${
      chance.once(3) ? "file:/t/patterns" : listOf(chance, ["^a", "example\\.org$", "@.*net", "dsl"], 2)
    }`,
    `table found ${
      listOf(chance, ["spf=pass", "spf=fail", "dmarc=fail", "dmarc=none", "dkim=none", "dmarc=temperror"], 2)
    }`,
    `table aliases ${chance.once(3) || aliases.length === 0 ? "file:/t/aliases" : mapOf(aliases)}`,
    `table virtuals ${mapOf(virtual.length === 0 ? [["alice", "bob"]] : virtual)}`,
    `table people ${
      mapOf([["alice", "2000:2000:/home/v/alice"], ["sales", chance.once(5) ? "odd" : "2001:2001:/home/v/sales"]])
    }`,
    `table users ${listOf(chance, ["alice", "bob", "mallory"], 2)}`,
    `table logins ${mapOf([["alice", chance.once(8) ? chance.of(["*", "clear", "{ODD}x"]) : `{PLAIN}${PASSWORD}`]])}`,
    `table owned ${mapOf([["alice", chance.of(["alice@example.org", "@example.org, alice@example.com", "@"])]])}`,
    `table smarthosts ${
      listOf(chance, ["smtp://mx1.example.net", "smtps://user@mx2.example.net", "smtp+tls://mx3.example.net:2525"], 2)
    }`,
    `table routes ${
      mapOf([["example.com", "smtp://r.example.net"], ["xn--bcher-kva.example", "lmtp://r2.example.net"]])
    }`,
  ];
}

/** `{ … }`, or the name of a table. */
function actions(chance: Chance): { readonly lines: string[]; readonly names: string[] } {
  const lines: string[] = [], names: string[] = [];
  const count = 1 + chance.upTo(2);
  for (let number = 0; number < count; number++) {
    const name = `l${number}`;
    const method = chance.of([
      "mbox",
      "maildir",
      'maildir "~/M/%{user}" junk',
      'lmtp "localhost:24"',
      'lmtp "/run/x" rcpt-to',
      'mda "/bin/cat %{rcpt}"',
      "forward-only",
      "expand-only",
    ]);
    const mapping = chance.of(["", "", "alias <aliases>", "alias <aliases>", "virtual <virtuals>"]);
    const base = method === "expand-only" ? "" : chance.of(["", "", "", "userbase <people>"]);
    const user = /only$|^mbox/.test(method) ? "" : chance.of(["", "", "", "", "user vmail", "user alice"]);
    lines.push(`action ${quoted(name)} ${[method, mapping, base, user].filter((one) => one !== "").join(" ")}`);
    names.push(name);
  }
  const where = chance.of([
    "",
    "host smtp://mx1.example.net",
    "host <smarthosts>",
    "domain <routes>",
    "backup",
    "helo h.example.org",
    "mail-from m@example.org",
    "srs",
  ]);
  lines.push(`action "out" relay ${where}`);
  names.push("out", "out");
  return { lines, names };
}

function filters(
  chance: Chance,
  { checked }: { readonly checked: boolean },
): { readonly lines: string[]; readonly names: string[] } {
  const lines: string[] = [], names: string[] = [];
  for (let number = chance.once(2) ? 0 : chance.upTo(3); number > 0; number--) {
    const name = `f${number}`;
    const phase = chance.of(["connect", "ehlo", "mail-from", "rcpt-to", "data", "commit", "auth"]);
    const sees: Readonly<Record<string, readonly string[]>> = {
      connect: ["fcrdns", "rdns", "rdns <hosts>", "src <networks>"],
      ehlo: ["fcrdns", "rdns <hosts>", "src <networks>", "helo <hosts>"],
      auth: ["src <networks>", "rdns"],
      "mail-from": [
        "mail-from <addresses>",
        "mail-from regex <patterns>",
        "auth",
        "auth <users>",
        "helo <hosts>",
        "rdns",
      ],
      "rcpt-to": ["rcpt-to <addresses>", "mail-from <addresses>", "auth", "src <networks>", "rcpt-to regex <patterns>"],
      data: ["auth", "mail-from <addresses>", "fcrdns"],
      commit: [
        "auth",
        "mail-from <addresses>",
        ...checked ? ['spf { "fail" }', 'dmarc { "fail", "temperror" }', 'dmarc { "pass" }'] : [],
      ],
    };
    const decision = chance.of([
      'reject "550 5.7.1 no"',
      'reject "451 4.7.1 later"',
      'disconnect "421 4.7.0 bye"',
      'disconnect "550 5.7.1 go away"',
      ...phase === "commit" ? [] : ["junk", "bypass"],
      'report "seen"',
      ...phase === "mail-from" || phase === "rcpt-to"
        ? [`rewrite "<${chance.of(["alice@example.org", "bob@example.com"])}>"`]
        : [],
    ]);
    lines.push(
      `filter ${name} phase ${phase} match ${chance.once(4) ? "!" : ""}${chance.of(sees[phase]!)} ${decision}`,
    );
    names.push(name);
  }
  return { lines, names };
}

function listeners(
  chance: Chance,
  { filterNames, checked }: { readonly filterNames: readonly string[]; readonly checked: boolean },
): string[] {
  const count = 1 + chance.upTo(1);
  return Array.from({ length: count }, (_, number) => {
    const tls = chance.of(["", "", "", "tls", "tls-require", "smtps"]);
    // Logins are offered under TLS alone unless the line says otherwise.
    const auth = chance.of(["", "", "auth-optional <logins>", checked ? "" : "auth <logins>"]);
    const words = [
      tls === "" ? "" : `${tls} pki mail.example.org`,
      auth,
      auth === "" || chance.once(2) ? "" : `senders <owned>${chance.once(2) ? " masquerade" : ""}`,
      chance.once(2) ? `tag ${chance.of(TAGS)}` : "",
      checked ? "mail-auth" : "",
      chance.once(5) ? "mask-src" : "",
      chance.once(5) ? "received-auth" : "",
      chance.once(6) ? "no-dsn" : "",
      !checked && chance.once(5) ? "submission" : "",
      chance.once(5) ? "hostname other.example.org" : "",
      filterNames.length === 0 || chance.once(3) ? "" : `filter { ${filterNames.join(", ")} }`,
    ];
    return `listen on ${chance.once(5) ? "::1" : "127.0.0.1"} port ${2525 + number} ${
      words.filter((one) => one !== "").join(" ")
    }`;
  });
}

const FROM = [
  "any",
  "any",
  "any",
  "any",
  "local",
  "socket",
  "src <networks>",
  "auth",
  "auth <users>",
  "mail-from <addresses>",
  "rdns",
  "rdns <hosts>",
  "rdns regex <patterns>",
  'src "192.0.2.7"',
];
const FOR = [
  "any",
  "any",
  "local",
  "domain <domains>",
  'domain "example.org"',
  "rcpt-to <addresses>",
  "domain regex <patterns>",
];

function rules(
  chance: Chance,
  { names, checked }: { readonly names: readonly string[]; readonly checked: boolean },
): string[] {
  const last = chance.once(3) ? [] : [`match from any for any action ${quoted(chance.of(names))}`];
  const made = Array.from({ length: 1 + chance.upTo(4) }, () => {
    const not = () => chance.once(6) ? "!" : "";
    const from = chance.of(FROM), to = chance.of(FOR);
    const words = [
      chance.once(6)
        ? `${not()}tag ${
          chance.of([...TAGS, "regex <patterns>"].map((one) => one.startsWith("regex") ? one : quoted(one)))
        }`
        : "",
      `${not()}from ${from}`,
      `${not()}for ${to}`,
      chance.once(8) ? `${not()}helo <hosts>` : "",
      chance.once(8) ? `${not()}tls` : "",
      !from.startsWith("auth") && chance.once(8) ? `${not()}auth` : "",
      !from.startsWith("mail-from") && chance.once(8)
        ? `${not()}mail-from ${chance.of(["<addresses>", "regex <patterns>"])}`
        : "",
      !to.startsWith("rcpt-to") && chance.once(8) ? `${not()}rcpt-to <addresses>` : "",
      checked && chance.once(4) ? `${not()}mail-auth <found>` : "",
    ];
    const outcome = chance.once(6) ? "reject" : `action ${quoted(chance.of(names))}`;
    return `match ${words.filter((one) => one !== "").join(" ")} ${outcome}`;
  });
  return [...made, ...last];
}

const HEADERS = [
  "From: a@example.net",
  "From: Alice <alice@example.org>, b@example.com",
  "To: x@example.org",
  "Subject: x",
  "Date: Fri, 2 Jan 2026 03:04:05 +0000",
  "Message-ID: <1@example.net>",
  "Received: from a by b; Fri, 2 Jan 2026 03:04:05 +0000",
  "Authentication-Results: mail.example.org; spf=pass",
  "Bcc: y@example.org",
  "TLS-Required: No",
  "Subject: bücher",
  "X-Long: " + "x".repeat(300),
  " folded",
  "no field",
  "Delivered-To: alice@example.org",
];
const BODY = ["", "text", ".", "..dots", "bücher", "x".repeat(997), "x".repeat(2500), "From me", "a\rb", "\0"];

function message(chance: Chance): string[] {
  const header = chance.some(HEADERS, 6);
  if (chance.once(60)) header.push(...Array.from({ length: 120 }, () => HEADERS[6]!));
  return [...header, "", ...chance.some(chance.once(8) ? BODY : BODY.slice(0, 6), 4)];
}

const HELOS = ["client.example.net", "dsl-8.example.com", "[192.0.2.7]", "localhost"];
const LOGINS = ["alice", "alice", "alice", "mallory"];

/** Makes the case of this number. The configuration may be one that is refused; most are not. */
export function generate(seed: number): Case {
  const chance = new Chance(seed);
  const made = actions(chance), checked = chance.once(3);
  const filtered = filters(chance, { checked });
  const listening = listeners(chance, { filterNames: filtered.names, checked });
  const lines = [
    'srs key "x"',
    'pki mail.example.org cert "/c"',
    'pki mail.example.org key "/k"',
    ...chance.once(5) ? [`smtp limit max-rcpt ${1 + chance.upTo(2)}`] : [],
    ...chance.once(6) ? [`smtp limit max-errors ${1 + chance.upTo(3)}`] : [],
    ...chance.once(6) ? ["smtp max-message-size 1K"] : [],
    ...chance.once(6) ? ['smtp sub-addr-delim "-"'] : [],
    ...tables(chance),
    ...filtered.lines,
    ...listening,
    ...made.lines,
    ...rules(chance, { names: made.names, checked }),
  ];
  const forwards = Object.fromEntries(
    ["alice", "bob"].filter(() => chance.once(4)).map((
      user,
    ) => [user, chance.some([...TARGETS, `\\${user}`, user, "# x", "alice, bob"], 3).join("\n")]),
  );
  const listener = chance.once(5) ? 0 : 1 + chance.upTo(listening.length - 1);
  const line = listener === 0 ? "" : listening[listener - 1]!;
  return {
    lines,
    forwards,
    listener,
    peer: chance.of(Object.keys(NAMES)),
    helo: chance.once(20) ? chance.of(["bad name", "x_y", "-"]) : chance.of(HELOS),
    // What the listener does not offer is asked of it now and then.
    tls: !chance.once(12) === line.includes(" pki "),
    login: chance.once(2) && !chance.once(12) === line.includes("<logins>") ? chance.of(LOGINS) : null,
    sender: chance.once(8) ? "" : address(chance),
    recipients: [address(chance), ...Array.from({ length: chance.upTo(3) }, () => address(chance))],
    message: message(chance),
    piece: chance.of([1, 7, 100, 5000]),
  };
}

/** Returns cases that are smaller by one part each. */
export function* smaller(one: Case): Generator<Case> {
  for (const key of ["lines", "recipients", "message"] as const) {
    for (const index of one[key].keys()) {
      const left = one[key].toSpliced(index, 1);
      if (key !== "recipients" || left.length > 0) yield { ...one, [key]: left };
    }
  }
  for (const user of Object.keys(one.forwards)) {
    const { [user]: _, ...forwards } = one.forwards;
    yield { ...one, forwards };
  }
  if (one.tls) yield { ...one, tls: false };
  if (one.login !== null) yield { ...one, login: null };
  if (one.piece !== 5000) yield { ...one, piece: 5000 };
  // Words of a line behind its third.
  for (const [index, line] of one.lines.entries()) {
    const words = line.split(" ");
    for (let at = 3; at < words.length; at++) {
      yield { ...one, lines: one.lines.with(index, words.toSpliced(at, 1).join(" ")) };
    }
  }
}
