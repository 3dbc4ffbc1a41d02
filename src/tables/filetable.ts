/** A table that is read from a file: when it is opened, when it is read again, what holds while it cannot be read. Independent of the format. */

import { systemReason } from "../events/mod.ts";
import type { ScramShape } from "../sasl/mod.ts";
import { LookupError } from "./error.ts";
import type { LookupTable, Service, UpdatableTable, ValueService } from "./table.ts";

/** What this file needs of the disk. `read` and `stamp` throw when the file cannot be read. */
export interface WatchedFile {
  read(): Uint8Array;
  /** Changes whenever the content may have changed. */
  stamp(): string;
  /** Has the content brought here that `read` returns next; null where it is read in place. Rejects never. */
  fetch?(): Promise<void> | null;
  /** Has `stamp` tell how the file is now, where it tells how it was; null where it always does. Rejects never. */
  look?(): Promise<void> | null;
}

/** The content of a file. */
export interface OpenTable extends LookupTable {
  /** Null when the back-end says it only with an answer. */
  readonly kind: "list" | "map" | null;
  /** Null when it is not known. */
  readonly size: number | null;
  close?(): void;
}

export interface FileTableParts {
  readonly name: string;
  readonly path: string;
  /** The kind that the configuration was checked for. */
  readonly kind: "list" | "map" | "dynamic";
  readonly file: WatchedFile;
  /** Makes a table of what was read, or throws an Error whose message says why not. */
  readonly open: (bytes: Uint8Array) => OpenTable;
  /** The same while others have their turns; for what may be large. */
  readonly openSlowly?: (bytes: Uint8Array) => Promise<OpenTable>;
  /** Is a changed file opened again without an order? */
  readonly follow: boolean;
  /** Milliseconds of a clock that does not go back. */
  readonly now: () => number;
  /** Writes to the operator's log. */
  readonly warn: (text: string) => void;
}

/** Time between two looks at a file that is followed, in milliseconds. */
const CHECK_INTERVAL_MS = 1000;

/** What is smaller is read in one go, in a millisecond or two. */
const LARGE_BYTES = 128 * 1024;

/** The content is exchanged as a whole or stays as it was, so the holders of the table need no notice. */
export class FileTable implements UpdatableTable {
  readonly name: string;
  readonly path: string;
  readonly #parts: FileTableParts;
  #content: OpenTable | LookupError;
  #stamp = "";
  /** Why the file could not be read when that was tried last. */
  #failure: string | null = null;
  #checkedAt: number;
  /** An update that still runs; the next one waits for it. */
  #updating: Promise<string | null> | null = null;

  constructor(parts: FileTableParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.path = parts.path;
    this.#content = new LookupError(`Table "${parts.name}" was never read`);
    this.#checkedAt = parts.now();
    // It was fine when the configuration was checked. Until it is again there is no answer, and mail waits.
    const error = this.#read();
    if (error !== null) {
      this.#content = new LookupError(error);
      parts.warn(`warn: Table "${this.name}" cannot be read: ${error}`);
    }
  }

  check(service: Service, key: string): boolean | LookupError {
    const content = this.#current();
    return content instanceof LookupError ? content : content.check(service, key);
  }

  lookup(key: string, service: ValueService = "string"): string | null | LookupError {
    const content = this.#current();
    return content instanceof LookupError ? content : content.lookup(key, service);
  }

  fetch(service?: "relayhost" | "source"): string | null | LookupError {
    const content = this.#current();
    return content instanceof LookupError ? content : content.fetch(service);
  }

  scram(): ScramShape | null {
    const content = this.#current();
    return content instanceof LookupError ? null : content.scram?.() ?? null;
  }

  /** Why there is no answer, or why the answers are those of the file as it was: it is damaged, or gone, or may not be read. */
  get fault(): string | null {
    if (this.#content instanceof LookupError) return this.#content.reason;
    let stale = this.#failure;
    try {
      this.#parts.file.stamp();
    } catch (error) {
      stale = this.#reason(error);
    }
    return stale === null ? null : `${stale} (what it held before is still in use)`;
  }

  /** Resolves to whether the file is as it was when it was read last, and can be read. */
  async isCurrent(): Promise<boolean> {
    await this.#parts.file.look?.();
    try {
      return !(this.#content instanceof LookupError) && this.#failure === null && this.#updating === null &&
        this.#parts.file.stamp() === this.#stamp;
    } catch {
      return false;
    }
  }

  /** Nobody asks it any more: what it has open is closed. */
  close(): void {
    if (!(this.#content instanceof LookupError)) this.#content.close?.();
    this.#content = new LookupError(`Table "${this.name}" is closed`);
  }

  /** Reads the file again. Null on success, else why the old content stays. While it is read the old content answers. */
  update(): string | null | Promise<string | null> {
    if (this.#updating !== null) return this.#later(this.#updating.then(() => this.#refetch()));
    const result = this.#refetch();
    return result instanceof Promise ? this.#later(result) : result;
  }

  #later(result: Promise<string | null>): Promise<string | null> {
    const updating: Promise<string | null> = result.finally(() => {
      if (this.#updating === updating) this.#updating = null;
    });
    return this.#updating = updating;
  }

  #refetch(): string | null | Promise<string | null> {
    const fetched = this.#parts.file.fetch?.() ?? null;
    return fetched === null ? this.#reread() : fetched.then(() => this.#reread());
  }

  #reread(): string | null | Promise<string | null> {
    const { file, openSlowly } = this.#parts;
    if (openSlowly === undefined) return this.#read();
    try {
      const stamp = file.stamp();
      const bytes = file.read();
      if (bytes.length < LARGE_BYTES) return this.#exchange(this.#parts.open(bytes), stamp);
      return openSlowly(bytes).then((fresh) => this.#exchange(fresh, stamp)).catch((error) => this.#fail(error));
    } catch (error) {
      return this.#fail(error);
    }
  }

  #current(): OpenTable | LookupError {
    const { follow: follows, now, file, warn } = this.#parts;
    const time = follows ? now() : 0;
    if (!follows || time - this.#checkedAt < CHECK_INTERVAL_MS) return this.#content;
    this.#checkedAt = time;
    let stamp: string;
    try {
      stamp = file.stamp();
    } catch {
      // It is being replaced, or gone: what was read still holds.
      return this.#content;
    }
    if (stamp === this.#stamp) return this.#content;
    const follow = () => {
      const error = this.#read();
      this.#stamp = stamp; // A file that is damaged is not read again before it changes again.
      if (error !== null) warn(`warn: Table "${this.name}" keeps what it had: ${error}`);
    };
    const fetched = file.fetch?.() ?? null;
    if (fetched === null) follow();
    else {
      this.#stamp = stamp;
      void fetched.then(follow);
    }
    return this.#content;
  }

  #read(): string | null {
    const { file, open } = this.#parts;
    try {
      const stamp = file.stamp();
      return this.#exchange(open(file.read()), stamp);
    } catch (error) {
      return this.#fail(error);
    }
  }

  #exchange(fresh: OpenTable, stamp: string): string | null {
    const { path, kind } = this.#parts;
    // The configuration was checked for the kind that the file had: a map where domains are listed would match nobody.
    if (fresh.kind !== null && kind !== "dynamic" && fresh.kind !== kind && fresh.size !== 0) {
      fresh.close?.();
      return this.#failure = `${path}: The file was a ${kind} and is a ${fresh.kind} now`;
    }
    if (!(this.#content instanceof LookupError)) this.#content.close?.();
    this.#content = fresh;
    this.#stamp = stamp;
    this.#failure = null;
    return null;
  }

  #fail(error: unknown): string {
    return this.#failure = this.#reason(error);
  }

  #reason(error: unknown): string {
    const { path } = this.#parts;
    const reason = systemReason(error);
    return reason.startsWith(path) ? reason : `${path}: ${reason}`;
  }
}
