/** Opens a database file of any kind that `db:` tables may have: constant databases, Berkeley DB hash and btree. Pure. */

import { looksLikeBdb, openBdb } from "./bdb.ts";
import { CdbReader, looksLikeCdb } from "./cdb.ts";
import { DbDamaged, type DbFile } from "./dbfile.ts";

/** The reader for a file, chosen by its first octets. Throws DbDamaged. */
export function openDb(file: Uint8Array): DbFile {
  if (looksLikeBdb(file)) return openBdb(file);
  if (looksLikeCdb(file)) return new CdbReader(file);
  throw new DbDamaged(
    "neither a constant database nor a Berkeley DB file, or a damaged one: makemap makes one of a text file",
  );
}
