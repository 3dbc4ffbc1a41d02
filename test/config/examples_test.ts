/** Every configuration that comes with Vaultpost is right, and means what its comments say. */

import assert from "node:assert/strict";
import { formatDiagnostic, parseConfig } from "../../src/smtpd_conf/mod.ts";
import type { ParseResult } from "../../src/config/mod.ts";
import { RuleSet } from "../../src/rules/mod.ts";
import { TableSet } from "../../src/tables/mod.ts";
import { HERE, mailbox, subject } from "../rules/support.ts";

const conf = new URL("../../conf/", import.meta.url);

const FILES: Readonly<Record<string, string>> = {
  "/etc/aliases": "root: alice\n",
  "/etc/vaultpost/logins":
    "alice SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n",
};

function check(path: URL, defines: ReadonlyArray<readonly [string, string]> = []): ParseResult {
  const files = {
    // Examples name files that the machine of the test need not have.
    readText: (name: string) => FILES[name] ?? Deno.readTextFileSync(name),
  };
  return parseConfig(path.pathname, { defines, files, verbose: true });
}

const examples = [...Deno.readDirSync(new URL("examples/", conf))].map(({ name }) => name).filter((name) =>
  name.endsWith(".conf")
);

Deno.test("there are examples", () => assert.ok(examples.length >= 4));

for (const name of examples) {
  Deno.test(`conf/examples/${name} is right`, () => {
    const result = check(new URL(`examples/${name}`, conf));
    assert.ok(result.ok, result.ok ? "" : result.diagnostics.map(formatDiagnostic).join("\n"));
    assert.deepEqual(result.warnings, []);
    const { rules, tables } = result.config;
    // What is taken and cannot be delivered must come back to its sender.
    const notice = subject({ sender: null, dest: mailbox("someone@elsewhere.example"), origin: { address: "local" } });
    const decision = new RuleSet(rules, new TableSet(tables, HERE, "+")).match(notice);
    assert.equal(decision.kind, "action", "no rule for the notices that it writes");
  });
}

Deno.test("conf/smtpd.conf takes the user and the mail folder from -D", () => {
  const mailroot = '"/a b/var/mail/%{rcpt.domain}/%{rcpt.user}"';
  const result = check(new URL("smtpd.conf", conf), [["owner", "alice"], ["mailroot", mailroot]]);
  assert.ok(result.ok, result.ok ? "" : result.diagnostics.map(formatDiagnostic).join("\n"));
  const { config } = result;
  assert.deepEqual(config.listen.map(({ on, port }) => [on, port]), [["127.0.0.1", 2525], ["::1", 2525]]);
  assert.deepEqual(config.admin, [{ address: "127.0.0.1", port: 8025, hostname: null, auth: false }]);
  const inbox = config.actions["inbox"];
  assert.equal(inbox?.kind, "local");
  assert.ok(inbox?.kind === "local" && inbox.user === "alice");
  assert.deepEqual(inbox.method, { type: "maildir", path: mailroot.slice(1, -1), junk: false });
  assert.deepEqual(config.tables[inbox.virtual ?? ""]?.entries, [["@", "alice"]]);
  assert.deepEqual(config.tables["domains"]?.entries.map(([key]) => key), ["example.org", "localhost"]);
});

Deno.test("conf/smtpd.conf is right as it stands", () => {
  const result = check(new URL("smtpd.conf", conf));
  assert.ok(result.ok, result.ok ? "" : result.diagnostics.map(formatDiagnostic).join("\n"));
});
