/** `smtpctl dkim generate`: files, what is printed, and what is refused. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { generateMain } from "../../src/cli/smtpctl/dkim.ts";
import { readKeyFile } from "../../src/dkim_keys/mod.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { PROJECT, run } from "../e2e/harness.ts";
import { FakeTerminal, withFolder } from "./fakes.ts";

const clock = { now: () => Date.UTC(2026, 5, 1) };
const envOf = (folder: string) => ({ get: (name: string) => name === "SMTPD_DKIM" ? folder : undefined });

Deno.test("smtpctl dkim generate makes two keys, prints their records, and lines that smtpd.conf takes", async () => {
  await withFolder(async (folder) => {
    const terminal = new FakeTerminal();
    equal(await generateMain({ domain: "Bücher.example", selector: null }, envOf(folder), terminal, clock), 0);
    const lines = terminal.stdout.split("\n");
    const records = lines.filter((line) => line.includes(" IN TXT "));
    for (const [at, selector] of ["s2026", "s2026-ed25519"].entries()) {
      const file = `${folder}/xn--bcher-kva.example.${selector}.pem`;
      equal(Deno.statSync(file).mode! & 0o777, 0o600);
      const read = readKeyFile(Deno.readTextFileSync(file));
      ok(read.ok);
      ok(records[at]!.startsWith(`${selector}._domainkey.xn--bcher-kva.example. IN TXT ( "v=DKIM1; k=`));
      const strings = [...records[at]!.matchAll(/"([^"]*)"/g)].map(([, text]) => text!);
      equal(strings.join(""), read.record);
    }
    const config = lines.filter((line) => line.startsWith("dkim ")).join("\n");
    const parsed = parseConfig("c", {
      defines: [],
      files: { readText: () => `${config}\naction "out" relay dkim\nmatch for any action "out"\n` },
    });
    ok(parsed.ok, JSON.stringify(parsed));
    deepEqual(parsed.config.dkim.map(({ domain, selector, keyFile }) => [domain, selector, keyFile]), [
      ["xn--bcher-kva.example", "s2026", `${folder}/xn--bcher-kva.example.s2026.pem`],
      ["xn--bcher-kva.example", "s2026-ed25519", `${folder}/xn--bcher-kva.example.s2026-ed25519.pem`],
    ]);
  });
});

Deno.test("smtpctl dkim generate overwrites nothing, and takes no name that is none", async () => {
  await withFolder(async (folder) => {
    // The second of the files is there: the first is not made either.
    Deno.writeTextFileSync(`${folder}/example.org.k-ed25519.pem`, "mine");
    const rows = [
      ["example.org", "k", /^smtpctl: .*\/example\.org\.k-ed25519\.pem is there already: name another selector/],
      ["example_org.", "k!", /^smtpctl: "k!" is no selector: it has letters, digits and "-"\n$/],
      ["example.org", "under_score", /is no selector/],
      ["exa mple", null, /^smtpctl: "exa mple" is no domain name\n$/],
      ["example.org", "a".repeat(63), /is no selector/],
    ] as const;
    for (const [domain, selector, fault] of rows) {
      const terminal = new FakeTerminal();
      equal(await generateMain({ domain, selector }, envOf(folder), terminal, clock), 1);
      match(terminal.stderr, fault);
    }
    deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["example.org.k-ed25519.pem"]);
    equal(Deno.readTextFileSync(`${folder}/example.org.k-ed25519.pem`), "mine");
    const terminal = new FakeTerminal();
    equal(await generateMain({ domain: "example.org", selector: "x" }, envOf(`${folder}/none`), terminal, clock), 1);
    match(terminal.stderr, /^smtpctl: cannot write into .*\/none: No such file or directory\n$/);
  });
});

Deno.test("scripts/smtpctl may write keys into their folder, which it makes, and into no other", async () => {
  await withFolder(async (folder) => {
    const env = { SMTPD_DKIM: `${folder}/keys` };
    const made = await run(join(PROJECT, "scripts/smtpctl"), ["dkim", "generate", "example.org", "k"], { env });
    equal(made.code, 0, made.stderr);
    equal(Deno.statSync(`${folder}/keys`).mode! & 0o777, 0o700);
    deepEqual([...Deno.readDirSync(`${folder}/keys`)].map(({ name }) => name).sort(), [
      "example.org.k-ed25519.pem",
      "example.org.k.pem",
    ]);
  });
});
