/**
 * Whether others than the daemon may change its spool and the folder of its sockets: what lies in the spool decides what is delivered, and which
 * commands run as whom. Looks at owners and modes only; who may change the configuration is in file_guard.ts.
 */

const OTHERS_WRITE = 0o002, GROUP_WRITES = 0o020, STICKY = 0o1000;
/** Of the spool. The folder `offline` is open to all, and its files are those of their senders: whose it is counts, not its mode. */
const PARTS = ["queue.db", "import", "imported", "offline"];

/**
 * Why a daemon that runs as `uid` cannot trust the spool at `path`, with what to do; null when it can, or there is none yet. A spool that is somebody
 * else's is a fault for root alone: others cannot open it. `owners`: the users of the daemon's processes, whose it may be too.
 */
export function spoolFault(path: string, uid: number, owners: readonly number[] = []): string | null {
  const spool = look(path, Deno.statSync);
  if (spool === null) return null;
  // A file system that was mounted just now is open to all and empty: it is closed before anything lies there.
  if (mayBeWritten(spool, uid) && !isEmpty(path)) {
    const who = (spool.mode! & OTHERS_WRITE) !== 0 ? "everybody" : "its group";
    return `${who} may write the spool ${path} (mode ${
      shownMode(spool)
    }): remove what you do not know from its folder import, then chmod 0711 ${path}`;
  }
  const parts = PARTS.map((name) => `${path}/${name}`);
  const strange = uid !== 0 ? [] : [path, ...parts].filter((one) => ![0, ...owners].includes(ownerOf(one)));
  if (strange.length > 0) {
    const owner = ownerOf(strange[0]!);
    const what = strange.length === 1 && strange[0] === path
      ? `the spool ${path} belongs`
      : `${strange.join(", ")} of the spool belong${strange.length === 1 ? "s" : ""}`;
    return `${what} to another user (uid ${owner}), who decides what root delivers and runs: remove what you do not know from its folder import, then chown root ${
      strange.join(" ")
    }; or start smtpd as that user`;
  }
  const open = parts.filter((one) => !one.endsWith("/offline")).find((one) => {
    const part = look(one, Deno.lstatSync);
    return part !== null && mayBeWritten(part, uid);
  });
  return open === undefined ? null : `others may write ${open} of the spool: use chmod go-w ${open}`;
}

/** A warning when any user could replace a control socket in the folder at `path`, with what to do; none when no user can. */
export function socketFolderWarnings(path: string): string[] {
  const folder = look(path, Deno.statSync);
  if (folder === null || (folder.mode! & OTHERS_WRITE) === 0 || (folder.mode! & STICKY) !== 0) return [];
  return [
    `warning: everybody may write ${path} (mode ${shownMode(folder)}), the folder of the control socket, and put ` +
    `another one in its place: use chmod 0755 ${path}`,
  ];
}

function mayBeWritten({ mode, gid }: Deno.FileInfo, uid: number): boolean {
  return (mode! & OTHERS_WRITE) !== 0 || ((mode! & GROUP_WRITES) !== 0 && uid === 0 && gid !== 0);
}

/** Of what a link leads to: a link of another's is in a folder of another's. 0 when it is not there. */
function ownerOf(path: string): number {
  return look(path, Deno.statSync)?.uid ?? 0;
}

/** False when it cannot be read. */
function isEmpty(path: string): boolean {
  try {
    return Deno.readDirSync(path)[Symbol.iterator]().next().done === true;
  } catch {
    return false;
  }
}

function shownMode({ mode }: Deno.FileInfo): string {
  return (mode! & 0o7777).toString(8).padStart(4, "0");
}

/** Null when it is not there, or closed to us. */
function look(path: string, stat: (path: string) => Deno.FileInfo): Deno.FileInfo | null {
  try {
    return stat(path);
  } catch {
    return null;
  }
}
