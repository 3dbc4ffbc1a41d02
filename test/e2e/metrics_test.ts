/** What the real daemon serves at /metrics: all metrics of docs/metrics.md and no others, counted from mail that goes through it; and the last day per minute. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { freePort } from "../ports.ts";
import { metricFamilies } from "../../src/admin/metric_names.ts";
import { DOMAIN, maildirConfig, PROJECT, withDaemon } from "./harness.ts";

const PROMTOOL = `${PROJECT}/.deno/tools/bin/promtool`;
const MESSAGE = "Subject: measured\r\n\r\nhere\r\n.";

/** What promtool says against it; null where it is not here. */
async function lint(text: string): Promise<string | null> {
  if (!await Deno.stat(PROMTOOL).then(() => true, () => false)) return null;
  const child = new Deno.Command(PROMTOOL, {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  })
    .spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(text));
  await input.close();
  const { success, stdout, stderr } = await child.output();
  return success ? "" : new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("/metrics has each metric of the documentation, and counts what goes through the daemon", async () => {
  const admin = freePort();
  const config = (daemon: { port: number; mail: string }) =>
    `admin listen on 127.0.0.1 port ${admin}\n${maildirConfig(daemon)}`;
  await withDaemon({ config }, async (daemon) => {
    const get = async (path: string) => await (await fetch(`http://127.0.0.1:${admin}${path}`)).text();
    const sample = (text: string, name: string) =>
      Number(text.split("\n").find((line) => line.startsWith(`${name} `))?.slice(name.length + 1));
    // Before there was anything to count, all is there.
    const names = (text: string) =>
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    const want = metricFamilies().map(({ name, type }) => `${name} ${type}`);
    assert.deepEqual(names(await get("/metrics")), want);

    const client = await Client.open(daemon.port);
    await client.reply();
    const lines = ["EHLO a.example", "MAIL FROM:<a@example.net>", "RCPT TO:<x@elsewhere.example>"];
    for (const line of [...lines, `RCPT TO:<bob@${DOMAIN}>`, "DATA", MESSAGE, "QUIT"]) await client.say(line, "");
    client.close();
    await daemon.logged(/ mda delivery .* result=Ok/);

    // Replies are reported once a second.
    let text = "";
    for (let look = 0; look < 100; look++) {
      text = await get("/metrics");
      if (sample(text, "vaultpost_smtp_reply_seconds_count") >= 7) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const counted = {
      vaultpost_smtp_reply_seconds_count: 7,
      vaultpost_smtp_message_total: 1,
      vaultpost_smtp_refused_total: 1,
      vaultpost_mda_delivered_total: 1,
      vaultpost_delivery_delay_seconds_count: 1,
      [`vaultpost_delivery_delay_seconds_bucket{le="60"}`]: 1,
      vaultpost_queue_age_seconds_count: 0,
      vaultpost_queue_oldest_seconds: 0,
      [`vaultpost_delivery_failures_total{class="no-such-user"}`]: 0,
    };
    const got = Object.fromEntries(Object.keys(counted).map((name) => [name, sample(text, name)]));
    assert.deepEqual(got, counted);
    // The last day has the same.
    const { items, bucketSeconds } = JSON.parse(await get("/api/v1/series?hours=1"));
    const total = (key: string) => items.reduce((sum: number, item: Record<string, number>) => sum + item[key]!, 0);
    assert.ok(items.length * bucketSeconds >= 3000);
    assert.deepEqual(["accepted", "delivered", "refused", "failed"].map(total), [1, 1, 1, 0]);
    assert.deepEqual(items.at(-1).queue?.length ?? 10, 10);
    assert.ok(sample(text, "vaultpost_queue_disk_free_bytes") > 0);
    assert.ok(sample(text, "vaultpost_queue_disk_size_bytes") >= sample(text, "vaultpost_queue_disk_free_bytes"));
    // Buckets are cumulative, and the last has all.
    const buckets = [...text.matchAll(/^vaultpost_smtp_reply_seconds_bucket\{le="[^"]+"\} (\d+)$/gm)].map(([, n]) =>
      Number(n)
    );
    assert.deepEqual(buckets, buckets.toSorted((one, other) => one - other));
    assert.equal(buckets.at(-1), 7);
    const lines2 = await lint(text);
    if (lines2 === null) console.log("promtool is not here (Debian's prometheus): the format is not checked by it");
    else assert.equal(lines2, "");
  });
});
