/** The resolver against a name server on loopback. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import packet from "dns-packet";
import { type DnsResult, mailAuthDns, Resolver, type ResolverOptions } from "../../src/dns/mod.ts";
import { a, aaaa, cname, type FakeDns, fakeDns, type FakeDnsOptions, mx, ptr, txt, type Zone } from "./fake_dns.ts";

interface World {
  readonly resolver: Resolver;
  readonly dns: FakeDns;
  clock: number;
}

async function withZone(
  zone: Zone,
  act: (world: World) => Promise<void>,
  options: FakeDnsOptions & {
    hosts?: { address: string; names: string[] }[];
    before?: { address: string; port: number }[];
  } = {},
): Promise<void> {
  const dns = await fakeDns(zone, options);
  const servers = [...options.before ?? [], { address: "127.0.0.1", port: dns.port }];
  const world = { clock: 1_000_000, dns } as World & { resolver: Resolver };
  world.resolver = new Resolver({ servers, timeoutMs: 100, attempts: 2, hosts: options.hosts ?? [] }, {
    now: () => world.clock,
  });
  try {
    await act(world);
  } finally {
    await dns.close();
  }
}

function show(result: DnsResult<unknown>): string {
  return result.ok
    ? result.records.map((record) => typeof record === "string" ? record : Object.values(record as object).join(" "))
      .join(", ")
    : result.reason;
}

const zone: Zone = {
  "mail.test": [mx(20, "b.test"), mx(10, "A.test"), mx(20, "c.test")],
  "null.test": [mx(0, ".")],
  "nomx.test": [a("192.0.2.1")],
  "both.test": [aaaa("2001:db8::1"), a("192.0.2.1"), a("192.0.2.2")],
  "six.test": [aaaa("2001:db8::1")],
  "alias.test": [cname("both.test")],
  "aliased-mail.test": [cname("mail.test")],
  "elsewhere.test": [cname("other.example")],
  "loop.test": [cname("loop2.test")],
  "loop2.test": [cname("loop.test")],
  "servfail.test": "SERVFAIL",
  "refused.test": "REFUSED",
  "notimp.test": "NOTIMP",
  "formerr.test": "FORMERR",
  "badvers.test": "BADVERS",
  "code19.test": "RCODE_19",
  "yxdomain.test": "YXDOMAIN",
  "notauth.test": "NOTAUTH",
  "referral.test": "referral",
  "cut.test": "cut",
  "noaaaa.test": [a("192.0.2.7")],
  "AAAA noaaaa.test": "NOTIMP",
  "onlynoaaaa.test": [],
  "AAAA onlynoaaaa.test": "NOTIMP",
  "silent.test": "silent",
  "xn--bcher-kva.test": [a("192.0.2.9")],
};

const mxRows = [
  {
    name: "mail.test",
    want: "10 a.test, 20 b.test, 20 c.test",
    because: "sorted by preference, equal ones in the answer's order",
  },
  { name: "MAIL.test.", want: "10 a.test, 20 b.test, 20 c.test", because: "case and the last dot mean nothing" },
  { name: "null.test", want: "0 ", because: "a null MX is a record" },
  { name: "nomx.test", want: "nodata", because: "the name exists without MX" },
  { name: "nowhere.test", want: "nxdomain", because: "the name does not exist" },
  { name: "aliased-mail.test", want: "10 a.test, 20 b.test, 20 c.test", because: "a CNAME is followed" },
  { name: "servfail.test", want: "temporary", because: "the server failed" },
  { name: "refused.test", want: "temporary", because: "the server refused" },
  {
    name: "notimp.test",
    want: "temporary",
    because: "a server that has no idea of MX does not say that there is none",
  },
  { name: "formerr.test", want: "temporary", because: "the server does not understand the question" },
  {
    name: "badvers.test",
    want: "temporary",
    because: "an extended code, though the header has none (RFC 6891 §6.1.3)",
  },
  { name: "code19.test", want: "temporary", because: "an extended code whose lower bits are those of NXDOMAIN" },
  { name: "yxdomain.test", want: "temporary", because: "a code of dynamic updates" },
  { name: "notauth.test", want: "temporary", because: "another one" },
  { name: "referral.test", want: "temporary", because: "a server that only names others" },
  { name: "cut.test", want: "temporary", because: "an answer that is cut over TCP too" },
  { name: "silent.test", want: "temporary", because: "no answer in time" },
  { name: "loop.test", want: "temporary", because: "CNAMEs in a circle" },
  { name: "bad..test", want: "invalid", because: "an empty label" },
  { name: "bad name.test", want: "invalid", because: "a space" },
  { name: "x".repeat(64) + ".test", want: "invalid", because: "a label of 64 octets" },
  { name: "x.".repeat(130) + "test", want: "invalid", because: "a name of more than 253 octets" },
  { name: "", want: "invalid", because: "an empty name" },
];
Deno.test("mx", async (test) => {
  await withZone(zone, async ({ resolver }) => {
    for (const { name, want, because } of mxRows) {
      await test.step(`${name.slice(0, 30)}: ${because}`, async () => {
        assert.equal(show(await resolver.mx(name)), want);
      });
    }
  });
});

const addressRows = [
  { name: "both.test", want: "192.0.2.1, 192.0.2.2, 2001:db8::1", because: "IPv4 before IPv6" },
  { name: "both.test", family: 6, want: "2001:db8::1", because: "one family only" },
  { name: "six.test", want: "2001:db8::1", because: "IPv6 alone will do" },
  { name: "six.test", family: 4, want: "nodata", because: "not of this family" },
  { name: "alias.test", want: "192.0.2.1, 192.0.2.2, 2001:db8::1", because: "a CNAME is followed" },
  { name: "bücher.test", want: "192.0.2.9", because: "asked for as its A-label" },
  { name: "mail.test", want: "nodata", because: "no address" },
  { name: "elsewhere.test", want: "nxdomain", because: "the CNAME leads nowhere" },
  { name: "servfail.test", want: "temporary", because: "the server failed" },
  { name: "noaaaa.test", want: "192.0.2.7", because: "an error for AAAA does not hide the A" },
  { name: "onlynoaaaa.test", want: "temporary", because: "an error for AAAA may hide an address" },
  { name: "localhost", want: "127.0.0.1, ::1", because: "localhost is never asked about" },
  { name: "localhost", family: 6, want: "::1", because: "localhost of one family" },
  { name: "hosted.test", want: "192.0.2.33", because: "hosts(5) comes first" },
] as const;
Deno.test("addresses", async (test) => {
  await withZone(zone, async ({ resolver }) => {
    for (const row of addressRows) {
      await test.step(`${row.name}: ${row.because}`, async () => {
        assert.equal(show(await resolver.addresses(row.name, "family" in row ? row.family : null)), row.want);
      });
    }
  }, { hosts: [{ address: "192.0.2.33", names: ["Hosted.test", "also"] }] });
});

Deno.test("what a CNAME leads to is in the answer, and nothing where none does", async () => {
  await withZone(zone, async ({ resolver }) => {
    const canonicalOf = (found: { ok: boolean; canonical?: string }) => found.canonical ?? null;
    assert.equal(canonicalOf(await resolver.mx("aliased-mail.test")), "mail.test");
    assert.equal(canonicalOf(await resolver.addresses("alias.test")), "both.test");
    assert.equal(canonicalOf(await resolver.addresses("alias.test", 6)), "both.test");
    assert.equal(canonicalOf(await resolver.addresses("alias.test", 6)), "both.test", "remembered");
    assert.equal(canonicalOf(await resolver.addresses("both.test")), null);
    assert.equal(canonicalOf(await resolver.mx("mail.test")), null);
  });
});

const reverseZone: Zone = {
  "1.2.0.192.in-addr.arpa": [ptr("Good.test")],
  "good.test": [a("192.0.2.1"), aaaa("2001:db8::1")],
  "2.2.0.192.in-addr.arpa": [ptr("good.test")],
  "3.2.0.192.in-addr.arpa": [ptr("gone.test")],
  "4.2.0.192.in-addr.arpa": [ptr("servfail.test")],
  "5.2.0.192.in-addr.arpa": [ptr("evil name\n.test")],
  "6.2.0.192.in-addr.arpa": "SERVFAIL",
  "8.2.0.192.in-addr.arpa": "NOTIMP",
  "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": [ptr("good.test")],
  "servfail.test": "SERVFAIL",
};
const reverseRows = [
  { address: "192.0.2.1", want: "good.test pass", because: "the name leads back" },
  { address: "2001:db8::1", want: "good.test pass", because: "IPv6 too" },
  { address: "2001:0DB8:0::1", want: "good.test pass", because: "in any spelling" },
  { address: "::ffff:192.0.2.1", want: "good.test pass", because: "IPv4 in IPv6's clothes" },
  { address: "192.0.2.2", want: "good.test fail", because: "the name leads elsewhere" },
  { address: "192.0.2.3", want: "gone.test fail", because: "the name leads nowhere" },
  { address: "192.0.2.4", want: "servfail.test temporary", because: "whether the name leads back is not known" },
  { address: "192.0.2.5", want: "<unknown> error", because: "what stands there is no host name" },
  { address: "192.0.2.6", want: "<unknown> temporary", because: "the server failed" },
  { address: "192.0.2.7", want: "<unknown> error", because: "it has no name" },
  { address: "192.0.2.8", want: "<unknown> temporary", because: "an error does not say that it has none" },
  { address: "127.0.0.1", want: "localhost pass", because: "known without asking" },
  { address: "nonsense", want: "<unknown> error", because: "no address" },
];
Deno.test("reverse", async (test) => {
  await withZone(reverseZone, async ({ resolver }) => {
    for (const { address, want, because } of reverseRows) {
      await test.step(`${address}: ${because}`, async () => {
        const { hostname, confirmed } = await resolver.reverse(address);
        assert.equal(`${hostname} ${confirmed}`, want);
      });
    }
  });
});

Deno.test("an answer is kept for its TTL and asked for once by many", () =>
  withZone({ "x.test": [a("192.0.2.1", 30)] }, async (world) => {
    await Promise.all([1, 2, 3].map(() => world.resolver.addresses("x.test", 4)));
    world.clock += 29_000;
    await world.resolver.addresses("X.test", 4);
    assert.equal(world.dns.queries.length, 1);
    world.clock += 2_000;
    await world.resolver.addresses("x.test", 4);
    assert.equal(world.dns.queries.length, 2);
  }));

Deno.test("the absence of a name is kept as long as its SOA says, 5 minutes at most", () =>
  withZone({}, async (world) => {
    await world.resolver.mx("x.test");
    world.clock += 299_000;
    await world.resolver.mx("x.test");
    assert.equal(world.dns.queries.length, 1);
    world.clock += 2_000;
    await world.resolver.mx("x.test");
    assert.equal(world.dns.queries.length, 2);
  }, { negativeTtl: 100_000 }));

Deno.test("a truncated answer is asked for again over TCP", () =>
  withZone({ "x.test": Array.from({ length: 60 }, (_, at) => a(`192.0.2.${at}`)) }, async ({ resolver, dns }) => {
    const found = await resolver.addresses("x.test", 4);
    assert.equal(found.ok && found.records.length, 60);
    assert.deepEqual(dns.queries, ["udp A x.test", "tcp A x.test"]);
  }, { truncate: true }));

const ednsRows = [
  { noEdns: "FORMERR", because: "FORMERR with the question" },
  { noEdns: "FORMERR header", because: "FORMERR that is a header alone" },
  { noEdns: "FORMERR torn", because: "FORMERR that counts a question and has none" },
  { noEdns: "NOTIMP", because: "NOTIMP with the question" },
  { noEdns: "NOTIMP header", because: "NOTIMP that is a header alone" },
  { noEdns: "BADVERS", because: "BADVERS with the question" },
  { noEdns: "BADVERS header", because: "BADVERS without the question" },
  { noEdns: "SERVFAIL", because: "SERVFAIL, at the second attempt" },
  { noEdns: "silent", because: "no answer, at the second attempt" },
] as const;

for (const { noEdns, because } of ednsRows) {
  Deno.test(`a server that does not know EDNS is asked without it: ${because}`, () =>
    withZone({ "x.test": [a("192.0.2.1")] }, async ({ resolver, dns }) => {
      assert.equal(show(await resolver.addresses("x.test", 4)), "192.0.2.1");
      assert.equal(dns.queries.length, 2);
    }, { noEdns }));
}

Deno.test("a header alone of another id is not believed", () => {
  const header = (id: number) => Uint8Array.from([id >> 8, id & 255, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0]);
  return withZone({ "x.test": [a("192.0.2.1")] }, async ({ resolver, dns }) => {
    assert.equal(show(await resolver.addresses("x.test", 4)), "192.0.2.1");
    assert.equal(dns.queries.length, 1);
  }, { forge: ({ id }) => [header(id ^ 1)] });
});

Deno.test("a dead server is passed over for the next", async () => {
  const dead = await fakeDns({});
  await dead.close();
  await withZone({ "x.test": [a("192.0.2.1")] }, async ({ resolver }) => {
    assert.equal(show(await resolver.addresses("x.test", 4)), "192.0.2.1");
  }, { before: [{ address: "127.0.0.1", port: dead.port }] });
});

Deno.test("a failure of the servers is not kept", () =>
  withZone({ "x.test": "SERVFAIL" }, async ({ resolver, dns }) => {
    await resolver.mx("x.test");
    await resolver.mx("x.test");
    assert.equal(dns.queries.length, 4);
  }));

Deno.test("responses with another id, another question, or that cannot be read are not believed", () => {
  const forged = (id: number, name: string) =>
    packet.encode(
      {
        type: "response",
        id,
        questions: [{ type: "A", name, class: "IN" }],
        answers: [{ type: "A", name, class: "IN", ttl: 60, data: "203.0.113.66" }],
      } as never,
    ) as Uint8Array;
  // A name that points at itself.
  const circle = Uint8Array.from([0, 0, 128, 0, 0, 1, 0, 0, 0, 0, 0, 0, 192, 12, 0, 1, 0, 1]);
  return withZone({ "x.test": [a("192.0.2.1")] }, async ({ resolver }) => {
    assert.equal(show(await resolver.addresses("x.test", 4)), "192.0.2.1");
  }, {
    forge: (
      { id },
    ) => [forged(id ^ 1, "x.test"), forged(id, "y.test"), new Uint8Array(3), circle, new Uint8Array(600).fill(255)],
  });
});

Deno.test("records of names that were not asked for are not believed", () =>
  withZone({ "x.test": [{ type: "A", data: "203.0.113.66", name: "z.test" }] }, async ({ resolver }) => {
    assert.equal(show(await resolver.addresses("x.test", 4)), "nodata");
  }));

Deno.test("configure() asks other servers, reads other hosts, and forgets what it was answered", async () => {
  const later = await fakeDns({ "x.test": [a("192.0.2.2")] });
  try {
    await withZone({ "x.test": [a("192.0.2.1")] }, async ({ resolver }) => {
      assert.equal(show(await resolver.addresses("x.test", 4)), "192.0.2.1");
      assert.equal(show(await resolver.addresses("old.test", 4)), "192.0.2.8");
      const servers = [{ address: "127.0.0.1", port: later.port }];
      resolver.configure({
        servers,
        timeoutMs: 100,
        attempts: 1,
        hosts: [{ address: "192.0.2.9", names: ["new.test"] }],
      });
      assert.equal(show(await resolver.addresses("x.test", 4)), "192.0.2.2");
      assert.equal(show(await resolver.addresses("new.test", 4)), "192.0.2.9");
      assert.equal(show(await resolver.addresses("old.test", 4)), "nxdomain");
      assert.equal((await resolver.reverse("192.0.2.9")).hostname, "new.test");
    }, { hosts: [{ address: "192.0.2.8", names: ["old.test"] }] });
  } finally {
    await later.close();
  }
});

Deno.test("an answer of a server that is no longer asked is not kept", async () => {
  const later = await fakeDns({ "x.test": [a("192.0.2.2")] });
  try {
    await withZone({ "x.test": [a("192.0.2.1")] }, async ({ resolver }) => {
      const early = resolver.addresses("x.test", 4);
      const servers = [{ address: "127.0.0.1", port: later.port }];
      resolver.configure({ servers, timeoutMs: 100, attempts: 1, hosts: [] });
      assert.equal(show(await early), "192.0.2.1");
      assert.equal(show(await resolver.addresses("x.test", 4)), "192.0.2.2");
    });
  } finally {
    await later.close();
  }
});

const TEXTS: Zone = {
  "one.test": [txt("v=spf1 -all")],
  "strings.test": [txt("v=DKIM1; p=", "MIIB", "", "QID")],
  "two.test": [txt("first"), txt("second")],
  "octets.test": [txt("caf\xc3\xa9 \xff")],
  "alias.test": [cname("one.test")],
  "word.test": [txt("alias one.test")],
  "_dmarc.test": [txt("v=DMARC1; p=none")],
  "address.test": [a("192.0.2.1")],
  "broken.test": "SERVFAIL",
  "many.test": Array.from({ length: 70 }, (_, index) => txt(`record ${index}`)),
};

const TXT_ROWS: readonly (readonly [name: string, answer: string])[] = [
  ["one.test", "v=spf1 -all"],
  ["ONE.test.", "v=spf1 -all"],
  ["strings.test", "v=DKIM1; p=MIIBQID"],
  ["two.test", "first | second"],
  ["octets.test", "caf\xc3\xa9 \xff"],
  ["alias.test", "v=spf1 -all"],
  ["word.test", "alias one.test"],
  ["_dmarc.test", "v=DMARC1; p=none"],
  ["address.test", "none, the name exists"],
  ["absent.test", "none, no such name"],
  ["a b.test", "none, no such name"],
  ["broken.test", "temporary"],
];

Deno.test("TXT records are joined strings of octets, as mail authentication asks for them", async () => {
  await withZone(TEXTS, async ({ resolver }) => {
    const dns = mailAuthDns(resolver);
    for (const [name, expected] of TXT_ROWS) {
      const answer = await dns.txt(name);
      const shown = answer.kind === "records"
        ? answer.records.join(" | ")
        : answer.kind === "none"
        ? `none, ${answer.exists ? "the name exists" : "no such name"}`
        : "temporary";
      assert.equal(shown, expected, name);
    }
    const many = await dns.txt("many.test");
    assert.equal(many.kind === "records" && many.records.length, 64);
  });
});

Deno.test("names that SPF makes of addresses are asked for, although no host has them", async () => {
  const odd: Zone = {
    "user+tag@example.org._spf.test": [a("127.0.0.2")],
    "a b.test": [txt("text")],
    "-x.test": [cname("user+tag@example.org._spf.test")],
  };
  await withZone(odd, async ({ resolver, dns }) => {
    const asked = mailAuthDns(resolver);
    const found = { kind: "records", records: ["127.0.0.2"] };
    assert.deepEqual(await asked.addresses("User+tag@example.org._spf.test", 4), found);
    assert.deepEqual(await asked.addresses("-x.test", 4), found);
    assert.deepEqual(await asked.txt("a b.test"), { kind: "records", records: ["text"] });
    const count = dns.queries.length;
    for (
      const name of ["", "a..test", "\u00e4.test", "a\n.test", "x".repeat(64) + ".test", "a.".repeat(126) + "test"]
    ) {
      assert.deepEqual(await asked.addresses(name, 4), { kind: "none", exists: false }, name);
    }
    assert.deepEqual(dns.queries.slice(count), ["udp A xn--4ca.test"]);
    // Hosts to connect to have names of hosts.
    assert.equal(show(await resolver.addresses("user+tag@example.org._spf.test")), "invalid");
  });
});

Deno.test("a TXT record that was kept is asked for again where it must be fresh", async () => {
  await withZone(TEXTS, async ({ resolver, dns }) => {
    for (const fresh of [false, false, true, false]) await resolver.txt("one.test", { fresh });
    assert.deepEqual(dns.queries, ["udp TXT one.test", "udp TXT one.test"]);
    await mailAuthDns(resolver, { fresh: true }).txt("one.test");
    assert.equal(dns.queries.length, 3);
    await mailAuthDns(resolver).txt("one.test");
    assert.equal(dns.queries.length, 3);
  });
});

Deno.test("mail authentication hears of no more addresses of hosts(5) than the DNS would have", () =>
  withZone({}, async ({ resolver }) => {
    const answer = await mailAuthDns(resolver).addresses("many.test", 4);
    assert.equal(answer.kind === "records" && answer.records.length, 64);
  }, { hosts: Array.from({ length: 70 }, (_, at) => ({ address: `192.0.2.${at}`, names: ["many.test"] })) }));

/** A resolver whose questions are answered, all with nothing, when the test says so. */
function heldResolver(options: ResolverOptions = {}) {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const resolver = new Resolver(HELD, {
    ...options,
    exchange: (_over, _server, query) => {
      const { name } = (packet.decode(Buffer.from(query)) as unknown as { questions: { name: string }[] })
        .questions[0]!;
      asked.push(name);
      return new Promise((resolve) => answers.push(() => resolve(null)));
    },
  });
  return { resolver, asked, answers, ask: (name: string) => resolver.addresses(name, 4) };
}
const HELD = { servers: [{ address: "127.0.0.1", port: 53 }], timeoutMs: 100, attempts: 1, hosts: [] };

Deno.test("a question that waits from before other files held is answered, and so is the same one from then on", async () => {
  const { resolver, asked, answers, ask } = heldResolver();
  const running = Array.from({ length: 200 }, (_, at) => ask(`silent${at}.test`));
  const before = ask("x.test");
  resolver.configure(HELD);
  const after = ask("x.test");
  assert.equal(asked.length, 200);
  for (let turn = 0; turn < 3; turn++) {
    for (const answer of answers.splice(0)) answer();
    await tick();
  }
  assert.deepEqual(asked.slice(200), ["x.test", "x.test"]);
  for (const one of await Promise.all([...running, before, after])) assert.equal(show(one), "temporary");
});

Deno.test("of the questions that wait behind silent servers, the newest is asked first where that is wanted", async () => {
  const { asked, answers, ask } = heldResolver({ newestFirst: true });
  const silent = Array.from({ length: 200 }, (_, at) => ask(`silent${at}.test`));
  const waiting = Array.from({ length: 5000 }, (_, at) => ask(`waiting${at}.test`));
  const again = ask("waiting0.test");
  const last = ask("last.test");
  // One is too many: it is the oldest that nobody has asked for again.
  assert.equal(show(await waiting[1]!), "temporary");
  assert.equal(asked.length, 200);
  for (const next of ["last.test", "waiting0.test", "waiting4999.test"]) {
    const before: number = asked.length;
    answers.shift()!();
    while (asked.length === before) await Promise.resolve();
    assert.equal(asked.at(-1), next);
  }
  const all = Promise.all([...silent, ...waiting, again, last]);
  for (let ended = false; !ended; ended = await Promise.race([all.then(() => true), tick()])) {
    for (const answer of answers.splice(0)) answer();
  }
  assert.equal(asked.length, 5200);
  const places = Array.from({ length: 200 }, (_, at) => ask(`later${at}.test`));
  await tick();
  assert.equal(asked.length, 5400, "all places are free again");
  for (const answer of answers.splice(0)) answer();
  await Promise.all(places);
});

const tick = () => new Promise<false>((resolve) => setTimeout(() => resolve(false)));
