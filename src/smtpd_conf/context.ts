/** What the productions of the grammar share while one configuration is read. */

import type { Cursor } from "./cursor.ts";
import type { Draft } from "./draft.ts";
import type { Lexer } from "./lexer.ts";
import type { Macros } from "./macros.ts";
import type { TableFile } from "../config/mod.ts";

/** What the parser reads of the machine, and nothing else. */
export interface ConfigFiles {
  /** Text of a file as UTF-8. Throws an Error whose message says why it cannot be read. */
  readText(path: string): string;
  /** Bytes of a file; without it, those of its text. Throws as readText does. */
  readBytes?(path: string): Uint8Array;
  /** Opens a table of a back-end that this folder does not know, for a moment. Throws as readText does. Without it none is opened. */
  inspectTable?(backend: "db" | "passwd" | "sqlite", path: string): Pick<TableFile, "files" | "includes">;
  /** Absolute path of the program of this name. Throws an Error whose message says why there is none. Without it there are none at all. */
  programPath?(name: string): string;
  /** Folder of what the daemon keeps, such as certificates that it obtains. That of the machine without it. */
  readonly state?: string;
  /** The interfaces of this machine with their addresses, for the end of a message: `; interfaces: lo (127.0.0.1)`. Without it none are named. */
  interfaceList?(): string;
}

export interface Context {
  readonly cursor: Cursor;
  readonly lexer: Lexer;
  readonly macros: Macros;
  readonly draft: Draft;
  readonly files: ConfigFiles;
}

/** The text of services(5). Without the file only the well-known names are known, and a message says which was not. */
export function servicesText(files: ConfigFiles): string {
  try {
    return files.readText("/etc/services");
  } catch {
    return "";
  }
}
