/**
 * Which isolate main replaces when one isolate says that another sent something malformed. It cannot see who of the two is right: an isolate that is
 * compromised could have its neighbours replaced again and again by accusing them. Independent of isolates and messages; pure.
 */

/** Neighbours that an exposed isolate may accuse before it is replaced itself. */
const MAX_ACCUSATIONS = 2;
/** How long the word of an isolate that was replaced counts for what its successor says, in milliseconds. */
const MEMORY_MS = 60_000;

export interface Accusation {
  /** Name and life of the isolate that speaks, and the name of the one it speaks of. */
  readonly accuser: string;
  readonly life: number;
  readonly accused: string;
  /** The accuser talks to clients, or runs what users name: it is more likely to be compromised than others. */
  readonly exposed: boolean;
  /** The end of the accused is the end of the daemon: one word is not enough for that. */
  readonly vital: boolean;
}

export class Accusations {
  readonly #now: () => number;
  /** By accuser: its life, and how often it has accused in it. */
  readonly #counts = new Map<string, { life: number; count: number }>();
  /** By accused: who said so last, and when. */
  readonly #words = new Map<string, { readonly by: string; readonly at: number }>();

  /** `now`: milliseconds of a clock that does not go back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The isolate to be replaced: the accused, or the accuser that has accused too many, or alone what the daemon cannot do without. */
  judge({ accuser, life, accused, exposed, vital }: Accusation): "accused" | "accuser" {
    if (!exposed) return "accused";
    const known = this.#counts.get(accuser);
    const count = known?.life === life ? known.count + 1 : 1;
    this.#counts.set(accuser, { life, count });
    if (count > MAX_ACCUSATIONS) return "accuser";
    if (!vital) return "accused";
    const before = this.#words.get(accused);
    const by = `${accuser} ${life}`;
    this.#words.set(accused, { by, at: this.#now() });
    return before !== undefined && before.by !== by && this.#now() - before.at < MEMORY_MS ? "accused" : "accuser";
  }
}
