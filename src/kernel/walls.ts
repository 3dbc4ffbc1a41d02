/** What the kernel keeps a process from: plain data, and how it is shown. */

/** Which system calls a process gives up. */
export interface SeccompRules {
  /** May make sockets of IPv4 and IPv6. */
  readonly internet: boolean;
  /** May make sockets that connect to unix sockets. Pairs are always allowed. */
  readonly unix: boolean;
  /** May listen and accept. */
  readonly listen: boolean;
  /**
   * May start programs, which have the same filter: then it refuses no more than what no program of a mail system needs, and the other fields say nothing. Without,
   * it can make no process at all, and signal none but itself.
   */
  readonly exec: boolean;
}

/** What Landlock lets through. Paths are absolute; a rule stands for the file that is there when it is made. */
export interface LandlockRules {
  /** Files, and folders beneath which files may be read. */
  readonly read: readonly string[];
  /** Read and executed. */
  readonly execute: readonly string[];
  /** Read, written, made, removed: regular files and folders. These have to exist. */
  readonly write: readonly string[];
  /** Folders as those of `write`, in which unix sockets may be made as well. */
  readonly sockets?: readonly string[];
  /** "connect": to anywhere, and binds no port of its choice. "any": as without. */
  readonly tcp: "none" | "connect" | "any";
  /** True: signals, and abstract sockets, reach other processes as without. */
  readonly neighbours?: boolean;
}

/**
 * What a process gets, besides a /proc in which it sees itself alone. Paths are absolute; a rule stands for the file that is there at the start, so that a file that
 * is replaced needs its folder named.
 */
export interface KernelWalls extends LandlockRules {
  /** Null: stays what the parent is. */
  readonly user: { readonly name: string; readonly uid: number; readonly gid: number } | null;
  /** New, empty network and IPC namespaces. */
  readonly ownNetwork: boolean;
  readonly tcp: "none" | "connect";
  readonly seccomp: SeccompRules;
}

/** Describes the walls in one line, for `smtpd -n -v`. */
export function describeWalls(walls: KernelWalls): string {
  const { user } = walls;
  const files = (["read", "write", "execute"] as const).filter((what) => walls[what].length > 0)
    .map((what) => `${what} ${walls[what].join(" ")}`);
  return [
    `user: ${
      user === null ? "as its parent" : `${user.name} (uid ${user.uid}, gid ${user.gid}), no other groups`
    }, no new privileges`,
    `namespaces: mounts with a /proc of its own${walls.ownNetwork ? ", network, IPC" : ""}`,
    walls.ownNetwork ? "network: a namespace of its own, empty" : "network: this machine's",
    `TCP: ${walls.tcp === "none" ? "none" : "connect only"}`,
    `files: ${files.length === 0 ? "none" : files.join(", ")}`,
    describeSeccomp(walls.seccomp),
  ].join("; ");
}

/** Describes a filter of system calls in one line. */
export function describeSeccomp(rules: SeccompRules): string {
  const refused = rules.exec ? ["tracing of processes"] : [
    ["programs", "processes", "signals to others"],
    rules.internet ? [] : ["internet sockets"],
    rules.unix ? [] : ["unix sockets"],
    rules.listen ? [] : ["listening"],
  ].flat();
  return `seccomp: ${["no kernel interfaces", ...refused].join(", no ")}`;
}
