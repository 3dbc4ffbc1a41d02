/**
 * The examples for Prometheus and Grafana, and docs/metrics.md: every metric that they name is one that the daemon serves, with the labels and buckets that it
 * has; promtool finds nothing wrong, and the alerts come when they should.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { metricFamilies, type MetricFamily } from "../../src/admin/metric_names.ts";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { commandsWith } from "../../src/cli/smtpctl/words.ts";
import { HISTOGRAMS } from "../../src/events/mod.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROMTOOL = `${ROOT}.deno/tools/bin/promtool`;
const read = (path: string) => Deno.readTextFileSync(`${ROOT}${path}`);
const RULES = "conf/prometheus/vaultpost.rules.yml";
const FAMILIES = new Map(metricFamilies().map((family) => [family.name, family]));

/** The metric that a sample is of: a histogram has three kinds of them. */
function familyOf(sample: string): MetricFamily | undefined {
  const base = FAMILIES.get(sample.replace(/_(?:bucket|sum|count)$/, ""));
  return base?.type === "histogram" ? (base.name === sample ? undefined : base) : FAMILIES.get(sample);
}

/** What is wrong with an expression. */
function* wrong(expression: string): Generator<string> {
  for (const [, name, labels = ""] of expression.matchAll(/\b(vaultpost_\w+)(?:\{([^}]*)\})?/g)) {
    const family = familyOf(name!);
    if (family === undefined) {
      yield `${name} is not served: ${expression}`;
      continue;
    }
    for (const [, label, value] of labels.matchAll(/(\w+)=~?"([^"]*)"/g)) {
      if (label === "job" || label === "instance") continue;
      if (label === "le" && "histogram" in family.of) {
        const bounds: readonly number[] = HISTOGRAMS[family.of.histogram].bounds;
        if (value !== "+Inf" && !bounds.includes(Number(value))) yield `${name} has no bucket ${value}`;
      } else if (label !== family.label) yield `${name} has no label ${label}`;
      else if ("statistics" in family.of && !family.of.statistics.some((one) => one.value === value)) {
        yield `${name} has no ${label} ${value}`;
      }
    }
    if (family.type !== "counter" && new RegExp(`(?:rate|increase)\\(${name}`).test(expression) && isSnapshot(family)) {
      yield `${name} has no rate: ${expression}`;
    }
  }
}

const isSnapshot = ({ of }: MetricFamily) => !("histogram" in of) || "snapshot" in HISTOGRAMS[of.histogram];

/** All expressions in a dashboard. */
function expressionsOf(part: unknown): string[] {
  if (Array.isArray(part)) return part.flatMap(expressionsOf);
  if (typeof part !== "object" || part === null) return [];
  return Object.entries(part).flatMap(([key, value]) =>
    typeof value === "string" && (key === "expr" || key === "query") ? [value] : expressionsOf(value)
  );
}

Deno.test("conf/grafana/vaultpost.json asks for metrics that the daemon serves, and says of each panel what it shows", () => {
  const dashboard = JSON.parse(read("conf/grafana/vaultpost.json"));
  const expressions = expressionsOf(dashboard);
  assert.ok(expressions.length > 30);
  assert.deepEqual(expressions.flatMap((expression) => [...wrong(expression)]), []);
  for (const { title, description, targets, gridPos } of dashboard.panels) {
    assert.ok(description.length > 0 && targets.length > 0, title);
    assert.ok(gridPos.x + gridPos.w <= 24, title);
  }
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

Deno.test("the alerts name metrics that the daemon serves, and each says what to do with commands that there are", () => {
  const text = read(RULES);
  const alerts = text.split(/^ {6}- alert: /m).slice(1);
  assert.ok(alerts.length >= 12);
  assert.deepEqual(alerts.flatMap((alert) => [...wrong(alert.slice(0, alert.indexOf("annotations:")))]), []);
  const tried = read("conf/prometheus/vaultpost.test.yml");
  for (const alert of alerts) {
    const name = alert.slice(0, alert.indexOf("\n"));
    assert.match(alert, /^ {10}runbook: \S.*\.$/m, name);
    assert.match(alert, /^ {10}summary: \S.*\."?$/m, name);
    assert.ok(tried.includes(`alertname: ${name}\n`), `${name} is not tried`);
    for (const [, words] of alert.matchAll(/`smtpctl ([^`]+)`/g)) {
      const given = words!.split(" ");
      assert.ok([given.slice(0, 2), given.slice(0, 1)].some((some) => commandsWith(COMMANDS, some).ok), words);
    }
  }
});

Deno.test("docs/metrics.md lists all metrics, with type and help", () => {
  const listed = /```text\n([^]*?)```/.exec(read("docs/metrics.md"))![1]!;
  const want = [...FAMILIES.values()].map(({ name, type, help, label }) =>
    `${name}${label === undefined ? "" : `{${label}}`} ${type}\n    ${help}\n`
  );
  assert.equal(listed, want.join(""));
});

Deno.test("promtool takes the alerts, and they come when they should", async (test) => {
  if (!await Deno.stat(PROMTOOL).then(() => true, () => false)) {
    return console.log("promtool is not here (Debian's prometheus): the alerts are not tried");
  }
  const run = async (...args: string[]) => {
    const { success, stdout, stderr } = await new Deno.Command(PROMTOOL, { args, cwd: `${ROOT}conf/prometheus` })
      .output();
    assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  };
  await test.step("check rules", () => run("check", "rules", "vaultpost.rules.yml"));
  await test.step("test rules", () => run("test", "rules", "vaultpost.test.yml"));
});
