/** What of a configuration is checked from outside. */

import { deepEqual, ok } from "node:assert/strict";
import { subjectsOf } from "../../src/checkup/mod.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";

function subjects(text: string) {
  const parsed = parseConfig("c", {
    defines: [],
    files: { readText: (path) => path === "c" ? text : "far.example\n" },
  });
  ok(parsed.ok, JSON.stringify(parsed));
  return subjectsOf(parsed.config, "host.example.org");
}

Deno.test("domains are those of rules that deliver mail of others here, hosts those of open listeners and of EHLO", () => {
  const found = subjects(`
table domains { "Example.org", "bücher.example", "*.wild.example" }
table far file:/far
listen on 192.0.2.25 hostname mx.example.org
listen on 127.0.0.1 hostname lo.example.org
action "in" maildir
action "out" relay helo out.example.org
match from any for domain <domains> action "in"
match from any for domain "backup.example" action "out"
match from any for domain <far> action "in"
match from local for local action "in"
match from local for any action "out"
`);
  deepEqual(found, {
    receives: ["xn--bcher-kva.example", "example.org"],
    sends: [],
    hosts: ["mx.example.org", "out.example.org"],
    listens: true,
    relays: true,
    leftOut: ["the domains of table <far>"],
  });
});

Deno.test("domains are nobody's business where no other host can bring mail", () => {
  const text = 'action "in" maildir\nmatch from any for domain "example.org" action "in"\n';
  deepEqual(subjects(`listen on 127.0.0.1 port 2525\nlisten on socket\n${text}`).receives, []);
  deepEqual(subjects(`listen on 127.0.0.1 port 2525 proxy-v2\n${text}`).receives, ["example.org"]);
});

Deno.test("a host that only hands mail to a smarthost has nothing that others look at", () => {
  const found = subjects(
    'listen on socket\naction "out" relay host "smtp://relay.example.net"\nmatch from local for any action "out"\n',
  );
  deepEqual([found.hosts, found.receives, found.listens, found.relays], [[], [], false, false]);
});
