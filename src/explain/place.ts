/** Whether a user may write to a place in the file system, as far as modes say so. Looks, and makes nothing. */

/** The part of an account that the kernel goes by: mail is delivered with one group, and no others. */
export interface Who {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** What is at a path. */
export type Looked =
  | {
    readonly kind: "directory" | "file" | "other";
    readonly uid: number;
    readonly gid: number;
    readonly mode: number;
  }
  | { readonly kind: "absent" }
  /** This process may not see it. */
  | { readonly kind: "unknown"; readonly why: string };

export type Look = (path: string) => Looked;

/** What is known of a place to write to. */
export interface PlaceState {
  readonly exists: boolean | null;
  readonly writable: boolean | null;
  /** One sentence without its full stop, which names the place. */
  readonly text: string;
}

const READ_WRITE_EXECUTE = 0o7, WRITE = 0o2, EXECUTE = 0o1;

/** Looks at a path of this machine; symbolic links are followed. Never throws. */
export const lookAt: Look = (path) => {
  try {
    const { isDirectory, isFile, uid, gid, mode } = Deno.statSync(path);
    if (uid === null || gid === null || mode === null) return { kind: "unknown", why: "the system has no owners" };
    return { kind: isDirectory ? "directory" : isFile ? "file" : "other", uid, gid, mode };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "absent" };
    if ((error as { code?: string }).code === "ENOTDIR") return { kind: "absent" };
    return { kind: "unknown", why: "this process may not look there" };
  }
};

/** Returns whether `who` may write to the folder or file at an absolute path, or may make it there. What is above it counts. */
export function placeState(path: string, who: Who, look: Look): PlaceState {
  let above: Looked = look("/"), name = "/";
  for (const part of path.split("/").filter((one) => one !== "")) {
    if (above.kind === "unknown") return unknown(path, name, above.why);
    if (above.kind !== "absent" && !may(above, who, EXECUTE)) {
      const text = `${who.name} may not enter ${name} (${ownerOf(above)})`;
      return { exists: null, writable: false, text: `${path}: ${text}` };
    }
    const next = `${name === "/" ? "" : name}/${part}`, found = look(next);
    if (found.kind === "absent") return missing(path, name, above, who);
    [name, above] = [next, found];
  }
  if (above.kind === "unknown") return unknown(path, name, above.why);
  if (above.kind === "absent") return missing(path, name, above, who);
  const writable = may(above, who, above.kind === "directory" ? WRITE | EXECUTE : WRITE);
  const allowed = writable ? `${who.name} may write to it` : `${who.name} may not write to it (${ownerOf(above)})`;
  return { exists: true, writable, text: `${path} is there, and ${allowed}` };
}

function missing(path: string, name: string, above: Looked, who: Who): PlaceState {
  const writable = above.kind === "directory" && may(above, who, WRITE | EXECUTE);
  const text = writable
    ? `${path} is not there, and is made by the first delivery in ${name}, which ${who.name} may write to`
    : above.kind === "directory"
    ? `${path} is not there, and ${who.name} may not make it in ${name} (${ownerOf(above)})`
    : `${path} is not there, and ${name} is no folder`;
  return { exists: false, writable, text };
}

function unknown(path: string, name: string, why: string): PlaceState {
  const where = name === path ? "" : ` (${name})`;
  return { exists: null, writable: null, text: `whether ${path} can be written to is not known: ${why}${where}` };
}

function ownerOf({ uid, gid, mode }: Exclude<Looked, { kind: "absent" | "unknown" }>): string {
  return `owner ${uid}, group ${gid}, mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`;
}

/** access(2) with one group; ACLs are not looked at. */
function may(found: Looked, { uid, gid }: Who, wanted: number): boolean {
  if (found.kind === "absent" || found.kind === "unknown") return false;
  if (uid === 0) return true;
  const shift = found.uid === uid ? 6 : found.gid === gid ? 3 : 0;
  return ((found.mode >> shift) & READ_WRITE_EXECUTE & wanted) === wanted;
}
