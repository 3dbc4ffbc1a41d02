/** The configurations of README.md are right, alone and as a reader puts them together. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatDiagnostic, parseConfig } from "../../src/smtpd_conf/mod.ts";

const README = Deno.readTextFileSync(join(fileURLToPath(new URL("../..", import.meta.url)), "README.md"));

const FILES: Readonly<Record<string, string>> = {
  "/etc/vaultpost/aliases": block("Receive mail for a domain", 1),
  "/etc/vaultpost/logins": `alice $6$salt$${"x".repeat(86)}\n`,
  "/etc/vaultpost/secrets": /^echo '(.*)' \|/.exec(block("Send mail", 1))![1]! + "\n",
};

/** The code block number `index` under a heading. */
function block(heading: string, index: number): string {
  const section = README.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(section !== undefined, `README.md has no section "${heading}"`);
  const found = [...section.matchAll(/^```\w*\n(.*?)^```$/gms)][index];
  assert.ok(found !== undefined, `"${heading}" has no block ${index}`);
  return found[1]!;
}

/** `text` with its lines that match `old` replaced by `by`, in the place of the first. */
function replaced(text: string, old: RegExp, by: string): string {
  assert.match(text, old);
  return text.replace(old, by);
}

const domain = block("Receive mail for a domain", 0);
const smarthost = replaced(domain, /^action "outbound".*\n/m, block("Send mail", 0));
const tls = replaced(smarthost, /^listen on 0\.0\.0\.0.*\n/m, block("Use a TLS certificate", 0));
const submission = tls + block("Let users' mail programs send", 0);

for (const [name, text] of Object.entries({ domain, smarthost, tls, submission })) {
  Deno.test(`README.md: the configuration after the step "${name}" is right`, () => {
    const files = {
      readText: (path: string) => {
        const known = path === "smtpd.conf" ? text : FILES[path];
        if (known === undefined) throw new Error(`README.md does not say what is in ${path}`);
        return known;
      },
    };
    const result = parseConfig("smtpd.conf", { defines: [], files, verbose: true });
    assert.ok(result.ok, result.ok ? "" : result.diagnostics.map(formatDiagnostic).join("\n"));
    assert.deepEqual(result.warnings, []);
  });
}
