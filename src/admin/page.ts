/** The one page: what is queued and what was counted, as plain HTML. hono's `html` escapes every value. */

import { html } from "hono/html";
import { formatMailbox } from "../envelope/mod.ts";
import { formatDuration } from "../events/mod.ts";
import { summaryOf } from "../findings/mod.ts";
import type { Checked } from "../protocol/mod.ts";
import type { AdminRow, AdminSource } from "./source.ts";

export const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8885; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: .9em; } .quiet { opacity: .7; } .bad { font-weight: bold; color: #c33; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0; } dd { margin: 0; }
`;

/** Findings of these levels are shown, in this order. */
const SHOWN_LEVELS = ["error", "warning", "unknown", "info"] as const;

export interface PageView {
  readonly rows: readonly AdminRow[];
  /** Id to ask for the next page with, null on the last page. */
  readonly next: string | null;
  readonly health: Readonly<Record<string, boolean>>;
  readonly diskErrors: readonly string[];
  /** ms since the epoch. */
  readonly now: number;
}

/** The whole document. Reloads itself every 10 s. */
export function renderPage(source: AdminSource, view: PageView) {
  const paused = Object.entries(source.paused()).filter(([, is]) => is).map(([what]) => what);
  const ill = Object.entries(view.health).filter(([, well]) => !well).map(([name]) => name);
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <meta http-equiv="refresh" content="10">
        <title>Vaultpost on ${source.serverName}</title>
        <link rel="stylesheet" href="/style.css">
      </head>
      <body>
    <h1>Vaultpost on ${source.serverName}</h1>
    <p class="quiet">Version ${source.version}, up ${formatDuration(
      source.uptimeSeconds(),
    )}. This page is read-only and renews itself every 10 seconds.</p>
    ${view.diskErrors.map((line) => html`<p class="bad">${line}</p>`)}
    <p>${ill.length + view.diskErrors.length === 0
      ? "All is well."
      : ill.length === 0
      ? ""
      : html`<span class="bad">Not answering: ${ill.join(", ")}</span>`}
    ${paused.length === 0 ? "" : html`<span class="bad">Paused: ${paused.join(", ")}</span>`}</p>
    <h2>Queue</h2>
    ${renderQueue(view)}
    <h2>Check of this host</h2>
    ${renderCheckup(source.checkup(), view.now)}
    <h2>Counters</h2>
    <dl>${source.stats().map(({ key, value }) =>
      html`
        <dt><code>${key}</code></dt>
        <dd>${value}</dd>
      `
    )}</dl>
      </body>
    </html>
  `;
}

/** What is not as it should be; the rest is a number. */
function renderCheckup(checked: Checked | null, now: number) {
  if (checked === null) return html`<p>There was none yet. <code>smtpctl check</code> makes one.</p>`;
  const { at, findings } = checked;
  const shown = SHOWN_LEVELS.flatMap((level) => findings.filter((one) => one.level === level));
  const ok = findings.length - shown.length;
  return html`
    <p class="quiet">${formatDuration(Math.max(0, now - at) / 1000)} ago: ${summaryOf(findings)}${ok === findings.length
      ? ""
      : `, ${ok} are well`}.</p>
    ${shown.length === 0 ? "" : html`
      <div class="scroll">
        <table>
          <tr><th>Level</th><th>What</th><th>Found</th><th>What to do</th></tr>
          ${shown.map((one) =>
            html`
              <tr>
                <td>${one.level === "info" || one.level === "unknown"
                  ? one.level
                  : html`<span class="bad">${one.level}</span>`}</td>
                <td>${one.check} ${one.subject}</td>
                <td>${one.text}</td>
                <td>${one.advice ?? ""}</td>
              </tr>
            `
          )}
            </table>
      </div>
    `}
  `;
}

function renderQueue({ rows, next, now }: PageView) {
  if (rows.length === 0) return html`<p>The queue is empty.</p>`;
  return html`
    <div class="scroll">
      <table>
    <tr><th>Envelope</th><th>From</th><th>To</th><th class="number">Age</th><th class="number">Tries</th><th>State</th><th>Last error</th></tr>
    ${rows.map((row) => renderRow(row, now))}
      </table>
    </div>
    ${next === null ? "" : html`<p><a href="/?after=${next}">More</a></p>`}
  `;
}

function renderRow({ envelope, state }: AdminRow, now: number) {
  const { id, sender, dest, createdAt, tries, errorLine } = envelope;
  return html`
    <tr>
      <td><code>${id}</code></td>
      <td>${sender === null ? "<>" : formatMailbox(sender)}</td>
      <td>${formatMailbox(dest)}</td>
      <td class="number">${formatDuration((now - createdAt) / 1000)}</td>
      <td class="number">${tries}</td>
      <td>${standing(state, now)}</td>
      <td>${errorLine}</td>
    </tr>
  `;
}

function standing(state: AdminRow["state"], now: number): string {
  if (state === null) return "unknown";
  if (state.state !== "pending") return state.state;
  return state.at <= now ? "due" : `due in ${formatDuration((state.at - now) / 1000)}`;
}
