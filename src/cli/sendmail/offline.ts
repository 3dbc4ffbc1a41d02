/**
 * Mail that sendmail(8) took while the daemon was down: one file each in the spool's `offline` folder, submitted when the daemon starts.
 * First line: the arguments, joined by bars; then the message.
 */

import { builtin } from "../../builtin.ts";
import { formatDate } from "../../date.ts";
import { systemReason } from "../../events/mod.ts";
import { composeMessage, headerRecipients, headerSender, normalizeLines, parseDraft } from "./compose.ts";
import { findPerson, formatFrom, fullNameOf, qualify, qualifyAll } from "./identity.ts";
import { readSendmailOptions, type SendmailOptions } from "./options.ts";
import { submit } from "./submission.ts";

/** Folder of the waiting files. Mode 1733: each user may leave mail, and none can read or remove another's. */
export const OFFLINE_FOLDER = "offline";
/** Largest file that is replayed, in octets: it is held in memory. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/** The arguments that make the same mail of the saved text: the recipients of the header are spelled out. Null when a bar is in one. */
export function offlineArguments(options: SendmailOptions, recipients: readonly string[]): string[] | null {
  const args: string[] = [];
  if (options.sender !== null) args.push("-f", `<${options.sender}>`);
  if (options.fullName !== null) args.push("-F", options.fullName);
  if (options.notify !== "") args.push("-N", options.notify);
  if (options.ret !== "") args.push("-R", options.ret);
  if (options.envid !== "") args.push("-V", options.envid);
  args.push("--", ...recipients);
  return args.some((arg) => /[|\r\n]/.test(arg)) ? null : args;
}

/**
 * Makes the folder in `spool`, with its mode whatever the umask is, and the caller's: the spool around it may be another user's, who could have put a
 * link there. Returns its descriptor. Throws when what is there is no folder.
 */
export function openOfflineFolder(spool: string): number {
  const folder = `${spool}/${OFFLINE_FOLDER}`;
  try {
    Deno.mkdirSync(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  // Not at the top: sendmail only writes here, and is to start quickly.
  const fs = builtin("node:fs"), { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  const descriptor = fs.openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const uid = Deno.uid(), gid = Deno.gid();
    if (uid === 0 && fs.fstatSync(descriptor).uid !== uid) fs.fchownSync(descriptor, uid, gid ?? 0);
    fs.fchmodSync(descriptor, 0o1733);
    return descriptor;
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
}

/** Saves a message in `spool`, synced, mode 0600. Throws when the folder is missing, closed to us, or a link, behind which root could write anywhere. */
export async function saveOffline(spool: string, args: readonly string[], message: Uint8Array): Promise<void> {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(10)), (octet) => (octet % 36).toString(36)).join("");
  const folder = `${spool}/${OFFLINE_FOLDER}`;
  if (!(await Deno.lstat(folder)).isDirectory) throw new Error(`${folder} is not a folder`);
  const path = `${folder}/${Math.floor(Date.now() / 1000)}.${random}`;
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    await writeAll(file, new TextEncoder().encode(args.join("|") + "\n"));
    await writeAll(file, message);
    await file.sync();
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
}

export interface ReplayOptions {
  readonly spool: string;
  /** Path of the submission socket, which must be open by now. */
  readonly submissionSocket: string;
  readonly mailname: string;
  /** Text of the account file, passwd(5). */
  readonly passwd: string;
  readonly log: (level: "info" | "warn", text: string) => void;
  /** Removes a file of the folder by its name. */
  readonly remove: (name: string) => void | Promise<void>;
}

/** Submits every waiting file, oldest first. What the daemon does not take stays for the next start. Answers how many were taken. */
export async function replayOffline(options: ReplayOptions): Promise<number> {
  let taken = 0;
  for (const path of await waiting(`${options.spool}/${OFFLINE_FOLDER}`)) {
    try {
      const reason = await replay(path, options);
      if (reason === null) {
        await options.remove(nameOf(path));
        taken++;
      } else options.log("warn", `warn: offline message ${nameOf(path)} stays: ${reason}`);
    } catch (error) {
      options.log("warn", `warn: offline message ${nameOf(path)} stays: ${systemReason(error)}`);
    }
  }
  return taken;
}

/** The last part of a path. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

async function waiting(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.isFile && /^\d+\.[0-9A-Za-z]{10}$/.test(entry.name)) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort((a, b) => parseInt(a) - parseInt(b) || (a < b ? -1 : 1)).map((name) => `${folder}/${name}`);
}

/** null when the daemon took it, else why not. */
async function replay(path: string, options: ReplayOptions): Promise<string | null> {
  const file = await readOwn(path);
  if (typeof file === "string") return file;
  const person = findPerson(options.passwd, ({ uid }) => uid === file.uid);
  if (person === null) return `its owner, uid ${file.uid}, has no account`;
  const end = file.bytes.indexOf(10);
  if (end < 0) return "it has no first line";
  const command = readSendmailOptions(new TextDecoder().decode(file.bytes.subarray(0, end)).split("|"));
  if (command.kind !== "send") return "its first line is not one of ours";
  const given = command.options;
  // What the script kept that had no Deno is as it was given: its recipients may stand in the header.
  const draft = parseDraft(normalizeLines(file.bytes.subarray(end + 1)));
  const recipients = given.fromHeader ? [...given.recipients, ...headerRecipients(draft)] : given.recipients;
  if (recipients.length === 0) return "it has no recipients";
  const sender = given.sender ?? headerSender(draft) ?? person.name;
  const from = sender === "" ? "" : qualify(sender, options.mailname);
  const name = given.fullName ?? (given.sender === null ? fullNameOf(person) : "");
  const submitted = await submit(options.submissionSocket, {
    ...given,
    sender: from,
    recipients: qualifyAll(recipients, options.mailname),
    message: composeMessage(draft, {
      from: formatFrom(name, from || qualify(person.name, options.mailname)),
      date: formatDate(file.savedAt),
    }),
  }, () => {});
  if (submitted.result === "accepted") return null;
  return submitted.result === "not-running" ? "the daemon does not listen" : submitted.text;
}

/**
 * Reads a file that its owner has written. The folder is open to all: a link to another user's file must not become mail. What is
 * opened must be what was looked at, and must have one name only.
 */
async function readOwn(path: string) {
  const seen = await Deno.lstat(path);
  if (!seen.isFile || seen.nlink !== 1) return "it is not a plain file";
  using file = await Deno.open(path);
  const opened = await file.stat();
  if (opened.dev !== seen.dev || opened.ino !== seen.ino || opened.nlink !== 1 || opened.uid === null) {
    return "it was replaced while it was read";
  }
  if ((opened.mode! & 0o077) !== 0) return "others than its owner may read or write it";
  if (opened.size > MAX_FILE_BYTES) return "it is too large";
  const bytes = new Uint8Array(opened.size);
  let size = 0;
  for (let read: number | null; size < bytes.length && (read = await file.read(bytes.subarray(size))) !== null;) {
    size += read;
  }
  return { uid: opened.uid, bytes: bytes.subarray(0, size), savedAt: opened.mtime ?? new Date() };
}
