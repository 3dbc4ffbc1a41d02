/** Decisions as the code that takes them tells them, where somebody listens: `smtpctl explain`. No isolate does, and nothing of this passes through a door. */

/** A line of the configuration. */
interface Place {
  readonly file: string;
  readonly line: number;
}

/** How a criterion of a rule came out, or all of them. */
export type RuleOutcome = "matches" | "does not match" | "cannot be decided";

export type Noted =
  /** A rule was compared with an address. `criterion`: its first that is not true, in the words of smtpd.conf(5); null where all are. */
  | {
    readonly kind: "rule";
    readonly at: Place;
    readonly dest: string;
    readonly outcome: RuleOutcome;
    readonly criterion: string | null;
    /** The action that it names, null for a rule that rejects. */
    readonly action: string | null;
    readonly reason?: string;
  }
  /** No rule matches an address. */
  | { readonly kind: "no-rule"; readonly dest: string }
  /** A phase went through the filters. `filter` and `at`: the one that decided; null where all have let it pass. */
  | {
    readonly kind: "filter";
    readonly phase: string;
    readonly filter: string | null;
    readonly at: Place | null;
    readonly decision: string;
  };
