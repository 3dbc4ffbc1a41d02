/** The corpus: whole configurations in files, and what their comments say of them. Reads files; judges nothing. */

import type { Config, ParseResult } from "../../src/config/mod.ts";
import { type ConfigFiles, formatDiagnostic, parseConfig } from "../../src/smtpd_conf/mod.ts";
import type { Origin } from "../../src/envelope/mod.ts";

const CORPUS = new URL("corpus/", import.meta.url);
export const KINDS = ["valid", "invalid"] as const;

/** One configuration of the corpus. */
export interface Entry {
  readonly name: string;
  readonly text: string;
  /** Lines of the sibling `.expect` file, or else the text of the comments `#> …`. */
  readonly notes: readonly string[];
}

export function entries(kind: typeof KINDS[number]): Entry[] {
  const folder = new URL(`${kind}/`, CORPUS);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return names.filter((name) => name.endsWith(".conf")).map((file) => {
    const name = file.slice(0, -".conf".length);
    const text = Deno.readTextFileSync(new URL(file, folder));
    const notes = names.includes(`${name}.expect`)
      ? Deno.readTextFileSync(new URL(`${name}.expect`, folder)).split("\n")
      : text.split("\n").map((line) => line.startsWith("#> ") ? line.slice(3) : "");
    return { name, text, notes: notes.filter((note) => note !== "") };
  });
}

/** Where the files lie that configurations of the corpus name by absolute paths. */
export const FILES = new URL("files/", CORPUS);

const files: ConfigFiles = {
  /** The only program of a table that there is. */
  programPath(name) {
    if (name === "table-directory") return `/libexec/${name}`;
    throw new Error("programs are not looked for here");
  },
  readText(path) {
    try {
      return Deno.readTextFileSync(new URL(`.${path}`, FILES));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw new Error("No such file");
      throw error;
    }
  },
};

/** Parses the text as the file `NAME.conf`. */
export function parseEntry({ name, text }: Entry): ParseResult {
  const withText = { ...files, readText: (path: string) => path === `${name}.conf` ? text : files.readText(path) };
  return parseConfig(`${name}.conf`, { defines: [], files: withText });
}

/** What smtpd would say on stderr, the file's own name left out. */
export function said(entry: Entry): string[] {
  const result = parseEntry(entry);
  if (result.ok) return [];
  const own = `${entry.name}.conf:`;
  const lines = result.diagnostics.map(formatDiagnostic);
  if (result.fatal !== null) lines.push(`smtpd: ${result.fatal}`);
  return lines.map((line) => line.startsWith(own) ? line.slice(own.length) : line);
}

export function configOf(entry: Entry): Config {
  const result = parseEntry(entry);
  if (!result.ok) throw new Error(said(entry).join("\n"));
  return result.config;
}

/** A recipient who is to be routed: `ADDRESS [name=value …] RCPT => RESULT`. */
export interface Route {
  readonly note: string;
  readonly origin: Origin;
  readonly tls: boolean;
  /** Text of an address; "" is the null sender. */
  readonly sender: string;
  readonly rcpt: string;
  readonly want: string;
}

/** The route that a note describes; null for a note of another kind. */
export function routeOf(note: string): Route | null {
  const [left, want] = note.split(" => ");
  if (left === undefined || want === undefined) return null;
  const words = left.split(" ");
  const properties = new Map(
    words.slice(1, -1).map((word) => {
      const [name = "", value = ""] = word.split(/=(.*)/);
      return [name, value];
    }),
  );
  const unknown = [...properties.keys()].find((name) =>
    !["auth", "helo", "rdns", "sender", "tag", "tls"].includes(name)
  );
  if (unknown !== undefined) throw new Error(`Unknown fact "${unknown}" of a route: ${note}`);
  const origin: Origin = {
    address: words[0]!,
    hostname: properties.get("rdns") ?? "client.example.test",
    helo: properties.get("helo") ?? "client.example.test",
    smtpname: "mail.example.org",
    tag: properties.get("tag") ?? "",
    username: properties.get("auth") ?? "",
    authenticated: properties.has("auth"),
  };
  return {
    note,
    origin,
    tls: properties.has("tls"),
    sender: properties.get("sender") ?? "",
    rcpt: words.at(-1)!,
    want,
  };
}
