/**
 * Reads `.forward` files for main, which lookup asks for them, in an isolate of their own. That there is none is found out as the daemon, by stat(2) alone; a file that is there
 * is opened as its user, so that the kernel refuses what the user may not read, whatever stands behind the path by then. Does not
 * parse the file.
 */

import fs from "node:fs";
import { systemReason } from "../events/mod.ts";
import type { ActAs } from "./identity.ts";
import type { Account, Forward } from "../protocol/mod.ts";
import { isForwardHome, isForwardSuffix, MAX_FORWARD_OCTETS } from "../protocol/files.ts";

const STICKY = 0o1000, OTHERS_MAY_WRITE = 0o022;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

const NONE: Forward = { kind: "none" };
const later = (reason: string): Forward => ({ kind: "refused", temporary: true, reason });
const never = (reason: string): Forward => ({ kind: "refused", temporary: false, reason });

/** Nothing is there. */
const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR"]);
/** Another try may do better. */
const PASSING: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "EIO",
  "ENOMEM",
  "EINTR",
  "EAGAIN",
  "ESTALE",
  "ETIMEDOUT",
]);

/** Reads `.forward`, with a suffix such as `+tag` the file `.forward+tag` before it: the first that is there and not empty. Never throws. */
export function readForward(actAs: ActAs, who: Account, suffix: string): Forward {
  const { home } = who;
  if (!isForwardHome(home)) return NONE;
  const folder = look(home, fs.statSync);
  if (typeof folder === "object") {
    if (!folder.isDirectory()) return NONE;
    if ((folder.mode & STICKY) !== 0) return later(`${home} is sticky`);
  } else if (ABSENT.has(folder)) return NONE;
  const plain = `${home}/.forward`;
  const usable = suffix !== "" && isForwardSuffix(suffix);
  for (const path of usable ? [plain + suffix, plain] : [plain]) {
    const found = readOne(actAs, who, path);
    if (found.kind !== "none") return found;
  }
  return NONE;
}

function readOne(actAs: ActAs, who: Account, path: string): Forward {
  const seen = look(path, fs.lstatSync);
  if (typeof seen === "object" ? false : ABSENT.has(seen) || seen === "ENAMETOOLONG") return NONE;
  if (typeof seen === "object" && seen.isSymbolicLink()) return never(`${path} is a symbolic link`);
  // Another error is not the last word: a file server may show to the user what it hides from root.
  try {
    return actAs(who, () => readAsUser(who, path));
  } catch (error) {
    return later(`${path}: ${systemReason(error)}`);
  }
}

function readAsUser(who: Account, path: string): Forward {
  let descriptor: number;
  try {
    // Without O_NONBLOCK a FIFO would stop the daemon until a process writes to it.
    descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return NONE;
    return PASSING.has(code) ? later(`${path}: ${code}`) : never(`${path}: cannot be opened: ${code}`);
  }
  try {
    const fault = insecurity(who, path, fs.fstatSync(descriptor));
    return fault !== null ? never(`insecure file: ${path}: ${fault}`) : readText(descriptor, path);
  } catch (error) {
    const code = codeOf(error);
    return PASSING.has(code) ? later(`${path}: ${code}`) : never(`${path}: ${code}`);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Why another user may have written the file; null when none can. */
function insecurity({ uid, home }: Account, path: string, file: fs.Stats): string | null {
  if (!file.isFile()) return "it is not a regular file";
  if (file.uid !== uid) return "it is not the user's";
  if ((file.mode & OTHERS_MAY_WRITE) !== 0) return "others may write it";
  // From the file's folder up to the home, all of which the file's name decides: that is the home alone.
  const folder = fs.realpathSync(home);
  const { uid: owner, mode } = fs.statSync(folder);
  if (owner !== 0 && owner !== uid) return `${folder} is neither the user's nor root's`;
  if ((mode & OTHERS_MAY_WRITE) !== 0) return `others may write ${folder}`;
  return path.startsWith(`${home}/`) ? null : "it is not in the home";
}

function readText(descriptor: number, path: string): Forward {
  const bytes = new Uint8Array(MAX_FORWARD_OCTETS);
  let length = 0;
  while (length < MAX_FORWARD_OCTETS) {
    const count = fs.readSync(descriptor, bytes, length, MAX_FORWARD_OCTETS - length, null);
    if (count === 0) break;
    length += count;
  }
  if (length === 0) return NONE;
  if (length >= MAX_FORWARD_OCTETS) return later(`${path} is larger than ${MAX_FORWARD_OCTETS - 1} bytes`);
  return { kind: "text", path, text: new TextDecoder().decode(bytes.subarray(0, length)) };
}

/** What is there, or the code of the error. */
function look(path: string, stat: (path: string) => fs.Stats): fs.Stats | string {
  try {
    return stat(path);
  } catch (error) {
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : systemReason(error);
}
