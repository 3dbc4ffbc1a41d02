/** How mail goes: now, and over the last day. */

import { html, nothing } from "../lit/lit-html.js";
import { figure } from "../plot.js";
import { hrefOf, state } from "../state.js";
import { address, counted, harmless, LISTED_CHARS, number, rate, span } from "../text.js";
import { ago, blank, chip, heading, text, time } from "../ui.js";

const DAY_HOURS = 24;
/** Lines of what happened just now. */
const SHOWN_OUTCOMES = 8;

const AGENTS = { mda: "Local delivery", mta: "Relaying", smtp: "Incoming mail" };
const OUTCOMES = {
  accepted: ["info", "accepted"],
  delivered: ["ok", "delivered"],
  relayed: ["ok", "relayed"],
  deferred: ["warn", "deferred"],
  failed: ["bad", "failed"],
  refused: ["bad", "refused"],
  removed: ["quiet", "removed"],
};

export const overview = {
  title: "Overview",
  renew: ["overview"],
  everyMs: 30_000,
  async load(_place, { get }) {
    const [now, series] = await Promise.all([get("overview"), get("series", { hours: DAY_HOURS })]);
    state.overview ??= now;
    return { series: seriesOf(series) };
  },
  draw({ series }) {
    const now = state.overview;
    return html`
      ${heading("Overview", { lead: html`${text(now.serverName, 100)}, up ${span(now.uptimeSeconds * 1000)}` })}
      ${standing(now)}
      ${numbers(now)}
      <h2>The last day</h2>
      ${series.points.length === 0
        ? blank("clock", "Nothing counted yet", "The plots begin with the first minutes of this daemon.")
        : html`
          <div class="plots">${traffic(series)}</div>
          <div class="plots large">${delays(series)}${ages(series)}</div>
        `}
      <h2>Just now</h2>
      ${justNow()}
    `;
  },
};

/** Whether all is well, in a sentence, and what is not. */
function standing(now) {
  const lines = [...now.reasons, ...now.problems];
  const { errors = 0, warnings = 0 } = now.checkup ?? {};
  const level = lines.length > 0 || now.paused.length > 0 || now.status !== "ok" ? "bad" : errors > 0 ? "warn" : "ok";
  const word = {
    ok: "All is well",
    warn: "Mail flows, and something needs you",
    bad: now.status === "ok" ? "Something is not as it should be" : "Mail does not flow as it should",
  }[level];
  return html`
    <section class="standing ${level}" aria-label="How it stands">
      <p class="word"><i></i><b>${word}</b></p>
      ${lines.length === 0 ? nothing : html`<ul>${lines.map((line) => html`<li>${text(line, 400)}</li>`)}</ul>`}
      ${now.paused.map((agent) =>
        html`<p>${AGENTS[agent] ?? agent} is paused. <a href=${hrefOf("lanes")}>Resume it in lanes</a></p>`
      )}
      ${errors + warnings === 0 ? nothing : html`
        <p><a href=${hrefOf("health")}>The check of this host</a> found ${counted(errors, "error")} and ${counted(
          warnings,
          "warning",
        )}.</p>
      `}
    </section>
  `;
}

function numbers(now) {
  const { rates } = now;
  const one = (label, value, note, href) =>
    html`<li><a href=${href}><span class="label">${label}</span><b>${value}</b><span class="soft">${note}</span></a></li>`;
  return html`
    <ul class="numbers" aria-label="Now">
      ${one(
        "In the queue",
        number(now.envelopes),
        now.oldestAt === null ? "nothing waits" : html`oldest ${ago(now.oldestAt)}`,
        hrefOf("queue"),
      )}
      ${one(
        "Under way",
        number(now.inflight),
        `${number(now.relaySessions)} relay, ${number(now.localDeliveries)} local`,
        hrefOf("lanes"),
      )}
      ${one("SMTP sessions", number(now.sessions), "open now", hrefOf("sessions"))}
      ${one("Accepted", rates === null ? "–" : rate(rates.accepted), "per second", hrefOf("messages"))}
      ${one(
        "Sent on",
        rates === null ? "–" : rate(rates.delivered + rates.relayed),
        "per second",
        hrefOf("messages", null, { outcome: "delivered" }),
      )}
      ${one(
        "Refused",
        rates === null ? "–" : rate(rates.refused),
        "per second",
        hrefOf("messages", null, { outcome: "refused" }),
      )}
    </ul>
  `;
}

function traffic(series) {
  const plots = [
    ["accepted", "Accepted", "messages that were taken", [["accepted", "accepted", "info"]]],
    ["delivered", "Delivered", "local and relayed", [["delivered", "local", "ok"], ["relayed", "relayed", "info"]]],
    ["deferred", "Deferred", "attempts to be made again", [["deferred", "deferred", "warn"]]],
    ["refused", "Refused", "at the door, and failed later", [["refused", "refused", "bad"], [
      "failed",
      "failed",
      "quiet",
    ]]],
  ];
  return plots.map(([name, title, what, parts]) => {
    const points = series.points.map((point) => ({ at: point.at, values: parts.map(([key]) => point[key]) }));
    const sums = parts.map(([key]) => series.points.reduce((sum, point) => sum + point[key], 0));
    const all = sums.reduce((sum, value) => sum + value, 0);
    return figure({
      name,
      title,
      total: html`<b>${number(all)}</b>`,
      description: `${title}, ${what}, over the last day: ${number(all)} in all${
        parts.length > 1 ? `, ${parts.map(([, word], at) => `${number(sums[at])} ${word}`).join(", ")}` : ""
      }.`,
      points,
      series: parts.map(([, word, tone]) => ({ name: word, tone })),
      kind: "bars",
      format: axis,
    });
  });
}

/** Numbers beside a plot are short. */
function axis(value) {
  return value >= 10_000
    ? `${Math.round(value / 1000)}k`
    : value >= 1000
    ? `${(value / 1000).toFixed(1)}k`
    : String(Math.round(value * 10) / 10);
}

/** Short, too: `0.1s`, `10m`. */
function seconds(value) {
  return value < 1
    ? `${Number(value.toPrecision(2))}s`
    : span(value * 1000).replace(" min", "m").replaceAll(/ (?=[hds])/g, "");
}

function delays(series) {
  const last = series.points.findLast(({ delayP50 }) => delayP50 !== null);
  return figure({
    name: "delay",
    title: "Delay until delivery",
    tall: true,
    total: last === undefined
      ? "nothing was delivered"
      : html`<b>${seconds(last.delayP50)}</b> · 95 % <b>${seconds(last.delayP95 ?? last.delayP50)}</b>`,
    description: last === undefined
      ? "Nothing was delivered on the last day."
      : `From acceptance to delivery, on a logarithmic scale. Last, half of all took less than ${
        seconds(last.delayP50)
      }, and 95 percent less than ${seconds(last.delayP95 ?? last.delayP50)}.`,
    points: series.points.map(({ at, delayP50, delayP95 }) => ({ at, values: [delayP50, delayP95] })),
    series: [{ name: "half", tone: "info" }, { name: "95 %", tone: "warn" }],
    kind: "lines",
    join: "largest",
    format: seconds,
  });
}

const AGE_TONES = ["age-0", "age-1", "age-2", "age-3", "age-4", "age-5"];

function ages(series) {
  const last = series.points.findLast(({ queue }) => queue !== null);
  const now = last === undefined ? 0 : last.queue.reduce((sum, value) => sum + value, 0);
  return figure({
    name: "ages",
    title: "Queue by age",
    tall: true,
    total: html`<b>${number(now)}</b> now`,
    description: `Envelopes in the queue over the last day, by how long they have waited. Now there are ${number(now)}${
      last === undefined
        ? ""
        : `: ${series.ages.map((name, at) => `${number(last.queue[at] ?? 0)} ${name}`).join(", ")}`
    }.`,
    points: series.points.map(({ at, queue }) => ({ at, values: series.ages.map((_, of) => queue?.[of] ?? null) })),
    series: series.ages.map((name, at) => ({ name, tone: AGE_TONES[at] ?? "age-5" })),
    kind: "bars",
    join: "last",
    format: axis,
  });
}

/** How many of the API's ages are one in the plot: ten are more than one can tell apart. */
const FOLDED_AGES = [["under 5 min", 2], ["to 1 h", 2], ["to 12 h", 2], ["to 2 d", 2], ["older", 2]];

/** The answer of the API as the plots take it. */
function seriesOf({ items, ages }) {
  if (ages.length !== FOLDED_AGES.reduce((sum, [, count]) => sum + count, 0)) return { points: items, ages };
  const fold = (queue) => {
    let at = 0;
    return FOLDED_AGES.map(([, count]) => queue.slice(at, at += count).reduce((sum, value) => sum + value, 0));
  };
  return {
    points: items.map((item) => ({ ...item, queue: item.queue === null ? null : fold(item.queue) })),
    ages: FOLDED_AGES.map(([label]) => label),
  };
}

/** As many lines as there may be, so that nothing moves when one comes. */
function justNow() {
  const { outcomes } = state;
  if (outcomes.length === 0) {
    return html`<p class="feed-empty soft">${
      state.link === "live"
        ? "What happens to mail appears here."
        : "What happens to mail appears here while this page is live."
    }</p>`;
  }
  return html`
    <ol class="feed">
      ${Array.from({ length: SHOWN_OUTCOMES }, (_, at) => {
        const one = outcomes[at];
        if (one === undefined) return html`<li aria-hidden="true"></li>`;
        const [level, word] = OUTCOMES[one.what] ?? ["quiet", harmless(one.what, 20)];
        const id = one.message ?? one.session;
        return html`
          <li>
            <span class="soft when">${time(new Date(one.at).toISOString())}</span>
            ${chip(level, word)}
            <a class="who" href=${id === null ? "#/" : hrefOf("messages", id)}><bdi>${address(
              one.from,
              LISTED_CHARS,
            )}</bdi> → <bdi>${harmless(one.to ?? "", LISTED_CHARS)}</bdi></a>
            <span class="soft why">${text(one.text ?? "", 200)}</span>
          </li>
        `;
      })}
    </ol>
  `;
}
