/** What this machine says: the daemon, the clock, disks, permissions of files, warnings about the configuration, open relays. Pure. */

import type { Finding } from "../protocol/mod.ts";
import type { SpoolReserve } from "../config/mod.ts";
import { about } from "../findings/mod.ts";

/** What was looked at to know whether the clock is right. Null: it could not be. */
export interface ClockFacts {
  /** The kernel says that something keeps its clock right (adjtimex(2)). */
  readonly kernel: boolean | null;
  /** systemd-timesyncd has set it since the start. */
  readonly timesyncd: boolean | null;
  /** Milliseconds since the epoch: now, and the newest time that this host has written down before. */
  readonly now: number;
  readonly lastSeen: number | null;
}

/** A clock may differ so much from what was written before, in milliseconds. */
const CLOCK_TOLERANCE_MS = 60_000;

/** The clock: what keeps it right, and whether it went back. */
export function clockFinding({ kernel, timesyncd, now, lastSeen }: ClockFacts): Finding {
  const { ok, info, warning, error } = about("clock", "");
  if (lastSeen !== null && lastSeen > now + CLOCK_TOLERANCE_MS) {
    return error(
      `it is ${new Date(now).toISOString()}, and this host has written ${
        new Date(lastSeen).toISOString()
      } before: the clock went back`,
      "set it: signatures and certificates have dates",
    );
  }
  if (kernel === true) return ok("the kernel's clock is kept right (adjtimex)");
  if (timesyncd === true) return ok("systemd-timesyncd keeps the clock right");
  if (kernel === false) {
    return warning(
      "nothing keeps the clock right, says the kernel (adjtimex)",
      "run chrony, ntpd or systemd-timesyncd; in a container the host may do so",
    );
  }
  return info("whether something keeps the clock right cannot be seen from here: timedatectl shows it");
}

export interface DiskFacts {
  /** What it is used for. */
  readonly use: string;
  readonly path: string;
  /** Octets and inodes; null where they cannot be asked for. */
  readonly space: null | {
    readonly free: number;
    readonly total: number;
    readonly freeInodes: number;
    /** 0 where the file system counts none. */
    readonly inodes: number;
  };
  /** What must stay free. */
  readonly reserve: SpoolReserve;
}

/** Room on a disk, against what the queue leaves free. */
export function diskFinding({ use, path, space, reserve }: DiskFacts): Finding {
  const { ok, warning, error, unknown } = about("disk", `${use} ${path}`);
  if (space === null) return unknown("its free space cannot be asked for");
  const wanted = reserve.share === null ? reserve.bytes : Math.min(space.total * reserve.share, reserve.bytes);
  const wantedInodes = reserve.share === null ? 0 : space.inodes * reserve.share;
  const inodes = space.inodes === 0
    ? ""
    : `, ${percent({ free: space.freeInodes, total: space.inodes })} of the inodes`;
  const free = `${size(space.free)} of ${size(space.total)} are free (${percent(space)})${inodes}`;
  const full = space.free < wanted || (space.inodes > 0 && space.freeInodes < wantedInodes);
  const isQueue = use === "queue";
  const limit = isQueue ? `: mail is refused below ${size(wanted)}` : "";
  const next = isQueue ? "make room, or change queue reserve" : "make room: when it is full, mail waits";
  if (full) return error(`${free}${limit}`, next);
  const near = space.free < 2 * wanted || (space.inodes > 0 && space.freeInodes < 2 * wantedInodes);
  return near ? warning(`${free}${limit}`, "make room soon") : ok(free);
}

function percent({ free, total }: { readonly free: number; readonly total: number }): string {
  return `${total === 0 ? 0 : Math.floor((100 * free) / total)} %`;
}

function size(octets: number): string {
  const gib = octets / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.floor(octets / 2 ** 20)} MiB`;
}

/** A file or folder, as stat(2) has it; `missing` and `hidden` (it may not be looked at) where there is nothing to see. */
export interface FileFacts {
  readonly what: string;
  readonly path: string;
  readonly state: "missing" | "hidden" | { readonly uid: number; readonly mode: number };
  /** Who may own it, beside root. */
  readonly owners: readonly number[];
  /** `secret`: nobody else may read it; `guarded`: nobody else may write it. */
  readonly wants: "secret" | "guarded";
  /** It need not be there. */
  readonly optional?: true;
}

const OTHERS_WRITE = 0o022, OTHERS_READ = 0o037, STICKY = 0o1000;
const FILE_TYPE = 0o170000, FOLDER = 0o040000;

/** Whether somebody else may read or change a file that the daemon goes by. */
export function fileFinding({ what, path, state, owners, wants, optional }: FileFacts): Finding {
  const { ok, info, error, unknown } = about("permissions", path);
  if (state === "missing") {
    return optional === true
      ? info(`${what} is not there`)
      : error(`${what} is missing`, "make it, or correct smtpd.conf");
  }
  if (state === "hidden") return unknown(`${what} cannot be looked at`);
  if (state.uid !== 0 && !owners.includes(state.uid)) {
    return error(`${what} belongs to another user (uid ${state.uid})`, `chown root ${path}`);
  }
  const shown = (state.mode & 0o7777).toString(8).padStart(4, "0");
  if (wants === "secret" && (state.mode & OTHERS_READ) !== 0) {
    const own = (state.mode & FILE_TYPE) === FOLDER ? "0700" : "0600";
    return error(`others may read ${what} (mode ${shown})`, `chmod ${own} ${path}`);
  }
  if ((state.mode & OTHERS_WRITE) !== 0 && (state.mode & STICKY) === 0) {
    return error(`others may change ${what} (mode ${shown})`, `chmod go-w ${path}`);
  }
  return ok(`${what}: mode ${shown}`);
}

/** Warnings that `smtpd -n` prints, each as a finding. */
export function configFindings(file: string, warnings: readonly string[]): readonly Finding[] {
  if (warnings.length === 0) return [about("config", file).ok("smtpd -n has no warning")];
  return warnings.map((warning) => {
    const [, place = file, text = warning] = /^(?:(.*?:\d+): )?(?:warning: )?(.*)$/s.exec(warning) ?? [];
    return about("config", place).warning(text);
  });
}

/** A client from elsewhere at one listener, and what the rules say of mail from it to elsewhere. */
export interface RelayFacts {
  readonly place: string;
  /** The address of the stranger. */
  readonly client: string;
  readonly result: "taken" | "refused" | "unknown";
}

/** Returns whether a stranger may send mail through this host to anywhere, as a finding. */
export function relayFinding({ place, client, result }: RelayFacts): Finding {
  const { ok, error, unknown } = about("open-relay", place);
  switch (result) {
    case "refused":
      return ok(`mail of a stranger (${client}) to strangers is refused`);
    case "taken":
      return error(
        `mail of a stranger (${client}) to strangers is taken: this host is an open relay`,
        'write "auth" into the rule, or name the clients ("from src") or the domains ("for domain")',
      );
    case "unknown":
      return unknown("the rules cannot be asked now");
  }
}
