/** What the check of the day keeps, and what it compares with. */

import { deepEqual, equal, match } from "node:assert/strict";
import { HostCheck } from "../../src/daemon/checkup/checkup.ts";
import { readCheckup, writeCheckup } from "../../src/daemon/checkup/kept_check.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import type { DnsAnswer } from "../../src/mail_auth/dns.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a check is kept for its owner alone, and what is no check is none", () =>
  withFolder((folder) => {
    const path = `${folder}/state/checkup.json`;
    const checked = { at: 5, findings: [{ check: "mx", subject: "a", level: "ok", text: "t", advice: null }] } as const;
    equal(readCheckup(path), null);
    writeCheckup(path, checked);
    deepEqual(readCheckup(path), checked);
    equal(Deno.statSync(path).mode! & 0o777, 0o600);
    for (const text of ["", "{}", '{"at":1,"findings":[{"check":"mx"}]}']) {
      Deno.writeTextFileSync(path, text);
      equal(readCheckup(path), null, text);
    }
    return Promise.resolve();
  }));

Deno.test("the check of the day says what became worse since the last one, also after a new start; one that is asked for keeps nothing", () =>
  withFolder(async (folder) => {
    const file = `${folder}/smtpd.conf`;
    const rules = 'action "in" maildir\nmatch from any for domain "example.org" action "in"\n';
    Deno.writeTextFileSync(file, `listen on 0.0.0.0\n${rules}`);
    const parsed = parseConfig(file, { defines: [], files: { readText: (path) => Deno.readTextFileSync(path) } });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed));
    const places: Record<string, string> = {
      SMTPD_STATE: `${folder}/state`,
      SMTPD_SPOOL: folder,
      SMTPD_SOCKET: `${folder}/c.sock`,
    };
    const env = { get: (name: string) => places[name] };
    let mx: DnsAnswer<string> = { kind: "records", records: ["10 mail.example.org"] };
    const warnings: string[] = [];
    const start = () =>
      new HostCheck({ config: () => parsed.config, env }, {
        lookup: {
          records: (kind) => Promise.resolve(kind === "mx" ? mx : { kind: "none", exists: true }),
          tryRcpt: () => Promise.resolve("refused"),
        },
        now: () => Date.UTC(2026, 10, 30),
        warn: (text) => void warnings.push(text),
      });
    const queue = { envelopes: 0, more: false, suspended: 0, oldestAt: null, deferred: [], paused: [], diskErrors: [] };
    const worse = async (keeps: boolean) =>
      (await start().run({ queue, blocklists: [], keeps })).worse.map(({ check, level }) => `${level} ${check}`);
    equal(start().last(), null);
    await worse(true);
    mx = { kind: "none", exists: true };
    deepEqual((await worse(false)).filter((one) => / mx$/.test(one)), []);
    deepEqual((await worse(true)).filter((one) => / mx$/.test(one)), ["error mx"]);
    deepEqual(await worse(true), [], "it is known now");
    equal(start().last()?.at, Date.UTC(2026, 10, 30));
    deepEqual(warnings, []);
    await Deno.remove(`${folder}/state`, { recursive: true });
    await Deno.writeTextFile(`${folder}/state`, "in the way");
    await worse(true);
    match(warnings[0]!, /^warn: check: what was found cannot be kept in .*checkup\.json: /);
  }));

Deno.test("a stranger tries the listeners that others reach, behind a proxy as well, but not where a login is needed", () =>
  withFolder(async (folder) => {
    const text =
      'pki mx.example.org cert "/nonexistent"\npki mx.example.org key "/nonexistent"\nca own cert "/nonexistent"\n' +
      "listen on 127.0.0.1 port 2525\nlisten on 127.0.0.1 port 2526 proxy-v2\nlisten on 192.0.2.25\n" +
      "listen on 192.0.2.25 port 587 tls-require pki mx.example.org auth\n" +
      "listen on 192.0.2.25 port 588 tls-require verify pki mx.example.org ca own\n" +
      "listen on 192.0.2.25 port 589 tls-require verify pki mx.example.org auth-optional\n" +
      'action "out" relay\nmatch from any for any action "out"\n';
    const parsed = parseConfig(`${folder}/smtpd.conf`, { defines: [], files: { readText: () => text } });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed));
    const places: Record<string, string> = { SMTPD_STATE: `${folder}/state`, SMTPD_SPOOL: folder };
    const check = new HostCheck({ config: () => parsed.config, env: { get: (name) => places[name] } }, {
      lookup: {
        records: () => Promise.resolve({ kind: "none", exists: true }),
        tryRcpt: () => Promise.resolve("taken"),
      },
      now: () => Date.UTC(2026, 10, 30),
      warn: () => {},
    });
    const queue = { envelopes: 0, more: false, suspended: 0, oldestAt: null, deferred: [], paused: [], diskErrors: [] };
    const { checked } = await check.run({ queue, blocklists: [], keeps: false });
    const tried = checked.findings.filter((one) => one.check === "open-relay");
    deepEqual(tried.map(({ level, subject }) => `${level} ${subject}`), [
      "error 127.0.0.1:2526",
      "error 192.0.2.25:25",
      "error 192.0.2.25:589",
    ]);
  }));
