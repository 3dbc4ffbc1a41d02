/** How far a benchmark is: a bar with the remaining time below the lines that say what is measured. */

import { Progress } from "../../src/cli/progress.ts";
import { processTerminal } from "../../src/cli/terminal.ts";
import { systemClock } from "../../src/clock.ts";

/** The steps of one benchmark, which says with `begin` what it does now. */
export class Steps {
  readonly #progress: Progress;
  #begun = false;

  constructor(total: number) {
    this.#progress = new Progress({
      label: "bench",
      total,
      unit: "measurements",
      clock: systemClock,
      terminal: processTerminal(),
    });
  }

  /** The step before, if there was one, is done, and this one begins. */
  begin(text: string): void {
    this.#progress.err(`${text}\n`);
    if (this.#begun) this.#progress.add();
    this.#begun = true;
  }

  /** One measurement of several that the step has is done. */
  done(): void {
    this.#progress.add();
    this.#begun = false;
  }

  /** The bar makes room for what is printed. */
  pause(): void {
    this.#progress.pause();
  }

  end(): void {
    if (this.#begun) this.#progress.add();
    this.#progress.end();
  }

  [Symbol.dispose](): void {
    this.end();
  }
}
