/** The kept traffic of sessions. Pure. */

import type { DialogueEvent, RecordedEvent } from "../events/mod.ts";

/** The last that was said in one session. */
export interface Dialogue extends Pick<DialogueEvent, "session" | "side" | "before" | "lines"> {
  /** When it ended, in ms since the epoch. */
  readonly at: number;
}

/** The dialogues among these events. */
export function dialoguesOf(events: readonly RecordedEvent[]): Dialogue[] {
  return events.flatMap(({ at, event }) => {
    if (event.type !== "dialogue") return [];
    const { session, side, before, lines } = event;
    // One that another version has recorded may lack them.
    if (!Array.isArray(lines)) return [];
    return [{ session, side, at, before, lines }];
  });
}

/**
 * As text: a heading for each session, with its end as `timeOf` writes it; then what was said, `C:` by the client and `S:` by the server, with the
 * seconds since the session began.
 */
export function dialogueLines(dialogues: readonly Dialogue[], timeOf: (ms: number) => string): string[] {
  return dialogues.flatMap(({ session, side, at, before, lines }, index) => {
    const who = side === "in" ? "of a client with this host" : "of this host with another";
    const lost = `  (${before} earlier ${before === 1 ? "line is" : "lines are"} not kept)`;
    return [
      ...index === 0 ? [] : [""],
      `Session ${session}, ${who}, until ${timeOf(at)}:`,
      ...before > 0 ? [lost] : [],
      ...lines.map(({ ms, from, text }) =>
        `  ${(ms / 1000).toFixed(3).padStart(8)} ${from === "client" ? "C" : "S"}: ${text}`
      ),
    ];
  });
}
