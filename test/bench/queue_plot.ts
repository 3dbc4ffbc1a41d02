/** Draws the costs of a growing queue as an SVG file: one small chart a cost, logarithmic size below. Pure. */

import type { QueueCost } from "./queue.ts";

const CHARTS: readonly { readonly title: string; readonly of: (cost: QueueCost) => number }[] = [
  { title: "first connection, ms", of: (cost) => cost.connectedMs },
  { title: "first delivery, ms", of: (cost) => cost.firstDeliveryMs },
  { title: "accepted a second", of: (cost) => cost.acceptedPerSecond },
  { title: "scheduler, bytes an envelope", of: (cost) => cost.schedulerBytes },
  { title: "show queue, first line, ms", of: (cost) => cost.firstLineMs },
  { title: "show queue, whole, ms", of: (cost) => cost.allLinesMs },
  { title: "schedule a tenth, ms", of: (cost) => cost.scheduleMs },
  { title: "remove a tenth, ms", of: (cost) => cost.removeMs },
  { title: "fresh message to another host, ms", of: (cost) => cost.freshMs },
  { title: "slowest 250 meanwhile, ms", of: (cost) => cost.slowestReplyMs },
];
const WIDTH = 320, HEIGHT = 200, MARGIN = 40, COLUMNS = 3;

/** The picture. Sizes below 1000 are left out: they say nothing about growth. */
export function plot(costs: readonly QueueCost[]): string {
  const shown = costs.filter(({ size }) => size >= 1000);
  const rows = Math.ceil(CHARTS.length / COLUMNS);
  const charts = CHARTS.map(({ title, of }, index) => {
    const x = (index % COLUMNS) * WIDTH, y = Math.floor(index / COLUMNS) * HEIGHT;
    return `<g transform="translate(${x} ${y})">${chart(title, shown.map((cost) => [cost.size, of(cost)]))}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH * COLUMNS}" height="${HEIGHT * rows}" ` +
    `font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n` +
    `${charts.join("\n")}\n</svg>\n`;
}

function chart(title: string, points: readonly (readonly [size: number, value: number])[]): string {
  const top = Math.max(1, ...points.map(([, value]) => value)) * 1.1;
  const logs = points.map(([size]) => Math.log10(size));
  const first = Math.min(...logs), span = Math.max(1, Math.max(...logs) - first);
  const place = points.map(([size, value]) =>
    [
      MARGIN + (Math.log10(size) - first) / span * (WIDTH - 2 * MARGIN),
      HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN),
    ] as const
  );
  const line = place.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const marks = place.map(([x, y], index) => {
    const [size, value] = points[index]!;
    return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="#246"/>` +
      `<text x="${x.toFixed(1)}" y="${(y - 7).toFixed(1)}" text-anchor="middle">${value.toFixed(0)}</text>` +
      `<text x="${x.toFixed(1)}" y="${HEIGHT - MARGIN + 15}" text-anchor="middle">${size.toExponential(0)}</text>`;
  });
  return `<text x="${WIDTH / 2}" y="18" text-anchor="middle" font-weight="bold">${title}</text>` +
    `<line x1="${MARGIN}" y1="${HEIGHT - MARGIN}" x2="${WIDTH - MARGIN}" y2="${HEIGHT - MARGIN}" stroke="#999"/>` +
    `<polyline points="${line}" fill="none" stroke="#246" stroke-width="2"/>${marks.join("")}`;
}
