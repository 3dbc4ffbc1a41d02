/** What `smtpctl find` and `smtpctl story` may be given. What it means is read when the command runs: this file is loaded for every command. */

import type { FindKey } from "../../../search/mod.ts";
import type { GivenOptions } from "../command_options.ts";
import type { CommandOption, Operands } from "../words.ts";

/** By the name of the option: what its argument is called, and a sentence. */
const KEYS: Readonly<Record<FindKey, readonly [value: string, about: string]>> = {
  from: ["address", "Of this sender; <> is the null sender."],
  to: ["address", "To this recipient."],
  domain: ["domain", "From or to an address of this domain."],
  "message-id": ["id", "With this field Message-ID."],
  id: ["id", "Of this message, envelope, session, or ref of a refusal."],
  peer: ["address", "From the client with this IP address."],
  login: ["user", "Of this login."],
  reply: ["text", "Whose last reply has this text in it."],
  outcome: ["word", "queued, delivered, relayed, deferred, bounced, expired, removed, held, refused or mixed."],
};

export const FIND_OPTIONS: readonly CommandOption[] = [
  ...Object.entries(KEYS).map(([key, [value, about]]) => ({ name: `--${key}`, value, about })),
  { name: "--since", value: "time", about: "Not before this time, such as 2h or yesterday; 30 days ago without it." },
  { name: "--until", value: "time", about: "Not after this time." },
  { name: "--limit", value: "count", about: "Finds at most so many, 1 to 1000; 50 without it." },
  { name: "--before", value: "place", about: "Goes on behind the messages of a search before, which has said where." },
  { name: "--json", about: "Prints an object of JSON for each message." },
];
/** As many as a query may have. */
export const FIND_WORDS: Operands = { term: "word ...", least: 0, most: 16 };

/** What was typed behind `find`. */
export interface FindCommand {
  readonly words: readonly string[];
  readonly keys: Readonly<Partial<Record<FindKey, string>>>;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
  readonly before?: string;
  readonly json: boolean;
}

/** Reads what was given, without checking it. */
export function findOrderOf(given: GivenOptions, words: readonly string[]): FindCommand {
  const valuesOf = (names: readonly string[]) =>
    Object.fromEntries(names.flatMap((name) => {
      const value = given.get(`--${name}`)?.[0];
      return value === undefined ? [] : [[name, value]];
    }));
  return {
    words,
    keys: valuesOf(Object.keys(KEYS)),
    ...valuesOf(["since", "until", "limit", "before"]),
    json: given.has("--json"),
  };
}

export const STORY_OPTIONS: readonly CommandOption[] = [
  { name: "--dialogue", about: "Also prints what was said in its sessions, as far as that is kept." },
  { name: "--json", about: "Prints one JSON document." },
];
export const STORY_ID: Operands = { term: "id", least: 1, most: 1 };

export interface StoryCommand {
  readonly id: string;
  readonly dialogue: boolean;
  readonly json: boolean;
}

/** Reads what was given, without checking it. */
export function storyOrderOf(given: GivenOptions, [id = ""]: readonly string[]): StoryCommand {
  return { id, dialogue: given.has("--dialogue"), json: given.has("--json") };
}
