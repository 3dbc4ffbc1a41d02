/** How far a connection has come, from its first octet to the end of its wire. Independent of session and wire; see connection.ts. */

/** How long a connection that was closed may go on sending, in milliseconds. */
const LINGER_MS = 10_000;
/** Octets that are read and thrown away meanwhile. */
const LINGER_OCTETS = 1024 * 1024;

/** A connection goes down this list and never back; some stages may be left out. */
type Stage =
  | { readonly at: "open" }
  /** The client has closed its side: it will send no more; it may still read. */
  | { readonly at: "half-closed" }
  /** The session is over. What the client still sends is thrown away, until it closes or the time is up. */
  | { readonly at: "lingering"; since: number | null; octets: number }
  /** The wire is closed. */
  | { readonly at: "gone" };

const ORDER: readonly Stage["at"][] = ["open", "half-closed", "lingering", "gone"];

export class ConnectionStage {
  #stage: Stage = { at: "open" };

  get at(): Stage["at"] {
    return this.#stage.at;
  }

  /** Moves on to `next` unless the connection has come as far already. Returns true when the session is over by that, and was not before. */
  enter(next: "half-closed" | "lingering" | "gone"): boolean {
    const before = ORDER.indexOf(this.#stage.at);
    if (ORDER.indexOf(next) <= before) return false;
    this.#stage = next === "lingering" ? { at: next, since: null, octets: 0 } : { at: next };
    return next !== "half-closed" && before < ORDER.indexOf("lingering");
  }

  /** Counts octets that came after the end of the session. Returns true when there were too many of them: the wire is to be closed. */
  waste(octets: number): boolean {
    const stage = this.#stage;
    if (stage.at !== "lingering") return false;
    stage.octets += octets;
    return stage.octets > LINGER_OCTETS;
  }

  /** True when the client has had enough time since its session was over. `now` in milliseconds of a clock that nobody sets. */
  overdue(now: number): boolean {
    const stage = this.#stage;
    if (stage.at !== "lingering") return false;
    stage.since ??= now;
    return now - stage.since >= LINGER_MS;
  }
}
