/** Matchers of table entries: domains, networks, mail addresses. */

import assert from "node:assert/strict";
import { tableKey } from "../../src/config/tablefile.ts";
import { DomainMatcher, MailboxMatcher, matchDomain } from "../../src/tables/mod.ts";
import { NetworkMatcher, parseAddress, parseNetwork } from "../../src/net/mod.ts";

const domains = [
  { pattern: "example.org", name: "example.org", want: true, because: "a name matches itself" },
  { pattern: "example.org", name: "an.example.org", want: false, because: "a name does not match those below it" },
  { pattern: "*.example.org", name: "a.example.org", want: true, because: "a star takes one label" },
  {
    pattern: "*.example.org",
    name: "a.b.example.org",
    want: false,
    because: "a star stops at the first dot, for good",
  },
  { pattern: "*.example.org", name: "example.org", want: false, because: "the first dot is followed by another word" },
  { pattern: "*.example.org", name: ".example.org", want: true, because: "a star may take nothing in front" },
  { pattern: "*example.org", name: "ee.example.org", want: false, because: "a star stops at the first e" },
  { pattern: "*example.org", name: "example.org", want: true, because: "a star may take nothing" },
  { pattern: "*example.org", name: "my.example.org", want: true, because: "the first e is the right one" },
  { pattern: "foo*", name: "foo", want: false, because: "a star at the end needs one more character" },
  { pattern: "foo*", name: "foobar.example", want: true, because: "a star at the end takes the rest" },
  { pattern: "*", name: "", want: false, because: "a lone star needs a character too" },
  { pattern: "*", name: "anything.example", want: true, because: "a lone star takes everything else" },
  { pattern: "**.org", name: "example.org", want: true, because: "two stars are one" },
  { pattern: "mx*.example.*", name: "mx1.example.net", want: true, because: "stars may stand anywhere" },
  { pattern: "*.a.*", name: "x.a.b", want: true, because: "a pattern with two stars is compared in full" },
  { pattern: "*.*", name: "localhost", want: false, because: "the dot of a pattern must be there" },
  { pattern: "example.org", name: "example.or", want: false, because: "a name that ends early is another one" },
  { pattern: "", name: "", want: true, because: "an empty entry is the empty name" },
] as const;
for (const { pattern, name, want, because } of domains) {
  Deno.test(`matchDomain() ${want ? "takes" : "refuses"} "${name}" for "${pattern}": ${because}`, () => {
    assert.equal(matchDomain(name, pattern), want);
    const matcher = new DomainMatcher();
    matcher.add(pattern);
    assert.equal(matcher.matches(name), want, "the compiled list agrees");
  });
}

Deno.test("DomainMatcher finds a name that any of several forms of entries matches", () => {
  const matcher = new DomainMatcher();
  for (const entry of ["example.org", "*.example.net", "mail*.example.com"]) matcher.add(entry);
  const names = ["example.org", "a.example.net", "mail7.example.com", "example.net", "www.example.com", ""];
  assert.deepEqual(names.map((name) => matcher.matches(name)), [true, true, true, false, false, false]);
});

const networks = [
  { entry: "192.0.2.1", address: "192.0.2.1", want: true, because: "an address matches itself" },
  { entry: "192.0.2.1", address: "192.0.2.2", want: false, because: "and no other" },
  { entry: "192.0.2.0/24", address: "192.0.2.255", want: true, because: "the last address of the network" },
  { entry: "192.0.2.0/24", address: "192.0.3.0", want: false, because: "the first address behind the network" },
  { entry: "192.0.2.77/24", address: "192.0.2.1", want: true, because: "bits behind the mask do not count" },
  { entry: "192.0.2.0/25", address: "192.0.2.128", want: false, because: "masks may end within an octet" },
  { entry: "128.0.0.0/1", address: "255.1.2.3", want: true, because: "the highest bit is a bit" },
  { entry: "0.0.0.0/0", address: "203.0.113.9", want: true, because: "a mask of 0 takes all of IPv4" },
  { entry: "0.0.0.0/0", address: "[::1]", want: false, because: "and nothing of IPv6" },
  { entry: "::/0", address: "192.0.2.1", want: false, because: "families must be equal" },
  { entry: "::/0", address: "local", want: false, because: "local is no address" },
  { entry: "10/8", address: "10.255.0.1", want: true, because: "short forms are allowed" },
  { entry: "10", address: "10.1.2.3", want: true, because: "without a mask the class counts: A is /8" },
  { entry: "172.16", address: "172.16.200.1", want: true, because: "class B is /16" },
  { entry: "192.168", address: "192.168.0.9", want: true, because: "class C is /24" },
  { entry: "192.168", address: "192.168.1.9", want: false, because: "class C is no wider than /24" },
  { entry: "10.1", address: "10.1.9.9", want: true, because: "octets that were written widen the mask" },
  { entry: "10.1", address: "10.2.9.9", want: false, because: "octets that were written count" },
  { entry: "2001:db8::/32", address: "[2001:db8:1::5]", want: true, because: "IPv6 networks, clients in brackets" },
  { entry: "[2001:db8::/32]", address: "[2001:db8:1::5]", want: true, because: "entries may stand in brackets" },
  { entry: "[2001:db8::1]", address: "2001:db8::1", want: true, because: "clients may stand without brackets" },
  {
    entry: "ipv6:2001:db8::1",
    address: "[2001:db8::1]",
    want: true,
    because: "the tag of address literals is allowed",
  },
  { entry: "2001:db8::1", address: "[2001:0db8:0:0::0:1]", want: true, because: "spellings of one address are equal" },
  { entry: "2001:db8::/33", address: "[2001:db8:8000::]", want: false, because: "masks may end within a word" },
  {
    entry: "192.0.2.1",
    address: "[::ffff:192.0.2.1]",
    want: true,
    because: "a mapped address is the IPv4 client it is",
  },
  { entry: "local", address: "local", want: true, because: "local matches local" },
  { entry: "local", address: "127.0.0.1", want: false, because: "local is not loopback" },
  { entry: "192.0.2.1/33", address: "192.0.2.1", want: false, because: "a mask that is too wide makes no network" },
  { entry: "192.0.2.300", address: "192.0.2.44", want: false, because: "nonsense matches nothing" },
] as const;
for (const { entry, address, want, because } of networks) {
  Deno.test(`NetworkMatcher ${want ? "takes" : "refuses"} "${address}" for "${entry}": ${because}`, () => {
    const matcher = new NetworkMatcher();
    matcher.add(entry);
    assert.equal(matcher.matches(address), want);
  });
}

for (
  const text of ["", ".", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.-4", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8::"]
    .concat(["g::1", "[::1", "1::2:3:4:5:6:7:8", "::1.2.3.4.5", "1.2.3.4::", ":::1", "fe80::1%eth0", "12345::"])
) {
  Deno.test(`parseAddress() refuses "${text}", which is no address`, () => assert.equal(parseAddress(text), null));
}

Deno.test("parseNetwork() refuses masks that are no numbers", () => {
  assert.deepEqual(["10/", "10/x", "::/129", "10.0.0.0/8/8", "[::1"].map(parseNetwork), [null, null, null, null, null]);
});

const addresses = [
  { pattern: "bob@example.org", address: "bob@example.org", want: true, because: "the same address" },
  {
    pattern: "bob@example.org",
    address: "bob+tag@example.org",
    want: true,
    because: "a tag of the address is cut off",
  },
  {
    pattern: "bob+tag@example.org",
    address: "bob+tag@example.org",
    want: true,
    because: "a tag that is asked for is there",
  },
  {
    pattern: "bob+tag@example.org",
    address: "bob@example.org",
    want: false,
    because: "a tag that is asked for is missing",
  },
  { pattern: "bob+tag@example.org", address: "bob+other@example.org", want: false, because: "the tag is another one" },
  { pattern: "bob@example.org", address: "bob@example.net", want: false, because: "the domain is another one" },
  { pattern: "@example.org", address: "anyone@example.org", want: true, because: "any user of the domain" },
  { pattern: "@example.org", address: "bob+tag@example.org", want: true, because: "any user, with a tag too" },
  { pattern: "@*.example.org", address: "bob@a.example.org", want: true, because: "domains may hold wildcards" },
  {
    pattern: "bob@*.example.org",
    address: "eve@a.example.org",
    want: false,
    because: "the user counts with wildcards too",
  },
  {
    pattern: "bob@*.example.org",
    address: "bob+t@a.example.org",
    want: true,
    because: "tags are cut off with wildcards too",
  },
  { pattern: "bob", address: "bob@anywhere.example", want: true, because: "a user of any domain" },
  { pattern: "bob", address: "bob+t@anywhere.example", want: true, because: "a user of any domain, with a tag" },
  {
    pattern: "bob+t",
    address: "bob@anywhere.example",
    want: false,
    because: "a user with a tag is not the one without",
  },
  { pattern: "bob", address: "bobby@anywhere.example", want: false, because: "a longer name is another one" },
  { pattern: "@", address: "bob@example.org", want: true, because: "a lone @ is everybody" },
  { pattern: "", address: "bob@example.org", want: true, because: "an empty entry is everybody" },
  { pattern: "@", address: "@", want: true, because: "everybody includes the null reverse-path" },
  { pattern: "@example.org", address: "@", want: false, because: "the null reverse-path has no domain" },
  { pattern: "@*", address: "@", want: false, because: "a star needs a character" },
  { pattern: "bob", address: "@", want: false, because: "the null reverse-path has no user" },
] as const;
for (const { pattern, address, want, because } of addresses) {
  Deno.test(`MailboxMatcher ${want ? "takes" : "refuses"} "${address}" for "${pattern}": ${because}`, () => {
    const matcher = new MailboxMatcher("+");
    matcher.add(pattern);
    assert.equal(matcher.matches(address), want);
  });
}

Deno.test("MailboxMatcher cuts tags off at the delimiter of the configuration", () => {
  const matcher = new MailboxMatcher("-");
  matcher.add("bob@example.org");
  assert.equal(matcher.matches("bob-tag@example.org"), true);
  assert.equal(matcher.matches("bob+tag@example.org"), false);
});

Deno.test("tableKey() folds ASCII and nothing that only looks like it", () => {
  assert.equal(tableKey("Bob@EXAMPLE.org"), "bob@example.org");
  assert.equal(tableKey("\u212Aelvin \u0130 \u00C4"), "\u212Aelvin \u0130 \u00C4", "Kelvin sign, dotted I, A umlaut");
  assert.equal(tableKey("J\u00FCRGEN"), "j\u00FCrgen");
});
