/**
 * Looks whether SQLite's log of a database is torn in its middle. SQLite reads a log up to the first frame that does not fit and says nothing of
 * those behind it, which may hold mail that was acknowledged: then the log is kept. Reads the log only, not the database.
 */

/** Sizes of the log's header and of that of a frame; see SQLite's file format, section 4.1. */
const HEADER = 32, FRAME_HEADER = 24;
/** The header begins with this; its last bit gives the byte order of the checksums. */
const MAGIC = 0x377f0682;

/** True when committed frames of the present log stand behind one that cannot be read. False when there is no log, or it ends there. */
export function isTorn(path: string): boolean {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path);
  } catch {
    return false;
  }
  using log = file;
  const header = new Uint8Array(HEADER);
  if (!fill(log, header)) return false;
  const view = new DataView(header.buffer);
  const magic = view.getUint32(0), pageBytes = view.getUint32(8);
  if ((magic & ~1) >>> 0 !== MAGIC || pageBytes < 512 || pageBytes > 65_536) return false;
  const sum = new Sum({ little: (magic & 1) === 0 });
  sum.add(view, 0, 24);
  let broken = sum.first !== view.getUint32(24) || sum.second !== view.getUint32(28);
  const frame = new Uint8Array(FRAME_HEADER + pageBytes);
  const of = new DataView(frame.buffer);
  while (fill(log, frame)) {
    // Frames of an older log stand behind the end of the present one.
    const present = of.getUint32(8) === view.getUint32(16) && of.getUint32(12) === view.getUint32(20);
    if (broken) {
      const commits = of.getUint32(4) !== 0;
      if (present && commits) return true;
      continue;
    }
    sum.add(of, 0, 8);
    sum.add(of, FRAME_HEADER, pageBytes);
    broken = !present || sum.first !== of.getUint32(16) || sum.second !== of.getUint32(20);
  }
  return false;
}

/** The running checksum of a log. */
class Sum {
  first = 0;
  second = 0;
  readonly #little: boolean;

  constructor({ little }: { readonly little: boolean }) {
    this.#little = little;
  }

  add(view: DataView, at: number, length: number): void {
    let { first, second } = this;
    for (const end = at + length; at < end; at += 8) {
      first = (first + view.getUint32(at, this.#little) + second) >>> 0;
      second = (second + view.getUint32(at + 4, this.#little) + first) >>> 0;
    }
    this.first = first;
    this.second = second;
  }
}

/** False when the file ends before. */
function fill(file: Deno.FsFile, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) {
    const count = file.readSync(bytes.subarray(at));
    if (count === null) return false;
    at += count;
  }
  return true;
}
