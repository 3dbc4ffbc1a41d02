/** `smtpd -n --expect DIR`: replays recorded messages against the configuration, and tells which fare otherwise than was recorded. */

import type { Config, Environment } from "../../config/mod.ts";
import { safeLine, systemReason } from "../../events/mod.ts";
import { offlineMachine, offlineSettings, type Replayed, replayFolder } from "../../explain/mod.ts";

/** Something has changed, or cannot be read. */
const EX_CHANGED = 1, EX_UNREADABLE = 2;

/** Replays the letters of a folder, prints a line for each that has changed and the counts, and returns the exit status. Throws Fatal. */
export async function expectMain(folder: string, config: Config, env: Environment): Promise<number> {
  const { settings, unknown } = await offlineSettings(config, env);
  const warned = new Set<string>();
  const warn = (text: string) => {
    if (!warned.has(text)) console.error(`warning: not known: ${text}`);
    warned.add(text);
  };
  unknown.forEach(warn);
  let replayed: Replayed;
  try {
    const say = (line: string) => console.log(safeLine(line));
    replayed = await replayFolder(folder, { config, settings, machine: offlineMachine(warn), say });
  } catch (error) {
    const reason = error instanceof Error && error.constructor === Error ? error.message : systemReason(error);
    console.error(`smtpd: --expect ${folder}: ${reason}`);
    return EX_UNREADABLE;
  }
  const { asExpected, changed, unreadable } = replayed;
  if (asExpected + changed + unreadable === 0) {
    console.error(`smtpd: --expect ${folder}: it has no file *.eml: smtpctl explain --record writes them`);
    return EX_UNREADABLE;
  }
  console.log(`${asExpected} as expected, ${changed} changed, ${unreadable} cannot be read`);
  return unreadable > 0 ? EX_UNREADABLE : changed > 0 ? EX_CHANGED : 0;
}
