/** What ends the daemon at start: lines for the person who started it, no stack. */
export class Fatal extends Error {
  /** One line for each thing that is wrong. */
  readonly faults: readonly string[];

  constructor(...faults: string[]) {
    super(faults.join("; "));
    this.faults = faults;
  }
}

/** Runs all of the steps, and throws one Fatal with what is wrong in any of them. What else they throw is thrown at once. */
export async function gather(steps: readonly (() => unknown)[]): Promise<void> {
  const faults: string[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
      faults.push(...error.faults);
    }
  }
  if (faults.length > 0) throw new Fatal(...new Set(faults));
}

/** The same for steps that do not wait. Gives what they give. */
export function gatherNow<T>(steps: readonly (() => T)[]): T[] {
  const faults: string[] = [], results: T[] = [];
  for (const step of steps) {
    try {
      results.push(step());
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
      faults.push(...error.faults);
    }
  }
  if (faults.length > 0) throw new Fatal(...new Set(faults));
  return results;
}
