/** Aggregate reports of DMARC: counted per day and domain, sent once when the day is over, to those who want them by the DNS of then. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync } from "node:zlib";
import PostalMime from "postal-mime";
import { systemClock } from "../../src/clock.ts";
import { formatMailbox, NOTIFY } from "../../src/envelope/mod.ts";
import type { DmarcResult } from "../../src/mail_auth/dmarc_report/mod.ts";
import type { Expansion, FromLookup, ToLookup } from "../../src/protocol/mod.ts";
import { MAX_DOMAIN_ROWS } from "../../src/queue/dmarc/collector.ts";
import { FixtureDns, type FixtureZones } from "../mail_auth/fixture_dns.ts";
import { copySync } from "./copy.ts";
import {
  enqueue,
  expanded,
  list,
  logged,
  NOON,
  open,
  openQueue,
  type QueueHarness,
  SETTINGS,
  settingsFor,
  text,
} from "./harness.ts";

const FROM = { local: "postmaster", domain: "example.org" };
const DAY_MS = 86_400_000, HOUR_MS = 3_600_000, MIDNIGHT = NOON + DAY_MS / 2;
/** Timers that wait for so long are those of reports. */
const LONG_MS = 60_000;

/** A queue that sends reports. Its lookup answers from `zones`, and relays everything unless `expand` says otherwise. */
class Reporter {
  readonly timers: { readonly at: number; readonly action: () => void }[] = [];
  zones: FixtureZones;
  expand: (question: Extract<ToLookup, { type: "expand" }>) => Expansion = ({ rcpt }) => ({
    ok: true,
    targets: [{ agent: "mta", action: "out", dest: rcpt }],
    internal: [false],
  });
  harness!: QueueHarness;
  questions: string[] = [];

  constructor(zones: FixtureZones) {
    this.zones = zones;
  }

  async open(spool: string, settings: Parameters<typeof settingsFor>[1] = {}): Promise<void> {
    let now = () => NOON;
    this.harness = await openQueue(spool, { dmarcReports: { from: FROM, host: "mx.example.org" }, ...settings }, {
      after: (ms, action) => {
        if (ms < LONG_MS) return systemClock.after(ms, action);
        this.timers.push({ at: now() + ms, action });
        return () => {};
      },
    });
    now = () => this.harness.clock.now;
    const { lookup } = this.harness;
    lookup.onmessage = (question) => {
      lookup.received.splice(0);
      this.#answer(question).then((answer) => lookup.send(answer));
    };
  }

  async #answer(question: ToLookup): Promise<FromLookup> {
    if (question.type === "expand") return expanded(question, this.expand(question));
    assert.ok(question.type === "dns" && question.kind === "txt");
    this.questions.push(question.name);
    return { type: "dns", call: question.call, answer: await new FixtureDns(this.zones).txt(question.name) };
  }

  count(...results: readonly DmarcResult[]): void {
    for (const result of results) this.harness.smtp.send({ type: "dmarc-result", result });
  }

  /** Lets the time of day be `ms`, and what is due by then happen. Returns when nothing of it is left to do. */
  async pass(ms: number): Promise<void> {
    // What was counted is written first.
    await enqueue(this.harness);
    this.harness.clock.now = ms;
    for (let at = 0; at < 100; at++) {
      const due = this.timers.findIndex((timer) => timer.at <= ms);
      if (due < 0) return;
      const [{ action }] = this.timers.splice(due, 1) as [typeof this.timers[number]];
      const before = this.timers.length;
      action();
      // The next time is planned when all was sent.
      while (this.timers.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.fail("there is no end of it");
  }

  /** The mails in the queue that are reports, read as a receiver reads them. */
  async reports() {
    const envelopes = (await list(this.harness)).filter(({ sender }) => sender?.local === FROM.local);
    const mails = Map.groupBy(envelopes, ({ id }) => id.slice(0, 8));
    return await Promise.all([...mails.values()].map(async (group) => {
      const mail = await PostalMime.parse(text((await open(this.harness, group)).first));
      const [attachment] = mail.attachments;
      const xml = gunzipSync(new Uint8Array(attachment!.content as ArrayBuffer)).toString();
      return { group, mail, file: attachment!.filename, xml, to: group.map(({ rcpt }) => formatMailbox(rcpt)).sort() };
    }));
  }
}

async function withReporter(
  zones: FixtureZones,
  test: (reporter: Reporter, spool: string) => Promise<void>,
  settings: Parameters<typeof settingsFor>[1] = {},
) {
  const spool = await Deno.makeTempDir();
  const reporter = new Reporter(zones);
  try {
    await reporter.open(spool, settings);
    await test(reporter, spool);
  } finally {
    reporter.harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
}

function result(row: Partial<DmarcResult["row"]> = {}, domain = "news.example"): DmarcResult {
  return {
    policy: { domain, p: "reject", sp: null, np: null, adkim: "r", aspf: "r", fo: null, testing: false },
    row: {
      source: "192.0.2.1",
      disposition: "pass",
      dkim: "pass",
      spf: "fail",
      override: null,
      headerFrom: domain,
      envelopeFrom: "",
      dkimAuth: [{ domain, selector: "s1", result: "pass" }],
      spfAuth: null,
      ...row,
    },
  };
}

const WANTED: FixtureZones = { "_dmarc.news.example": [{ TXT: "v=DMARC1; p=reject; rua=mailto:rua@news.example" }] };

Deno.test("the history is told of a report that is in the queue", async () => {
  const shared = { ...SETTINGS, recording: true } as const;
  await withReporter(WANTED, async (reporter) => {
    reporter.count(result());
    await reporter.pass(MIDNIGHT + HOUR_MS);
    const [report] = await reporter.reports();
    const reported = reporter.harness.events.flatMap((event) => event.type === "queue-message" ? [event] : []);
    assert.deepEqual(reported.map(({ how, from, envelopes }) => [how, from, envelopes.map(({ id }) => id)]), [
      ["report", FROM, report!.group.map(({ id }) => id)],
    ]);
  }, { shared });
});

Deno.test("results of a day become one mail per domain when it is over, with a row for what messages have in common", async () => {
  const zones = { ...WANTED, "_dmarc.other.example": [{ TXT: "v=DMARC1; p=none; rua=mailto:a@other.example" }] };
  await withReporter(zones, async (reporter) => {
    reporter.count(result(), result(), result({ source: "::ffff:192.0.2.1" }));
    reporter.count(
      result({ source: "2001:DB8::1", disposition: "reject", dkim: "fail", headerFrom: "a<b>.news.example" }),
    );
    reporter.count(result({}, "other.example"), result({}, "no name"), result({ source: "nowhere" }));
    await reporter.pass(MIDNIGHT + 1000);
    assert.deepEqual(await reporter.reports(), [], "not at midnight itself");
    await reporter.pass(MIDNIGHT + HOUR_MS);
    const reports = (await reporter.reports()).sort((one, other) => one.to[0]! < other.to[0]! ? 1 : -1);
    assert.deepEqual(reports.map(({ to }) => to), [["rua@news.example"], ["a@other.example"]]);
    const { mail, xml, file, group } = reports[0]!;
    assert.match(
      mail.subject!,
      new RegExp(
        "^Report Domain: news\\.example Submitter: example\\.org Report-ID: <\\d+\\.[0-9a-f]+@example\\.org>$",
      ),
    );
    assert.match(file!, /^example\.org!news\.example!1795305600!1795391999![0-9a-z]+\.xml\.gz$/);
    assert.deepEqual([mail.from!.address, mail.to![0]!.address], ["postmaster@example.org", "rua@news.example"]);
    assert.deepEqual(group.map(({ sender, dsn, origin, internal }) => [sender, dsn.notify, origin.address, internal]), [
      [FROM, NOTIFY.NEVER, "local", true],
    ]);
    assert.match(xml, /<date_range><begin>1795305600<\/begin><end>1795391999<\/end><\/date_range>/);
    assert.match(
      xml,
      /<policy_published>\n<domain>news\.example<\/domain>\n<discovery_method>treewalk<\/discovery_method>\n<p>reject</,
    );
    assert.deepEqual(
      [...xml.matchAll(/<source_ip>(.*?)<\/source_ip><count>(\d+)<\/count>/g)].map((found) => found.slice(1)),
      [
        ["192.0.2.1", "3"],
        ["2001:db8::1", "1"],
      ],
    );
    assert.match(xml, /<header_from>a&lt;b&gt;\.news\.example</);
    assert.match(xml, /<dkim><domain>news\.example<\/domain><selector>s1<\/selector><result>pass<\/result><\/dkim>/);
    await reporter.pass(MIDNIGHT + 3 * DAY_MS);
    assert.equal((await reporter.reports()).length, 2, "none is sent twice");
  });
});

Deno.test("what is counted survives the end of the queue, is sent once, and a new day has a report of its own", async () => {
  await withReporter(WANTED, async (reporter, spool) => {
    reporter.count(result());
    await enqueue(reporter.harness);
    reporter.harness.stop();
    await reporter.open(spool);
    reporter.count(result());
    reporter.timers.splice(0, reporter.timers.length - 1);
    await reporter.pass(MIDNIGHT + HOUR_MS);
    assert.deepEqual((await reporter.reports()).map(({ xml }) => /<count>(\d+)/.exec(xml)![1]), ["2"]);
    reporter.count(result(), result(), result());
    await enqueue(reporter.harness);
    reporter.harness.stop();
    reporter.timers.splice(0);
    await reporter.open(spool);
    reporter.harness.clock.now = MIDNIGHT + DAY_MS - HOUR_MS;
    await reporter.pass(MIDNIGHT + DAY_MS + HOUR_MS);
    assert.deepEqual((await reporter.reports()).map(({ xml }) => /<count>(\d+)/.exec(xml)![1]).sort(), ["2", "3"]);
  });
});

Deno.test("at every moment there is either what a report is made of, or its mail: a crash neither loses nor doubles it", async () => {
  await withReporter(WANTED, async (reporter, spool) => {
    reporter.count(result());
    await enqueue(reporter.harness);
    const states = [stateOf(spool)];
    // Between two turns the files are what a crash would leave.
    const timer = setInterval(() => states.push(stateOf(spool)), 0);
    await reporter.pass(MIDNIGHT + HOUR_MS);
    clearInterval(timer);
    states.push(stateOf(spool));
    assert.deepEqual(states.filter(({ rows, mails }) => rows + mails !== 1), []);
    assert.deepEqual([states[0], states.at(-1)], [{ rows: 1, mails: 0 }, { rows: 0, mails: 1 }]);
  });
});

/** Reports that are to be sent, and mails that are reports, in a copy of the spool. */
function stateOf(spool: string): { readonly rows: number; readonly mails: number } {
  const folder = Deno.makeTempDirSync();
  try {
    copySync(spool, folder);
    const database = new DatabaseSync(`${folder}/queue.db`);
    const count = (sql: string) => (database.prepare(sql).get() as { count: number }).count;
    const rows = count("SELECT count(*) AS count FROM dmarc_domains");
    const mails = count(`SELECT count(*) AS count FROM envelopes WHERE facts LIKE '%"postmaster"%'`);
    database.close();
    return { rows, mails };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const external = (name: string, record: string): FixtureZones => ({
  "_dmarc.news.example": [{ TXT: "v=DMARC1; p=reject; rua=mailto:rua@reports.test" }],
  [name]: [{ TXT: record }],
});

const ASKED: readonly {
  readonly what: string;
  readonly zones: FixtureZones;
  /** Null: it is tried again later. */
  readonly to: readonly string[] | null;
  readonly log?: RegExp;
}[] = [
  { what: "a domain whose record is gone", zones: {}, to: [], log: /not sent: nobody wants it by mail/ },
  {
    what: "a domain that wants none any more",
    zones: { "_dmarc.news.example": [{ TXT: "v=DMARC1; p=reject" }] },
    to: [],
  },
  {
    what: "a domain with two records",
    zones: { "_dmarc.news.example": [WANTED["_dmarc.news.example"]![0]!, { TXT: "v=DMARC1; p=none" }] },
    to: [],
  },
  {
    what: "URIs that are not of mail, and those that are",
    zones: {
      "_dmarc.news.example": [{
        TXT:
          'v=DMARC1; p=reject; rua=https://news.example/, mailto:a%2Bb@news.example!10m, mailto:"x y"@news.example, mailto:c@sub.news.example,mailto:a+b@news.example',
      }],
    },
    to: ["a+b@news.example", "c@sub.news.example"],
  },
  {
    what: "an address that takes less than the mail has",
    zones: {
      "_dmarc.news.example": [{
        TXT: "v=DMARC1; p=reject; rua=mailto:small@news.example!1k,mailto:large@news.example!1m",
      }],
    },
    to: ["large@news.example"],
  },
  {
    what: "addresses that all take less",
    zones: { "_dmarc.news.example": [{ TXT: "v=DMARC1; p=reject; rua=mailto:small@news.example!500" }] },
    to: [],
    log: /not sent: its \d+ octets are more than it may have/,
  },
  { what: "another organisation that does not agree", zones: external("reports.test", "v=DMARC1"), to: [] },
  {
    what: "another organisation that agrees",
    zones: external("news.example._report._dmarc.reports.test", "v=DMARC1"),
    to: ["rua@reports.test"],
  },
  {
    what: "another organisation that says something else",
    zones: external("news.example._report._dmarc.reports.test", "v=spf1 -all"),
    to: [],
  },
  {
    what: "another organisation that names another address",
    zones: external("news.example._report._dmarc.reports.test", "v=DMARC1; rua=mailto:other@reports.test"),
    to: ["other@reports.test"],
  },
  {
    what: "another organisation that names a third one",
    zones: external("news.example._report._dmarc.reports.test", "v=DMARC1; rua=mailto:victim@third.test"),
    to: [],
  },
  {
    what: "a record that cannot be asked for",
    zones: { "_dmarc.news.example": ["TIMEOUT"] },
    to: null,
    log: /sent later: its record could not/,
  },
  {
    what: "an agreement that cannot be asked for",
    zones: { ...external("x.test", "x"), "news.example._report._dmarc.reports.test": ["TIMEOUT"] },
    to: null,
    log: /sent later: whether reports\.test wants it could not be asked for/,
  },
];
for (const { what, zones, to, log } of ASKED) {
  Deno.test(`a report goes ${to === null ? "later" : to.length === 0 ? "to nobody" : `to ${to.join(" and ")}`}: ${what}`, async () => {
    await withReporter(zones, async (reporter) => {
      reporter.count(result());
      await reporter.pass(MIDNIGHT + HOUR_MS);
      assert.deepEqual((await reporter.reports()).map((report) => report.to), (to ?? []).length === 0 ? [] : [to]);
      if (log !== undefined) {
        assert.ok(logged(reporter.harness).some((line) => log.test(line)), logged(reporter.harness).join("\n"));
      }
      // When all agree at last, only what was kept is sent.
      reporter.zones = WANTED;
      await reporter.pass(MIDNIGHT + 5 * HOUR_MS);
      assert.equal((await reporter.reports()).length, to === null || to.length > 0 ? 1 : 0);
    });
  });
}

Deno.test("a report that nobody answers for is given up after three days", async () => {
  await withReporter({ "_dmarc.news.example": ["TIMEOUT"] }, async (reporter) => {
    reporter.count(result());
    await reporter.pass(MIDNIGHT + HOUR_MS);
    await reporter.pass(MIDNIGHT + DAY_MS + 2 * HOUR_MS);
    assert.ok(logged(reporter.harness).every((line) => !line.includes("is not sent")));
    await reporter.pass(MIDNIGHT + 2 * DAY_MS + 2 * HOUR_MS);
    assert.ok(logged(reporter.harness).some((line) => line.includes("is not sent: its record could not be asked for")));
    reporter.zones = WANTED;
    await reporter.pass(MIDNIGHT + 4 * DAY_MS);
    assert.deepEqual(await reporter.reports(), []);
  });
});

Deno.test("a report waits when the rules cannot be asked, and is dropped when they let it go nowhere", async () => {
  await withReporter(WANTED, async (reporter) => {
    const relay = reporter.expand;
    reporter.count(result());
    reporter.expand = () => ({ ok: false, code: 421, text: "4.3.0 Temporary failure" });
    await reporter.pass(MIDNIGHT + HOUR_MS);
    assert.ok(logged(reporter.harness).some((line) => /sent later: 421 4\.3\.0 .*rua@news\.example/.test(line)));
    reporter.expand = relay;
    await reporter.pass(MIDNIGHT + 3 * HOUR_MS);
    assert.equal((await reporter.reports()).length, 1);
    reporter.count(result());
    reporter.expand = () => ({ ok: false, code: 550, text: "5.7.1 Relaying denied" });
    await reporter.pass(MIDNIGHT + DAY_MS + HOUR_MS);
    reporter.expand = relay;
    await reporter.pass(MIDNIGHT + DAY_MS + 4 * HOUR_MS);
    assert.equal((await reporter.reports()).length, 1);
  });
});

Deno.test("a domain has a bounded number of rows a day, and its report says how many messages are in none", async () => {
  await withReporter(WANTED, async (reporter) => {
    for (let n = 0; n < MAX_DOMAIN_ROWS + 7; n++) {
      reporter.count(result({ source: `192.0.${n >> 8}.${n & 255}` }));
      // In transactions of their own, as bounds count what is written.
      if (n % 200 === 0) await enqueue(reporter.harness);
    }
    await enqueue(reporter.harness);
    reporter.count(result({ source: "198.51.100.1" }), result({ source: "192.0.0.1" }));
    await reporter.pass(MIDNIGHT + HOUR_MS);
    const xml = (await reporter.reports())[0]!.xml;
    const rows = [...xml.matchAll(/<record>/g)].length;
    const omitted = Number(/<error>(\d+) messages are in no record/.exec(xml)?.[1]);
    assert.ok(rows >= MAX_DOMAIN_ROWS && rows < MAX_DOMAIN_ROWS + 500, `${rows}`);
    assert.equal(rows + omitted, MAX_DOMAIN_ROWS + 8);
  });
});

Deno.test("without reports in the configuration nothing is counted", async () => {
  const spool = await Deno.makeTempDir();
  const reporter = new Reporter(WANTED);
  try {
    await reporter.open(spool, { dmarcReports: undefined as never });
    reporter.count(result());
    await enqueue(reporter.harness);
    assert.deepEqual(reporter.timers, []);
    assert.deepEqual(reporter.harness.refused, []);
  } finally {
    reporter.harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});
