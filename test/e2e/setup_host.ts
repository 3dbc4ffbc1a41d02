/**
 * What setup_test.ts runs in a network of its own, which is a bare machine: `smtpctl setup`, then the records that it prints are put into the DNS, and
 * `smtpctl check` finds nothing wrong. Prints a line at its end, or throws.
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { join } from "node:path";
import { fakeDns, txt, type Zone, type ZoneRecord } from "../dns/fake_dns.ts";
import type { Finding } from "../../src/protocol/mod.ts";
import { PROJECT, run, systemUsers } from "./harness.ts";

const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
await Deno.chmod(folder, 0o755);
await Deno.mkdir(`${folder}/mail`);
await Deno.chown(`${folder}/mail`, 65534, 65534);
const zone: Zone = {};
const dns = await fakeDns(zone);
await Deno.writeTextFile(`${folder}/resolv.conf`, `nameserver [127.0.0.1]:${dns.port}\noptions timeout:1 attempts:1\n`);
const [smtpd, smtpq] = systemUsers();
const env = {
  SMTPD_SPOOL: `${folder}/spool`,
  SMTPD_SOCKET: `${folder}/smtpd.sock`,
  SMTPD_STATE: `${folder}/state`,
  SMTPD_MAIL: `${folder}/mail`,
  SMTPD_USER: smtpd,
  SMTPD_QUEUE_USER: smtpq,
  ASR_CONFIG: `${folder}/resolv.conf`,
};
const tool = (name: string, args: readonly string[], input = "") =>
  run(join(PROJECT, "scripts", name), args, { env, input });

/** A line of a zone as a record; null for what only comments on it. */
function recordOf(line: string): readonly [name: string, record: ZoneRecord] | null {
  // Those of another's zone are comments in ours.
  const [, name, type, value] = /^(?:; )?(\S+)\. +IN (\S+) +(.*)$/.exec(line) ?? [];
  switch (type) {
    case "A":
    case "AAAA":
      return [name!, { type, data: value, ttl: 0 }];
    case "PTR":
      return [name!, { type, data: value!.replace(/\.$/, ""), ttl: 0 }];
    case "MX": {
      const [preference, exchange] = value!.split(" ");
      return [name!, {
        type,
        data: { preference: Number(preference), exchange: exchange!.replace(/\.$/, "") },
        ttl: 0,
      }];
    }
    case "TXT":
      return [name!, { ...txt(...[...value!.matchAll(/"([^"]*)"/g)].map(([, text]) => text!)), ttl: 0 }];
    default:
      return null;
  }
}

try {
  const config = `${folder}/host/etc/vaultpost/smtpd.conf`;
  const names = ["--domain", "Bücher.example", "--hostname", "mail.bücher.example", "--reader", "nobody"];
  const made = await tool("smtpctl", ["setup", ...names, "--mailbox", "mbox", "--root", `${folder}/host`]);
  equal(made.code, 0, made.stdout + made.stderr);
  match(made.stdout, /^Addresses: 192\.0\.2\.25\.\nPort 25 here: free\.$/m);
  match(made.stdout, /^smtpd -n: configuration OK$/m);
  match(
    made.stdout,
    /^smtpd is started\.\nThe test mail to postmaster@xn--bcher-kva\.example is in .*\/mail\/nobody\.$/m,
  );
  const mail = await Deno.readTextFile(`${folder}/mail/nobody`);
  match(mail, /^Delivered-To: postmaster@xn--bcher-kva\.example$/m);
  match(mail, /^Subject: Mail arrives$/m);
  const checked = await tool("smtpd", ["-n", "-f", config]);
  deepEqual([checked.code, checked.stderr], [0, "configuration OK\n"]);

  for (const line of (await Deno.readTextFile(`${folder}/host/etc/vaultpost/xn--bcher-kva.example.zone`)).split("\n")) {
    const found = recordOf(line);
    if (found !== null) zone[found[0]] = [...zone[found[0]] as ZoneRecord[] ?? [], found[1]];
  }
  const { stdout } = await tool("smtpctl", ["check", "--json"]);
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  // What keeps the clock of the machine right, and how full its disk is, is not setup's business.
  const wrong = findings.filter(({ check, level }) =>
    level !== "ok" && level !== "info" && check !== "clock" && check !== "disk"
  );
  deepEqual(wrong, []);
  const well = new Set(findings.filter(({ level }) => level === "ok").map(({ check }) => check));
  for (const check of ["mx", "address", "ptr", "spf", "spf-helo", "dkim", "tls-rpt", "open-relay", "config"]) {
    equal(well.has(check), true, check);
  }

  const taken = await tool("smtp", [
    "-s",
    "smtp+notls://192.0.2.25:25",
    "-F",
    "me@example.net",
    "nobody@xn--bcher-kva.example",
  ], "Subject: x\n\nHello.\n");
  equal(taken.code, 0, taken.stdout + taken.stderr);
  const again = await tool("smtpctl", ["setup", ...names, "--root", `${folder}/host`]);
  equal(again.code, 1);
  match(again.stderr, /^smtpctl: nothing was written, because these are there already:\n {2}\//);
} finally {
  await tool("smtpctl", ["stop"]);
  await dns.close();
  await Deno.remove(folder, { recursive: true });
}
console.log("mail arrives");
