/** Configurations in tests: files are a plain object, results are what a reader would look at. */

import assert from "node:assert/strict";
import type { Config, ParseResult } from "../../src/config/mod.ts";
import { scanTableFile, sortEntries } from "../../src/config/tablefile.ts";
import { type ConfigFiles, formatDiagnostic, parseConfig } from "../../src/smtpd_conf/mod.ts";

/** Files that exist only in memory. */
export function memoryFiles(files: Readonly<Record<string, string>>): ConfigFiles {
  return {
    readText(path) {
      if (!Object.hasOwn(files, path)) throw new Error("No such file");
      return files[path]!;
    },
    programPath(name) {
      if (!Object.hasOwn(files, `/libexec/${name}`)) throw new Error(`/libexec/${name}: No such file or directory`);
      return `/libexec/${name}`;
    },
  };
}

export interface Input {
  readonly files?: Readonly<Record<string, string>>;
  readonly defines?: ReadonlyArray<readonly [string, string]>;
  readonly verbose?: boolean;
  readonly credentials?: string;
}

/** Parses `text` as the file `c`. */
export function parse(text: string, input: Input = {}): ParseResult {
  const files = memoryFiles({ ...input.files, c: text });
  return parseConfig("c", {
    defines: input.defines ?? [],
    files,
    verbose: input.verbose ?? false,
    ...input.credentials === undefined ? {} : { credentials: input.credentials },
  });
}

/** The lines on stderr without `smtpd: ` of the last; empty when the configuration is right. */
export function complaints(text: string, input: Input = {}): string[] {
  const result = parse(text, input);
  if (result.ok) return [];
  return [...result.diagnostics.map(formatDiagnostic), ...(result.fatal === null ? [] : [result.fatal])];
}

/** The Config of a right configuration. */
export function configOf(text: string, input: Input = {}): Config {
  const result = parse(text, input);
  assert.ok(result.ok, complaints(text, input).join("\n"));
  return result.config;
}

/** A table file as it would be kept: sorted entries with unique keys, or the first mistake. */
export function readTableFile(text: string) {
  const bytes = new TextEncoder().encode(text);
  const entries: [string, string][] = [];
  const part = (start: number, end: number) => new TextDecoder().decode(bytes.subarray(start, end));
  const scan = scanTableFile(bytes, (...[start, end, from, to]) => entries.push([part(start, end), part(from, to)]));
  return scan.ok ? { ...scan, entries: sortEntries(entries) } : scan;
}

/** A rule, so that what stands before it is a whole configuration. */
export const RULE = "\nmatch reject\n";
