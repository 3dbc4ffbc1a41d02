/** The examples of aliases(5) and forward(5) do what the text beside them says. */

import assert from "node:assert/strict";
import { readTableFile } from "../config/helper.ts";
import { literalBlocks } from "../config/mdoc.ts";
import { fromAny, local, map, outcome, relay, rule, type Scene, test } from "./support.ts";

const examples = (page: string) => literalBlocks(page, "EXAMPLES");

function entriesOf(text: string): Record<string, string> {
  const read = readTableFile(text);
  assert.ok(read.ok && read.kind === "map");
  return Object.fromEntries(read.entries);
}

const out = relay("out");
const away = rule({ from: fromAny, for: test("<anydestination>"), action: "out" });
const users = ["root", "alice", "bob", "dave"];

const forwards: readonly string[][] = [
  ["mta bob@example.org by out*"],
  ["mda bob for bob@localhost", "mta bob@example.org by out*"],
  [
    'mda bob "/usr/bin/procmail -t, -a $EXTENSION" for bob@localhost',
    'mda bob ">/home/bob/all-mail" for bob@localhost',
    'mda bob ">~/Archive/" for bob@localhost',
  ],
  ["mta alice@example.org by out*", "mta carol@example.org by out*", "mda dave for bob@localhost"],
  ["550 5.1.0 Bob has moved to bob@example.org: <bob@localhost>"],
];

Deno.test("the examples of forward(5) send bob's mail where they say", () => {
  const found = examples("forward.5").map((text) => {
    const scene: Scene = { rules: [rule(), away], actions: [local("a"), out], users, forwards: { bob: text } };
    return [outcome(scene, "bob@localhost")].flat();
  });
  assert.deepEqual(found, forwards);
});

const aliases: Readonly<Record<string, string | string[]>> = {
  postmaster: ["mda alice for postmaster@localhost"],
  abuse: ["mda alice for abuse@localhost"],
  team: [
    "mda alice for team@localhost",
    "mda bob(team) for team@localhost",
    "mta carol@example.com by out*",
  ],
  archive: ['mda _smtpd ">/var/mail/archive" for archive@localhost'],
  backup: ['mda _smtpd ">/srv/mail/backup/" for backup@localhost'],
  tickets: ['mda _smtpd "/usr/local/bin/tickets --queue=a,b" for tickets@localhost'],
  list: ["mda dave for list@localhost", "mta erin@example.com by out*"],
  gone: "550 5.1.6 Gone to carol@example.com: <gone@localhost>",
};
const virtual: Readonly<Record<string, string | string[]>> = {
  "info@example.org": ["mda alice for info@example.org", "mda bob for info@example.org"],
  "sales@example.org": ["mta sales@example.net by out*"],
  "Anyone@example.org": ["mda alice for Anyone@example.org"],
  "postmaster@example.com": ["mda alice for postmaster@example.com"],
  "who@example.com": "550 5.1.0 No such user here: <who@example.com>",
};

Deno.test("the examples of aliases(5) expand as their comments say", () => {
  const [names, addresses, ...rest] = examples("aliases.5");
  assert.deepEqual(rest, []);
  const ofNames: Scene = {
    rules: [rule(), away],
    actions: [local("a", { alias: "al" }), out],
    tables: [map("al", entriesOf(names!))],
    users,
    includes: { "/etc/mail/list": "dave # here\nerin@example.com\n" },
  };
  for (const [name, want] of Object.entries(aliases)) assert.deepEqual(outcome(ofNames, `${name}@localhost`), want);
  const domains = { name: "ours", kind: "list", entries: [["example.org", ""], ["example.com", ""]] } as const;
  const ofAddresses: Scene = {
    rules: [rule({ from: fromAny, for: test("ours") }), away],
    actions: [local("a", { virtual: "vt" }), out],
    tables: [domains, map("vt", entriesOf(addresses!))],
    users,
  };
  for (const [address, want] of Object.entries(virtual)) assert.deepEqual(outcome(ofAddresses, address), want);
});
