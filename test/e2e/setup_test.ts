/**
 * `smtpctl setup` with the real programs: from nothing to a mail that has arrived, in a network of its own (setup_host.ts); what its script may, and how it
 * ends without input.
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { join } from "node:path";
import { PROJECT, run } from "./harness.ts";
import { hasOwnNetworks, runInOwnNetwork } from "./own_network.ts";

const SCRIPTS = join(PROJECT, "scripts");

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  try {
    await Deno.chmod(folder, 0o755);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A resolver whose name server does not answer, and is not waited for long. */
async function nobodyAnswers(folder: string): Promise<string> {
  const path = `${folder}/resolv.conf`;
  await Deno.writeTextFile(path, "nameserver [127.0.0.1]:9\noptions timeout:1 attempts:1\n");
  return path;
}

Deno.test({
  name:
    "smtpctl setup makes a mail host: files, a daemon that starts, a mail that arrives, and records that smtpctl check likes",
  ignore: !hasOwnNetworks(),
  fn: async () => {
    const ran = await runInOwnNetwork("setup_host.ts");
    equal(ran.code, 0, `${ran.stdout}\n${ran.stderr}`);
    match(ran.stdout, /^mail arrives$/m);
  },
});

Deno.test("scripts/smtpctl setup shows without writing, and ends with words at the end of the input", async () => {
  await withFolder(async (folder) => {
    const env = { ASR_CONFIG: await nobodyAnswers(await Deno.makeTempDir({ dir: folder })) };
    const setup = (...args: string[]) => run(join(SCRIPTS, "smtpctl"), ["setup", ...args], { env });
    const [shown, asked, refused] = await Promise.all([
      setup(
        "--dry-run",
        "--domain",
        "example.org",
        "--hostname",
        "mail.example.org",
        "--reader",
        "nobody",
        "--root",
        folder,
      ),
      setup("--root", `${folder}/two`),
      setup("--domain", "example.org", "--hostname", "192.0.2.1", "--reader", "nobody", "--root", folder),
    ]);
    deepEqual([shown.code, shown.stderr], [0, ""]);
    match(shown.stdout, /^example\.org\. +IN MX +10 mail\.example\.org\.$/m);
    deepEqual([asked.code, asked.stdout], [1, ""]);
    match(asked.stderr, /smtpctl: standard input ended at this question: answer it, or give the option --domain\n$/);
    equal(refused.code, 1);
    match(refused.stderr, /^smtpctl: "192\.0\.2\.1" is not the name of a host/);
    equal([...Deno.readDirSync(folder)].length, 1, "only that of the name server");
  });
});
