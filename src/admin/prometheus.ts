/** Statistics in Prometheus' text format. Filled on each request: events never touch prom-client. */

import client from "prom-client";
import { METRICS } from "../events/mod.ts";
import type { AdminSource } from "./source.ts";

/** The text and its content type. A key `scheduler.delivery.ok` becomes `vaultpost_scheduler_delivery_ok_total`; gauges have no `_total`. */
export async function prometheusText(source: AdminSource): Promise<{ readonly text: string; readonly type: string }> {
  const registry = new client.Registry();
  const registers = [registry];
  new client.Gauge({ name: "vaultpost_info", help: "Version of the daemon", labelNames: ["version"], registers })
    .set({ version: source.version }, 1);
  new client.Gauge({ name: "vaultpost_uptime_seconds", help: "Time since the start", registers })
    .set(Math.floor(source.uptimeSeconds()));
  const taken = new Set(["vaultpost_info", "vaultpost_uptime_seconds"]);
  for (const { key, value, kind } of source.stats()) {
    const base = `vaultpost_${key.replaceAll(/[^a-z0-9]/g, "_")}`;
    const name = kind === "gauge" ? base : `${base}_total`;
    // Two keys may differ in punctuation only.
    if (taken.has(name)) continue;
    taken.add(name);
    const { help } = METRICS[key];
    if (kind === "gauge") new client.Gauge({ name, help, registers }).set(value);
    else new client.Counter({ name, help, registers }).inc(Math.max(0, value));
  }
  return { text: await registry.metrics(), type: registry.contentType };
}
