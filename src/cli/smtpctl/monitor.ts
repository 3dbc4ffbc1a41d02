/** The screen of `smtpctl monitor`: a heading every 25 samples, one line per sample. Pure. */

import type { MonitorSample } from "../../events/mod.ts";

const HEADING = "--- client ---  -- envelope --   ---- relay/delivery --- ------- misc -------\n" +
  "curr conn disc  curr  enq  deq   ok tmpfail prmfail loop expire remove bounce\n";
const HEADING_PERIOD = 25;
/** Blanks in front of each column but the first, after upstream's layout. */
const GAPS = [1, 1, 2, 1, 1, 1, 4, 4, 1, 3, 3, 3] as const;
const WIDTH = 4;

/** Turns samples into text. Totals print as what they grew by since the sample before; the first line prints them whole. */
export class MonitorPrinter {
  #count = 0;
  #last: MonitorSample | null = null;

  next(sample: MonitorSample): string {
    const heading = this.#count % HEADING_PERIOD !== 0 ? "" : this.#count === 0 ? HEADING : `\n${HEADING}`;
    const line = columns(sample, this.#last);
    this.#count++;
    this.#last = sample;
    return heading + line + "\n";
  }
}

function columns(now: MonitorSample, last: MonitorSample | null): string {
  const grown = (read: (sample: MonitorSample) => number) => read(now) - (last === null ? 0 : read(last));
  const values = [
    now.sessions,
    grown((one) => one.connects),
    grown((one) => one.disconnects),
    now.envelopes,
    grown((one) => one.enqueued),
    grown(dequeued),
    grown((one) => one.ok),
    grown((one) => one.tempfail),
    grown((one) => one.permfail),
    grown((one) => one.loop),
    grown((one) => one.expired),
    grown((one) => one.removed),
    grown((one) => one.bounces),
  ];
  return values.map((value, column) => " ".repeat(GAPS[column - 1] ?? 0) + String(value).padStart(WIDTH)).join("");
}

/** Every envelope that came and is not there any more, whatever ended its stay. */
function dequeued(sample: MonitorSample): number {
  return Math.max(0, sample.enqueued - sample.envelopes);
}
