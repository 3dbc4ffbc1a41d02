/** docs/operating.md is right: its configuration is taken, its commands run word by word, and they answer what it says. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { commandsWith } from "../../src/cli/smtpctl/words.ts";
import { REPLY_CLASSES } from "../../src/reply_class/mod.ts";
import { piecesOf, runGuide } from "./guides.ts";

const FILE = fileURLToPath(new URL("../../docs/operating.md", import.meta.url));
const PAGE = Deno.readTextFileSync(FILE);

/** Only root can have namespaces with its own network and its own /etc. */
const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0;

/** What must be so at the end, in shell. */
const CHECK = `
smtpctl find --to alice@example.org | grep -q delivered
smtpctl find --outcome deferred --json | grep -q '"unreachable"'
smtpctl story offer-1@example.org | grep -q alice
smtpctl story offer-2@example.org | grep -q "192.0.2.1"
curl -sf http://127.0.0.1:8025/api/v1/series?hours=1 | grep -q '"bucketSeconds":[0-9]'
curl -sf http://127.0.0.1:8025/metrics | grep -q '^vaultpost_delivery_failures_total{class="unreachable"} [1-9]'
curl -sf http://127.0.0.1:8025/metrics | grep -q '^vaultpost_queue_age_seconds_count 1$'
`;

Deno.test("docs/operating.md: each command, link and picture in it exists, and each class of answers has its row", () => {
  for (const [, words] of PAGE.matchAll(/smtpctl ([a-z]+(?: [a-z]+)?)/g)) {
    const given = words!.split(" ");
    assert.ok([given, given.slice(0, 1)].some((some) => commandsWith(COMMANDS, some).ok), `smtpctl ${words}`);
  }
  for (const [, target] of PAGE.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
    assert.ok(Deno.statSync(join(dirname(FILE), target!)).isFile, target);
  }
  const rows = [...PAGE.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, word]) => word);
  assert.deepEqual(rows.toSorted(), [...REPLY_CLASSES].sort());
});

Deno.test("docs/operating.md: every file and every command, word by word", { ignore }, async () => {
  const { code, output } = await runGuide(piecesOf(PAGE), CHECK);
  assert.equal(code, 0, output);
});
