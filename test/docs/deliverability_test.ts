/** What docs/deliverability.md shows is right: its zone lets the host's mail pass, its configuration and commands exist, its samples are what we write. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { commandsWith } from "../../src/cli/smtpctl/words.ts";
import { formatEvent } from "../../src/events/mod.ts";
import { authenticationResults } from "../../src/mail_auth/authentication_results.ts";
import { checkDmarc } from "../../src/mail_auth/dmarc/mod.ts";
import { checkSpf } from "../../src/mail_auth/spf/mod.ts";
import { formatDiagnostic, parseConfig } from "../../src/smtpd_conf/mod.ts";
import { evpid } from "../ids.ts";
import { FixtureDns, type FixtureEntry } from "../mail_auth/fixture_dns.ts";

const PAGE = Deno.readTextFileSync(join(fileURLToPath(new URL("../..", import.meta.url)), "docs/deliverability.md"));

/** The code blocks of a kind. */
const blocks = (kind: string) =>
  [...PAGE.matchAll(/^```(\w*)\n(.*?)^```$/gms)].filter(([, name]) => name === kind).map(([, , text]) => text!);

/** The records that the page shows, as a DNS. */
function zone(): FixtureDns {
  const zones: Record<string, FixtureEntry[]> = {};
  for (const line of blocks("dns").join("").trim().split("\n")) {
    const [, name, type, data] = /^(\S+)\. +IN (\w+) +(.*)$/.exec(line) ?? [];
    assert.ok(name !== undefined && type !== undefined && data !== undefined, line);
    const [preference, host] = data.split(" ");
    const value = type === "MX" ? [Number(preference), host!] as const : data.replace(/^"(.*)"$/, "$1");
    (zones[name] ??= []).push({ [type]: value });
  }
  return new FixtureDns(zones);
}

Deno.test("docs/deliverability.md: mail of the host passes with the records shown, other mail does not", async () => {
  const dns = zone();
  const check = (client: string, sender: string) =>
    checkSpf({ client, helo: "mail.example.org", sender, receiver: "mx.example.net", now: 0 }, dns);
  for (const client of ["192.0.2.25", "2001:db8::25"]) {
    assert.equal((await check(client, "you@example.org")).result, "pass");
    // A bounce.
    assert.equal((await check(client, "")).result, "pass");
  }
  const stranger = await check("203.0.113.9", "you@example.org");
  assert.equal(stranger.result, "fail");
  const from = { kind: "one", domain: "example.org" } as const;
  const { result, record } = await checkDmarc({ from, spf: stranger, dkim: [] }, dns);
  assert.deepEqual([result, record?.p, record?.rua], ["fail", "none", ["mailto:postmaster@example.org"]]);
  const names = await dns.names("192.0.2.25");
  assert.deepEqual(names, { kind: "records", records: ["mail.example.org"] });
});

Deno.test("docs/deliverability.md: the configuration is right", () => {
  const text = blocks("smtpd").join("\n");
  const readText = (path: string) => {
    if (path === "smtpd.conf") return text;
    throw new Error(`docs/deliverability.md does not say what is in ${path}`);
  };
  const result = parseConfig("smtpd.conf", { defines: [], files: { readText }, verbose: true });
  assert.ok(result.ok, result.ok ? "" : result.diagnostics.map(formatDiagnostic).join("\n"));
  assert.deepEqual(result.warnings, []);
});

Deno.test("docs/deliverability.md: smtpctl has the commands", () => {
  const commands = [...PAGE.matchAll(/smtpctl ([a-z]+(?: [a-z]+)?)/g)].map(([, words]) => words!.split(" "));
  assert.ok(commands.length > 5);
  for (const words of commands) {
    const found = [words, words.slice(0, 1)].some((some) => commandsWith(COMMANDS, some).ok);
    assert.ok(found, `smtpctl ${words.join(" ")}`);
  }
});

Deno.test("docs/deliverability.md: Authentication-Results is shown as it is written", () => {
  const signature = { result: "pass", domain: "example.org", identity: null, reason: null, testing: false };
  const written = authenticationResults("mx.example.net", {
    spf: { result: "pass", identity: "mailfrom", domain: "example.org", reason: null },
    dkim: [
      { ...signature, selector: "s2026", signature: "VpD2bGfq", keyBits: 2048 },
      { ...signature, selector: "s2026-ed25519", signature: "u0Kj7tXw", keyBits: 256 },
    ],
    arc: { result: "none", instance: 0, sealers: [], reason: null },
    dmarc: { result: "pass", domain: "example.org", policy: "none", reason: null },
  });
  const shown = blocks("").find((text) => text.startsWith("Authentication-Results"));
  assert.equal(shown, written.replaceAll("\t", "    "));
});

Deno.test("docs/deliverability.md: of the log its command shows what was not relayed", async () => {
  const [, filter] = /^journalctl -t smtpd \| (grep .*)$/m.exec(PAGE) ?? [];
  assert.ok(filter !== undefined);
  const mailbox = { local: "alice", domain: "example.org" };
  const lines = (["ok", "tempfail", "permfail"] as const).map((outcome) =>
    formatEvent({
      type: "delivery",
      session: "00112233aabbccdd",
      envelope: evpid("7b23f1c8a1b2c3d4"),
      from: mailbox,
      to: mailbox,
      rcpt: mailbox,
      delayMs: 0,
      agent: "mta",
      outcome,
      stat: "as the host said",
    })!
  );
  const child = new Deno.Command("sh", { args: ["-c", filter], stdin: "piped", stdout: "piped" }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")));
  await input.close();
  const shown = new TextDecoder().decode((await child.output()).stdout).trim().split("\n");
  assert.deepEqual(shown, lines.slice(1));
});
