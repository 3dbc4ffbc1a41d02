/** Plots as SVG, drawn by hand: bars that may be stacked, and lines on a logarithmic scale. Each has a title, a description, and a table for who does not see it. */

import { html, nothing, svg } from "./lit/lit-html.js";
import { changed, state } from "./state.js";
import { minutes } from "./text.js";

/** Pixels of a bar with its gap, at least. */
const LEAST_BAR = 4;
/** Room for labels, and above the highest. */
const LEFT = 34, BELOW = 18, ABOVE = 8;
/** Of a plot that is not measured yet. */
const USUAL_WIDTH = 320;

const widths = new Map();
let measured = null;

/** Measures plots that are new on the page; draws anew when one got another width. */
export function measurePlots(root) {
  measured ??= new ResizeObserver((entries) => {
    let differs = false;
    for (const { target, contentRect } of entries) {
      const width = Math.round(contentRect.width), name = target.dataset.plot;
      if (width === 0 || widths.get(name) === width) continue;
      widths.set(name, width);
      differs = true;
    }
    if (differs) changed();
  });
  for (const box of root.querySelectorAll("[data-plot]:not([data-measured])")) {
    box.dataset.measured = "";
    const width = Math.round(box.getBoundingClientRect().width);
    if (width > 0 && widths.get(box.dataset.plot) !== width) {
      widths.set(box.dataset.plot, width);
      changed();
    }
    measured.observe(box);
  }
}

/**
 * A figure. `points`: `{ at, values }` in order of time, as many values as `series` has; null for none. `series`: `{ name, tone }`, tones are classes.
 * `kind`: `bars` are added up into fewer where there is little room, or by `join`; `lines` have a logarithmic scale. `format` writes a value.
 */
export function figure({ name, title, total, description, points, series, kind, join = "sum", format, tall = false }) {
  const width = widths.get(name) ?? USUAL_WIDTH, height = tall ? 168 : 96;
  const room = width - LEFT;
  const bins = binned(points, Math.max(12, Math.floor(room / LEAST_BAR)), join);
  const shown = state.local[`at-${name}`];
  const bin = shown === undefined ? undefined : bins[Math.min(bins.length - 1, shown)];
  const leave = () => {
    delete state.local[`at-${name}`];
    changed();
  };
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = Math.floor((event.clientX - box.left - LEFT) / (room / bins.length));
    state.local[`at-${name}`] = Math.max(0, Math.min(bins.length - 1, at));
    changed();
  };
  const size = { width, height, room };
  const draw = kind === "bars" ? bars(bins, series, size, format) : lines(bins, series, size, format);
  return html`
    <figure class="plot ${tall ? "tall" : ""}" data-name=${name}>
      <figcaption>
        <h3>${title}</h3>
        <p class="reading">${bin === undefined ? total : reading(bin, series, format)}</p>
      </figcaption>
      ${series.length < 2 ? nothing : html`
        <ul class="legend">${series.map((one) => html`<li class=${one.tone}><i></i>${one.name}</li>`)}</ul>
      `}
      <div class="canvas" data-plot=${name}>
        <svg width=${width} height=${height} viewBox="0 0 ${width} ${height}" role="img"
          aria-labelledby="title-${name} about-${name}" @pointermove=${point} @pointerleave=${leave}>
          <title id="title-${name}">${title}</title>
          <desc id="about-${name}">${description}</desc>
          ${draw}
          ${bin === undefined ? nothing : cursor(bins.indexOf(bin), bins.length, size)}
        </svg>
      </div>
      ${asTable({ name, title, points, series, join, format })}
    </figure>
  `;
}

function cursor(at, count, { height, room }) {
  const step = room / count;
  return svg`<rect class="cursor" x=${LEFT + at * step} y="0" width=${Math.max(1, step)} height=${
    height - BELOW
  }></rect>`;
}

function reading(bin, series, format) {
  const values = bin.values.map((value, at) =>
    `${series.length > 1 ? `${series[at].name} ` : ""}${value === null ? "–" : format(value)}`
  );
  return `${minutes(bin.from)} · ${values.join(" · ")}`;
}

/** Makes at most so many of them: what stands for a span is its sum, its largest or its last value. */
export function binned(points, most, join) {
  const per = Math.max(1, Math.ceil(points.length / most));
  const bins = [];
  for (let at = 0; at < points.length; at += per) {
    const some = points.slice(at, at + per);
    bins.push({
      from: some[0].at,
      values: some[0].values.map((_, of) => joined(some.map(({ values }) => values[of]), join)),
    });
  }
  return bins;
}

function joined(values, join) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length === 0) return null;
  if (join === "last") return known.at(-1);
  return join === "largest" ? Math.max(...known) : known.reduce((sum, value) => sum + value, 0);
}

function bars(bins, series, { width, height, room }, format) {
  const top = nice(Math.max(1, ...bins.map(({ values }) => values.reduce((sum, value) => sum + (value ?? 0), 0))));
  const step = room / Math.max(1, bins.length), ground = height - BELOW, tall = ground - ABOVE;
  // Of bars that are narrow the gap would be most.
  const gap = step > 5 ? 1 : step > 3 ? 0.5 : 0;
  return svg`
    ${grid([0, top / 2, top].map((value) => ({ y: ground - value / top * tall, label: format(value) })), width)}
    ${hours(bins, { height, room })}
    ${bins.map(({ values }, at) => {
      let below = 0;
      return values.map((value, of) => {
        if (!value) return nothing;
        // What is there at all can be seen.
        const high = Math.max(1, value / top * tall);
        below += high;
        return svg`
          <rect class="bar ${series[of].tone}" x=${LEFT + at * step + gap / 2} y=${ground - below}
            width=${Math.max(1, step - gap)} height=${high}></rect>
        `;
      });
    })}
  `;
}

/** Seconds at which the scale of delays has its lines. */
const DELAY_LINES = [0.01, 0.1, 1, 10, 60, 600, 3600, 21600, 86400, 604800];

function lines(bins, series, { width, height, room }, format) {
  const known = bins.flatMap(({ values }) => values.filter((value) => value !== null && value > 0));
  const least = Math.min(...known, 1), most = Math.max(...known, 1);
  const low = DELAY_LINES.findLast((line) => line <= least) ?? 0.01,
    high = DELAY_LINES.find((line) => line >= most && line > low) ?? most;
  const ground = height - BELOW, tall = ground - ABOVE, step = room / Math.max(1, bins.length);
  const y = (value) => ground - Math.log(Math.max(low, value) / low) / Math.log(high / low) * tall;
  const inside = DELAY_LINES.filter((line) => line >= low && line <= high);
  return svg`
    ${grid(inside.map((value) => ({ y: y(value), label: format(value) })), width)}
    ${hours(bins, { height, room })}
    ${series.map(({ tone }, of) =>
      svg`<path class="line ${tone}" d=${pathOf(bins, of, (at) => LEFT + (at + 0.5) * step, y)}></path>`
    )}
  `;
}

/** A path through all that is known: it begins anew behind a gap. */
function pathOf(bins, of, x, y) {
  let path = "", draws = false;
  bins.forEach(({ values }, at) => {
    const value = values[of];
    if (value === null) return void (draws = false);
    const next = bins[at + 1]?.values[of] ?? null;
    path += `${draws ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    // One alone is a dash that is seen.
    if (!draws && next === null) path += "m-3 0h6";
    draws = true;
  });
  return path;
}

function grid(ticks, width) {
  return ticks.map(({ y, label }) =>
    svg`
      <line class="grid" x1=${LEFT} x2=${width} y1=${Math.round(y) + 0.5} y2=${Math.round(y) + 0.5}></line>
      <text class="tick" x=${LEFT - 6} y=${y + 3.5} text-anchor="end">${label}</text>
    `
  );
}

/** Labels of the time below: as many as there is room for. */
function hours(bins, { height, room }) {
  if (bins.length === 0) return nothing;
  const from = new Date(bins[0].from).getTime(), last = new Date(bins.at(-1).from).getTime();
  const span = last - from + (bins.length > 1 ? (last - from) / (bins.length - 1) : 1);
  const every = [1, 2, 3, 4, 6, 12, 24].find((count) => span / 3_600_000 / count <= room / 52) ?? 24;
  const labels = [];
  const first = new Date(from);
  first.setMinutes(0, 0, 0);
  for (let at = first.getTime(); at < from + span; at += 3_600_000) {
    const x = LEFT + (at - from) / span * room;
    if (new Date(at).getHours() % every !== 0 || x < LEFT + 14 || x > LEFT + room - 14) continue;
    labels.push(svg`<text class="tick" x=${x} y=${height - 4} text-anchor="middle">${minutes(at)}</text>`);
  }
  return labels;
}

/** The next number that looks well at the top of a scale. */
export function nice(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 4, 5, 10].find((one) => one * size >= value) ?? 10;
  return Math.max(2, factor * size);
}

/** The same by the hour. It is made when it is unfolded. */
function asTable({ name, title, points, series, join, format }) {
  const open = state.local[`table-${name}`] === true;
  const toggle = (event) => {
    state.local[`table-${name}`] = event.currentTarget.open;
    changed();
  };
  return html`
    <details class="as-table" @toggle=${toggle}>
      <summary>As a table<span class="unseen">: ${title}</span></summary>
      ${!open ? nothing : html`
        <div class="scroll" tabindex="0" role="region" aria-label="${title}, by the hour">
          <table>
            <thead>
              <tr><th scope="col">From</th>${series.map((one) =>
                html`<th scope="col" class="number">${one.name}</th>`
              )}</tr>
            </thead>
            <tbody>${binned(points, 24, join).map(({ from, values }) =>
              html`
                <tr><th scope="row">${minutes(from)}</th>${values.map((value) =>
                  html`<td class="number">${value === null ? "–" : format(value)}</td>`
                )}</tr>
              `
            )}</tbody>
          </table>
        </div>
      `}
    </details>
  `;
}
