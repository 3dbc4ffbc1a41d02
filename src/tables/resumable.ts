/**
 * How a synchronous evaluation gets answers that must be fetched from elsewhere: it runs until one is missing, the answer is fetched, and
 * it runs again. Independent of what is asked.
 */

/** Answers of one evaluation; more are taken for an evaluation that never ends. */
export const MAX_ANSWERS = 100_000;

/** Thrown out of an evaluation that lacks an answer. */
class Missing {
  constructor(readonly key: string, readonly ask: () => Promise<unknown>) {}
}

/**
 * Those that evaluate and those that are asked share one of these. An evaluation sees each answer once: an answer stays true for it
 * until its end.
 */
export class Resumable {
  #known: Map<string, unknown> | null = null;

  /**
   * The answer that is known under `key`. When there is none yet the evaluation ends here by a throw that must not be caught, and `ask`
   * is called. If `ask` rejects, so does the evaluation.
   */
  need<T>(key: string, ask: () => Promise<T>): T {
    if (this.#known === null) throw new Error("A fact is needed outside of an evaluation");
    if (this.#known.has(key)) return this.#known.get(key) as T;
    throw new Missing(key, ask);
  }

  /**
   * The result of `evaluate`, at once when it lacks nothing. It may be called several times: it starts anew each time, or goes on where it
   * stopped if it keeps a state that allows that.
   */
  settle<T>(evaluate: () => T): T | Promise<T> {
    const known = new Map<string, unknown>();
    const first = this.#run(known, evaluate);
    return first instanceof Missing ? this.#settleLater(known, evaluate, first) : first;
  }

  async #settleLater<T>(known: Map<string, unknown>, evaluate: () => T, missing: Missing): Promise<T> {
    for (;;) {
      if (known.size >= MAX_ANSWERS) throw new Error(`An evaluation needs more than ${MAX_ANSWERS} answers`);
      known.set(missing.key, await missing.ask());
      const result = this.#run(known, evaluate);
      if (!(result instanceof Missing)) return result;
      missing = result;
    }
  }

  #run<T>(known: Map<string, unknown>, evaluate: () => T): T | Missing {
    const outer = this.#known;
    this.#known = known;
    try {
      return evaluate();
    } catch (error) {
      if (error instanceof Missing) return error;
      throw error;
    } finally {
      this.#known = outer;
    }
  }
}
